//! What is checked out: what differs from HEAD, and what lies on the disk, told by one look at the files.

use std::{collections::BTreeMap, ops::Range, path::Path};

use gix::{
    bstr::{BString, ByteSlice as _},
    index::entry::{Flags, Mode as IndexMode, Stage},
    status::UntrackedFiles,
    worktree::{Index, IndexPersistedOrInMemory, stack::state::ignore::Source},
};
use refit_oci::ObjectId;

use crate::{
    Change, ChangeKind, GitError, Mode, Repo, id,
    look::{Checked, Look, Other, Seen},
    staged,
    status::{self, changes_by_library, combined, kind_of, mode_of},
};

/// Of more folders that are not in the index, all folders are looked at for what is untracked.
const MANY_FOLDERS: usize = 64;

/// What is checked out of HEAD, and what differs from it.
pub struct Checkout {
    /// Of what does not differ, the index has what HEAD has.
    index: Index,
    changes: Vec<Change>,
    /// By the number of the index's entry: a file or link that does not differ.
    unchanged: Vec<bool>,
    /// None: it takes more than one look to tell what is there.
    look: Option<Look>,
}

/// Something on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnDisk<'c> {
    /// A file or link as HEAD has it.
    Unchanged(&'c str, Mode, ObjectId),
    /// A file, link or whole folder of which the disk has to be asked.
    Other(&'c str),
}

/// What lies in a folder that was looked at, whatever git thinks of it; in no order, folders that hold nothing left out.
pub struct InFolder<'c> {
    checkout: &'c Checkout,
    look: &'c Look,
    entries: Range<usize>,
    others: Range<usize>,
    /// What was told last is none of the entries.
    is_past_entries: bool,
}

impl Checkout {
    pub(crate) fn look(git: &Repo) -> Result<Self, GitError> {
        let repo = git.handle();
        let index = repo
            .index_or_empty()
            .map_err(GitError::reading("the index"))?;
        let look = match git.work_dir() {
            Some(root) => looked(&repo, root, &index)?,
            None => None,
        };
        let changes = match &look {
            Some(look) => changes(git, &repo, &index, look)?,
            None if git.is_bare() => Vec::new(),
            None => changes_by_library(&repo)?,
        };
        let is_plain = |entry: &gix::index::Entry| {
            entry.stage() == Stage::Unconflicted
                && !entry.flags.contains(Flags::INTENT_TO_ADD)
                && mode_of(entry.mode).is_some_and(|mode| mode != Mode::Submodule)
        };
        let mut unchanged: Vec<bool> = index.entries().iter().map(is_plain).collect();
        for change in &changes {
            let path = change.path.as_bytes();
            let is_before = |entry: &gix::index::Entry| entry.path(&index).as_bytes() < path;
            let first = index.entries().partition_point(is_before);
            let same = index.entries()[first..].iter();
            let n = same
                .take_while(|entry| entry.path(&index).as_bytes() == path)
                .count();
            unchanged[first..first + n].fill(false);
        }
        Ok(Self {
            index,
            changes,
            unchanged,
            look,
        })
    }

    /// What differs from HEAD, in bytewise order of the paths, as [`Repo::worktree_changes`] has it.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The mode and the object id of a file or symlink, if it is as HEAD has it.
    pub fn unchanged(&self, path: &str) -> Option<(Mode, ObjectId)> {
        let entries = self.index.entries();
        let at = entries
            .binary_search_by(|entry| entry.path(&self.index).as_bytes().cmp(path.as_bytes()))
            .ok()?;
        self.unchanged_at(at)
    }

    fn unchanged_at(&self, at: usize) -> Option<(Mode, ObjectId)> {
        let entry = &self.index.entries()[at];
        let mode = mode_of(entry.mode)?;
        self.unchanged[at].then(|| (mode, id::ours(entry.id)))
    }

    /// Whether the index has a file or symlink, or a file that git is told to have later; not a submodule.
    pub fn is_staged(&self, path: &str) -> bool {
        let entries = self.index.entries();
        let at = entries
            .binary_search_by(|entry| entry.path(&self.index).as_bytes().cmp(path.as_bytes()));
        at.is_ok_and(|at| is_file(entries[at].mode))
    }

    /// The paths of these, in bytewise order. None: only [`Repo::staged`] tells them.
    pub fn staged_files(&self) -> Option<impl Iterator<Item = &str>> {
        self.look.as_ref()?;
        let files = self.index.entries().iter();
        let files = files.filter(|entry| is_file(entry.mode));
        Some(files.filter_map(|entry| entry.path(&self.index).to_str().ok()))
    }

    /// What lies in a folder, from the root of the checkout and without a slash at its end. None: the disk has to be
    /// asked, as it is no folder, or one in which the index has nothing, or one look did not tell.
    pub fn in_folder(&self, folder: &str) -> Option<InFolder<'_>> {
        let look = self.look.as_ref()?;
        if folder.is_empty() {
            return Some(InFolder {
                checkout: self,
                look,
                entries: 0..self.index.entries().len(),
                others: 0..look.others.len(),
                is_past_entries: false,
            });
        }
        let is_there = look
            .folders
            .binary_search_by(|known| known.as_str().cmp(folder));
        is_there.ok()?;
        // `0` comes right after `/`: all that is in the folder is before it.
        let [start, end] = ["/", "0"].map(|end| format!("{folder}{end}"));
        Some(InFolder {
            checkout: self,
            look,
            entries: self.first_entry(&start)..self.first_entry(&end),
            others: look.first_other(&start)..look.first_other(&end),
            is_past_entries: false,
        })
    }

    /// The number of the first entry that is not before a path.
    fn first_entry(&self, path: &str) -> usize {
        let is_before = |entry: &gix::index::Entry| entry.path(&self.index) < path.as_bytes();
        self.index.entries().partition_point(is_before)
    }
}

