//! What a commit holds: recursive listings and blobs.

use gix::{bstr::ByteSlice, objs::tree::EntryKind};
use refit_oci::ObjectId;

use crate::{GitError, Repo, id};

/// No real repository comes near; a crafted tree that repeats its subtrees does.
const MAX_ENTRIES: usize = 8_000_000;

/// Listing a whole commit is cheaper than looking up more paths than these.
const MANY_PATHS: usize = 1_000;

/// A file of a tree or an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Slash-separated, relative to the root of the listing.
    pub path: String,
    /// What it is.
    pub mode: Mode,
    /// The blob, or a submodule's commit.
    pub id: ObjectId,
}

/// The kinds of entries that git keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A regular file.
    File,
    /// A regular file with its execute bit.
    Executable,
    /// A symbolic link; the blob is its target.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

impl Repo {
    /// All files, symlinks and submodules of a commit, recursively, in bytewise order of their paths.
    pub fn tree(&self, commit: &ObjectId) -> Result<Vec<Entry>, GitError> {
        self.tree_under(commit, "")
    }

    /// As [`Repo::tree`], of one folder: paths are relative to it; `""` and `"."` are the root, an absent folder is empty.
    pub fn tree_under(&self, commit: &ObjectId, folder: &str) -> Result<Vec<Entry>, GitError> {
        self.reading(|repo| {
            let mut tree = tree_of(repo, commit)?;
            for name in components(folder) {
                match child(repo, tree, name)? {
                    Some((EntryKind::Tree, id)) => tree = id,
                    _ => return Ok(Vec::new()),
                }
            }
            list(repo, tree)
        })
    }

    /// As [`Repo::tree`], from a listing that differs from the commit at these paths and at no other: only they are
    /// looked up. Both are in bytewise order.
    pub fn tree_beside(
        &self,
        near: &[Entry],
        differing: &[String],
        commit: &ObjectId,
    ) -> Result<Vec<Entry>, GitError> {
        if differing.len() > MANY_PATHS {
            return self.tree(commit);
        }
        self.reading(|repo| {
            let root = tree_of(repo, commit)?;
            let mut found = Vec::new();
            let mut folders = Vec::new();
            for path in differing {
                match at(repo, root, path)? {
                    None => {}
                    // A sparse index has a whole folder at one path.
                    Some((EntryKind::Tree, id)) => {
                        let below = list(repo, id)?.into_iter();
                        found.extend(below.map(|entry| Entry {
                            path: format!("{path}/{}", entry.path),
                            ..entry
                        }));
                        folders.push(format!("{path}/"));
                    }
                    Some((kind, id)) => found.push(Entry {
                        path: path.clone(),
                        mode: mode(kind).expect("all but folders have one"),
                        id: id::ours(id),
                    }),
                }
            }
            found.sort_by(|a, b| a.path.cmp(&b.path));
            found.dedup_by(|a, b| a.path == b.path);
            let is_same = |entry: &&Entry| {
                differing.binary_search(&entry.path).is_err()
                    && !folders.iter().any(|folder| entry.path.starts_with(folder))
            };
            let mut entries: Vec<Entry> = Vec::with_capacity(near.len() + found.len());
            let mut found = found.into_iter().peekable();
            for same in near.iter().filter(is_same) {
                while let Some(before) = found.next_if(|entry| entry.path < same.path) {
                    entries.push(before);
                }
                entries.push(same.clone());
            }
            entries.extend(found);
            Ok(entries)
        })
    }

    /// The bytes of a blob, as stored.
    pub fn blob(&self, id: &ObjectId) -> Result<Vec<u8>, GitError> {
        self.reading(|repo| blob(repo, id))
    }

    /// The blob at a path of a commit with its bytes; `None` if there is no file, executable or symlink.
    pub fn blob_at(
        &self,
        commit: &ObjectId,
        path: &str,
    ) -> Result<Option<(ObjectId, Vec<u8>)>, GitError> {
        self.reading(|repo| match at(repo, tree_of(repo, commit)?, path)? {
            None | Some((EntryKind::Tree | EntryKind::Commit, _)) => Ok(None),
            Some((EntryKind::Blob | EntryKind::BlobExecutable | EntryKind::Link, id)) => {
                let id = id::ours(id);
                let bytes = blob(repo, &id)?;
                Ok(Some((id, bytes)))
            }
        })
    }
}

/// The tree of a commit.
pub(crate) fn tree_of(
    repo: &gix::Repository,
    commit: &ObjectId,
) -> Result<gix::ObjectId, GitError> {
    let object = object(repo, id::theirs(commit), "commit")?;
    let commit = object.try_into_commit().map_err(|_| GitError::WrongKind {
        kind: "commit",
        id: commit.clone(),
    })?;
    Ok(commit
        .tree_id()
        .map_err(GitError::reading(format!("commit `{}`", commit.id)))?
        .detach())
}

