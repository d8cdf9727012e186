//! Which repositories' commands may run: a repository's file describes images, and runs nothing until it is accepted.
//!
//! What is accepted is the digest of one `.config/refit.toml` in one repository, so that a change of the file, or the
//! same file beside other scripts, is asked for anew. The list lies beside the user's configuration; CI, which has no
//! such folder, says it in [`REFIT_TRUST`](crate::environment::REFIT_TRUST).

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use refit_oci::Digest;

use crate::{environment::Environment, error::CommandError};

/// What the user has accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    file: Option<PathBuf>,
    /// A file's digest and the repository's folder.
    accepted: BTreeSet<(Digest, PathBuf)>,
    /// Digests from the environment, whatever the repository.
    from_environment: BTreeSet<Digest>,
    everything: bool,
}

impl Trust {
    /// Reads the list and the environment. Lines that are none of ours are passed over.
    pub(crate) fn read(environment: &Environment) -> Result<Self, CommandError> {
        let mut trust = Self {
            file: environment
                .user_config
                .as_ref()
                .and_then(|config| Some(config.parent()?.join("trusted"))),
            ..Self::default()
        };
        for word in environment.trust.split([',', ' ']) {
            match word.parse() {
                Ok(digest) => {
                    trust.from_environment.insert(digest);
                }
                Err(_) => trust.everything |= word == "1",
            }
        }
        let Some(file) = &trust.file else {
            return Ok(trust);
        };
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(trust),
            Err(error) => return Err(unusable("read", file, &error)),
        };
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let lines =
            lines.filter_map(|(digest, folder)| Some((digest.parse().ok()?, folder.into())));
        trust.accepted.extend(lines);
        Ok(trust)
    }

    /// Whether the commands of a file with this digest may run in the repository whose git directory is `folder`.
    pub(crate) fn accepts(&self, digest: &Digest, folder: &Path) -> bool {
        self.everything
            || self.from_environment.contains(digest)
            || self.accepted.contains(&(digest.clone(), real(folder)))
    }

    /// Accepts a file from now on, or with `accept` false no file of the repository any longer. Whether that changed
    /// anything.
    pub(crate) fn change(
        &mut self,
        digest: &Digest,
        folder: &Path,
        accept: bool,
    ) -> Result<bool, CommandError> {
        let Some(file) = self.file.clone() else {
            return Err(
                CommandError::new("there is no folder for the user's configuration")
                    .hint(format!("set `REFIT_TRUST={digest}` instead")),
            );
        };
        let folder = real(folder);
        let before = self.accepted.clone();
        if accept {
            self.accepted.insert((digest.clone(), folder));
        } else {
            self.accepted.retain(|(_, accepted)| *accepted != folder);
        }
        if self.accepted == before {
            return Ok(false);
        }
        let mut text = String::new();
        for (digest, folder) in &self.accepted {
            writeln!(text, "{digest} {}", folder.display()).expect("writing to a string");
        }
        let parent = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent)
            .and_then(|()| tempfile::NamedTempFile::new_in(parent))
            .and_then(|mut new| io::Write::write_all(&mut new, text.as_bytes()).map(|()| new))
            .and_then(|new| new.persist(&file).map_err(|error| error.error))
            .map_err(|error| unusable("write", &file, &error))?;
        Ok(true)
    }
}

fn real(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

fn unusable(what: &str, file: &Path, error: &io::Error) -> CommandError {
    CommandError::new(format!("cannot {what} `{}`: {error}", file.display()))
}
