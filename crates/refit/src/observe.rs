//! Observes what a computation of staleness needs, round by round, until it is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt as _, stream};
use refit_deps::{
    image::EMBEDDED_HOST,
    observe::{Answer, Answers, Ground, Line, Needs, Relation, Release, ReleaseKey, Resolved},
    plan::{self, Status},
    record::Records,
};
use refit_oci::{Digest, Document, ImageConfig, ObjectId, Reference, Repository};
use refit_registry::{DOCUMENT_LIMIT, Head, Patience, Registries, RegistryError, Requests};

use crate::{
    error::{CommandError, chain},
    project::{Project, Snapshot},
    sources::sources,
};

/// How many requests are under way at once.
const CONCURRENCY: usize = 16;
/// More rounds than any chain of indexes needs.
const ROUNDS: usize = 64;

/// A line, its images, and what is known of the world so far.
pub(crate) struct Observer<'p> {
    pub(crate) project: &'p Project,
    pub(crate) registries: Registries,
    pub(crate) line: Line,
    /// The line's tip; of `build` without a commit, the working tree.
    pub(crate) tip: Arc<Snapshot>,
    pub(crate) records: Records,
    snapshots: Mutex<BTreeMap<ObjectId, Arc<Snapshot>>>,
    answers: Mutex<Answers>,
    /// Registry hosts that did not answer, with what happened: they are not waited for a second time.
    offline: Mutex<BTreeMap<String, String>>,
}

impl<'p> Observer<'p> {
    /// An observer of a line whose tip is `tip`.
    pub(crate) fn new(
        project: &'p Project,
        line: Line,
        tip: Snapshot,
        registries: Registries,
    ) -> Result<Self, CommandError> {
        let records = project.records()?;
        let tip = Arc::new(tip);
        let snapshots = tip
            .commit
            .iter()
            .map(|commit| (commit.clone(), Arc::clone(&tip)))
            .collect();
        Ok(Self {
            project,
            registries,
            line,
            tip,
            records,
            snapshots: Mutex::new(snapshots),
            answers: Mutex::default(),
            offline: Mutex::default(),
        })
    }

    /// An observer of another line, which knows what this one has learned of the registries. What was written since is
    /// asked for again.
    pub(crate) fn next(
        self,
        line: Line,
        tip: Snapshot,
        written: &BTreeSet<Repository>,
    ) -> Result<Self, CommandError> {
        let mut next = Self::new(self.project, line, tip, self.registries)?;
        let mut answers = self
            .answers
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        answers.releases.clear();
        answers
            .tags
            .retain(|tag, _| !written.contains(tag.repository()));
        next.answers = Mutex::new(answers);
        next.offline = self.offline;
        Ok(next)
    }

