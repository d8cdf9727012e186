//! Commits and their ancestry.

use gix::{
    diff::tree::{Recorder, recorder::Change},
    objs::TreeRefIter,
};
use refit_oci::ObjectId;

use crate::{GitError, Repo, id, tree};

impl Repo {
    /// Whether `ancestor` is reachable from `descendant`; a commit is its own ancestor.
    pub fn is_ancestor(
        &self,
        ancestor: &ObjectId,
        descendant: &ObjectId,
    ) -> Result<bool, GitError> {
        is_ancestor(&self.handle(), ancestor, descendant)
    }

    /// The best common ancestor of two commits, as `git merge-base` finds it; none if their histories never met, as far
    /// as this clone has them.
    pub fn merge_base(&self, a: &ObjectId, b: &ObjectId) -> Result<Option<ObjectId>, GitError> {
        let repo = self.handle();
        for commit in [a, b] {
            commit_object(&repo, commit)?;
        }
        let bases = repo
            .merge_bases_many(id::theirs(a), &[id::theirs(b)])
            .map_err(GitError::reading(format!(
                "the history between `{a}` and `{b}`"
            )))?;
        Ok(bases.first().map(|base| id::ours(base.detach())))
    }

    /// When a commit was committed, in seconds since 1970.
    pub fn commit_time(&self, commit: &ObjectId) -> Result<i64, GitError> {
        let repo = self.handle();
        let found = commit_object(&repo, commit)?;
        let time = found
            .time()
            .map_err(GitError::reading(format!("commit `{commit}`")))?;
        Ok(time.seconds)
    }

    /// The parents of a commit that this repository has: none at a shallow clone's boundary, as git has it.
    pub fn commit_parents(&self, commit: &ObjectId) -> Result<Vec<ObjectId>, GitError> {
        parents(&self.handle(), commit)
    }

    /// The paths a commit changed against its first parent, in bytewise order; all of them in a commit without parents.
    pub fn changed_paths(&self, commit: &ObjectId) -> Result<Vec<String>, GitError> {
        let parents = self.commit_parents(commit)?;
        self.paths_between(parents.first(), commit)
    }

    /// The paths that differ between two commits, in bytewise order; without an older one, all of the newer one's.
    pub fn paths_between(
        &self,
        old: Option<&ObjectId>,
        commit: &ObjectId,
    ) -> Result<Vec<String>, GitError> {
        let repo = self.handle();
        if self.promisor().is_some() {
            // A partial clone may lack trees; listing them fetches those.
            for commit in old.into_iter().chain([commit]) {
                self.tree(commit)?;
            }
        }
        let find_tree = |commit: &ObjectId| {
            let tree = tree::tree_of(&repo, commit)?;
            let tree = tree::object(&repo, tree, "tree")?;
            Ok(tree.into_tree())
        };
        let new = find_tree(commit)?;
        let old = old.map(find_tree).transpose()?;
        let mut changes = Recorder::default();
        let bytes = |tree: &Option<gix::Tree<'_>>| {
            let bytes = tree.as_ref().map(|tree| tree.data.clone());
            bytes.unwrap_or_default()
        };
        let (old, new) = (bytes(&old), bytes(&Some(new)));
        // Neither renames nor copies: the paths count, not their stories.
        gix::diff::tree(
            TreeRefIter::from_bytes(&old, repo.object_hash()),
            TreeRefIter::from_bytes(&new, repo.object_hash()),
            gix::diff::tree::State::default(),
            &repo.objects,
            &mut changes,
        )
        .map_err(|error| {
            let reading = GitError::reading(format!("the changes of commit `{commit}`"));
            reading(gix::Error::from_error(error))
        })?;
        let mut paths = Vec::new();
        for change in changes.records {
            let (Change::Addition {
                path, entry_mode, ..
            }
            | Change::Deletion {
                path, entry_mode, ..
            }
            | Change::Modification {
                path, entry_mode, ..
            }) = change;
            // A folder's files, also those of one that became a file, are listed one by one.
            if !entry_mode.is_tree() {
                let path = String::from_utf8(path.into());
                let path = path.map_err(|e| {
                    GitError::NotUtf8(String::from_utf8_lossy(e.as_bytes()).into_owned())
                })?;
                paths.push(path);
            }
        }
        paths.sort_unstable();
        paths.dedup();
        Ok(paths)
    }
}

/// As [`Repo::is_ancestor`].
pub(crate) fn is_ancestor(
    repo: &gix::Repository,
    ancestor: &ObjectId,
    descendant: &ObjectId,
) -> Result<bool, GitError> {
    for commit in [ancestor, descendant] {
        commit_object(repo, commit)?;
    }
    let bases = repo
        .merge_bases_many(id::theirs(ancestor), &[id::theirs(descendant)])
        .map_err(GitError::reading(format!(
            "the history between `{ancestor}` and `{descendant}`"
        )))?;
    Ok(bases
        .iter()
        .any(|base| base.detach() == id::theirs(ancestor)))
}

pub(crate) fn commit_object<'repo>(
    repo: &'repo gix::Repository,
    commit: &ObjectId,
) -> Result<gix::Commit<'repo>, GitError> {
    let object = tree::object(repo, id::theirs(commit), "commit")?;
    object.try_into_commit().map_err(|_| GitError::WrongKind {
        kind: "commit",
        id: commit.clone(),
    })
}

fn parents(repo: &gix::Repository, commit: &ObjectId) -> Result<Vec<ObjectId>, GitError> {
    let found = commit_object(repo, commit)?;
    let shallow = repo
        .shallow_commits()
        .map_err(GitError::reading("the shallow boundary"))?;
    if shallow.is_some_and(|boundary| boundary.contains(&found.id)) {
        return Ok(Vec::new());
    }
    Ok(found.parent_ids().map(id::ours).collect())
}