impl InFolder<'_> {
    /// Passes over the rest of the folder in which what was told last lies, by its path from the root of the checkout.
    pub fn pass_over(&mut self, folder: &str) {
        let end = format!("{folder}0");
        if self.is_past_entries {
            let first = self.look.first_other(&end);
            self.others.start = first.clamp(self.others.start, self.others.end);
        } else {
            let first = self.checkout.first_entry(&end);
            self.entries.start = first.clamp(self.entries.start, self.entries.end);
        }
    }
}

impl<'c> Iterator for InFolder<'c> {
    type Item = OnDisk<'c>;

    fn next(&mut self) -> Option<OnDisk<'c>> {
        let index = &self.checkout.index;
        for at in &mut self.entries {
            let path = index.entries()[at].path(index).to_str();
            let Ok(path) = path else { continue };
            return Some(match self.look.seen[at] {
                Seen::Nothing => continue,
                Seen::Same | Seen::Something => match self.checkout.unchanged_at(at) {
                    Some((mode, id)) => OnDisk::Unchanged(path, mode, id),
                    None => OnDisk::Other(path),
                },
            });
        }
        self.is_past_entries = true;
        let other = self.others.next()?;
        Some(OnDisk::Other(&self.look.others[other].path))
    }
}

fn is_file(mode: IndexMode) -> bool {
    mode_of(mode).is_some_and(|mode| mode != Mode::Submodule)
}

fn looked(
    repo: &gix::Repository,
    root: &Path,
    index: &gix::index::State,
) -> Result<Option<Look>, GitError> {
    let checked = Checked::of(repo, root, index)
        .map_err(GitError::reading("the state of the working tree"))?;
    Ok(checked.and_then(|checked| checked.look()))
}

/// What differs from HEAD. The library looks no further than at files that are not the same, and for what is not
/// tracked.
fn changes(
    git: &Repo,
    repo: &gix::Repository,
    index: &Index,
    look: &Look,
) -> Result<Vec<Change>, GitError> {
    let reading = || GitError::reading("the state of the working tree");
    let mut kinds: BTreeMap<String, ChangeKind> = BTreeMap::new();
    let same = || {
        let mut index = gix::index::File::clone(index);
        let entries = index.entries_mut().iter_mut().zip(&look.seen);
        for (entry, seen) in entries {
            if *seen == Seen::Same {
                entry.flags.insert(Flags::UPTODATE);
            }
        }
        index
    };
    if look.seen.iter().any(|seen| *seen != Seen::Same) {
        let items = status::platform(repo)?
            .index(IndexPersistedOrInMemory::InMemory(same()))
            .untracked_files(UntrackedFiles::None)
            .into_index_worktree_iter(None)
            .map_err(reading())?;
        for item in items {
            let item = item.map_err(reading())?.into();
            if let Some(kind) = kind_of(&item) {
                kinds.insert(status::utf8(item.location())?, kind);
            }
        }
    }
    let (untracked, folders) = untracked(repo, index, &look.others)?;
    for path in untracked {
        kinds.entry(path).or_insert(ChangeKind::Untracked);
    }
    if !folders.is_empty() {
        let items = status::platform(repo)?
            .index(IndexPersistedOrInMemory::InMemory(same()))
            .into_index_worktree_iter(patterns(repo, &folders)?)
            .map_err(reading())?;
        for item in items {
            let item = item.map_err(reading())?.into();
            if kind_of(&item) == Some(ChangeKind::Untracked) {
                let path = status::utf8(item.location())?;
                kinds.entry(path).or_insert(ChangeKind::Untracked);
            }
        }
    }
    for (path, kind) in staged::differences(git, repo, index)? {
        let after = kinds.get(&path).copied();
        kinds.insert(path, combined(kind, after));
    }
    let changes = kinds.into_iter();
    Ok(changes.map(|(path, kind)| Change { path, kind }).collect())
}

/// The files and links that git does not track and does not ignore, and the folders that may hold some.
fn untracked(
    repo: &gix::Repository,
    index: &gix::index::State,
    others: &[Other],
) -> Result<(Vec<String>, Vec<String>), GitError> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let mut others = others.iter().filter(|other| !other.is_submodule).peekable();
    if others.peek().is_none() {
        return Ok((files, folders));
    }
    let reading = || GitError::reading("what git ignores");
    let rules = Source::WorktreeThenIdMappingIfNotSkipped;
    let mut rules = repo.excludes(index, None, rules).map_err(reading())?;
    for Other {
        path, file_type, ..
    } in others
    {
        let mode = if file_type.is_dir() {
            IndexMode::DIR
        } else {
            IndexMode::FILE
        };
        let found = rules.at_entry(path.as_bytes().as_bstr(), Some(mode));
        if found.map_err(reading())?.is_excluded() {
            continue;
        }
        if file_type.is_file() || file_type.is_symlink() {
            files.push(path.clone());
        } else {
            // What is no folder either is for the library to judge, too.
            folders.push(path.clone());
        }
    }
    Ok((files, folders))
}

/// What has the library look at these alone; nothing has it look everywhere.
fn patterns(repo: &gix::Repository, folders: &[String]) -> Result<Vec<BString>, GitError> {
    let defaults = repo.pathspec_defaults();
    let defaults = defaults.map_err(GitError::reading("how git reads patterns of paths"))?;
    if defaults.literal || folders.len() > MANY_FOLDERS {
        return Ok(Vec::new());
    }
    let patterns = folders.iter();
    let patterns = patterns.map(|folder| format!(":(top,literal){folder}").into());
    Ok(patterns.collect())
}
