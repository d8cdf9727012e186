//! Canaries: images that are built, tested and published before anything else of the plan is begun.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::plan::{Plan, PlannedPublication, Step};
use refit_platform::Target;

use super::{Applied, Done, Outcome, Published, Site};

/// What the phases so far came to.
#[derive(Default)]
pub(super) struct Way {
    pub(super) results: BTreeMap<Target, Outcome>,
    /// Images whose tags did not move.
    pub(super) stuck: BTreeSet<String>,
}

impl Way {
    /// An image of an earlier phase that did not come out well.
    pub(super) fn failed_canary(&self, applied: &Applied) -> Option<String> {
        let failed =
            |outcome: &Outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Skipped(_));
        let failed = self.results.iter().find(|(_, outcome)| failed(outcome));
        let unpublished = || applied.published.iter().find(|p| p.failed.is_some());
        failed
            .map(|(target, _)| target.image.clone())
            .or_else(|| unpublished().map(|published| published.image.clone()))
    }
}

/// The parts of a plan, one after the other: its canaries, if it has any, and the rest.
pub(super) fn phases(plan: &Plan) -> Vec<Plan> {
    let part = |is_first: bool| {
        let is_of = |image: &str| plan.canary.contains(image) == is_first;
        let steps = plan.steps.iter().filter(|step| is_of(&step.target.image));
        let publications = plan.publications.iter().filter(|p| is_of(&p.image));
        Plan {
            steps: steps.cloned().collect::<Vec<Step>>(),
            publications: publications.cloned().collect::<Vec<PlannedPublication>>(),
            ..Plan::default()
        }
    };
    let mut phases = vec![part(true), part(false)];
    phases.retain(|phase| !phase.steps.is_empty());
    phases
}

/// Nothing of a phase is begun.
pub(super) fn leave_out(phase: &Plan, canary: &str, (applied, site): (&mut Applied, &Site<'_>)) {
    let why = format!("not begun: the canary `{canary}` failed");
    for step in &phase.steps {
        let done = Done {
            target: step.target.clone(),
            outcome: Outcome::Skipped(why.clone()),
            log: None,
            node: None,
        };
        site.workshop.done(&done);
        applied.done.push(done);
    }
    for publication in &phase.publications {
        let tags = publication.tags.iter();
        applied.published.push(Published {
            image: publication.image.clone(),
            reference: None,
            previous: publication.expects.clone(),
            tags: tags.map(|tag| (tag.clone(), Err(why.clone()))).collect(),
            platforms: BTreeMap::new(),
            failed: Some(why.clone()),
        });
    }
}
