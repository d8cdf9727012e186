//! The paths of a state of the files, as the inventory asks for them.

use std::{collections::BTreeSet, iter, path::Path};

use refit_deps::inventory::Paths;
use refit_git::{ChangeKind, Checkout, Entry, GitError, Mode, Repo};

/// The entry of a path, out of those of a whole commit or index.
pub(crate) fn entry_at<'e>(entries: &'e [Entry], path: &str) -> Option<&'e Entry> {
    let at = entries.binary_search_by(|entry| entry.path.as_str().cmp(path));
    at.ok().map(|at| &entries[at])
}

/// The files of a commit or the index.
pub(crate) struct Listed<'e>(pub(crate) &'e [Entry]);

impl Paths for Listed<'_> {
    fn contains(&self, path: &str) -> bool {
        entry_at(self.0, path).is_some_and(|entry| entry.mode != Mode::Submodule)
    }

    fn iter(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(files(self.0))
    }
}

fn files(entries: &[Entry]) -> impl Iterator<Item = &str> {
    let files = entries.iter().filter(|e| e.mode != Mode::Submodule);
    files.map(|entry| entry.path.as_str())
}

/// The files of a working tree that git tracks, or would take if it was told to.
pub(crate) struct OnDisk<'c> {
    staged: Staged<'c>,
    /// Staged, and not there any more.
    gone: BTreeSet<&'c str>,
    untracked: BTreeSet<&'c str>,
}

/// The files of the index.
enum Staged<'c> {
    Looked(&'c Checkout),
    Listed(Vec<Entry>),
}

impl<'c> OnDisk<'c> {
    /// What is checked out at `root`.
    pub(crate) fn of(repo: &Repo, checkout: &'c Checkout, root: &Path) -> Result<Self, GitError> {
        let staged = match checkout.staged_files() {
            Some(_) => Staged::Looked(checkout),
            None => Staged::Listed(repo.staged()?),
        };
        let (mut gone, mut untracked) = (BTreeSet::new(), BTreeSet::new());
        for change in checkout.changes() {
            match change.kind {
                ChangeKind::Deleted if !root.join(&change.path).is_file() => {
                    gone.insert(change.path.as_str());
                }
                ChangeKind::Added | ChangeKind::Modified | ChangeKind::Deleted => {}
                ChangeKind::Untracked => {
                    untracked.insert(change.path.as_str());
                }
            }
        }
        Ok(Self {
            staged,
            gone,
            untracked,
        })
    }
}

impl Paths for OnDisk<'_> {
    fn contains(&self, path: &str) -> bool {
        let is_staged = match &self.staged {
            Staged::Looked(checkout) => checkout.is_staged(path),
            Staged::Listed(entries) => Listed(entries).contains(path),
        };
        (is_staged && !self.gone.contains(path)) || self.untracked.contains(path)
    }

    fn iter(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        let staged: Box<dyn Iterator<Item = &str>> = match &self.staged {
            Staged::Looked(checkout) => Box::new(checkout.staged_files().into_iter().flatten()),
            Staged::Listed(entries) => Box::new(files(entries)),
        };
        let staged = staged.filter(|path| !self.gone.contains(path));
        Box::new(merged(staged, self.untracked.iter().copied()))
    }
}

/// Two lists in order as one, what both have once.
fn merged<'p>(
    one: impl Iterator<Item = &'p str>,
    other: impl Iterator<Item = &'p str>,
) -> impl Iterator<Item = &'p str> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) => match first.cmp(second) {
            std::cmp::Ordering::Less => one.next(),
            std::cmp::Ordering::Equal => {
                other.next();
                one.next()
            }
            std::cmp::Ordering::Greater => other.next(),
        },
        (Some(_), None) => one.next(),
        (None, _) => other.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lists_become_one_in_order() {
        for (one, other, want) in [
            (
                vec!["a", "c"],
                vec!["b", "c", "d"],
                vec!["a", "b", "c", "d"],
            ),
            (vec![], vec!["a"], vec!["a"]),
            (vec!["a"], vec![], vec!["a"]),
        ] {
            let both: Vec<_> = merged(one.into_iter(), other.into_iter()).collect();
            assert_eq!(both, want);
        }
    }
}
