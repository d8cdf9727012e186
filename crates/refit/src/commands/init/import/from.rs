//! `--from`: which files to import.

use std::{fs, io, path::Path, str::FromStr};

use crate::error::CommandError;

/// One source that the user names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::init) struct From {
    pub(in crate::commands::init) kind: Kind,
    /// As given, from the current folder; `-` is standard input.
    pub(in crate::commands::init) path: String,
}

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands::init) enum Kind {
    Compose,
    Bake,
    Github,
    Acr,
}

const KINDS: [(&str, Kind); 4] = [
    ("compose", Kind::Compose),
    ("bake", Kind::Bake),
    ("github", Kind::Github),
    ("acr", Kind::Acr),
];

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((kind, path)) = text.split_once('=').filter(|(_, path)| !path.is_empty()) else {
            return Err("expected KIND=PATH, such as `compose=deploy/compose.yaml`".to_owned());
        };
        let known = KINDS.iter().find(|(name, _)| *name == kind);
        let Some((_, kind)) = known else {
            let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            return Err(format!("`{kind}` is none of `{}`", names.join("`, `")));
        };
        Ok(Self {
            kind: *kind,
            path: path.to_owned(),
        })
    }
}

impl From {
    /// What the file says, wherever it lies.
    pub(super) fn text(&self, current: &Path) -> Result<String, CommandError> {
        let read = if self.path == "-" {
            io::read_to_string(io::stdin())
        } else {
            fs::read_to_string(current.join(&self.path))
        };
        read.map_err(|error| CommandError::new(format!("cannot read `{}`: {error}", self.path)))
    }

    /// The path from the repository's root; none outside of it.
    pub(super) fn in_repository(&self, root: &Path, current: &Path) -> Option<String> {
        let full = current.join(&self.path);
        let (full, root) = (full.canonicalize().ok()?, root.canonicalize().ok()?);
        let below = full.strip_prefix(root).ok()?;
        Some(below.to_str()?.replace('\\', "/"))
    }
}
