//! What of a plan lies under its staging tags, whoever built it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use refit_deps::plan::{Action, Plan, Step};
use refit_oci::Digest;
use refit_platform::Target;
use refit_registry::Registries;

use super::{Failed, Outcome, pinned, target};

/// How many registries' answers are waited for at once.
const CONCURRENCY: usize = 16;

/// What is staged.
#[derive(Debug, Default)]
pub struct Staged {
    /// The manifests under the staging tags.
    pub manifests: BTreeMap<Target, Digest>,
    /// Targets of which that is unknown: a registry did not answer.
    pub unknown: BTreeMap<Target, Failed>,
}

/// Looks for the results of these targets, and of whatever in the plan they are built on. What is built on something
/// that is not staged can't be, and is not asked for.
pub async fn staged(plan: &Plan, wanted: &BTreeSet<Target>, registries: &Registries) -> Staged {
    let needed = with_parents(plan, wanted);
    let mut staged = Staged::default();
    let mut results: BTreeMap<Target, Outcome> = BTreeMap::new();
    let mut steps: Vec<&Step> = plan.steps.iter().collect();
    steps.retain(|step| needed.contains(&step.target));
    for wave in steps.chunk_by(|a, b| a.wave == b.wave) {
        let asked = wave.iter().filter_map(|step| {
            let settled = pinned::settle(step, &results).ok()?;
            Some((*step, pinned::pins(&settled)))
        });
        let asked: Vec<_> = asked.collect();
        let answers = asked.iter().map(|(step, pins)| async move {
            let found = if let Action::Publish { manifest } = &step.action {
                Ok(Some(manifest.clone()))
            } else {
                target::at_staging_tag(step, pins, registries).await
            };
            (step.target.clone(), found)
        });
        let answers: Vec<_> = stream::iter(answers)
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        for (target, found) in answers {
            match found {
                Ok(Some(manifest)) => {
                    results.insert(target.clone(), Outcome::Staged(manifest.clone()));
                    staged.manifests.insert(target, manifest);
                }
                Ok(None) => {}
                Err(failed) => {
                    staged.unknown.insert(target, failed);
                }
            }
        }
    }
    staged
}

fn with_parents(plan: &Plan, wanted: &BTreeSet<Target>) -> BTreeSet<Target> {
    let mut needed = BTreeSet::new();
    // Steps are sorted by wave: from the last on, all that need a parent come before it.
    for step in plan.steps.iter().rev() {
        if wanted.contains(&step.target) || needed.contains(&step.target) {
            needed.insert(step.target.clone());
            needed.extend(refit_deps::plan::outcome::parents(step).cloned());
        }
    }
    needed
}
