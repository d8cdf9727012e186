//! Moves tags, a child's never before its parent's. A tag that holds something else than the plan
//! expects stays where it is.

mod index;
mod provenance;
mod tags;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt as _, stream};
use refit_deps::{
    plan::{Plan, PlannedPublication, Step, outcome},
    publication,
    record::{PublishRecord, Record},
};
use refit_oci::{Document, Exact, Index, Reference};
use refit_platform::Target;

use super::{Failed, Outcome, Published, Site, pinned};
use provenance::Provenance;
pub use provenance::signed_tag;
pub(super) use provenance::{named, package_url};
pub use tags::copy_published;
use tags::{Moves, Tags};

/// Publishes every image of the plan whose targets came out well.
pub(super) async fn all(
    plan: &Plan,
    results: &BTreeMap<Target, Outcome>,
    stuck: &mut BTreeSet<String>,
    site: &Site<'_>,
) -> Result<Vec<Published>, Failed> {
    let mut steps: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
    for step in &plan.steps {
        steps.entry(&step.target.image).or_default().push(step);
    }
    let mut published: Vec<Option<Published>> = vec![None; plan.publications.len()];
    let mut records = Vec::new();
    let unreachable = Mutex::default();
    let mut stopped = None;
    // Decisions are kept one after the other, and the first that can't be is the end: nothing else ends it.
    let is_decided = plan.publications.iter().any(|p| p.promotes.is_some());
    let at_once = if is_decided { 1 } else { site.at_once.max(1) };
    for images in in_turn(plan, &steps) {
        let before = stuck.clone();
        let names: BTreeSet<&str> = before.iter().map(String::as_str).collect();
        let unreachable = &unreachable;
        let images = images.into_iter().map(|at| {
            let publication = &plan.publications[at];
            let steps = steps.get(publication.image.as_str());
            let steps = steps.map_or(&[][..], Vec::as_slice);
            let image = Image {
                publication,
                steps,
                results,
                site,
                unreachable,
            };
            let stuck_parent = outcome::stuck_parent(steps, &names);
            async move {
                let mut records = Vec::new();
                let result = match stuck_parent {
                    Some(parent) => {
                        Ok(image.nothing(&format!("skipped: its parent {parent} did not move")))
                    }
                    None => image.publish(&mut records).await,
                };
                (at, result, records)
            }
        });
        let mut results = stream::iter(images).buffered(at_once);
        while let Some((at, result, more)) = results.next().await {
            records.extend(more);
            match result {
                Ok(result) => {
                    if result.failed.is_some() {
                        stuck.insert(result.image.clone());
                    }
                    published[at] = Some(result);
                }
                Err(failed) => stopped = stopped.or(Some(failed)),
            }
            if stopped.is_some() {
                break;
            }
        }
        if stopped.is_some() {
            break;
        }
    }
    // What was published before is not undone by what stopped the rest.
    if !records.is_empty() {
        site.workshop.keep(&records)?;
    }
    match stopped {
        None => Ok(published.into_iter().flatten().collect()),
        Some(failed) => Err(failed),
    }
}

/// The places of the images among the plan's publications: first those that are built on no other of them, then those that
/// are built on them alone, and so on. What is in one part may be published at once.
fn in_turn(plan: &Plan, steps: &BTreeMap<&str, Vec<&Step>>) -> Vec<Vec<usize>> {
    let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
    let mut all: Vec<Vec<usize>> = Vec::new();
    for (at, publication) in plan.publications.iter().enumerate() {
        let of_image = steps.get(publication.image.as_str());
        let parents = of_image
            .into_iter()
            .flatten()
            .flat_map(|s| outcome::parents(s));
        // Parents come first in a plan.
        let turns_of_parents = parents.filter_map(|parent| turns.get(parent.image.as_str()));
        let turn = turns_of_parents.max().map_or(0, |turn| turn + 1);
        turns.insert(&publication.image, turn);
        if all.len() <= turn {
            all.resize_with(turn + 1, Vec::new);
        }
        all[turn].push(at);
    }
    all
}

/// Why an image was not published.
enum Stopped {
    /// It stays as it is, and others go on.
    Image(Failed),
    /// A decision could not be kept: nothing more is done.
    Undecided(Failed),
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Self::Image(failed)
    }
}

/// One image's publication.
struct Image<'a> {
    publication: &'a PlannedPublication,
    steps: &'a [&'a Step],
    results: &'a BTreeMap<Target, Outcome>,
    site: &'a Site<'a>,
    /// Further registries that did not answer, by host: one that is down is waited for once a run.
    unreachable: &'a Mutex<BTreeMap<String, String>>,
}

