//! Observes what a computation of staleness needs, round by round, until it is done.

mod adopted;
mod asked;
mod checked;
mod gone;
mod released;

pub(crate) use asked::cached_document;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicBool},
};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use refit_deps::{
    image::Image,
    observe::{Answer, Answers, Failure, Ground, Line, Needs, Resolved},
    plan::{self, Status},
    record::Records,
};
use refit_oci::Repository;
use refit_registry::{Patience, Registries, Requests};

use crate::{
    error::CommandError,
    outline::Outline,
    project::{Project, Snapshot},
};

/// How many requests are under way at once.
const CONCURRENCY: usize = 16;
/// More rounds than any chain of indexes needs.
const ROUNDS: usize = 64;

/// Who is asked what the tags of our own images hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OwnTags {
    /// Their registries.
    #[default]
    Asked,
    /// The records: what others moved since goes unseen.
    Recorded,
}

/// A line, its images, and what is known of the world so far.
pub(crate) struct Observer<'p> {
    pub(crate) project: &'p Project,
    pub(crate) registries: Registries,
    pub(crate) line: Line,
    /// The line's tip; of `build` without a commit, the working tree.
    pub(crate) tip: Arc<Snapshot>,
    pub(crate) records: Records,
    /// When the observation began.
    pub(crate) now: Timestamp,
    pub(crate) own_tags: OwnTags,
    /// Whether all images of the line are swept: what then is recorded as the line's last sweep.
    pub(crate) is_full_sweep: bool,
    recent: Mutex<released::Recent>,
    /// What the tip's images are made of.
    outline: OnceLock<Option<Outline>>,
    /// How the commit that was asked for last differs from the tip.
    since: Mutex<Option<released::Since>>,
    answers: Mutex<Answers>,
    /// Registry hosts that did not answer, with what happened: they are not waited for a second time.
    offline: Mutex<BTreeMap<String, Failure>>,
    /// Whether the whole history has been asked for.
    deepened: AtomicBool,
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
        Ok(Self::with_records(
            project,
            line,
            tip,
            (registries, records),
        ))
    }

    /// The same for what needs none of the notes' records, or has them.
    pub(crate) fn with_records(
        project: &'p Project,
        line: Line,
        tip: Arc<Snapshot>,
        (registries, records): (Registries, Records),
    ) -> Self {
        let images = &tip.inventory.images;
        let tags = images.iter().flat_map(Image::moving_tags);
        registries.never_mirror(tags.map(|tag| tag.repository().clone()));
        registries.never_mirror(images.iter().map(|image| image.destination().clone()));
        Self {
            project,
            registries,
            line,
            tip,
            records,
            now: project.environment.now(),
            own_tags: OwnTags::default(),
            is_full_sweep: false,
            recent: Mutex::default(),
            outline: OnceLock::new(),
            since: Mutex::default(),
            answers: Mutex::default(),
            offline: Mutex::default(),
            deepened: AtomicBool::default(),
        }
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
        answers.sources.clear();
        answers.origins.clear();
        answers
            .tags
            .retain(|tag, _| !written.contains(tag.repository()));
        next.answers = Mutex::new(answers);
        next.own_tags = self.own_tags;
        next.offline = self.offline;
        Ok(next)
    }

    /// Computes, observing whatever the computation asks for.
    pub(crate) async fn resolve<T>(
        &self,
        compute: impl Fn(&Ground<'_>) -> Resolved<T>,
    ) -> Result<T, CommandError> {
        for _ in 0..ROUNDS {
            let resolved = {
                let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
                compute(&Ground {
                    line: &self.line,
                    inventory: &self.tip.inventory,
                    edges: &self.tip.edges,
                    scans: &self.tip.scans,
                    graph: &self.tip.graph,
                    records: &self.records,
                    build_platform: self.project.build_platform(),
                    now: self.now,
                    answers: &answers,
                })
            };
            match resolved {
                Resolved::Done(value) => return Ok(value),
                Resolved::Needs(mut needs) => {
                    if self.own_tags == OwnTags::Recorded {
                        self.answer_from_records(&mut needs);
                    }
                    self.answer(needs).await;
                }
            }
        }
        Err(CommandError::new(
            "the registries' answers lead on without an end",
        ))
    }

    /// Answers from the records what they know of our own tags. Where two runs published at the same time they don't.
    fn answer_from_records(&self, needs: &mut Needs) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        for image in &self.tip.inventory.images {
            let Some(lead) = image.lead_tag() else {
                continue;
            };
            for tag in image.moving_tags() {
                let known = match self.records.heads(&image.name, &lead).as_slice() {
                    [_] => self.records.last_moved(&image.name, &lead, &tag),
                    _ => None,
                };
                if let Some(index) = known
                    && needs.tags.remove(&tag)
                {
                    answers.tags.insert(tag, Answer::Found(index.clone()));
                }
            }
        }
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
        let releases = self.releases(&needs.releases);
        let sources = self.sources(&needs.sources);
        let adopted = self.about_adoptable(&needs).await;
        let checks = needs.checks.iter().map(|key| async move {
            let check = self.check(key).await;
            (key.clone(), check)
        });
        let checks: Vec<_> = stream::iter(checks)
            .buffer_unordered(checked::CONCURRENCY)
            .collect()
            .await;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.checks.extend(checks);
        answers.tags.extend(tags);
        answers.documents.extend(documents);
        answers.configs.extend(configs);
        answers.releases.extend(releases);
        answers.sources.extend(sources);
        answers.provenances.extend(adopted.provenances);
        answers.origins.extend(adopted.origins);
        answers.listings.extend(adopted.listings);
    }
}

/// How every target stands, at the tip that was asked about.
pub(crate) struct Standing {
    pub(crate) status: Status,
    pub(crate) tip: Arc<Snapshot>,
    pub(crate) requests: Requests,
    /// How many notes could not be read.
    pub(crate) damaged: usize,
    /// When each line was swept last.
    pub(crate) swept: LastSweeps,
}

/// When lines were swept last, as the records of this clone know it.
#[derive(Debug)]
pub(crate) struct LastSweeps {
    /// The line that is checked out.
    line: String,
    all: BTreeMap<String, Timestamp>,
}

impl LastSweeps {
    /// All of them, by line.
    pub(crate) fn all(&self) -> &BTreeMap<String, Timestamp> {
        &self.all
    }

    /// The last one of the line that is checked out; of a branch that nobody sweeps, the last of another, which is
    /// named.
    pub(crate) fn last(&self) -> Option<(Option<&str>, Timestamp)> {
        if let Some(at) = self.all.get(&self.line) {
            return Some((None, *at));
        }
        let others = self.all.iter().max_by_key(|(_, at)| **at);
        others.map(|(line, at)| (Some(line.as_str()), *at))
    }
}

/// How every target of the commit that is checked out stands; of the working tree where there is no commit yet.
pub(crate) async fn status(project: &Project, own_tags: OwnTags) -> Result<Standing, CommandError> {
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
    let mut observer = Observer::new(project, line, tip, project.registries_with(patience))?;
    observer.own_tags = own_tags;
    let mut status = observer.resolve(plan::status).await?;
    status.plan.problems.clone_from(&observer.tip.problems);
    let requests = observer.registries.requests();
    Ok(Standing {
        status,
        tip: observer.tip,
        requests,
        damaged: observer.records.damaged,
        swept: LastSweeps {
            line: observer.line.name,
            all: observer.records.swept().clone(),
        },
    })
}
