//! How a run ends the process.

use refit_build::apply::Applied;
use refit_deps::{
    plan::Plan,
    reason::{State, StateKind},
};

use refit_platform::Target;

use crate::error::Exit;

/// The exit code of what was done.
pub(crate) fn exit_of_applied(applied: &Applied) -> Exit {
    if applied.failed() {
        Exit::Partial
    } else {
        Exit::Fine
    }
}

/// The exit code of what a sweep could not even try. What others decided is reported, and fine.
pub(crate) fn exit_of_sweep(plan: &Plan) -> Exit {
    worst(plan.states.iter().map(|state| out_of_reach(plan, state)))
}

/// The exit code of what a build could not even try. It was asked for its images: one that is not its to write is left
/// undone.
pub(crate) fn exit_of_build(plan: &Plan) -> Exit {
    let undone = plan.states.iter().map(|state| match state.kind {
        StateKind::Foreign { .. }
        // It was rolled back: a release is held by nothing else.
        | StateKind::Held { .. }
        | StateKind::MovedElsewhere { .. }
        | StateKind::NewerIsPublished { .. }
        | StateKind::Claimed { .. }
        | StateKind::ReleaseSourceGone { .. }
        | StateKind::Adoptable { .. }
        | StateKind::ReleaseSourceUnknown { .. }
        | StateKind::ReleaseSourceKnown { .. } => Exit::Partial,
        // What stays on the base before is done all the same.
        StateKind::BaseHeld { .. } | StateKind::Deferred { .. } if !is_planned(plan, state) => {
            Exit::Partial
        }
        _ => out_of_reach(plan, state),
    });
    worst(undone).or(Exit::with(&plan.problems))
}

fn is_planned(plan: &Plan, state: &State) -> bool {
    let of_state = |target: &Target| {
        target.image == state.image && state.platform.as_ref() == Some(&target.platform)
    };
    plan.kept.iter().any(of_state) || plan.steps.iter().any(|step| of_state(&step.target))
}

fn out_of_reach(plan: &Plan, state: &State) -> Exit {
    match state.kind {
        _ if state.kind.is_unknown() => Exit::CannotDo,
        // What can be rebased is patched all the same.
        StateKind::NeedsGeneratedFiles { .. } if !is_planned(plan, state) => Exit::Partial,
        StateKind::Broken { .. }
        | StateKind::BackingOff { .. }
        | StateKind::CheckError { .. }
        | StateKind::CheckNotAccepted
        | StateKind::MissingTag { .. }
        | StateKind::MissingPlatform { .. }
        | StateKind::Schema1 { .. }
        | StateKind::NestedIndex { .. } => Exit::Partial,
        _ => Exit::Fine,
    }
}

fn worst(exits: impl Iterator<Item = Exit>) -> Exit {
    exits.fold(Exit::Fine, Exit::or)
}
