//! One target: found under its staging tag, or built, checked and staged there.

use std::{collections::BTreeMap, io::Write as _};

use refit_deps::{
    pin::Pin,
    plan::{Action, Step},
    record::{FailureClass, Record},
};
use refit_logs::{Outcome as LogOutcome, Redactor};
use refit_oci::{Digest, media_type};
use refit_platform::Target;
use refit_registry::{Head, Registries};

use super::{
    Done, Failed, Outcome, Site,
    build::{Made, build},
    control,
    control::{Broken, Waited, in_time},
    gate, mirror,
    mirror::Unmirrored,
    pinned,
    pinned::Settled,
    trace::{REBASE, Tee, action, note, record},
};

/// A target that is done, and the record of how its manifest was made.
pub(super) struct Finished {
    pub(super) done: Done,
    pub(super) records: Vec<Record>,
}

/// Brings a step to its end, unless the run was stopped. Nothing here fails the run.
pub(super) async fn attempt(
    step: &Step,
    results: &BTreeMap<Target, Outcome>,
    unmirrored: &Unmirrored,
    site: &Site<'_>,
) -> Finished {
    let _turn = match step.action {
        Action::Rebuild => site.control.turn(site.slots).await,
        Action::Rebase(_) | Action::Publish { .. } => None,
    };
    if let Some(why) = site.control.stopped() {
        return skipped(step, site, why);
    }
    let finished = finish(step, results, unmirrored, site).await;
    let finished = gate::pass(step, finished, site).await;
    if matches!(finished.done.outcome, Outcome::Failed(_)) {
        site.control.note_failure();
    }
    finished
}

fn skipped(step: &Step, site: &Site<'_>, why: String) -> Finished {
    note(step, site, LogOutcome::Skipped, None, None, Some(&why));
    Finished {
        done: Done {
            target: step.target.clone(),
            outcome: Outcome::Skipped(why),
            log: None,
            node: None,
        },
        records: Vec::new(),
    }
}

async fn finish(
    step: &Step,
    results: &BTreeMap<Target, Outcome>,
    unmirrored: &Unmirrored,
    site: &Site<'_>,
) -> Finished {
    let done = |outcome, log| Done {
        target: step.target.clone(),
        outcome,
        log,
        node: None,
    };
    let settled = match pinned::settle(step, results) {
        Ok(settled) => settled,
        Err(why) => return skipped(step, site, why),
    };
    let pins = pinned::pins(&settled);
    let staged = match staged(step, &pins, site).await {
        // Only what is built needs its bases.
        Ok(None) => mirror::missing(&settled, unmirrored).map_or(Ok(None), |why| Err(why.clone())),
        staged => staged,
    };
    match staged {
        Ok(Some(manifest)) => {
            note(
                step,
                site,
                LogOutcome::Succeeded,
                Some(&manifest),
                None,
                None,
            );
            let record = record(step, &pins, &manifest, Vec::new(), "publish", None, site);
            let kept = step.replaces.as_ref() == Some(&manifest);
            let outcome = if kept {
                Outcome::Kept(manifest)
            } else {
                Outcome::Staged(manifest)
            };
            Finished {
                done: done(outcome, None),
                records: vec![record],
            }
        }
        Ok(None) => build_logged(step, &settled, &pins, site).await,
        Err(failed) => {
            note(
                step,
                site,
                LogOutcome::Failed,
                None,
                None,
                Some(&failed.message),
            );
            let about = (FailureClass::Environment, None);
            let record = control::record(step, step.key(&pins).tag(), about, site);
            Finished {
                done: done(Outcome::Failed(failed), None),
                records: record.into_iter().collect(),
            }
        }
    }
}

/// The manifest under today's staging tag.
async fn staged(step: &Step, pins: &[Pin], site: &Site<'_>) -> Result<Option<Digest>, Failed> {
    if let Action::Publish { manifest } = &step.action {
        return Ok(Some(manifest.clone()));
    }
    let found = at_staging_tag(step, pins, site.registries).await?;
    // A forced build that came to the same says nothing of this one.
    Ok(found.filter(|found| !(step.no_cache && step.replaces.as_ref() == Some(found))))
}

/// The same, whatever the plan says, and although a forced build came to what is published.
pub(super) async fn at_staging_tag(
    step: &Step,
    pins: &[Pin],
    registries: &Registries,
) -> Result<Option<Digest>, Failed> {
    let reference = step.key(pins).reference(&step.repository);
    let registry = registries.registry(step.repository.registry());
    let head = registry.head(&reference).await;
    Ok(match head.map_err(|e| Failed::of(&e))? {
        // A result is a manifest: an index takes such a tag's place only where a `prune` was cut short.
        Head::Found { media_type, .. }
            if media_type.as_deref().is_some_and(media_type::is_index) =>
        {
            None
        }
        head => head.digest().cloned(),
    })
}

async fn build_logged(step: &Step, settled: &[Settled], pins: &[Pin], site: &Site<'_>) -> Finished {
    let name = step.target.to_string();
    let mut recorder = match site.run.recorder(&name, action(step)) {
        Ok(recorder) => recorder,
        Err(error) => {
            let done = Done {
                target: step.target.clone(),
                outcome: Outcome::Failed(Failed::of(&error)),
                log: None,
                node: None,
            };
            return Finished {
                done,
                records: Vec::new(),
            };
        }
    };
    let log = Tee {
        recorder: &mut recorder,
        target: &step.target,
        workshop: site.workshop,
        line: Vec::new(),
    };
    // The archive hides secrets by itself; whoever watches sees none either.
    let mut log = Redactor::new(log, site.run.secrets().clone());
    let waited = Waited::default();
    let building = Box::pin(build((step, &waited), settled, pins, site, &mut log));
    let result = in_time(step, &waited, site, building).await;
    if let Ok(mut log) = log.finish() {
        log.end();
    }
    if let Err(Broken { failed, .. }) = &result {
        // For the archive; whoever watches is told of the outcome. A log that can't be written is no reason to lose
        // the failure itself.
        let _ = writeln!(recorder, "{}", failed.message);
        for more in failed.excerpt.iter().flat_map(|e| e.lines()) {
            let _ = writeln!(recorder, "{more}");
        }
    }
    let log = recorder.finish().ok();
    let mut built_on = None;
    let (outcome, record) = match result {
        Ok(Made {
            manifest,
            base_diff_ids,
            how,
            node,
        }) => {
            built_on = node;
            note(
                step,
                site,
                LogOutcome::Succeeded,
                Some(&manifest),
                log.as_ref(),
                None,
            );
            let record = record(step, pins, &manifest, base_diff_ids, how, log.clone(), site);
            let kept = step.replaces.as_ref() == Some(&manifest);
            (
                if kept {
                    Outcome::Kept(manifest)
                } else if how == REBASE {
                    Outcome::Rebased(manifest)
                } else {
                    Outcome::Built(manifest)
                },
                Some(record),
            )
        }
        Err(Broken { class, failed }) => {
            note(
                step,
                site,
                LogOutcome::Failed,
                None,
                log.as_ref(),
                Some(&failed.message),
            );
            let about = (class, log.clone());
            let record = control::record(step, step.key(pins).tag(), about, site);
            (Outcome::Failed(failed), record)
        }
    };
    Finished {
        done: Done {
            target: step.target.clone(),
            outcome,
            log,
            node: built_on,
        },
        records: record.into_iter().collect(),
    }
}