pub(crate) fn blob(repo: &gix::Repository, id: &ObjectId) -> Result<Vec<u8>, GitError> {
    let object = object(repo, id::theirs(id), "blob")?;
    let mut blob = object.try_into_blob().map_err(|_| GitError::WrongKind {
        kind: "blob",
        id: id.clone(),
    })?;
    Ok(blob.take_data())
}

/// Any object, with its absence told apart from a broken repository.
pub(crate) fn object<'repo>(
    repo: &'repo gix::Repository,
    id: gix::ObjectId,
    kind: &'static str,
) -> Result<gix::Object<'repo>, GitError> {
    if id.kind() != repo.object_hash() {
        return Err(GitError::Missing {
            kind,
            id: id::ours(id),
        });
    }
    let found = repo
        .try_find_object(id)
        .map_err(GitError::reading(format!("{kind} `{id}`")))?;
    found.ok_or_else(|| GitError::Missing {
        kind,
        id: id::ours(id),
    })
}

/// Everything below a tree.
pub(crate) fn list(repo: &gix::Repository, root: gix::ObjectId) -> Result<Vec<Entry>, GitError> {
    // In the order of trees, which is that of whole paths: what lies behind a folder waits until all in it is listed.
    let mut entries = Vec::new();
    let mut pending = vec![Listed::Folder(String::new(), root)];
    while let Some(next) = pending.pop() {
        let (prefix, tree) = match next {
            Listed::Entry(entry) => {
                entries.push(entry);
                continue;
            }
            Listed::Folder(prefix, tree) => (prefix, tree),
        };
        let before = pending.len();
        for entry in children(repo, tree)?.iter() {
            let entry =
                entry.map_err(|error| GitError::reading(format!("tree `{tree}`"))(error))?;
            let path = join(&prefix, entry.filename())?;
            let id = entry.object_id();
            let listed = match mode(entry.mode().kind()) {
                None => Listed::Folder(path, id),
                Some(mode) => Listed::Entry(Entry {
                    path,
                    mode,
                    id: id::ours(id),
                }),
            };
            match listed {
                Listed::Entry(entry) if pending.len() == before => entries.push(entry),
                listed => pending.push(listed),
            }
        }
        pending[before..].reverse();
        if entries.len() + pending.len() > MAX_ENTRIES {
            return Err(GitError::TooLarge {
                id: id::ours(root),
                limit: MAX_ENTRIES,
            });
        }
    }
    // Only a tree that git would not have written is in another order.
    if !entries.is_sorted_by(|a, b| a.path <= b.path) {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(entries)
}

/// What a tree holds, as far as it is listed.
enum Listed {
    Entry(Entry),
    Folder(String, gix::ObjectId),
}

pub(crate) fn children(
    repo: &gix::Repository,
    tree: gix::ObjectId,
) -> Result<gix::Tree<'_>, GitError> {
    object(repo, tree, "tree")?
        .try_into_tree()
        .map_err(|_| GitError::WrongKind {
            kind: "tree",
            id: id::ours(tree),
        })
}

/// Whatever lies at a path below a tree.
fn at(
    repo: &gix::Repository,
    root: gix::ObjectId,
    path: &str,
) -> Result<Option<(EntryKind, gix::ObjectId)>, GitError> {
    let mut found = (EntryKind::Tree, root);
    for name in components(path) {
        if found.0 != EntryKind::Tree {
            return Ok(None);
        }
        match child(repo, found.1, name)? {
            Some(entry) => found = entry,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// None of a folder.
fn mode(kind: EntryKind) -> Option<Mode> {
    match kind {
        EntryKind::Tree => None,
        EntryKind::Blob => Some(Mode::File),
        EntryKind::BlobExecutable => Some(Mode::Executable),
        EntryKind::Link => Some(Mode::Symlink),
        EntryKind::Commit => Some(Mode::Submodule),
    }
}

fn child(
    repo: &gix::Repository,
    tree: gix::ObjectId,
    name: &str,
) -> Result<Option<(EntryKind, gix::ObjectId)>, GitError> {
    for entry in children(repo, tree)?.iter() {
        let entry = entry.map_err(GitError::reading(format!("tree `{tree}`")))?;
        if entry.filename() == name.as_bytes() {
            return Ok(Some((entry.mode().kind(), entry.object_id())));
        }
    }
    Ok(None)
}

/// The names on the way to `path`; `.` and doubled slashes mean nothing.
fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter(|name| !name.is_empty() && *name != ".")
}

/// `prefix/name`, if `name` is one that git itself would put into a tree.
fn join(prefix: &str, name: &gix::bstr::BStr) -> Result<String, GitError> {
    let full = |name: &str| match prefix {
        "" => name.to_owned(),
        _ => format!("{prefix}/{name}"),
    };
    let Ok(name) = name.to_str() else {
        return Err(GitError::NotUtf8(full(&name.to_str_lossy())));
    };
    let escapes = matches!(name, "" | "." | "..") || name.eq_ignore_ascii_case(".git");
    if escapes || name.contains(['/', '\0']) {
        return Err(GitError::UnsafePath(full(name)));
    }
    Ok(full(name))
}
