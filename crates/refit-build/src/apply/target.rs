//! One target: found under its staging tag, or built, checked and staged there.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use refit_deps::{
    pin::Pin,
    plan::{Action, Step},
    record::{BuildRecord, FailureClass, Record},
};
use refit_logs::{Outcome as LogOutcome, Recorder, Redactor, TargetRecord};
use refit_oci::Digest;
use refit_platform::Target;
use refit_registry::Registries;

use super::{
    Done, Failed, Outcome, Prepared, Site, Workshop, control,
    control::Broken,
    cutoff, gate, io_failed, mirror,
    mirror::Unmirrored,
    pinned,
    pinned::Settled,
    rebase::{self, NoRebase},
    stage,
};
use crate::engine::{Built, EngineError, PinnedBase, Recipe};

/// How a rebased manifest came to be.
pub(super) const REBASE: &str = "rebase";

/// A manifest that was made.
pub(super) struct Made {
    pub(super) manifest: Digest,
    /// The base's uncompressed layers.
    pub(super) base_diff_ids: Vec<Digest>,
    /// A word for the record.
    pub(super) how: &'static str,
}

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
    Ok(head.map_err(|e| Failed::of(&e))?.digest().cloned())
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
    let result = in_time(step, site, build(step, settled, pins, site, &mut log)).await;
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
    let (outcome, record) = match result {
        Ok(Made {
            manifest,
            base_diff_ids,
            how,
        }) => {
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
        },
        records: record.into_iter().collect(),
    }
}

/// A build that takes too long is given up: what it holds goes with it, and the engine stops.
async fn in_time<T>(
    step: &Step,
    site: &Site<'_>,
    build: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    let Some(timeout) = site.control.timeout_of(&step.target.image) else {
        return build.await;
    };
    let late = |_| Broken {
        class: FailureClass::Timeout,
        failed: Failed {
            message: format!("it took longer than its `timeout`, {}s", timeout.as_secs()),
            excerpt: None,
            hint: None,
        },
    };
    tokio::time::timeout(timeout, build).await.map_err(late)?
}

async fn build(
    step: &Step,
    settled: &[Settled],
    pins: &[Pin],
    site: &Site<'_>,
    log: &mut (dyn Write + Send),
) -> Result<Made, Broken> {
    let mut in_the_way = None;
    if let Action::Rebase(rebase) = &step.action {
        match rebase::rebase(step, rebase, (settled, pins), site, log).await {
            Ok(made) => return Ok(made),
            Err(NoRebase::Failed(failed)) => return Err(failed.into()),
            Err(NoRebase::InTheWay(why)) => {
                let _ = writeln!(log, "no rebase: {}", why.message);
                for line in why.excerpt.iter().flat_map(|e| e.lines()) {
                    let _ = writeln!(log, "{line}");
                }
                in_the_way = Some(why);
            }
        }
    }
    let engine = site.engines.engine(step.engine);
    let engine = engine.map_err(|failed| after(in_the_way, failed))?;
    let work = tempfile::Builder::new()
        .prefix("build-")
        .tempdir_in(&site.scratch);
    let work = work.map_err(|e| io_failed("make a folder in", &site.scratch, &e))?;
    let Prepared {
        image,
        file,
        resolved,
        context,
        secrets,
    } = site.workshop.prepare(step, work.path())?;
    let mut bases = Vec::new();
    for (found_index, found) in resolved.found.iter().enumerate() {
        if found.kind == refit_dockerfile::Kind::Frontend {
            continue; // the engine's own frontend reads the reduced Dockerfile
        }
        let Some(pin) = pinned::pin_of(found, settled) else {
            let message = format!("`{}` has no pin", found.written);
            return Err(Broken::from(Failed {
                message,
                excerpt: None,
                hint: None,
            }));
        };
        let registry = site.registries.registry(pin.repository.registry());
        let (repository, manifest) = (pin.repository.clone(), pin.manifest.clone());
        bases.push(PinnedBase {
            found_index,
            registry,
            repository,
            manifest,
        });
    }
    pinned::check_triggers(site.registries, &resolved, settled, step).await?;
    let root = pinned::root_base(&resolved)
        .and_then(|index| pinned::pin_of(&resolved.found[index], settled));
    let base_diff_ids = match root {
        Some(base) => pinned::diff_ids(site.registries, base).await?,
        None => Vec::new(),
    };
    let recipe = Recipe {
        dockerfile_text: file.text.clone(),
        file_name: image.dockerfile.clone(),
        file: (*file).clone(),
        resolved,
        platform: step.target.platform.clone(),
        target_stage: image.target.clone(),
        build_args: image.build_args.clone(),
        labels: image.labels.clone(),
        network: image.network.clone(),
        secrets,
        no_cache: step.no_cache,
        context,
        pins: bases,
        work_dir: work.path().join("engine"),
    };
    std::fs::create_dir(&recipe.work_dir)
        .map_err(|e| io_failed("make the folder", &recipe.work_dir, &e))?;
    let built = match engine.check(&recipe) {
        Ok(()) => engine.build(&recipe, log).await,
        Err(refusal) => Err(EngineError::Refused(refusal)),
    };
    let built = built.map_err(|error| Broken {
        class: control::class_of(&error),
        failed: explain(&error, &recipe),
    })?;
    check(&built, &base_diff_ids, step)?;
    if let Some(manifest) = cutoff::kept(step, &built, &step.key(pins), site).await? {
        return Ok(Made {
            manifest,
            base_diff_ids,
            how: "rebuild",
        });
    }
    let made_of = (&recipe.resolved, recipe.pins.as_slice());
    let manifest = stage::push(step, &image, made_of, &built, pins, site).await?;
    Ok(Made {
        manifest,
        base_diff_ids,
        how: "rebuild",
    })
}

