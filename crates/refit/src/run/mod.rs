//! A run: a plan applied as one, its logs and records kept.

mod engines;
mod exit;
mod explained;
pub(crate) mod foreseen;
mod json;
mod shown;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Mutex, PoisonError},
};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use refit_build::{
    apply::{self, Applied, Control, Failed, Outcome, Site},
    native::LayerTables,
    rebase::Rebaser,
};
use refit_deps::{
    plan::{self, Plan},
    reason::Reason,
    record::{Record, SweptRecord},
    sentence::{self, BaseMove},
};
use refit_git::notes::{Batch, SENTENCES};
use refit_logs::{RunId, RunKind, RunSettings};
use refit_oci::ObjectId;

use self::{engines::engines, watch::TerminalWatch};
use crate::{
    commands::App, error::CommandError, generated::Checkouts, observe::Observer,
    secrets::SecretStore, workshop::LineWorkshop,
};

pub(crate) use exit::{exit_of_applied, exit_of_build, exit_of_sweep};
pub(crate) use explained::{annotate as explain, explained};
pub(crate) use json::{nothing_json, plan_json, ran_json};
pub(crate) use shown::{announce, show_applied, show_plan, show_published};

/// How many targets are built at the same time on this machine.
const SLOTS: usize = 2;
/// How many targets are under way at the same time, with those that are rebased or published as they are; and images whose
/// tags move. Nearly all of that is waiting for registries.
const AT_ONCE: usize = 8;

/// How often a sweep that has nothing to do records that it was there: the records of every quarter of an hour would
/// outgrow those of builds.
const IDLE_SWEEPS: SignedDuration = SignedDuration::from_hours(1);

/// How the user steers a run.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Steering {
    /// How many targets are built at the same time; default: 2, or as many as all nodes have slots
    #[arg(long, short = 'j', value_name = "N", value_parser = jobs)]
    pub(crate) jobs: Option<usize>,
    /// Begin nothing more once a target failed; without it, only what is built on it is left out
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

/// At least one, and no more than any machine has use for.
fn jobs(text: &str) -> Result<usize, String> {
    let jobs = text.parse().ok().filter(|jobs| (1..=256).contains(jobs));
    jobs.ok_or_else(|| "give a number from 1 to 256".to_owned())
}

/// After how long somebody else writes what a run has left out: until then it may be under way.
const LEFT_OUT_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) id: RunId,
    pub(crate) applied: Applied,
}

/// Applies a plan as one run: logs kept, records written after every wave, a sentence for people at the end.
pub(crate) async fn apply(
    app: &App,
    observer: &Observer<'_>,
    plan: &Plan,
    (kind, steering): (RunKind, Steering),
    remote: Option<String>,
) -> Result<Ran, CommandError> {
    let project = observer.project;
    let tables = LayerTables::kept_in(project.own_dir().join("tables"));
    let engines = engines((app, project), plan, &tables).await?;
    let signer = app.environment.signer()?;
    let id = new_id();
    let scratch = tempfile::Builder::new().prefix("refit-").tempdir();
    let scratch =
        scratch.map_err(|e| CommandError::new(format!("cannot make a temporary folder: {e}")))?;
    let secrets = secrets_of(observer, plan);
    let settings = RunSettings {
        clock: Timestamp::now,
        secrets: secrets.hidden(),
    };
    let run = project.archive().start(id, kind, settings)?;
    let watch = TerminalWatch { ui: &app.ui };
    let first = match kind {
        RunKind::Sweep => seen(observer, plan, SignedDuration::ZERO),
        _ => Vec::new(),
    };
    let workshop = LineWorkshop {
        observer,
        watch: &watch,
        secrets: &secrets,
        checkouts: Checkouts::in_folder(scratch.path()),
        // What is promoted is published whatever a test says of it.
        tested: match kind {
            RunKind::Promote => BTreeSet::new(),
            _ => published_images(plan),
        },
        message: format!("refit: {} {id}", kind.as_str()),
        remote,
        observed: Mutex::new(first),
        kept: Mutex::default(),
    };
    let clock = || app.environment.now();
    let timeout = |image: &str| observer.tip.inventory.image(image)?.timeout;
    let failed_before = |key: &str| {
        let failure = observer.records.failure(key);
        failure.map_or(0, |failure| failure.count)
    };
    let mut control = Control::default()
        .failing_fast(steering.fail_fast)
        .with_timeouts(&timeout);
    if kind == RunKind::Sweep {
        control = control.recording(&failed_before);
    }
    let slots = steering.jobs.unwrap_or(SLOTS.max(engines.n_slots()));
    let site = Site {
        registries: &observer.registries,
        engines: &engines,
        rebaser: &Rebaser::with_tables(tables),
        workshop: &workshop,
        run: &run,
        clock: &clock,
        scratch: scratch.path().to_owned(),
        slots,
        at_once: steering.jobs.unwrap_or(AT_ONCE.max(slots)),
        control,
        signer: signer.as_ref(),
    };
    let applied = match apply::apply(plan, &site).await {
        Ok(applied) => applied,
        Err(failed) => {
            run.finish(refit_logs::Outcome::Failed)?;
            return Err(command_error(&failed));
        }
    };
    let outcome = if applied.failed() {
        refit_logs::Outcome::Failed
    } else {
        refit_logs::Outcome::Succeeded
    };
    run.finish(outcome)?;
    workshop.keep_observed()?;
    if let Some(commit) = &observer.line.commit {
        let kept = workshop
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let now = app.environment.now();
        if let Some(text) = sentence_of(plan, &applied, kind, (id, now), &kept) {
            let mut sentences = left_out(observer, now)?;
            sentences.entry(commit.clone()).or_default().push(text);
            let message = format!("refit: {} {id}", kind.as_str());
            workshop.append(&Batch {
                records: BTreeMap::new(),
                sentences,
                message,
            })?;
        }
    }
    Ok(Ran { id, applied })
}

