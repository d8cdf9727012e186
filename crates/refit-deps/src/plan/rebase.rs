//! Whether a step can put the published layers on the new base: what the Dockerfile, the records and the policy say.
//! What the files of the bases say is found when it is applied.

use std::fmt;

use refit_dockerfile::{Found, Kind, StageBase};
use refit_oci::{Digest, Reference, Repository};
use serde::Serialize;

use super::{Action, PlannedPin, evaluate::Candidate, onbuild::Whole};
use crate::{
    image::{Image, RebaseChoice},
    pin::Pin,
    reason::Reason,
};

/// The published layers on another base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebase {
    /// The published manifest.
    pub published: Digest,
    /// The base that it was built on.
    pub was: Pin,
    /// Where that is read.
    pub from: Repository,
    /// What is done where no proof is found.
    pub or_else: OrElse,
}

/// What is done where no proof is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrElse {
    /// It is built.
    Rebuild,
    /// It is put on the new base all the same, its config merged: the user's word.
    Merge,
    /// Nothing: it can't be built, or is not to be.
    Nothing,
}

/// Why a target whose base moved is no rebase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum InTheWay {
    /// An instruction executes on the base.
    Executes {
        /// Its line, from 1.
        line: usize,
    },
    /// ADD fetches something.
    Fetches {
        /// What.
        url: String,
    },
    /// The new base has ONBUILD triggers.
    Triggers,
    /// Something else that it is made of moved, too.
    AlsoMoved {
        /// What.
        reference: Reference,
    },
    /// It is not known to have been built from what would be built now.
    Unrecorded,
    /// The Dockerfile is in another language, or does not begin with an image.
    NoBase,
}

impl Rebase {
    /// The same without a way out.
    #[must_use]
    pub(super) fn or_nothing(self) -> Self {
        Self {
            or_else: OrElse::Nothing,
            ..self
        }
    }
}

/// A stale target.
pub(super) struct Moved<'a> {
    pub(super) policy: RebaseChoice,
    /// What would be built.
    pub(super) entry: &'a Image,
    pub(super) whole: &'a Whole,
    /// How it may have been built.
    pub(super) candidates: &'a [Candidate<'a>],
    pub(super) published: Option<&'a Digest>,
    pub(super) reasons: &'a [Reason],
}

impl Moved<'_> {
    /// What is done, and what is in the way of a rebase.
    pub(super) fn action(&self) -> (Action, Option<Box<InTheWay>>) {
        match self.rebase() {
            Ok(rebase) => (Action::Rebase(rebase.into()), None),
            Err(in_the_way) => (Action::Rebuild, in_the_way.map(Box::new)),
        }
    }

    /// The rebase that brings it up to date; else what is in its way, if its base moved at all and nothing but that.
    pub(super) fn rebase(&self) -> Result<Rebase, Option<InTheWay>> {
        let Some(published) = self.published else {
            return Err(None);
        };
        let is_of_base = |reason: &Reason| {
            matches!(
                reason,
                Reason::BaseChanged { .. } | Reason::ParentRebuilt { .. }
            )
        };
        if self.policy == RebaseChoice::Never || !self.reasons.iter().all(is_of_base) {
            return Err(None);
        }
        let file = &self.whole.file;
        let StageBase::External(index) = file.base else {
            return Err(Some(InTheWay::NoBase));
        };
        let base = file.found.get(index).ok_or(Some(InTheWay::NoBase))?;
        let now = self.whole.pins.iter().find(|pin| is_pin_of(base, pin));
        let now = now.ok_or(Some(InTheWay::NoBase))?;
        let nearest = self.whole.compared.nearest;
        let built = nearest.and_then(|at| self.candidates.get(at));
        let built = built.filter(|built| built.is_from(&self.whole.source));
        let built = built.ok_or(Some(InTheWay::Unrecorded))?;
        let mut was = built.pins.iter();
        let was = was.find(|pin| {
            pin.kind == base.kind && pin.platform == base.platform && pin.manifest.is_some()
        });
        let was = was.ok_or(Some(InTheWay::Unrecorded))?;
        if let Some(reference) = self.also_moved(built, now) {
            return Err(Some(InTheWay::AlsoMoved { reference }));
        }
        if manifest(now).is_some_and(|now| was.manifest.as_ref() == Some(now)) {
            return Err(None);
        }
        if self.policy == RebaseChoice::Auto
            && let Some(in_the_way) = self.unprovable()
        {
            return Err(Some(in_the_way));
        }
        let from = match now {
            PlannedPin::Known {
                repository,
                parent: Some(_),
                ..
            }
            | PlannedPin::Step { repository, .. } => repository,
            PlannedPin::Known { .. } => was.reference.repository(),
        };
        Ok(Rebase {
            published: published.clone(),
            was: was.clone(),
            from: from.clone(),
            or_else: match self.policy {
                RebaseChoice::Always => OrElse::Merge,
                RebaseChoice::Auto | RebaseChoice::Never => OrElse::Rebuild,
            },
        })
    }

    /// The first thing beside the base that is not what it was. What reads the Dockerfile is refit itself.
    fn also_moved(&self, built: &Candidate<'_>, base: &PlannedPin) -> Option<Reference> {
        let pins = self.whole.pins.iter();
        let mut others = pins.filter(|pin| *pin != base && pin.kind() != Kind::Frontend);
        let moved = others.find(|pin| match pin {
            PlannedPin::Known { pin, .. } => {
                let was = built.pin_of(pin).and_then(|was| was.manifest.as_ref());
                was.is_none() || was != pin.manifest.as_ref()
            }
            PlannedPin::Step { .. } => true,
        });
        moved.map(|pin| pin.reference().clone())
    }

    /// What shows before anything is looked at that there will be no proof.
    fn unprovable(&self) -> Option<InTheWay> {
        let file = &self.whole.file;
        let mut executes = file.executes.iter();
        if let Some(execution) = executes.find(|e| file.chain.contains(&e.stage)) {
            let text = self.entry.file.as_ref();
            let start = execution.command.span.start;
            let line = text.map_or(0, |file| file.position(start).0);
            return Some(InTheWay::Executes { line });
        }
        if let Some(remote) = file.remote.first() {
            let url = remote.url.value.clone();
            return Some(InTheWay::Fetches { url });
        }
        let of_base = file.chain.last();
        let has_triggers = of_base.is_some_and(|stage| self.whole.triggers.contains_key(stage));
        has_triggers.then_some(InTheWay::Triggers)
    }
}

fn is_pin_of(base: &Found, pin: &PlannedPin) -> bool {
    pin.kind() == base.kind && *pin.platform() == base.platform
}

fn manifest(pin: &PlannedPin) -> Option<&Digest> {
    match pin {
        PlannedPin::Known { pin, .. } => pin.manifest.as_ref(),
        PlannedPin::Step { .. } => None,
    }
}

impl fmt::Display for InTheWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Executes { line } => write!(f, "line {line} executes on the base"),
            Self::Fetches { url } => write!(f, "what `{url}` holds may have changed"),
            Self::Triggers => f.write_str("the new base has ONBUILD triggers"),
            Self::AlsoMoved { reference } => write!(f, "`{}` moved, too", reference.familiar()),
            Self::Unrecorded => f.write_str("no record says that it was built from this source"),
            Self::NoBase => f.write_str("it does not begin with an image"),
        }
    }
}