/// A failure to build what could not be rebased.
fn after(in_the_way: Option<Failed>, failed: Failed) -> Failed {
    match in_the_way {
        None => failed,
        Some(why) => Failed {
            message: format!("no rebase: {}; and {}", why.message, failed.message),
            excerpt: why.excerpt,
            hint: failed.hint,
        },
    }
}

/// The last check before anything is pushed: the right platform, on the pinned base.
pub(super) fn check(built: &Built, base_diff_ids: &[Digest], step: &Step) -> Result<(), Failed> {
    let got = built.image.platform();
    let failed = |message| {
        Err(Failed {
            message,
            excerpt: None,
            hint: None,
        })
    };
    if !refit_platform::satisfies(&got, &step.target.platform) {
        return failed(format!(
            "the engine built for {got} instead of {}",
            step.target.platform
        ));
    }
    if !built.image.rootfs.diff_ids.starts_with(base_diff_ids) {
        return failed(
            "the result does not begin with the layers of the base it was pinned to".to_owned(),
        );
    }
    if built.layers.len() != built.image.rootfs.diff_ids.len() {
        return failed("the result's config and its layers disagree in number".to_owned());
    }
    Ok(())
}

/// An engine's error with the Dockerfile's line, where it names one.
fn explain(error: &EngineError, recipe: &Recipe) -> Failed {
    let at = |span: &std::ops::Range<usize>, message: &str| {
        let problem = refit_deps::problem::Problem::at(
            &recipe.file_name,
            &recipe.dockerfile_text,
            span.clone(),
            message,
        );
        Failed {
            message: problem.to_string(),
            excerpt: problem.excerpt,
            hint: None,
        }
    };
    match error {
        EngineError::Refused(refusal) => Failed {
            hint: refusal.hint.clone(),
            ..at(&refusal.span, &refusal.message)
        },
        EngineError::Instruction { span, message, .. } => at(span, message),
        other => Failed::of(other),
    }
}

fn record(
    step: &Step,
    pins: &[Pin],
    manifest: &Digest,
    base_diff_ids: Vec<Digest>,
    how: &str,
    log: Option<Digest>,
    site: &Site<'_>,
) -> Record {
    Record::Build(BuildRecord {
        image: step.target.image.clone(),
        platform: step.target.platform.clone(),
        line: step.line.clone(),
        source: step.source.clone(),
        commit: step.commit.clone(),
        deps: pins.to_vec(),
        base_diff_ids,
        manifest: manifest.clone(),
        how: how.to_owned(),
        engine: step.engine.as_str().to_owned(),
        reasons: step.reasons.iter().map(|r| r.word().to_owned()).collect(),
        run: site.run.id().to_string(),
        log,
        at: (site.clock)().to_string(),
    })
}

/// What is done, as a word in the run's record.
fn action(step: &Step) -> &'static str {
    match step.action {
        Action::Rebuild => "rebuild",
        Action::Rebase(_) => REBASE,
        Action::Publish { .. } => "publish",
    }
}

/// Writes the outcome into the run's record; the log archive is for people, and its loss fails nothing.
pub(super) fn note(
    step: &Step,
    site: &Site<'_>,
    outcome: LogOutcome,
    manifest: Option<&Digest>,
    log: Option<&Digest>,
    message: Option<&str>,
) {
    let _ = site.run.record(TargetRecord {
        target: step.target.to_string(),
        action: action(step).to_owned(),
        outcome,
        log: log.cloned(),
        manifest: manifest.cloned(),
        message: message.map(str::to_owned),
        part: None,
    });
}

/// Writes to the archive, and line by line to the terminal.
struct Tee<'a> {
    recorder: &'a mut Recorder,
    target: &'a Target,
    workshop: &'a dyn Workshop,
    line: Vec<u8>,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.recorder.write_all(bytes)?;
        for byte in bytes {
            match byte {
                b'\n' => self.end(),
                byte => self.line.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.recorder.flush()
    }
}

impl Tee<'_> {
    fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.workshop
                .line(self.target, &String::from_utf8_lossy(&line));
        }
    }
}
