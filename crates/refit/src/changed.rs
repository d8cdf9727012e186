//! Which images have another source than before.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use refit_context::ignore_candidates;
use refit_deps::{
    image::Image,
    source::{self, Source},
};
use refit_git::{Entry, Head, Mode};
use refit_oci::Platform;

use crate::{
    error::CommandError,
    project::{Project, Snapshot, entry_at},
    sources,
};

/// What makes an image's source another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cause {
    /// The image was not there.
    New,
    /// The Dockerfile has other bytes.
    Dockerfile,
    /// Target stage, build arguments, named contexts, labels, annotations or network.
    Settings,
    /// A file that the build can see.
    Context,
    /// A platform was not built before.
    Platforms,
    /// The Dockerfile or its context can't be read: no source can be told.
    Unreadable,
    /// An image of this repository that it is built on.
    Parent,
}

/// An image that is not what it was.
pub(crate) struct Change<'s> {
    /// The image as it is now.
    pub(crate) image: &'s Image,
    /// The sources of the targets that differ.
    pub(crate) sources: BTreeMap<Platform, Arc<Source>>,
    /// Why.
    pub(crate) causes: BTreeSet<Cause>,
}

/// The images of `after` whose source is another one than in `before`, by name. `paths` are those that differ, sorted.
pub(crate) fn changes<'s>(
    project: &Project,
    before: &Snapshot,
    after: &'s Snapshot,
    paths: &[String],
) -> Vec<Change<'s>> {
    let images = after.inventory.images.iter();
    images
        .filter_map(|image| {
            let old = before.inventory.image(&image.name);
            let maybe = old.is_none_or(|old| is_set_otherwise(old, image))
                || is_touched(project, after, image, paths);
            maybe.then(|| change(project, (before, old), (after, image)))?
        })
        .collect()
}

/// How one image differs, if it does.
fn change<'s>(
    project: &Project,
    (before, old): (&Snapshot, Option<&Image>),
    (after, image): (&'s Snapshot, &'s Image),
) -> Option<Change<'s>> {
    let mut sources = sources::sources(project, after, image);
    let mut causes = BTreeSet::new();
    if sources.is_empty() {
        causes.insert(Cause::Unreadable);
    }
    match old {
        None => _ = causes.insert(Cause::New),
        Some(old) => {
            let old = sources::sources(project, before, old);
            // What could not be read before says nothing about platforms.
            let added = if old.is_empty() {
                Cause::Dockerfile
            } else {
                Cause::Platforms
            };
            sources.retain(|platform, new| {
                let Some(old) = old.get(platform) else {
                    causes.insert(added);
                    return true;
                };
                let parts = [
                    (old.dockerfile != new.dockerfile, Cause::Dockerfile),
                    (old.settings != new.settings, Cause::Settings),
                    (old.context != new.context, Cause::Context),
                ];
                let differ = parts.iter().filter(|(differs, _)| *differs);
                causes.extend(differ.map(|(_, cause)| *cause));
                old.id != new.id
            });
        }
    }
    (!causes.is_empty()).then_some(Change {
        image,
        sources,
        causes,
    })
}

/// Settings of which the source, or the list of targets, is made.
fn is_set_otherwise(old: &Image, new: &Image) -> bool {
    old.dockerfile != new.dockerfile
        || old.context != new.context
        || old.platforms != new.platforms
        || source::settings(old) != source::settings(new)
}

/// Whether one of these paths, which are sorted, may count for the image: cheap, and true when in doubt.
pub(crate) fn is_touched(
    project: &Project,
    snapshot: &Snapshot,
    image: &Image,
    paths: &[String],
) -> bool {
    may_concern((&image.dockerfile, image.counted_folder()), paths)
        || (!paths.is_empty() && has_linked_ignore_file(project, snapshot, image))
}

