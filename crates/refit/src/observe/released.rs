//! What git says of a commit that was released: its images, and how it lies to the line's tip.

use std::sync::{Arc, PoisonError};

use refit_deps::{
    observe::{Answer, Relation, Release, ReleaseKey, SourceKey},
    source::Source,
};
use refit_oci::ObjectId;

use super::Observer;
use crate::{
    error::CommandError,
    project::Snapshot,
    sources::{source_with, sources},
};

impl Observer<'_> {
    pub(super) fn release(&self, key: &ReleaseKey) -> Answer<Arc<Release>> {
        let (name, commit) = key;
        let snapshot = match commit {
            None => Ok(Arc::clone(&self.tip)),
            Some(commit) => self.snapshot(commit),
        };
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(error) => return Answer::Failed(error.message.into()),
        };
        let Some(mut image) = self.image_at(&snapshot, name) else {
            return Answer::Missing;
        };
        let relation = match self.relation(commit.as_ref()) {
            Ok(relation) => relation,
            Err(error) => return Answer::Failed(error.message.into()),
        };
        if let Some(tip) = self.tip.inventory.image(name) {
            // Platforms and tags are policy: the tip's. What is built is the commit's.
            image.platforms.clone_from(&tip.platforms);
        }
        let sources = sources(self.project, &snapshot, &image);
        Answer::Found(Arc::new(Release {
            image,
            sources,
            relation,
        }))
    }

    /// The images at a commit; of the working tree, or whatever the tip is, without one.
    pub(crate) fn source(&self, commit: Option<&ObjectId>) -> Result<Arc<Snapshot>, CommandError> {
        match commit {
            Some(commit) => self.snapshot(commit),
            None => Ok(Arc::clone(&self.tip)),
        }
    }

    /// The source of a target with what its bases make it copy.
    pub(super) fn source_of(&self, key: &SourceKey) -> Answer<Source> {
        let snapshot = match &key.commit {
            None => Ok(Arc::clone(&self.tip)),
            Some(commit) => self.snapshot(commit),
        };
        let source = snapshot.and_then(|snapshot| {
            let image = match self.image_at(&snapshot, &key.image) {
                Some(image) => image,
                None => snapshot.image(&key.image)?.clone(),
            };
            source_with(
                self.project,
                &snapshot,
                (&image, &key.platform),
                &key.triggers,
            )
        });
        match source {
            Ok(source) => Answer::Found(source),
            Err(error) => Answer::Failed(error.message.into()),
        }
    }

    /// The images at a commit, read once.
    pub(crate) fn snapshot(&self, commit: &ObjectId) -> Result<Arc<Snapshot>, CommandError> {
        let known = self
            .snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(commit)
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let snapshot = match self.project.at_on(commit, &self.line.name) {
            Ok(snapshot) => snapshot,
            // A shallow clone lacks it: the remote has it, unless it is really gone.
            Err(error) => match self.project.repo.default_remote() {
                Some(remote) => {
                    self.project.repo.fetch_commit(&remote, commit)?;
                    self.project.at_on(commit, &self.line.name)?
                }
                None => return Err(error),
            },
        };
        let snapshot = Arc::new(snapshot);
        let mut snapshots = self
            .snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        snapshots.insert(commit.clone(), Arc::clone(&snapshot));
        Ok(snapshot)
    }

    pub(super) fn relation(&self, commit: Option<&ObjectId>) -> Result<Relation, CommandError> {
        let (Some(commit), Some(tip)) = (commit, &self.line.commit) else {
            return Ok(Relation::Tip);
        };
        if commit == tip {
            return Ok(Relation::Tip);
        }
        let repo = &self.project.repo;
        let known = ancestry(repo, commit, tip)?;
        if known == Relation::Elsewhere
            && repo.is_shallow()
            && let Some(remote) = repo.default_remote()
        {
            // What a shallow clone cannot tell, the whole history can.
            repo.unshallow(&remote)?;
            return ancestry(repo, commit, tip);
        }
        Ok(known)
    }
}

fn ancestry(
    repo: &refit_git::Repo,
    commit: &ObjectId,
    tip: &ObjectId,
) -> Result<Relation, CommandError> {
    if repo.is_ancestor(commit, tip)? {
        return Ok(Relation::Ancestor);
    }
    Ok(if repo.is_ancestor(tip, commit)? {
        Relation::Newer
    } else {
        Relation::Elsewhere
    })
}
