//! The index and the working tree: what is staged, and what differs from HEAD.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use gix::{
    bstr::{BStr, ByteSlice},
    diff::index::Change as Staged,
    index::entry::{Flags, Mode as IndexMode, Stage},
    status::{Item, Submodule, UntrackedFiles, index_worktree, plumbing::index_as_worktree},
    submodule::config::Ignore,
};

use refit_oci::ObjectId;

use crate::{Entry, GitError, Mode, Repo, id, tree};

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

/// What is checked out of HEAD, and what differs from it.
pub struct Checkout {
    /// Of what does not differ, the index has what HEAD has.
    index: gix::worktree::Index,
    changed: BTreeSet<String>,
}

impl Checkout {
    /// The mode and the object id of a file or symlink, if it is as HEAD has it.
    pub fn unchanged(&self, path: &str) -> Option<(Mode, ObjectId)> {
        let entry = self.index.entry_by_path(path.into())?;
        let is_plain =
            entry.stage() == Stage::Unconflicted && !entry.flags.contains(Flags::INTENT_TO_ADD);
        let mode = mode_of(entry.mode).filter(|mode| *mode != Mode::Submodule)?;
        (is_plain && !self.changed.contains(path)).then(|| (mode, id::ours(entry.id)))
    }
}

/// None: a whole folder, which only a sparse index holds.
fn mode_of(mode: IndexMode) -> Option<Mode> {
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
        let Some(first) = &self.first_changes else {
            return self.changes_now();
        };
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        match &*first {
            Some(changes) => Ok(changes.clone()),
            None => Ok(first.insert(self.changes_now()?).clone()),
        }
    }

    /// What is checked out, as far as git knows it without reading a file.
    pub fn checkout(&self) -> Result<Arc<Checkout>, GitError> {
        let once = self.first_changes.is_some();
        let mut first = self
            .first_checkout
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = first.as_ref().filter(|_| once) {
            return Ok(Arc::clone(known));
        }
        let changes = self.worktree_changes()?.into_iter();
        let index = self.handle().index_or_empty();
        let checkout = Arc::new(Checkout {
            index: index.map_err(GitError::reading("the index"))?,
            changed: changes.map(|change| change.path).collect(),
        });
        *first = once.then(|| Arc::clone(&checkout));
        Ok(checkout)
    }

    /// Has [`Repo::worktree_changes`] and [`Repo::checkout`] look once and say the same again: a command asks for every
    /// image. Files that change after the first look go unnoticed.
    #[must_use]
    pub fn looking_once(mut self) -> Self {
        self.first_changes = Some(Mutex::default());
        self
    }

    fn changes_now(&self) -> Result<Vec<Change>, GitError> {
        let repo = self.handle();
        let reading = || GitError::reading("the state of the working tree");
        let items = repo
            .status(gix::progress::Discard)
            .map_err(reading())?
            .untracked_files(UntrackedFiles::Files)
            .index_worktree_rewrites(None)
            .tree_index_track_renames(gix::status::tree_index::TrackRenames::Disabled)
            .index_worktree_submodules(Submodule::Given {
                ignore: Ignore::None,
                check_dirty: true,
            })
            .into_iter(None)
            .map_err(reading())?;
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
}

/// How a path differs from HEAD that is staged as one thing and perhaps another in the working tree.
fn combined(staged: ChangeKind, unstaged: Option<ChangeKind>) -> ChangeKind {
    match (staged, unstaged) {
        // `git rm --cached`: gone from the index, still in the folder.
        (ChangeKind::Deleted, Some(_)) => ChangeKind::Modified,
        (_, Some(ChangeKind::Deleted)) => ChangeKind::Deleted,
        (staged, _) => staged,
    }
}

fn kind_of(item: &Item) -> Option<ChangeKind> {
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

fn utf8(path: &BStr) -> Result<String, GitError> {
    match path.to_str() {
        Ok(path) => Ok(path.to_owned()),
        Err(_) => Err(GitError::NotUtf8(path.to_str_lossy().into_owned())),
    }
}
