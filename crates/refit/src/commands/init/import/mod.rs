//! What a repository says already about its images, to other tools.

mod acr;
mod bake;
mod compose;
mod from;
#[cfg(test)]
mod garbage;
mod github;
mod merge;
mod model;
#[cfg(test)]
mod oracle;
mod paths;
mod tags;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use self::model::Imported;
pub(super) use self::{
    from::{From, Kind},
    merge::{Merged, merge},
    paths::relative,
};
use crate::error::CommandError;

/// The repository as importers see it.
pub(super) struct Source<'a> {
    /// Every path.
    pub(super) paths: &'a BTreeSet<String>,
    /// A file's bytes.
    pub(super) read: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// `owner/name` on GitHub, where the remote says so.
    pub(super) github: Option<String>,
    /// The branch that is swept: what workflows run on when they publish.
    pub(super) branch: String,
}

impl Source<'_> {
    /// A file of the repository as text.
    fn text(&self, path: &str) -> Option<String> {
        if !self.paths.contains(path) {
            return None;
        }
        (self.read)(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Where what the user names is looked for.
pub(super) struct Folders<'a> {
    pub(super) root: &'a Path,
    pub(super) current: &'a Path,
}

/// Everything in the usual places; what publishes comes first.
pub(super) fn usual(source: &Source<'_>) -> Vec<Imported> {
    let bake_files: Vec<String> = bake::FILES
        .iter()
        .map(|name| (*name).to_owned())
        .filter(|path| source.paths.contains(path))
        .collect();
    let compose_files = compose::usual(source);
    let workflows = github::workflows(source, ".github/workflows");
    let mut found = of_workflows(source, &workflows, &bake_files);
    if bake_files.is_empty() {
        found.push(compose::import(source, &compose_files));
    } else {
        // Bake reads the compose file, too, and lays its targets over the services.
        let (services, imported) = compose::targets(source, &compose_files);
        found.push(imported);
        found.push(bake::import(source, &bake_files, services));
    }
    found
}

/// Workflows, and the bake files that only they know. Files of the usual places come by themselves.
fn of_workflows(source: &Source<'_>, workflows: &[String], usual: &[String]) -> Vec<Imported> {
    let (imported, uses) = github::import(source, workflows);
    let mut found = vec![imported];
    for bake in uses {
        let files = if bake.files.is_empty() {
            usual
        } else {
            bake.files.as_slice()
        };
        if files.is_empty() || (files == usual && bake.tags.is_empty()) {
            continue;
        }
        let metadata = bake::Target {
            tags: Some(bake.tags).filter(|tags| !tags.is_empty()),
            ..bake::Target::default()
        };
        let below = BTreeMap::from([(github::METADATA_TARGET.to_owned(), metadata)]);
        found.push(bake::import(source, files, below));
    }
    found
}

/// What the user names.
pub(super) fn named(
    source: &Source<'_>,
    from: &[From],
    folders: &Folders<'_>,
) -> Result<Vec<Imported>, CommandError> {
    let mut found = Vec::new();
    for from in from {
        if from.kind == Kind::Acr {
            found.push(acr::import(
                source,
                &from.path,
                &from.text(folders.current)?,
            ));
            continue;
        }
        let path = from.in_repository(folders.root, folders.current);
        let known = path.filter(|path| {
            let folder = format!("{path}/");
            source.paths.contains(path)
                || source
                    .paths
                    .iter()
                    .any(|p| path.is_empty() || p.starts_with(&folder))
        });
        let path = known.ok_or_else(|| {
            CommandError::new(format!("`{}` is no file of this repository", from.path))
        })?;
        match from.kind {
            Kind::Compose => {
                found.push(compose::import(
                    source,
                    &compose::with_override(source, &path),
                ));
            }
            Kind::Bake => found.push(bake::import(source, &[path], BTreeMap::new())),
            Kind::Github => {
                let files = if source.paths.contains(&path) {
                    vec![path]
                } else {
                    github::workflows(source, &path)
                };
                found.extend(of_workflows(source, &files, &[]));
            }
            Kind::Acr => {}
        }
    }
    Ok(found)
}