impl Image<'_> {
    fn nothing(&self, why: &str) -> Published {
        Published {
            failed: Some(why.to_owned()),
            ..self.unmoved(None, why)
        }
    }

    /// No tag was moved.
    fn unmoved(&self, reference: Option<Reference>, why: &str) -> Published {
        let tags = self.publication.tags.iter();
        Published {
            image: self.publication.image.clone(),
            reference,
            previous: self.publication.expects.clone(),
            tags: tags.map(|tag| (tag.clone(), Err(why.to_owned()))).collect(),
            platforms: BTreeMap::new(),
            failed: None,
        }
    }

    fn unreachable(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.unreachable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn publish(&self, records: &mut Vec<Record>) -> Result<Published, Failed> {
        match self.try_publish(records).await {
            Ok(published) => Ok(published),
            Err(Stopped::Image(failed)) => Ok(self.nothing(&failed.message)),
            Err(Stopped::Undecided(failed)) => Err(failed),
        }
    }

    async fn try_publish(&self, records: &mut Vec<Record>) -> Result<Published, Stopped> {
        let repository = &self
            .steps
            .first()
            .ok_or_else(|| failed("no target of it is in the plan".to_owned()))?
            .repository;
        let old = self.old_index(repository).await?;
        let index = self.new_index(repository, old.as_ref()).await?;
        let platforms = publication::platforms(&index.value);
        let unchanged = old
            .as_ref()
            .is_some_and(|old| publication::platforms(&old.value) == platforms);
        if unchanged && self.publication.over.is_none() {
            // Everything came to what is published: the records say so, and no tag moves.
            let stays = self.publication.expects.as_ref();
            let stays = stays.map(|digest| repository.at(digest));
            return Ok(Published {
                platforms,
                ..self.unmoved(stays, "it is up to date")
            });
        }
        let registry = self.site.registries.registry(repository.registry());
        let document = Document::Index(index.clone());
        let pushed = registry.push_document(repository, &document, None).await;
        pushed.map_err(|e| Failed::of(&e))?;
        if self.publication.provenance && !self.publication.tags.is_empty() {
            // Before any tag moves: whoever sees the image finds it.
            let provenance = Provenance::of(self, repository, &index);
            let signer = self.site.signer;
            provenance
                .push(registry.as_ref(), repository, signer)
                .await?;
        }
        let tags = match self.move_tags(&index, repository).await? {
            Moves::Tried(tags) => tags,
            Moves::ByAnotherRun(digest) => {
                let why = "another run has published the same";
                return Ok(Published {
                    platforms,
                    ..self.unmoved(Some(repository.at(&digest)), why)
                });
            }
        };
        if !self.is_decision() {
            records.extend(self.record(&index, &tags));
        }
        let lead = tags.first().filter(|(tag, _)| self.is_lead(tag));
        Ok(Published {
            image: self.publication.image.clone(),
            reference: Some(repository.at(&index.digest)),
            previous: self.publication.expects.clone(),
            failed: lead.and_then(|(_, moved)| moved.clone().err()),
            tags,
            platforms,
        })
    }

    fn is_lead(&self, tag: &Reference) -> bool {
        self.publication.tags.first() == Some(tag)
    }

    /// Whether it is published because somebody decided so: recorded before any tag moves, and not after.
    fn is_decision(&self) -> bool {
        self.publication.promotes.is_some()
    }

    /// The record of the move, if the lead tag moved.
    fn record(&self, index: &Exact<Index>, tags: &Tags) -> Option<Record> {
        let moved = tags.iter().filter(|(_, moved)| moved.is_ok());
        let moved: Vec<Reference> = moved.map(|(tag, _)| tag.clone()).collect();
        if !moved.first().is_some_and(|tag| self.is_lead(tag)) {
            return None;
        }
        Some(Record::Publish(PublishRecord {
            id: format!("{}-{}", self.site.run.id(), self.publication.image),
            after: self.publication.after.clone(),
            image: self.publication.image.clone(),
            line: self.publication.line.clone(),
            commit: self.publication.commit.clone(),
            index: index.digest.clone(),
            replaces: self.publication.expects.clone(),
            platforms: publication::platforms(&index.value),
            tags: moved,
            promotes: self.publication.promotes.clone(),
            run: self.site.run.id().to_string(),
            at: (self.site.clock)().to_string(),
        }))
    }
}

fn failed(message: String) -> Failed {
    Failed {
        message,
        excerpt: None,
        hint: None,
    }
}