/// The images whose tags move.
fn published_images(plan: &Plan) -> BTreeSet<String> {
    let published = plan.publications.iter();
    let published = published.filter(|p| !p.tags.is_empty() || !p.unique_tags.is_empty());
    published.map(|p| p.image.clone()).collect()
}

/// The sentences of runs that were killed after their records, and before those.
fn left_out(
    observer: &Observer<'_>,
    now: Timestamp,
) -> Result<BTreeMap<ObjectId, Vec<String>>, CommandError> {
    let said = observer.project.repo.notes(SENTENCES)?;
    let before = now - LEFT_OUT_AFTER;
    Ok(sentence::left_out(&observer.records, said.lines(), before))
}

/// The secrets of everything that is rebuilt, as the built commit's own configuration names them.
fn secrets_of(observer: &Observer<'_>, plan: &Plan) -> SecretStore {
    let mut images = BTreeMap::new();
    for step in plan.steps.iter().filter(|s| s.action.may_build()) {
        // What can't be read fails its own step, with a word on why.
        let Ok(snapshot) = observer.source(step.commit.as_ref()) else {
            continue;
        };
        if let Some(image) = snapshot.inventory.image(&step.target.image) {
            images.insert((&step.target.image, &step.commit), image.clone());
        }
    }
    SecretStore::of(observer.project, images.values())
}

/// Keeps what a sweep without steps has seen of bases: how long they are waited for counts from there; and that it was.
pub(crate) fn keep_seen(
    app: &App,
    observer: &Observer<'_>,
    plan: &Plan,
    remote: Option<String>,
) -> Result<(), CommandError> {
    let watch = TerminalWatch { ui: &app.ui };
    let workshop = LineWorkshop {
        observer,
        watch: &watch,
        secrets: &SecretStore::default(),
        checkouts: Checkouts::in_folder(Path::new("")),
        tested: BTreeSet::new(),
        message: "refit: bases that moved".to_owned(),
        remote,
        observed: Mutex::new(seen(observer, plan, IDLE_SWEEPS)),
        kept: Mutex::default(),
    };
    workshop.keep_observed()
}

fn seen(observer: &Observer<'_>, plan: &Plan, every: SignedDuration) -> Vec<Record> {
    let seen = plan.seen.iter();
    let seen = seen.map(|seen| Record::Seen(seen.record(observer.now)));
    let knows_all = !plan.states.iter().any(|state| state.kind.is_unknown());
    let swept = swept(observer, every).filter(|_| observer.is_full_sweep && knows_all);
    let left_out = plan.left_out.iter().cloned();
    seen.chain(swept).chain(left_out).collect()
}

