//! The index and the working tree: what is staged, and what differs from HEAD.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use gix::{
    bstr::{BStr, ByteSlice},
    diff::index::Change as Staged,
    index::entry::{Flags, Mode as IndexMode, Stage},
    status::{
        Item, Platform, Submodule, UntrackedFiles, index_worktree, plumbing::index_as_worktree,
    },
    submodule::config::Ignore,
};

use crate::{Checkout, Entry, GitError, Mode, Repo, id, tree};

/// One path that differs from HEAD.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Slash-separated, relative to the root of the repository.
    pub path: String,
    /// How it differs.
    pub kind: ChangeKind,
}

/// How a path of the index or the working tree differs from HEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// Staged, absent in HEAD.
    Added,
    /// Other bytes, another kind or mode, or a submodule at another commit.
    Modified,
    /// In HEAD, gone from the index or the working tree.
    Deleted,
    /// In the working tree only, and not ignored.
    Untracked,
}

/// None: a whole folder, which only a sparse index holds.
pub(crate) fn mode_of(mode: IndexMode) -> Option<Mode> {
    match mode {
        IndexMode::FILE => Some(Mode::File),
        IndexMode::FILE_EXECUTABLE => Some(Mode::Executable),
        IndexMode::SYMLINK => Some(Mode::Symlink),
        IndexMode::COMMIT => Some(Mode::Submodule),
        _ => None,
    }
}

impl Repo {
    /// What the index holds, in bytewise order (`GIT_INDEX_FILE` counts, as in a pre-commit hook).
    pub fn staged(&self) -> Result<Vec<Entry>, GitError> {
        let repo = self.handle();
        let index = repo
            .index_or_empty()
            .map_err(GitError::reading("the index"))?;
        let mut staged = Vec::with_capacity(index.entries().len());
        for entry in index.entries() {
            let path = utf8(entry.path(&index))?;
            if entry.stage() != Stage::Unconflicted {
                return Err(GitError::Unmerged(path));
            }
            if entry.flags.contains(Flags::INTENT_TO_ADD) {
                continue; // `git commit` leaves these out as well
            }
            let Some(mode) = mode_of(entry.mode) else {
                // A sparse index holds whole folders outside of the checkout as one entry.
                let folder = path.trim_end_matches('/');
                staged.extend(tree::list(&repo, entry.id)?.into_iter().map(|below| Entry {
                    path: format!("{folder}/{}", below.path),
                    ..below
                }));
                continue;
            };
            staged.push(Entry {
                path,
                mode,
                id: id::ours(entry.id),
            });
        }
        staged.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(staged)
    }

    /// Every path whose staged or checked-out state differs from HEAD, untracked files included, ignored ones not.
    ///
    /// A repository without a checkout has no changes.
    pub fn worktree_changes(&self) -> Result<Vec<Change>, GitError> {
        if self.is_bare() {
            return Ok(Vec::new());
        }
        Ok(self.checkout()?.changes().to_vec())
    }

    /// What is checked out, as far as git knows it without reading a file.
    pub fn checkout(&self) -> Result<Arc<Checkout>, GitError> {
        let Some(first) = &self.first_checkout else {
            return Ok(Arc::new(Checkout::look(self)?));
        };
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        match &*first {
            Some(known) => Ok(Arc::clone(known)),
            None => Ok(Arc::clone(first.insert(Arc::new(Checkout::look(self)?)))),
        }
    }

    /// Has [`Repo::worktree_changes`] and [`Repo::checkout`] look once and say the same again: a command asks for every
    /// image. Files that change after the first look go unnoticed.
    #[must_use]
    pub fn looking_once(mut self) -> Self {
        self.first_checkout = Some(Mutex::default());
        self
    }
}

/// The library's comparison of HEAD, the index and the files, as it is wanted here.
pub(crate) fn platform(
    repo: &gix::Repository,
) -> Result<Platform<'_, gix::progress::Discard>, GitError> {
    let status = repo.status(gix::progress::Discard);
    let status = status.map_err(GitError::reading("the state of the working tree"))?;
    Ok(status
        .untracked_files(UntrackedFiles::Files)
        .index_worktree_rewrites(None)
        .tree_index_track_renames(gix::status::tree_index::TrackRenames::Disabled)
        .index_worktree_submodules(Submodule::Given {
            ignore: Ignore::None,
            check_dirty: true,
        }))
}

/// All that differs, in bytewise order of the paths.
pub(crate) fn changes_by_library(repo: &gix::Repository) -> Result<Vec<Change>, GitError> {
    let reading = || GitError::reading("the state of the working tree");
    let items = platform(repo)?.into_iter(None).map_err(reading())?;
    // The library compares HEAD with the index and the index with the files at the same time, in no set order.
    let (mut staged, mut unstaged) = (BTreeMap::new(), BTreeMap::new());
    for item in items {
        let item = item.map_err(reading())?;
        if let Some(kind) = kind_of(&item) {
            let kinds = match item {
                Item::TreeIndex(_) => &mut staged,
                Item::IndexWorktree(_) => &mut unstaged,
            };
            kinds.insert(utf8(item.location())?, kind);
        }
    }
    for (path, kind) in staged {
        let after = unstaged.get(&path).copied();
        unstaged.insert(path, combined(kind, after));
    }
    let changes = unstaged.into_iter();
    Ok(changes.map(|(path, kind)| Change { path, kind }).collect())
}

/// How a path differs from HEAD that is staged as one thing and perhaps another in the working tree.
pub(crate) fn combined(staged: ChangeKind, unstaged: Option<ChangeKind>) -> ChangeKind {
    match (staged, unstaged) {
        // `git rm --cached`: gone from the index, still in the folder.
        (ChangeKind::Deleted, Some(_)) => ChangeKind::Modified,
        (_, Some(ChangeKind::Deleted)) => ChangeKind::Deleted,
        (staged, _) => staged,
    }
}

pub(crate) fn kind_of(item: &Item) -> Option<ChangeKind> {
    match item {
        Item::TreeIndex(Staged::Addition { .. }) => Some(ChangeKind::Added),
        Item::TreeIndex(Staged::Deletion { .. }) => Some(ChangeKind::Deleted),
        Item::TreeIndex(Staged::Modification { .. } | Staged::Rewrite { .. }) => {
            Some(ChangeKind::Modified)
        }
        Item::IndexWorktree(index_worktree::Item::Modification { status, .. }) => match status {
            index_as_worktree::EntryStatus::NeedsUpdate(_) => None,
            index_as_worktree::EntryStatus::IntentToAdd => Some(ChangeKind::Added),
            index_as_worktree::EntryStatus::Change(index_as_worktree::Change::Removed) => {
                Some(ChangeKind::Deleted)
            }
            _ => Some(ChangeKind::Modified),
        },
        Item::IndexWorktree(index_worktree::Item::DirectoryContents { entry, .. }) => {
            matches!(entry.status, gix::dir::entry::Status::Untracked)
                .then_some(ChangeKind::Untracked)
        }
        Item::IndexWorktree(index_worktree::Item::Rewrite { .. }) => Some(ChangeKind::Modified),
    }
}

pub(crate) fn utf8(path: &BStr) -> Result<String, GitError> {
    match path.to_str() {
        Ok(path) => Ok(path.to_owned()),
        Err(_) => Err(GitError::NotUtf8(path.to_str_lossy().into_owned())),
    }
}
