//! Whether what is planned as a rebase will be one: the proofs, tried before anything is done.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use refit_deps::plan::{Action, Plan, Rebase, Step, outcome};
use refit_platform::Target;
use refit_registry::Registries;

use super::{
    Described, Failed, pinned,
    rebase::{Means, NoRebase, is_proven},
};
use crate::rebase::Rebaser;

/// How many proofs are under way at once.
const AT_ONCE: usize = 4;

/// What will become of a step that is planned as a rebase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// It will be one, and comes to what a rebuild would.
    Rebased,
    /// It will be one without a proof, its config merged: the user's word.
    Merged,
    /// There is no proof: it will be built.
    Built(Failed),
    /// It will fail.
    Fails(Failed),
    /// It is put on this one, which has to be there first.
    After(Target),
}

/// What will become of the rebases of a plan. Nothing is written, to no registry.
pub async fn foresee(
    plan: &Plan,
    registries: &Registries,
    rebaser: &Rebaser,
    describe: &(dyn Fn(&Step) -> Result<Described, Failed> + Sync),
) -> BTreeMap<Target, Foreseen> {
    let means = Means {
        registries,
        rebaser,
        describe,
    };
    let tried = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Rebase(rebase) => Some(of_step(step, rebase, &means)),
        Action::Rebuild | Action::Publish { .. } => None,
    });
    // Boxed, as the compiler can't tell that a stream of them may be sent.
    let tried: Vec<_> = tried.map(Box::pin).collect();
    stream::iter(tried)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

async fn of_step(step: &Step, rebase: &Rebase, means: &Means<'_>) -> (Target, Foreseen) {
    let foreseen = match (
        outcome::parents(step).next(),
        pinned::settle(step, &BTreeMap::new()),
    ) {
        (Some(parent), _) => Foreseen::After(parent.clone()),
        (None, Err(why)) => Foreseen::Fails(Failed {
            message: why,
            excerpt: None,
            hint: None,
        }),
        (None, Ok(settled)) => match is_proven(step, rebase, &settled, means).await {
            Ok(true) => Foreseen::Rebased,
            Ok(false) => Foreseen::Merged,
            Err(NoRebase::InTheWay(why)) => Foreseen::Built(why),
            Err(NoRebase::Failed(why)) => Foreseen::Fails(why),
        },
    };
    (step.target.clone(), foreseen)
}
