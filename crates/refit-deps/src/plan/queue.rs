//! What of a plan is done in this sweep: canaries before everything else, and no more targets than `limit` says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use refit_platform::Target;

use super::{Plan, PlannedPin, Step, evaluate::Evaluator};
use crate::reason::{Queue, State, StateKind};

impl Evaluator<'_> {
    /// Leaves out what has to wait for another sweep, and says so.
    pub(super) fn queue(&self, plan: &mut Plan) {
        if !self.scope.queues {
            return;
        }
        let sweep = &self.lookup.ground.inventory.sweep;
        plan.canary = with_parents(plan, &sweep.canaries());
        let waits = plan.states.iter().find(|state| {
            let is_canary = sweep.canaries().contains(state.image.as_str());
            is_canary && matches!(state.kind, StateKind::BackingOff { .. })
        });
        if let Some(canary) = waits.map(|state| state.image.clone()) {
            let keep: BTreeSet<Target> = plan
                .steps
                .iter()
                .filter(|step| plan.canary.contains(&step.target.image))
                .map(|step| step.target.clone())
                .collect();
            leave_out(plan, &keep, &Queue::Canary { image: canary });
        }
        let limit = sweep.limit();
        if limit > 0 && plan.steps.len() > limit {
            let keep = self.first(plan, limit);
            leave_out(plan, &keep, &Queue::Limit { limit });
        }
    }

    /// The targets that are patched now: canaries, then those whose published manifest is the oldest, each with the
    /// parents that it is built on. A release is of all its platforms.
    fn first(&self, plan: &Plan, limit: usize) -> BTreeSet<Target> {
        let by_target: BTreeMap<&Target, &Step> =
            plan.steps.iter().map(|step| (&step.target, step)).collect();
        let mut order: Vec<&Step> = plan.steps.iter().collect();
        order.sort_by_cached_key(|step| {
            let is_canary = plan.canary.contains(&step.target.image);
            (
                !is_canary,
                self.built_at(step),
                step.wave,
                step.target.clone(),
            )
        });
        let released = |image: &str| {
            let mut publications = plan.publications.iter();
            publications.any(|publication| publication.image == image && publication.release)
        };
        let mut keep: BTreeSet<Target> = BTreeSet::new();
        for step in order {
            let mut unit: Vec<&Step> = vec![step];
            let mut at = 0;
            while let Some(step) = unit.get(at).copied() {
                let image = step.target.image.as_str();
                let siblings = plan.steps.iter().filter(|other| {
                    other.target == step.target || (released(image) && other.target.image == image)
                });
                let parents = siblings.flat_map(|sibling| {
                    let parents = parents(sibling).filter_map(|parent| by_target.get(parent));
                    std::iter::once(sibling).chain(parents.copied())
                });
                for more in parents {
                    if !unit.iter().any(|known| known.target == more.target) {
                        unit.push(more);
                    }
                }
                at += 1;
            }
            let new = unit.iter().filter(|step| !keep.contains(&step.target));
            // One that is larger than the limit by itself would never have its turn.
            if keep.len() + new.clone().count() <= limit || keep.is_empty() {
                let new: Vec<Target> = new.map(|step| step.target.clone()).collect();
                keep.extend(new);
            }
        }
        keep
    }

    /// When what it replaces was built; none, before all others: nobody knows.
    fn built_at(&self, step: &Step) -> Option<Timestamp> {
        let records = self.lookup.ground.records;
        let builds = records.builds_of(&step.target.image, step.replaces.as_ref()?);
        builds.filter_map(|build| build.at.parse().ok()).min()
    }
}

fn parents(step: &Step) -> impl Iterator<Item = &Target> {
    step.pins.iter().filter_map(|pin| match pin {
        PlannedPin::Step { target, .. } => Some(target),
        PlannedPin::Known { .. } => None,
    })
}

/// The images with steps among these, and what they are built on in the plan.
fn with_parents(plan: &Plan, images: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = BTreeSet::new();
    // A step's parents are in earlier waves.
    for step in plan.steps.iter().rev() {
        let image = &step.target.image;
        if images.contains(image.as_str()) || all.contains(image) {
            all.insert(image.clone());
            all.extend(parents(step).map(|parent| parent.image.clone()));
        }
    }
    all
}

/// Leaves all other steps out; what is published of them stays.
fn leave_out(plan: &mut Plan, keep: &BTreeSet<Target>, why: &Queue) {
    let (kept, left): (Vec<Step>, Vec<Step>) = std::mem::take(&mut plan.steps)
        .into_iter()
        .partition(|step| keep.contains(&step.target));
    let images: BTreeSet<&str> = kept.iter().map(|s| s.target.image.as_str()).collect();
    plan.publications
        .retain(|publication| images.contains(publication.image.as_str()));
    for step in left {
        let Target { image, platform } = step.target;
        let mut publications = plan.publications.iter_mut();
        if let (Some(publication), Some(manifest)) =
            (publications.find(|p| p.image == image), step.replaces)
        {
            publication.kept.insert(platform.clone(), manifest);
        }
        plan.states.push(State {
            image,
            platform: Some(platform),
            kind: StateKind::Queued(why.clone()),
        });
    }
    plan.steps = kept;
}
