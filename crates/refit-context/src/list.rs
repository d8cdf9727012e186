//! Lists a context: what the ignore rules leave of a commit's folder or of a folder on disk.

use std::collections::BTreeSet;

use refit_git::{Entry, Mode};
use refit_oci::ObjectId;

use crate::{
    ContextEntry, ContextError, EntryKind, Ignore, Location,
    go_path::with_parents,
    ignore::{Step, Walk},
    on_disk,
    select::{Sources, select},
};

/// All files that the rules keep, in bytewise order of their paths.
///
/// The listing of a clean checkout is that of its commit, if git ignores nothing that the rules keep. Git's own `.git`
/// is never listed.
pub fn list(location: &Location<'_>, ignore: &Ignore) -> Result<Vec<ContextEntry>, ContextError> {
    listed(location, ignore, None)
}

/// What [`select`] leaves of what [`list`] lists: a large context is looked at no further than where the sources lie.
/// What is odd elsewhere goes unnoticed.
pub fn list_seen<S: AsRef<str>>(
    location: &Location<'_>,
    ignore: &Ignore,
    sources: &[S],
) -> Result<Vec<ContextEntry>, ContextError> {
    let parsed = Sources::parse(sources);
    let areas = parsed.as_ref().and_then(Sources::areas);
    if let (Some(sources), Some(areas)) = (parsed, areas) {
        let mut near = listed(location, ignore, Some(&areas))?;
        if !sources.see_all(&near) {
            near.retain(|entry| sources.see(&entry.path));
            return Ok(near);
        }
    }
    let all = list(location, ignore)?;
    Ok(select(&all, sources).into_iter().cloned().collect())
}

/// What the rules keep: of everything, or at and below some paths and on the way to them, where that is no folder.
fn listed(
    location: &Location<'_>,
    ignore: &Ignore,
    areas: Option<&[String]>,
) -> Result<Vec<ContextEntry>, ContextError> {
    match location {
        Location::Commit {
            repo,
            commit,
            folder,
        } => {
            let entries = repo.tree_under(commit, folder)?;
            kept(&entries, "", (Some(commit), folder), (ignore, areas))
        }
        Location::Listed {
            commit,
            entries,
            folder,
            ..
        } => {
            let (entries, prefix) = under(entries, folder);
            kept(entries, &prefix, (Some(commit), folder), (ignore, areas))
        }
        Location::Index {
            entries, folder, ..
        } => {
            let (entries, prefix) = under(entries, folder);
            kept(entries, &prefix, (None, folder), (ignore, areas))
        }
        Location::Dir { dir, repo } => on_disk::list(dir, *repo, (ignore, areas)),
    }
}

/// What the rules keep of a folder of a commit or of the index: `entries` are those below `prefix`, sorted by path.
fn kept(
    entries: &[Entry],
    prefix: &str,
    (commit, folder): (Option<&ObjectId>, &str),
    (ignore, areas): (&Ignore, Option<&[String]>),
) -> Result<Vec<ContextEntry>, ContextError> {
    // Git has no empty folders but the root.
    if entries.is_empty() && !matches!(folder, "" | ".") {
        return Err(ContextError::NoFolder {
            folder: folder.to_owned(),
            commit: commit.cloned(),
        });
    }
    let ranges = match areas {
        None => BTreeSet::from([(0, entries.len())]),
        Some(areas) => ranges(entries, prefix, areas),
    };
    let mut rules = Walk::new(ignore);
    let mut kept = Vec::new();
    for (start, end) in ranges {
        keep(&entries[start..end], prefix, &mut rules, &mut kept);
    }
    Ok(kept)
}

/// Where the entries at and below some paths are, and those on the way to them.
fn ranges(entries: &[Entry], prefix: &str, areas: &[String]) -> BTreeSet<(usize, usize)> {
    let first = |path: &str| entries.partition_point(|entry| entry.path.as_str() < path);
    let mut ranges = BTreeSet::new();
    for area in areas {
        for path in with_parents(area) {
            let path = format!("{prefix}{path}");
            let at = first(&path);
            if entries.get(at).is_some_and(|entry| entry.path == path) {
                ranges.insert((at, at + 1));
            }
        }
        // `0` comes right after `/`: all that is in the folder is before it.
        let (start, end) = (format!("{prefix}{area}/"), format!("{prefix}{area}0"));
        ranges.insert((first(&start), first(&end)));
    }
    ranges
}

fn keep(entries: &[Entry], prefix: &str, rules: &mut Walk<'_>, kept: &mut Vec<ContextEntry>) {
    let mut at = 0;
    while let Some(entry) = entries.get(at) {
        let path = &entry.path[prefix.len()..];
        match rules.step(path) {
            Step::Keep => kept.push(self::entry(path, entry.mode, entry.id.clone())),
            Step::Drop => {}
            Step::SkipFolder(folder) => {
                // All that is in the folder is before this, too.
                let end = format!("{prefix}{folder}0");
                at += entries[at..].partition_point(|entry| entry.path < end);
                continue;
            }
        }
        at += 1;
    }
}

/// The entries below a folder, out of those of the whole commit, and what all their paths begin with.
fn under<'e>(entries: &'e [Entry], folder: &str) -> (&'e [Entry], String) {
    let names = folder.split('/').filter(|name| !matches!(*name, "" | "."));
    let prefix: String = names.flat_map(|name| [name, "/"]).collect();
    let start = entries.partition_point(|entry| entry.path < prefix);
    let below = &entries[start..];
    let n = below.partition_point(|entry| entry.path.starts_with(&prefix));
    (&below[..n], prefix)
}

pub(crate) fn entry(path: &str, mode: Mode, id: ObjectId) -> ContextEntry {
    ContextEntry {
        path: path.to_owned(),
        kind: match mode {
            Mode::File => EntryKind::File,
            Mode::Executable => EntryKind::Executable,
            Mode::Symlink => EntryKind::Symlink,
            Mode::Submodule => EntryKind::Submodule,
        },
        id: Some(id),
    }
}
