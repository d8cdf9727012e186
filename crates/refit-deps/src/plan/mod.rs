//! The plan: which targets are built, on what, in which order, why, and what is left alone.

mod adopted;
mod adopting;
mod assemble;
mod back_off;
mod checks;
mod compare;
mod dependencies;
mod evaluate;
mod explain;
mod mirror;
mod onbuild;
pub mod outcome;
mod promote;
mod queue;
mod rebase;
mod release;
mod released_source;
mod restore;
mod rolled_back;
pub mod shard;
mod shares;
mod statement;
mod status;
mod suspect;
mod sweep;
mod verify;
mod view;
mod wait;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use refit_dockerfile::Kind;
use refit_oci::{Digest, ObjectId, Platform, Reference, Repository};
use refit_platform::Target;

use crate::{
    config::Partial,
    key::{Because, EngineKind, Key},
    pin::Pin,
    problem::Problem,
    reason::{Reason, State, StateKind, Unaffected},
    record::{Record, SeenRecord},
    scan::Triggers,
    source::SourceId,
};

pub use adopting::adopt;
pub use explain::{Cheaper, NotTaken};
pub use mirror::BaseCopy;
pub use promote::{PromoteOptions, promote};
pub use rebase::{InTheWay, OrElse, Rebase};
pub use release::{ReleaseOptions, release};
pub use restore::{RestorePlan, left_out, restore};
pub use statement::{Claim, ClaimedTarget, compare as compare_statement};
pub use status::{Status, StatusRow, Word, status};
pub use sweep::{LAYER_FORMAT, SweepOptions, sweep};
pub use verify::{Finding, Verification, verify};
pub use view::{PlanView, StepView, mirror as mirror_json, state as state_json};

/// What will be done, and what not.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Sorted by wave, then target.
    pub steps: Vec<Step>,
    /// Bases that are copied to a registry of ours before anything is built on them there, sorted.
    pub mirrors: Vec<BaseCopy>,
    /// One for each image with steps, in the order in which tags move: parents first.
    pub publications: Vec<PlannedPublication>,
    /// Images that go before all others, with what they are built on: where one fails, the others stay.
    pub canary: BTreeSet<String>,
    /// Published targets that stay as they are.
    pub kept: Vec<Target>,
    /// What is reported and left alone.
    pub states: Vec<State>,
    /// Bases that moved without a change for a target that is kept, by target.
    pub unaffected: Vec<Unaffected>,
    /// Digests that bases have moved to and that no record knows yet: the records a sweep writes of them say when.
    pub seen: Vec<Seen>,
    /// Records that killed runs have left out, the oldest of an image first: they go with what is recorded next.
    pub left_out: Vec<Record>,
    /// Dockerfiles that could not be used.
    pub problems: Vec<Problem>,
    /// How many targets were evaluated for it once everything was known: what it took, on any machine.
    pub n_evaluated: usize,
}

/// A digest that a base has moved to, seen for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The first image that is built on it.
    pub image: String,
    /// The base's tag.
    pub reference: Reference,
    /// The index, or the manifest where the tag is no index.
    pub digest: Digest,
}

impl Seen {
    /// The record of it.
    pub fn record(&self, now: Timestamp) -> SeenRecord {
        SeenRecord {
            image: self.image.clone(),
            reference: self.reference.clone(),
            digest: self.digest.clone(),
            at: now.to_string(),
        }
    }
}

/// One target to build, or to take as it was built already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub target: Target,
    /// What is done.
    pub action: Action,
    /// Why a target whose base moved is no rebase, where that is asked.
    pub in_the_way: Option<Box<InTheWay>>,
    /// From 1; a step's parents are in earlier waves.
    pub wave: usize,
    /// The line it is built for; none for the working tree.
    pub line: Option<String>,
    /// The commit whose source is built; none for the working tree.
    pub commit: Option<ObjectId>,
    /// The source's id.
    pub source: SourceId,
    /// What it is built on.
    pub pins: Vec<PlannedPin>,
    /// What its bases make it execute first.
    pub triggers: Triggers,
    /// Who builds it.
    pub engine: EngineKind,
    /// What decided that.
    pub because: Because,
    /// Where it is staged and pushed to.
    pub repository: Repository,
    /// The published manifest that it replaces.
    pub replaces: Option<Digest>,
    /// Whether layer caches are not to be read.
    pub no_cache: bool,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Runs the Dockerfile.
    Rebuild,
    /// Puts the published layers on the new base.
    Rebase(Box<Rebase>),
    /// It lies under its staging tag: take that.
    Publish {
        /// The staged manifest.
        manifest: Digest,
    },
}

