//! Lists a context: what the ignore rules leave of a commit's folder or of a folder on disk.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, FileType, Metadata},
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
};

use refit_git::{Checkout, Entry, Mode, Repo};
use refit_oci::ObjectId;

use crate::{
    ContextEntry, ContextError, EntryKind, Ignore, Location,
    go_path::with_parents,
    ignore::{Step, Walk},
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
        Location::Dir { dir, repo } => on_disk(dir, *repo, |found| {
            let rules = &mut Walk::new(ignore);
            match areas {
                None => walk(dir, rules, vec![String::new()], found),
                Some(areas) => walk_near(dir, rules, areas, found),
            }
        }),
    }
}

/// The entries of a folder on disk that `walk` finds, with their ids where it is in a checkout.
fn on_disk(
    dir: &Path,
    repo: Option<&Repo>,
    walk: impl FnOnce(&mut Found<'_>) -> Result<(), ContextError>,
) -> Result<Vec<ContextEntry>, ContextError> {
    let known = repo.map(|repo| Known::of(repo, dir)).transpose()?.flatten();
    let mut entries = Vec::new();
    walk(&mut |path, file_type| {
        let unchanged = known.as_ref().and_then(|known| known.unchanged(path));
        // What git knows of a file need not be asked of the file system.
        let (is_executable, id) = if let Some((mode, id)) = unchanged {
            (mode == Mode::Executable, Some(id))
        } else {
            let on_disk = dir.join(path);
            let metadata = fs::symlink_metadata(&on_disk);
            let metadata = metadata.map_err(ContextError::io("read", &on_disk))?;
            let id = known.as_ref().map(|known| known.hashed(&on_disk, path));
            (is_executable(&metadata), id.transpose()?)
        };
        entries.push(ContextEntry {
            path: path.to_owned(),
            kind: match (file_type.is_symlink(), is_executable) {
                (true, _) => EntryKind::Symlink,
                (false, true) => EntryKind::Executable,
                (false, false) => EntryKind::File,
            },
            id,
        });
        Ok(())
    })?;
    entries.sort_unstable();
    Ok(entries)
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
            Step::Keep => kept.push(from_git(path, entry)),
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

/// Is told of a file or link on disk, by its path below the listed folder.
type Found<'f> = dyn FnMut(&str, FileType) -> Result<(), ContextError> + 'f;

/// Calls `found` for every file and link at and below some paths that the rules keep, and for those on the way.
fn walk_near(
    root: &Path,
    rules: &mut Walk<'_>,
    areas: &[String],
    found: &mut Found<'_>,
) -> Result<(), ContextError> {
    fs::read_dir(root).map_err(ContextError::io("list", root))?;
    let mut told: BTreeSet<&str> = BTreeSet::new();
    'areas: for area in areas {
        for path in with_parents(area) {
            let path_on_disk = root.join(path);
            let metadata = match fs::symlink_metadata(&path_on_disk) {
                Ok(metadata) => metadata,
                Err(error) if is_absent(&error) => continue 'areas,
                Err(error) => return Err(ContextError::io("read", &path_on_disk)(error)),
            };
            let is_git = path.rsplit('/').next() == Some(".git");
            if is_git || (metadata.is_dir() && rules.may_skip_dir(path)) {
                continue 'areas;
            }
            if !metadata.is_dir() {
                if told.insert(path) {
                    file(&path_on_disk, path, metadata.file_type(), rules, found)?;
                }
                continue 'areas;
            }
        }
        walk(root, rules, vec![area.clone()], found)?;
    }
    Ok(())
}

/// Whether nothing is called so, or could be.
fn is_absent(error: &io::Error) -> bool {
    use ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(
        error.kind(),
        NotFound | NotADirectory | InvalidFilename | InvalidInput
    )
}

/// The same for every file and link below the `pending` folders, in no order.
fn walk(
    root: &Path,
    rules: &mut Walk<'_>,
    mut pending: Vec<String>,
    found: &mut Found<'_>,
) -> Result<(), ContextError> {
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
            let file_type = entry
                .file_type()
                .map_err(ContextError::io("read", &on_disk))?;
            if file_type.is_dir() {
                if !rules.may_skip_dir(&path) {
                    pending.push(path);
                }
                continue;
            }
            file(&on_disk, &path, file_type, rules, found)?;
        }
    }
    Ok(())
}

/// Tells of what is no folder, if the rules keep it.
fn file(
    on_disk: &Path,
    path: &str,
    file_type: FileType,
    rules: &mut Walk<'_>,
    found: &mut Found<'_>,
) -> Result<(), ContextError> {
    if rules.excludes(path) {
        return Ok(());
    }
    if on_disk.file_name().and_then(OsStr::to_str).is_none() {
        return Err(ContextError::NotUtf8(on_disk.to_owned()));
    }
    if file_type.is_file() || file_type.is_symlink() {
        found(path, file_type)?;
    } else if !is_socket(file_type) {
        return Err(ContextError::Special(on_disk.to_owned()));
    }
    Ok(())
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
fn is_socket(file_type: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    file_type.is_socket()
}

#[cfg(not(unix))]
fn is_socket(_: FileType) -> bool {
    false
}

/// Object ids of a checkout's files, most of them without reading the files.
struct Known<'a> {
    repo: &'a Repo,
    /// The listed folder, relative to the repository's root; empty, or with a slash at its end.
    prefix: String,
    checkout: Arc<Checkout>,
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
        Ok(Some(Self {
            repo,
            prefix: match folder {
                "" => String::new(),
                folder => format!("{folder}/"),
            },
            checkout: repo.checkout()?,
        }))
    }

    fn unchanged(&self, path: &str) -> Option<(Mode, ObjectId)> {
        self.checkout.unchanged(&self.in_repo(path))
    }

    fn hashed(&self, on_disk: &Path, path: &str) -> Result<ObjectId, ContextError> {
        Ok(self.repo.hash_object(on_disk, &self.in_repo(path))?)
    }

    fn in_repo(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}