/// Has a plan complete the records of runs that were killed between a tag and its record.
pub(crate) async fn complete(observer: &Observer<'_>, plan: &mut Plan) -> Result<(), CommandError> {
    let steps = plan.steps.iter().map(|step| &step.target);
    let images = steps.chain(&plan.kept).map(|target| target.image.clone());
    let images: BTreeSet<String> = images.collect();
    let before = observer.now - LEFT_OUT_AFTER;
    let records = observer
        .resolve(|ground| plan::left_out(ground, &images, before))
        .await?;
    plan.complete(records);
    Ok(())
}

/// The record of a sweep, unless there is one that is younger than `every`. A sweep without steps makes none where there
/// is no other record: that records are missing must stay visible.
fn swept(observer: &Observer<'_>, every: SignedDuration) -> Option<Record> {
    let Observer { line, now, .. } = observer;
    let image = observer.tip.inventory.images.first()?;
    let last = observer.records.swept().get(&line.name);
    let is_due = last.is_none_or(|last| now.duration_since(*last) >= every);
    let others = observer.records.present || every.is_zero();
    (others && is_due).then(|| {
        Record::Swept(SweptRecord {
            image: image.name.clone(),
            line: line.name.clone(),
            at: now.to_string(),
        })
    })
}

/// The id of a run that begins now.
pub(crate) fn new_id() -> RunId {
    RunId::new(Timestamp::now(), randomness())
}

fn randomness() -> [u8; 10] {
    let bytes = ulid::Ulid::new().to_bytes();
    let mut random = [0; 10];
    random.copy_from_slice(&bytes[6..]);
    random
}

fn command_error(failed: &Failed) -> CommandError {
    let error = CommandError::new(&failed.message);
    match &failed.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The run's line in `git log --notes=refit`; none if nothing was published.
fn sentence_of(
    plan: &Plan,
    applied: &Applied,
    kind: RunKind,
    (id, at): (RunId, Timestamp),
    kept: &[Record],
) -> Option<String> {
    let published: BTreeSet<String> = kept
        .iter()
        .filter_map(|record| match record {
            Record::Publish(publish) => Some(publish.image.clone()),
            _ => None,
        })
        .collect();
    if published.is_empty() {
        return None;
    }
    let mut moves: BTreeSet<BaseMove> = BTreeSet::new();
    for reason in plan.steps.iter().flat_map(|step| &step.reasons) {
        if let Reason::BaseChanged {
            reference,
            from,
            to,
            ..
        } = reason
        {
            moves.insert(BaseMove {
                reference: reference.clone(),
                from: from.clone(),
                to: to.clone(),
            });
        }
    }
    let kept_targets = plan.kept.len()
        + applied
            .done
            .iter()
            .filter(|d| matches!(d.outcome, Outcome::Kept(_)))
            .count();
    let moves: Vec<BaseMove> = moves.into_iter().collect();
    let date = at.strftime("%Y-%m-%d").to_string();
    let mut done: sentence::Done<'_> = BTreeMap::new();
    for image in published {
        done.entry(done_with(&image, applied, kind))
            .or_default()
            .insert(image);
    }
    let id = id.to_string();
    let run = (date.as_str(), kind.as_str(), id.as_str());
    Some(sentence::run(run, &done, kept_targets, &moves))
}

/// What was done with an image, in a word. One platform that was built makes it more than a rebase.
fn done_with(image: &str, applied: &Applied, kind: RunKind) -> &'static str {
    let outcomes = || {
        let of_image = applied.done.iter().filter(|d| d.target.image == image);
        of_image.map(|done| &done.outcome)
    };
    let is_rebased = outcomes().any(|outcome| matches!(outcome, Outcome::Rebased(_)));
    let is_built = outcomes().any(|outcome| matches!(outcome, Outcome::Built(_)));
    match kind {
        RunKind::Promote => "published",
        _ if is_rebased && !is_built => "rebased",
        RunKind::Sweep => "rebuilt",
        RunKind::Rebase => "rebased",
        RunKind::Build | RunKind::Task => "built",
    }
}