/// A pin, or the step whose result will be one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PlannedPin {
    /// Known.
    Known {
        /// The pin.
        pin: Pin,
        /// Where it is read from: an in-repo parent's own repository, whatever name the Dockerfile has for it.
        repository: Repository,
        /// The in-repo parent's name.
        parent: Option<String>,
    },
    /// Known once that step is done.
    Step {
        /// How the target depends on it.
        kind: Kind,
        /// The reference in the Dockerfile.
        reference: Reference,
        /// The platform that is pulled.
        platform: Platform,
        /// The step.
        target: Target,
        /// Where its result is staged.
        repository: Repository,
    },
}

/// How an image's tags move when its steps are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedPublication {
    /// The image.
    pub image: String,
    /// The line.
    pub line: String,
    /// The commit that the index names.
    pub commit: Option<ObjectId>,
    /// Moving tags, the lead first; empty: nothing is published.
    pub tags: Vec<Reference>,
    /// Tags that are written if they are not there.
    pub unique_tags: Vec<Reference>,
    /// What the lead tag must still hold; none: nothing.
    pub expects: Option<Digest>,
    /// What the lead tag holds instead of what was published last, where the release writes over it.
    pub over: Option<StateKind>,
    /// The commit that `expects` was released from, by the records.
    pub released: Option<ObjectId>,
    /// What further tags were moved to last, by the records: one that still holds that was left behind, and moves on.
    pub last_moved: Vec<(Reference, Digest)>,
    /// Manifests that stay, by platform.
    pub kept: BTreeMap<Platform, Digest>,
    /// The publish record that this one follows.
    pub after: Option<String>,
    /// The run whose results are published by the user's decision.
    pub promotes: Option<String>,
    /// Whether tags that hold something else than the lead may be written: on a release.
    pub release: bool,
    /// What a patch publishes that fails on some platforms.
    pub partial: Partial,
    /// Whether the index gets a statement of how it was made.
    pub provenance: bool,
    /// Whether what BuildKit attests of its manifests is kept in the index.
    pub attested: bool,
    /// What all platforms of the index get beside refit's own annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Action {
    /// Whether an engine may be needed.
    pub fn may_build(&self) -> bool {
        match self {
            Self::Rebuild => true,
            Self::Rebase(rebase) => rebase.or_else == OrElse::Rebuild,
            Self::Publish { .. } => false,
        }
    }
}

impl Step {
    /// The run that built it, where it is published by the user's decision.
    fn promotes(&self) -> Option<String> {
        let mut reasons = self.reasons.iter();
        reasons.find_map(|reason| match reason {
            Reason::Promoted { run } => Some(run.clone()),
            _ => None,
        })
    }

    /// The key of its staging tag, with these pins.
    pub fn key<'a>(&'a self, pins: &'a [Pin]) -> Key<'a> {
        Key {
            source: &self.source,
            engine: self.engine,
            layer_format: LAYER_FORMAT,
            pins,
            platform: &self.target.platform,
            replaces: self.replaces.as_ref().filter(|_| self.no_cache),
            rebased: match &self.action {
                // What is proven is what a rebuild comes to, and lies where that would.
                Action::Rebase(rebase) if rebase.or_else == OrElse::Merge => {
                    Some(&rebase.published)
                }
                _ => None,
            },
        }
    }
}

impl Plan {
    /// Adds what killed runs have left out: what is published of the same images follows it.
    pub fn complete(&mut self, records: Vec<Record>) {
        for record in &records {
            let Record::Publish(publish) = record else {
                continue;
            };
            let mut of_image = self.publications.iter_mut();
            if let Some(planned) = of_image.find(|p| p.image == publish.image) {
                planned.after = Some(publish.id.clone());
            }
        }
        self.left_out = records;
    }

    /// The step of a target.
    pub fn step(&self, target: &Target) -> Option<&Step> {
        self.steps.iter().find(|step| step.target == *target)
    }
}

impl PlannedPin {
    /// How the target depends on it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Known { pin, .. } => pin.kind,
            Self::Step { kind, .. } => *kind,
        }
    }

    /// The reference in the Dockerfile.
    pub fn reference(&self) -> &Reference {
        match self {
            Self::Known { pin, .. } => &pin.reference,
            Self::Step { reference, .. } => reference,
        }
    }

    /// The platform that is pulled.
    pub fn platform(&self) -> &Platform {
        match self {
            Self::Known { pin, .. } => &pin.platform,
            Self::Step { platform, .. } => platform,
        }
    }
}