    /// Computes, observing whatever the computation asks for.
    pub(crate) async fn resolve<T>(
        &self,
        compute: impl Fn(&Ground<'_>) -> Resolved<T>,
    ) -> Result<T, CommandError> {
        for _ in 0..ROUNDS {
            let answers = self
                .answers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let ground = Ground {
                line: &self.line,
                inventory: &self.tip.inventory,
                edges: &self.tip.edges,
                records: &self.records,
                build_platform: self.project.build_platform(),
                answers: &answers,
            };
            match compute(&ground) {
                Resolved::Done(value) => return Ok(value),
                Resolved::Needs(needs) => self.answer(needs).await,
            }
        }
        Err(CommandError::new(
            "the registries' answers lead on without an end",
        ))
    }

    async fn answer(&self, needs: Needs) {
        let tags = stream::iter(
            needs
                .tags
                .iter()
                .map(|tag| async move { (tag.clone(), self.tag(tag).await) }),
        );
        let tags: Vec<_> = tags.buffer_unordered(CONCURRENCY).collect().await;
        let documents = needs
            .documents
            .iter()
            .map(|(repository, digest)| async move {
                let key = (repository.clone(), digest.clone());
                (key, self.document(repository, digest).await)
            });
        let documents: Vec<_> = stream::iter(documents)
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        let configs = needs
            .configs
            .iter()
            .map(|(repository, manifest)| async move {
                let key = (repository.clone(), manifest.clone());
                (key, self.config(repository, manifest).await)
            });
        let configs: Vec<_> = stream::iter(configs)
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        let releases: Vec<_> = needs
            .releases
            .iter()
            .map(|key| (key.clone(), self.release(key)))
            .collect();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.tags.extend(tags);
        answers.documents.extend(documents);
        answers.configs.extend(configs);
        answers.releases.extend(releases);
    }

    async fn tag(&self, tag: &Reference) -> Answer<Digest> {
        let host = tag.repository().registry();
        let registry = self.registries.registry(host);
        match self.ask(host, registry.head(tag)).await {
            Answer::Found(Head::Found { digest, .. }) => Answer::Found(digest),
            Answer::Found(Head::Missing) | Answer::Missing => Answer::Missing,
            Answer::Failed(message) => Answer::Failed(message),
        }
    }

    /// A document by digest, from the cache where it is there: what a digest names never changes.
    async fn document(&self, repository: &Repository, digest: &Digest) -> Answer<Arc<Document>> {
        let host = repository.registry();
        let cached = self.cached(digest);
        if host != EMBEDDED_HOST
            && let Ok(bytes) = std::fs::read(&cached)
            && digest.verifies(&bytes)
            && let Ok(document) = Document::decode(None, bytes)
        {
            return Answer::Found(Arc::new(document));
        }
        let registry = self.registries.registry(host);
        let answer = self.ask(host, registry.document(repository, digest)).await;
        if let (Answer::Found(document), true) = (&answer, host != EMBEDDED_HOST) {
            remember(&cached, document.bytes());
        }
        match answer {
            Answer::Found(document) => Answer::Found(Arc::new(document)),
            Answer::Missing => Answer::Missing,
            Answer::Failed(message) => Answer::Failed(message),
        }
    }

    /// The config of a manifest.
    async fn config(&self, repository: &Repository, manifest: &Digest) -> Answer<Arc<ImageConfig>> {
        let descriptor = match self.document(repository, manifest).await {
            Answer::Found(document) => match document.as_ref() {
                Document::Manifest(manifest) => manifest.value.config.clone(),
                Document::Index(_) => {
                    return Answer::Failed(format!("`{repository}@{manifest}` is an index"));
                }
            },
            Answer::Missing => return Answer::Missing,
            Answer::Failed(message) => return Answer::Failed(message),
        };
        let registry = self.registries.registry(repository.registry());
        let bytes = registry.blob_bytes(repository, &descriptor, DOCUMENT_LIMIT);
        match self.ask(repository.registry(), bytes).await {
            Answer::Found(bytes) => match serde_json::from_slice(&bytes) {
                Ok(config) => Answer::Found(Arc::new(config)),
                Err(error) => Answer::Failed(format!(
                    "the config of `{repository}@{manifest}` is malformed: {error}"
                )),
            },
            Answer::Missing => Answer::Missing,
            Answer::Failed(message) => Answer::Failed(message),
        }
    }

    /// Sends a request, unless its host has been waited for in vain already.
    async fn ask<T>(
        &self,
        host: &str,
        request: impl Future<Output = Result<T, RegistryError>>,
    ) -> Answer<T> {
        let known = self.offline().get(host).cloned();
        if let Some(message) = known {
            return Answer::Failed(message);
        }
        match request.await {
            Ok(found) => Answer::Found(found),
            Err(RegistryError::Missing { .. }) => Answer::Missing,
            Err(error) => {
                let message = chain(&error);
                if error.is_offline() {
                    self.offline().insert(host.to_owned(), message.clone());
                }
                Answer::Failed(message)
            }
        }
    }

    fn offline(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.offline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cached(&self, digest: &Digest) -> PathBuf {
        self.project.own_dir().join("documents").join(digest.hex())
    }

    fn release(&self, key: &ReleaseKey) -> Answer<Arc<Release>> {
        let (name, commit) = key;
        let snapshot = match commit {
            None => Ok(Arc::clone(&self.tip)),
            Some(commit) => self.snapshot(commit),
        };
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(error) => return Answer::Failed(error.message),
        };
        let Some(image) = snapshot.inventory.image(name) else {
            return Answer::Missing;
        };
        let relation = match self.relation(commit.as_ref()) {
            Ok(relation) => relation,
            Err(error) => return Answer::Failed(error.message),
        };
        let mut image = image.clone();
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

    fn relation(&self, commit: Option<&ObjectId>) -> Result<Relation, CommandError> {
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

/// A cache write that fails costs a request some day, and nothing now.
fn remember(path: &std::path::Path, bytes: &[u8]) {
    let Some(folder) = path.parent() else { return };
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(folder))
        .and_then(|mut file| std::io::Write::write_all(&mut file, bytes).map(|()| file));
    if let Ok(file) = written {
        let _ = file.persist(path);
    }
}

/// How every target stands, at the tip that was asked about.
pub(crate) struct Standing {
    pub(crate) status: Status,
    pub(crate) tip: Arc<Snapshot>,
    pub(crate) requests: Requests,
}

/// How every target of the commit that is checked out stands; of the working tree where there is no commit yet.
pub(crate) async fn status(project: &Project) -> Result<Standing, CommandError> {
    let name = project.current_line()?;
    let tip = match project.repo.head()? {
        refit_git::Head::Commit { id, .. } => project.at(&id)?,
        refit_git::Head::Unborn { .. } => project.working()?,
    };
    let line = Line {
        name,
        commit: tip.commit.clone(),
    };
    // Someone waits at a terminal: what does not answer soon is reported as unreachable.
    let patience = Patience {
        attempts: 2,
        connect_timeout: std::time::Duration::from_secs(5),
        ..Patience::default()
    };
    let observer = Observer::new(project, line, tip, project.registries_with(patience))?;
    let mut status = observer.resolve(plan::status).await?;
    status.plan.problems.clone_from(&observer.tip.problems);
    let requests = observer.registries.requests();
    Ok(Standing {
        status,
        tip: observer.tip,
        requests,
    })
}
