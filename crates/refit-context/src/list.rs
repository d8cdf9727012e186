//! Lists a context: what the ignore rules leave of a commit's folder or of a folder on disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    path::Path,
};

use refit_git::{Entry, Head, Mode, Repo};
use refit_oci::ObjectId;

use crate::{
    ContextEntry, ContextError, EntryKind, Ignore, Location,
    ignore::{Step, Walk},
};

/// All files that the rules keep, in bytewise order of their paths.
///
/// The listing of a clean checkout is that of its commit, if git ignores nothing that the rules keep. Git's own `.git`
/// is never listed.
pub fn list(location: &Location<'_>, ignore: &Ignore) -> Result<Vec<ContextEntry>, ContextError> {
    match location {
        Location::Commit {
            repo,
            commit,
            folder,
        } => {
            let entries = repo.tree_under(commit, folder)?;
            kept(&entries, "", (Some(commit), folder), ignore)
        }
        Location::Listed {
            commit,
            entries,
            folder,
            ..
        } => {
            let (entries, prefix) = under(entries, folder);
            kept(entries, &prefix, (Some(commit), folder), ignore)
        }
        Location::Index {
            entries, folder, ..
        } => {
            let (entries, prefix) = under(entries, folder);
            kept(entries, &prefix, (None, folder), ignore)
        }
        Location::Dir { dir, repo } => {
            let known = repo.map(|repo| Known::of(repo, dir)).transpose()?.flatten();
            let mut entries = Vec::new();
            walk(dir, ignore, &mut |path, metadata| {
                let id = known
                    .as_ref()
                    .map(|known| known.id(dir, path))
                    .transpose()?;
                entries.push(ContextEntry {
                    path: path.to_owned(),
                    kind: kind(metadata),
                    id,
                });
                Ok(())
            })?;
            entries.sort_unstable();
            Ok(entries)
        }
    }
}

/// What the rules keep of a folder of a commit or of the index: `entries` are those below `prefix`, sorted by path.
fn kept(
    entries: &[Entry],
    prefix: &str,
    (commit, folder): (Option<&ObjectId>, &str),
    ignore: &Ignore,
) -> Result<Vec<ContextEntry>, ContextError> {
    // Git has no empty folders but the root.
    if entries.is_empty() && !matches!(folder, "" | ".") {
        return Err(ContextError::NoFolder {
            folder: folder.to_owned(),
            commit: commit.cloned(),
        });
    }
    let mut rules = Walk::new(ignore);
    let (mut kept, mut at) = (Vec::new(), 0);
    while let Some(entry) = entries.get(at) {
        let path = &entry.path[prefix.len()..];
        match rules.step(path) {
            Step::Keep => kept.push(from_git(path, entry)),
            Step::Drop => {}
            Step::SkipFolder(folder) => {
                // `0` comes right after `/`: all that is in the folder is before it.
                let end = format!("{prefix}{folder}0");
                at += entries[at..].partition_point(|entry| entry.path < end);
                continue;
            }
        }
        at += 1;
    }
    Ok(kept)
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

fn from_git(path: &str, entry: &Entry) -> ContextEntry {
    ContextEntry {
        path: path.to_owned(),
        kind: match entry.mode {
            Mode::File => EntryKind::File,
            Mode::Executable => EntryKind::Executable,
            Mode::Symlink => EntryKind::Symlink,
            Mode::Submodule => EntryKind::Submodule,
        },
        id: Some(entry.id.clone()),
    }
}

/// Calls `found` for every file and link below `root` that the rules keep, in no order.
fn walk(
    root: &Path,
    ignore: &Ignore,
    found: &mut dyn FnMut(&str, &Metadata) -> Result<(), ContextError>,
) -> Result<(), ContextError> {
    let mut rules = Walk::new(ignore);
    let mut pending = vec![String::new()];
    while let Some(folder) = pending.pop() {
        let on_disk = root.join(&folder);
        let entries = fs::read_dir(&on_disk).map_err(ContextError::io("list", &on_disk))?;
        for entry in entries {
            let entry = entry.map_err(ContextError::io("list", &on_disk))?;
            let name = entry.file_name();
            if name == ".git" {
                continue;
            }
            let path = match folder.as_str() {
                "" => name.to_string_lossy().into_owned(),
                folder => format!("{folder}/{}", name.to_string_lossy()),
            };
            let on_disk = entry.path();
            // Never through a link: it is packed as a link.
            let metadata = entry
                .metadata()
                .map_err(ContextError::io("read", &on_disk))?;
            if metadata.is_dir() {
                if !rules.may_skip_dir(&path) {
                    pending.push(path);
                }
                continue;
            }
            if rules.excludes(&path) {
                continue;
            }
            if name.to_str().is_none() {
                return Err(ContextError::NotUtf8(on_disk));
            }
            if metadata.is_file() || metadata.is_symlink() {
                found(&path, &metadata)?;
            } else if !is_socket(&metadata) {
                return Err(ContextError::Special(on_disk));
            }
        }
    }
    Ok(())
}

fn kind(metadata: &Metadata) -> EntryKind {
    if metadata.is_symlink() {
        EntryKind::Symlink
    } else if is_executable(metadata) {
        EntryKind::Executable
    } else {
        EntryKind::File
    }
}

/// Git's rule: the owner's bit.
#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

/// Sockets are what a running program left there; Docker passes over them too.
#[cfg(unix)]
fn is_socket(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    metadata.file_type().is_socket()
}

#[cfg(not(unix))]
fn is_socket(_: &Metadata) -> bool {
    false
}

/// Object ids of a checkout's files, most of them without reading the files.
struct Known<'a> {
    repo: &'a Repo,
    /// The listed folder, relative to the repository's root; empty, or with a slash at its end.
    prefix: String,
    head: BTreeMap<String, ObjectId>,
    /// What differs from HEAD, relative to the repository's root.
    changed: BTreeSet<String>,
}

impl<'a> Known<'a> {
    /// None if `dir` is not in the repository's checkout.
    fn of(repo: &'a Repo, dir: &Path) -> Result<Option<Self>, ContextError> {
        let Some(work_dir) = repo.work_dir() else {
            return Ok(None);
        };
        let real = |path: &Path| path.canonicalize().map_err(ContextError::io("read", path));
        let (work_dir, dir) = (real(work_dir)?, real(dir)?);
        let Ok(folder) = dir.strip_prefix(&work_dir) else {
            return Ok(None);
        };
        let folder = folder
            .to_str()
            .ok_or_else(|| ContextError::NotUtf8(dir.clone()))?;
        let head = match repo.head()? {
            Head::Commit { id, .. } => repo.tree_under(&id, folder)?,
            Head::Unborn { .. } => Vec::new(),
        };
        let changes = repo.worktree_changes()?;
        Ok(Some(Self {
            repo,
            prefix: match folder {
                "" => String::new(),
                folder => format!("{folder}/"),
            },
            head: head
                .into_iter()
                .map(|entry| (entry.path, entry.id))
                .collect(),
            changed: changes.into_iter().map(|change| change.path).collect(),
        }))
    }

    fn id(&self, dir: &Path, path: &str) -> Result<ObjectId, ContextError> {
        let in_repo = format!("{}{path}", self.prefix);
        match self.head.get(path) {
            Some(id) if !self.changed.contains(&in_repo) => Ok(id.clone()),
            _ => Ok(self.repo.hash_object(&dir.join(path), &in_repo)?),
        }
    }
}
