//! What git says of a commit that was released: its images, and how it lies to the line's tip.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, PoisonError},
};

use refit_deps::{
    image::Image,
    observe::{Answer, Relation, Release, ReleaseKey, SourceKey},
    source::Source,
};
use refit_oci::ObjectId;

use super::Observer;
use crate::{
    changed::may_concern,
    error::CommandError,
    outline::Outline,
    project::Snapshot,
    sources::{source_with, sources},
};

/// How many commits are remembered: each holds a line for every file.
const N_RECENT: usize = 4;

/// The commits that were looked at last.
#[derive(Default)]
pub(super) struct Recent(VecDeque<(ObjectId, Arc<Snapshot>)>);

impl Recent {
    fn get(&mut self, commit: &ObjectId) -> Option<Arc<Snapshot>> {
        let at = self.0.iter().position(|(known, _)| known == commit)?;
        let last = self.0.remove(at)?;
        let snapshot = Arc::clone(&last.1);
        self.0.push_back(last);
        Some(snapshot)
    }

    fn add(&mut self, commit: &ObjectId, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        if self.0.len() == N_RECENT {
            self.0.pop_front();
        }
        self.0.push_back((commit.clone(), Arc::clone(&snapshot)));
        snapshot
    }
}

/// How a commit differs from the tip.
pub(super) struct Since {
    commit: ObjectId,
    paths: Vec<String>,
    /// Whether neither the configuration nor a Dockerfile is among them.
    has_same_images: bool,
}

impl Observer<'_> {
    /// The images at their commits. Commit by commit: one is read once, and forgotten before there are many.
    pub(super) fn releases(
        &self,
        wanted: &BTreeSet<ReleaseKey>,
    ) -> Vec<(ReleaseKey, Answer<Arc<Release>>)> {
        let mut keys: Vec<&ReleaseKey> = wanted.iter().collect();
        keys.sort_by_key(|(_, commit)| commit.as_ref());
        let answers = keys.into_iter().map(|key| (key.clone(), self.release(key)));
        answers.collect()
    }

    /// The sources with what bases make them copy, in the same order.
    pub(super) fn sources(&self, wanted: &BTreeSet<SourceKey>) -> Vec<(SourceKey, Answer<Source>)> {
        let mut keys: Vec<&SourceKey> = wanted.iter().collect();
        keys.sort_by_key(|key| key.commit.as_ref());
        let answers = keys
            .into_iter()
            .map(|key| (key.clone(), self.source_of(key)));
        answers.collect()
    }

    fn release(&self, key: &ReleaseKey) -> Answer<Arc<Release>> {
        let (name, commit) = key;
        if let Some(commit) = commit
            && let Some(image) = self.unchanged_since(name, commit)
        {
            return self.as_at_tip(image, commit);
        }
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

    /// The tip's image, if nothing that differs between a commit and the tip has to do with it: most images were released
    /// from a commit that lies behind others' changes, and need no look at it.
    fn unchanged_since(&self, name: &str, commit: &ObjectId) -> Option<&Image> {
        let tip = self.tip.commit.as_ref()?;
        if self.records.recipe(name, commit).is_some() {
            return None; // it was made in a way that no commit says
        }
        let image = self.tip.inventory.image(name)?;
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.as_ref().is_none_or(|since| since.commit != *commit) {
            let paths = self.project.repo.paths_between(Some(commit), tip).ok()?;
            let outline = self.outline.get_or_init(|| Outline::of(&self.tip));
            let outline = outline.as_ref();
            *since = Some(Since {
                commit: commit.clone(),
                has_same_images: outline.is_some_and(|tip| !tip.is_outdated_by(&paths)),
                paths,
            });
        }
        let since = since.as_ref()?;
        let is_same = since.has_same_images
            && !may_concern((&image.dockerfile, image.counted_folder()), &since.paths);
        is_same.then_some(image)
    }

    fn as_at_tip(&self, image: &Image, commit: &ObjectId) -> Answer<Arc<Release>> {
        match self.relation(Some(commit)) {
            Ok(relation) => Answer::Found(Arc::new(Release {
                image: image.clone(),
                sources: sources(self.project, &self.tip, image),
                relation,
            })),
            Err(error) => Answer::Failed(error.message.into()),
        }
    }

    /// The images at a commit; of the working tree, or whatever the tip is, without one.
    pub(crate) fn source(&self, commit: Option<&ObjectId>) -> Result<Arc<Snapshot>, CommandError> {
        match commit {
            Some(commit) => self.snapshot(commit),
            None => Ok(Arc::clone(&self.tip)),
        }
    }

    /// The source of a target with what its bases make it copy.
    fn source_of(&self, key: &SourceKey) -> Answer<Source> {
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

    /// The images at a commit, read once while others are few.
    pub(crate) fn snapshot(&self, commit: &ObjectId) -> Result<Arc<Snapshot>, CommandError> {
        if self.tip.commit.as_ref() == Some(commit) {
            return Ok(Arc::clone(&self.tip));
        }
        let recent = || self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = recent().get(commit) {
            return Ok(known);
        }
        let snapshot = match self.read(commit) {
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
        Ok(recent().add(commit, Arc::new(snapshot)))
    }

    /// By what differs from the tip, as most does not.
    fn read(&self, commit: &ObjectId) -> Result<Snapshot, CommandError> {
        let Some(tip) = &self.tip.commit else {
            return self.project.at_on(commit, &self.line.name);
        };
        let paths = self.project.repo.paths_between(Some(commit), tip)?;
        self.project
            .at_beside(commit, &self.line.name, &self.tip, &paths)
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
