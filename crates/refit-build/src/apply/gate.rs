//! The gate before tags move: what was built anew is tested where it is staged. What fails is no result: nothing is
//! published of it, and nothing is built on it.

use std::{
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use refit_deps::{
    plan::{Action, Step},
    record::{FailureClass, Record},
};
use refit_logs::{Outcome as LogOutcome, TargetRecord};
use refit_oci::Digest;

use super::{Done, Outcome, Site, Tested, control, target::Finished, trace::note};

/// Keeps what a test printed in the run's archive, as a log of its own beside the build's. Its loss fails nothing.
fn archived(step: &Step, printed: &[String], tested: &Tested, site: &Site<'_>) -> Option<Digest> {
    let why = match tested {
        Tested::Passed if printed.is_empty() => return None,
        Tested::Passed => None,
        Tested::Failed(failed) | Tested::CouldNot(failed) => Some(failed.message.as_str()),
    };
    let name = format!("{} test", step.target);
    let mut recorder = site.run.recorder(&name, "test").ok()?;
    for text in printed.iter().map(String::as_str).chain(why) {
        writeln!(recorder, "{text}").ok()?;
    }
    let log = recorder.finish().ok()?;
    let outcome = match tested {
        Tested::Passed => LogOutcome::Succeeded,
        Tested::Failed(_) | Tested::CouldNot(_) => LogOutcome::Failed,
    };
    let _ = site.run.record(TargetRecord {
        target: name,
        action: "test".to_owned(),
        outcome,
        log: Some(log.clone()),
        manifest: None,
        message: why.map(str::to_owned),
        part: None,
        node: None,
    });
    Some(log)
}

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
    if !site.workshop.is_tested(step) {
        return Finished { done, records };
    }
    // What was built has its turn still.
    let _turn = match step.action {
        Action::Rebuild => None,
        Action::Rebase(_) | Action::Publish { .. } => site.control.turn(site.slots).await,
    };
    let printed = Mutex::new(Vec::new());
    let line = |text: &str| {
        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        printed.push(text.to_owned());
        drop(printed);
        site.workshop.line(&step.target, text);
    };
    let tested = site.workshop.test(step, &manifest, &line).await;
    let printed = printed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let log_of_test = archived(step, &printed, &tested, site);
    let (class, failed) = match tested {
        Tested::Passed => return Finished { done, records },
        Tested::Failed(failed) => (FailureClass::Test, failed),
        Tested::CouldNot(failed) => (FailureClass::Environment, failed),
    };
    let Done {
        target, log, node, ..
    } = done;
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
    let about = (class, log_of_test.or_else(|| log.clone()));
    records.extend(key.and_then(|key| control::record(step, key, about, site)));
    Finished {
        done: Done {
            target,
            outcome: Outcome::Failed(failed),
            log,
            node,
        },
        records,
    }
}