/// The same for an image of which only the Dockerfile and the context are known, and no ignore file is a link.
pub(crate) fn may_concern((dockerfile, context): (&str, &str), paths: &[String]) -> bool {
    let is_there = |path: &str| paths.binary_search_by(|p| p.as_str().cmp(path)).is_ok();
    let inside = || {
        let folder = format!("{context}/");
        let first = paths.partition_point(|path| *path < folder);
        paths.get(first).is_some_and(|p| p.starts_with(&folder))
    };
    is_there(dockerfile)
        || ignore_candidates(dockerfile, context)
            .iter()
            .any(|path| is_there(path))
        || if context.is_empty() {
            !paths.is_empty()
        } else {
            // The context itself may have been a link or a submodule.
            is_there(context) || inside()
        }
}

/// An ignore file that is a link can lead to a file out of the context.
fn has_linked_ignore_file(project: &Project, snapshot: &Snapshot, image: &Image) -> bool {
    let candidates = ignore_candidates(&image.dockerfile, &image.context);
    candidates.iter().any(|path| {
        if snapshot.commit.is_some() || snapshot.is_index {
            let entry = entry_at(&snapshot.entries, path);
            entry.is_some_and(|entry| entry.mode == Mode::Symlink)
        } else {
            let root = project.repo.work_dir();
            root.is_some_and(|root| root.join(path).is_symlink())
        }
    })
}

/// The paths that differ between two states of the repository's files, sorted.
pub(crate) fn differing(
    project: &Project,
    before: &Snapshot,
    after: &Snapshot,
) -> Result<Vec<String>, CommandError> {
    if after.commit.is_some() || after.is_index {
        return Ok(differing_entries(&before.entries, &after.entries));
    }
    let head = match project.repo.head()? {
        Head::Commit { id, .. } => project.repo.tree(&id)?,
        Head::Unborn { .. } => Vec::new(),
    };
    let mut paths = differing_entries(&before.entries, &head);
    let changes = project.repo.worktree_changes()?;
    paths.extend(changes.into_iter().map(|change| change.path));
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

/// Of two listings that are sorted by path.
fn differing_entries(before: &[Entry], after: &[Entry]) -> Vec<String> {
    let mut paths = Vec::new();
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return paths,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(old), Some(new)) => old.path.cmp(&new.path),
        };
        let old = order.is_le().then(|| before.next()).flatten();
        let new = order.is_ge().then(|| after.next()).flatten();
        if old != new {
            paths.extend(old.or(new).map(|entry| entry.path.clone()));
        }
    }
}

impl Cause {
    /// One word, for programs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Dockerfile => "dockerfile",
            Self::Settings => "settings",
            Self::Context => "context",
            Self::Platforms => "platforms",
            Self::Unreadable => "unreadable",
            Self::Parent => "parent",
        }
    }

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Dockerfile => "its Dockerfile",
            Self::Settings => "its settings",
            Self::Context => "its context",
            Self::Platforms => "its platforms",
            Self::Unreadable => "it cannot be read",
            Self::Parent => "an image that it is built on",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, mode: Mode, id: char) -> Entry {
        Entry {
            path: path.to_owned(),
            mode,
            id: id.to_string().repeat(40).parse().unwrap(),
        }
    }

    #[test]
    fn paths_that_came_went_or_have_another_mode_or_bytes_differ() {
        let before = [
            entry("a", Mode::File, 'a'),
            entry("b", Mode::File, 'b'),
            entry("c", Mode::File, 'c'),
            entry("same", Mode::File, 'd'),
        ];
        let after = [
            entry("b", Mode::Executable, 'b'),
            entry("c", Mode::File, 'd'),
            entry("d", Mode::File, 'd'),
            entry("same", Mode::File, 'd'),
        ];
        assert_eq!(differing_entries(&before, &after), ["a", "b", "c", "d"]);
        assert_eq!(differing_entries(&[], &after).len(), 4);
        assert_eq!(differing_entries(&before, &before), Vec::<String>::new());
    }
}
