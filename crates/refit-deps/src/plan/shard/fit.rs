//! What of a plan still holds: a step is built as it was planned, or not at all.

use refit_oci::{Digest, ObjectId, Reference};

use super::file::{PinnedOn, PlannedStep};
use crate::{
    plan::{Plan, PlannedPin, Step},
    reason::{State, StateKind},
    source::SourceId,
};

/// How a planned step compares with the plan as it would be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is the same.
    Same,
    /// Its result is published by now, or nothing is stale any more.
    Done,
    /// It is not what would be done now.
    Unfit(Unfit),
}

/// Why a planned step is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The line has no such target, or nothing would be done to it.
    NotPlanned,
    /// The target is in a state that a sweep leaves alone.
    State(StateKind),
    /// Another commit is released by now.
    Commit {
        /// The planned one.
        planned: Option<ObjectId>,
        /// The one that would be built now.
        now: Option<ObjectId>,
    },
    /// The commit has another source than the plan says.
    Source {
        /// The planned one.
        planned: SourceId,
        /// What the commit has.
        now: SourceId,
    },
    /// Another engine would build it.
    Engine {
        /// The planned one.
        planned: String,
        /// The one that would build it now.
        now: &'static str,
    },
    /// It would be built on something else.
    Base {
        /// What the Dockerfile names.
        reference: Reference,
        /// What was planned; none: the result of a step, or nothing.
        planned: Option<Digest>,
        /// What it is now; none: the result of a step.
        now: Option<Digest>,
    },
    /// Its tag holds something else.
    Tag {
        /// What it held.
        planned: Option<Digest>,
        /// What it holds now.
        now: Option<Digest>,
    },
}

/// Compares a planned step with the plan as it would be made now.
pub fn fit(planned: &PlannedStep, now: &Plan) -> Fit {
    let Some(step) = now.step(&planned.target) else {
        if now.kept.contains(&planned.target) {
            return Fit::Done;
        }
        let of_target = |state: &&State| {
            let platform = state.platform.as_ref();
            state.image == planned.target.image
                && platform.is_none_or(|platform| *platform == planned.target.platform)
        };
        let state = now.states.iter().find(of_target);
        return Fit::Unfit(
            state.map_or(Unfit::NotPlanned, |state| Unfit::State(state.kind.clone())),
        );
    };
    compare(planned, step, now).map_or(Fit::Same, Fit::Unfit)
}

fn compare(planned: &PlannedStep, step: &Step, now: &Plan) -> Option<Unfit> {
    if planned.commit != step.commit {
        let (planned, now) = (planned.commit.clone(), step.commit.clone());
        return Some(Unfit::Commit { planned, now });
    }
    if planned.source != step.source {
        let (planned, now) = (planned.source.clone(), step.source.clone());
        return Some(Unfit::Source { planned, now });
    }
    if planned.engine != step.engine.as_str() {
        let (planned, now) = (planned.engine.clone(), step.engine.as_str());
        return Some(Unfit::Engine { planned, now });
    }
    let differs = step.pins.iter().find_map(|pin| differs(planned, pin));
    if differs.is_some() || planned.pins.len() != step.pins.len() {
        let gone = || {
            let reference = planned.pins.first()?.reference.clone();
            Some(Unfit::Base {
                reference,
                planned: None,
                now: None,
            })
        };
        return differs.or_else(gone).or(Some(Unfit::NotPlanned));
    }
    let publication = now
        .publications
        .iter()
        .find(|p| p.image == planned.target.image);
    let expects = publication.and_then(|p| p.expects.clone());
    (expects != planned.expects).then(|| Unfit::Tag {
        planned: planned.expects.clone(),
        now: expects,
    })
}

/// What a dependency is now, where that is not what was planned.
fn differs(planned: &PlannedStep, pin: &PlannedPin) -> Option<Unfit> {
    let same = |p: &&PinnedOn| {
        p.kind == pin.kind().as_str()
            && p.reference == *pin.reference()
            && p.platform == *pin.platform()
    };
    let planned = planned.pins.iter().find(same);
    let (fits, now) = match (planned, pin) {
        (None, _) => (false, None),
        (Some(planned), PlannedPin::Step { target, .. }) => {
            (planned.step.as_ref() == Some(target), None)
        }
        // The parent that was to be built is published by now.
        (Some(planned), PlannedPin::Known { pin, parent, .. }) => {
            let of_parent = planned.step.as_ref().map(|step| &step.image);
            let fits = match of_parent {
                Some(image) => parent.as_ref() == Some(image),
                None => planned.manifest == pin.manifest,
            };
            (fits, pin.manifest.clone())
        }
    };
    (!fits).then(|| Unfit::Base {
        reference: pin.reference().clone(),
        planned: planned.and_then(|planned| planned.manifest.clone()),
        now,
    })
}
