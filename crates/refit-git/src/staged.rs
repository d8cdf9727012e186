//! What is staged: the paths at which the index differs from HEAD, without looking at folders that do not.

use std::collections::BTreeMap;

use gix::{
    index::{
        Entry,
        entry::{Flags, Stage},
        extension::Tree,
    },
    objs::tree::EntryMode,
};

use crate::{ChangeKind, GitError, Head, Repo, tree};

impl Repo {
    /// The paths at which the index differs from HEAD, in bytewise order: what the next commit would change
    /// (`GIT_INDEX_FILE` counts, as in a pre-commit hook). A path that is in conflict is among them.
    pub fn staged_paths(&self) -> Result<Vec<String>, GitError> {
        let repo = self.handle();
        let index = repo
            .index_or_empty()
            .map_err(GitError::reading("the index"))?;
        let differences = differences(self, &repo, &index)?.into_iter();
        Ok(differences.map(|(path, _)| path).collect())
    }
}

/// The paths at which an index differs from HEAD, each once and in bytewise order, and how.
pub(crate) fn differences(
    git: &Repo,
    repo: &gix::Repository,
    index: &gix::index::State,
) -> Result<Vec<(String, ChangeKind)>, GitError> {
    let head = match git.head()? {
        Head::Commit { id, .. } => Some(tree::tree_of(repo, &id)?),
        Head::Unborn { .. } => None,
    };
    let mut differences = Differences {
        repo,
        index,
        found: Vec::new(),
    };
    differences.folder(b"", index.entries(), head, index.tree())?;
    let mut found = Vec::with_capacity(differences.found.len());
    for (path, kind) in differences.found {
        let path = String::from_utf8(path)
            .map_err(|e| GitError::NotUtf8(String::from_utf8_lossy(e.as_bytes()).into_owned()))?;
        found.push((path, kind));
    }
    found.sort_unstable();
    found.dedup_by(|later, first| later.0 == first.0);
    Ok(found)
}

struct Differences<'r> {
    repo: &'r gix::Repository,
    index: &'r gix::index::State,
    found: Vec<(Vec<u8>, ChangeKind)>,
}

impl Differences<'_> {
    /// One folder, by its entries in the index, its tree in HEAD, and what the index remembers of its own tree: git
    /// forgets that for every folder in which something is staged.
    fn folder(
        &mut self,
        prefix: &[u8],
        entries: &[Entry],
        head: Option<gix::ObjectId>,
        remembered: Option<&Tree>,
    ) -> Result<(), GitError> {
        if let (Some(tree), Some(head)) = (remembered, head)
            && tree
                .num_entries
                .is_some_and(|n| usize::try_from(n) == Ok(entries.len()))
            && tree.id == head
        {
            return Ok(());
        }
        let mut there = match head {
            Some(head) => self.children(head)?,
            None => BTreeMap::new(),
        };
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let path = first.path(self.index);
            let name = path.get(prefix.len()..).unwrap_or_default();
            let end = name.iter().position(|b| *b == b'/').unwrap_or(name.len());
            let (name, below) = (&name[..end], &name[end..]);
            if below.len() < 2 {
                // A sparse index has whole folders as one entry, with a slash behind the name.
                let head = there.remove(name);
                self.entry([prefix, name].concat(), first, head);
                if let Some((mode, id)) = head
                    && mode.is_tree()
                    && !first.mode.is_sparse()
                {
                    self.folder(&[prefix, name, b"/"].concat(), &[], Some(id), None)?;
                }
                rest = &rest[1..];
                continue;
            }
            let folder = [prefix, name, b"/"].concat();
            let n = rest.partition_point(|entry| entry.path(self.index).starts_with(&folder));
            let (inside, others) = rest.split_at(n.max(1));
            rest = others;
            let head = match there.remove(name) {
                Some((mode, id)) if mode.is_tree() => Some(id),
                Some(_) => {
                    self.found
                        .push(([prefix, name].concat(), ChangeKind::Deleted));
                    None
                }
                None => None,
            };
            let mut children = remembered.iter().flat_map(|tree| &tree.children);
            let remembered = children.find(|child| child.name[..] == *name);
            self.folder(&folder, inside, head, remembered)?;
        }
        // What is left is in HEAD alone.
        for (name, (mode, id)) in there {
            let path = [prefix, &name].concat();
            if mode.is_tree() {
                self.folder(&[&path[..], b"/"].concat(), &[], Some(id), None)?;
            } else {
                self.found.push((path, ChangeKind::Deleted));
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: Vec<u8>, entry: &Entry, head: Option<(EntryMode, gix::ObjectId)>) {
        let is_left_out = entry.flags.contains(Flags::INTENT_TO_ADD);
        let same = match head {
            Some((mode, id)) => {
                entry.stage() == Stage::Unconflicted
                    && entry.id == id
                    && entry.mode.to_tree_entry_mode() == Some(mode)
            }
            None => is_left_out,
        };
        // `git commit` would take a path away of which only the name is staged.
        if !same || (is_left_out && head.is_some()) {
            let was_file = head.is_some_and(|(mode, _)| !mode.is_tree());
            let kind = if was_file {
                ChangeKind::Modified
            } else {
                ChangeKind::Added
            };
            self.found.push((path, kind));
        }
    }

    fn children(&self, of: gix::ObjectId) -> Result<Children, GitError> {
        let tree = tree::children(self.repo, of)?;
        let mut children = Children::new();
        for entry in tree.iter() {
            let entry = entry.map_err(GitError::reading(format!("tree `{of}`")))?;
            let name = entry.filename().to_vec();
            children.insert(name, (entry.mode(), entry.object_id()));
        }
        Ok(children)
    }
}

type Children = BTreeMap<Vec<u8>, (EntryMode, gix::ObjectId)>;
