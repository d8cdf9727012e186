//! The gate before tags move: what was built anew is tested where it is staged. What fails is no result: nothing is
//! published of it, and nothing is built on it.

use refit_deps::{
    plan::Step,
    record::{FailureClass, Record},
};
use refit_logs::Outcome as LogOutcome;

use super::{Done, Outcome, Site, Tested, control, target::Finished, trace::note};

/// A finished target, tested.
pub(super) async fn pass(step: &Step, finished: Finished, site: &Site<'_>) -> Finished {
    let Finished { done, mut records } = finished;
    let manifest = match &done.outcome {
        Outcome::Built(manifest) | Outcome::Rebased(manifest) | Outcome::Staged(manifest) => {
            manifest.clone()
        }
        // What is published stays, or there is nothing to test.
        Outcome::Kept(_) | Outcome::Failed(_) | Outcome::Skipped(_) => {
            return Finished { done, records };
        }
    };
    let (class, failed) = match site.workshop.test(step, &manifest).await {
        Tested::Passed => return Finished { done, records },
        Tested::Failed(failed) => (FailureClass::Test, failed),
        Tested::CouldNot(failed) => (FailureClass::Environment, failed),
    };
    let Done { target, log, .. } = done;
    let message = Some(failed.message.as_str());
    note(
        step,
        site,
        LogOutcome::Failed,
        Some(&manifest),
        log.as_ref(),
        message,
    );
    let pins = records.iter().find_map(|record| match record {
        Record::Build(build) => Some(build.deps.clone()),
        _ => None,
    });
    let key = pins.map(|pins| step.key(&pins).tag());
    let about = (class, log.clone());
    records.extend(key.and_then(|key| control::record(step, key, about, site)));
    Finished {
        done: Done {
            target,
            outcome: Outcome::Failed(failed),
            log,
        },
        records,
    }
}
