//! `refit deps record`: writes down what the images that a commit touched are built on.

mod resolve;
mod touched;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use clap::Args;
use refit_deps::{
    image::Image,
    pin::{self, Pin},
    record::{DepsRecord, Record},
    sentence,
};
use refit_dockerfile::FoundSource;
use refit_git::notes::{Batch, RECORDS};
use refit_oci::{ObjectId, Platform, Reference};

use self::resolve::{Resolutions, resolve};
pub(crate) use self::touched::{Touched, touched};
use super::App;
use crate::{
    commands::report,
    error::{CommandError, Exit},
    project::{Project, Snapshot},
    ui::{self, count},
};

/// Record what the images that a commit touched are built on
///
/// Writes git notes: a sentence for people on the commit, records for refit on the Dockerfiles. An image is touched
/// if its Dockerfile, its settings or what its build can see changed. Registries are asked what the bases are now;
/// what does not answer in time is recorded without a digest. Needs no configuration.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit deps record\n  \
    refit deps record --commit HEAD~3\n  \
    git log --notes=refit              what was recorded, for people")]
pub(crate) struct RecordArgs {
    /// The commit to record
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    commit: String,
    /// Record every image, not only what the commit touched
    #[arg(long)]
    all: bool,
    /// How many milliseconds to wait for registries
    #[arg(long = "budget", value_name = "MS", default_value_t = 15_000)]
    budget_ms: u64,
    /// Show what would be recorded, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// What a commit's images are built on, not written yet.
pub(crate) struct Recording {
    /// Of targets that lack a record at this commit.
    pub(crate) records: Vec<DepsRecord>,
    /// One line an image.
    pub(crate) sentences: Vec<String>,
    /// References without a digest, and why.
    pub(crate) unresolved: BTreeMap<Reference, String>,
    batch: Batch,
}

pub(super) async fn run(app: &App, args: &RecordArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    if let (refit_git::Head::Unborn { .. }, "HEAD") = (project.repo.head()?, args.commit.as_str()) {
        return Err(
            CommandError::new("there is no commit to record yet").hint("run `git commit` first")
        );
    }
    let commit = project.repo.resolve(&args.commit)?;
    let snapshot = project.at(&commit)?;
    let budget = Duration::from_millis(args.budget_ms);
    let touched = if args.all {
        touched::all(&project, &snapshot)
    } else {
        touched(&project, &snapshot, &commit)?
    };
    let n_touched = touched.len();
    let recording = prepare(&project, &snapshot, &commit, touched, budget).await?;
    if !args.dry_run {
        write(&project, &recording)?;
    }
    app.ui.data(&recording.sentences.join("\n"));
    for (reference, why) in &recording.unresolved {
        app.ui.warning(&format!(
            "{} is recorded without a digest: {why}",
            ui::reference(reference)
        ));
    }
    app.ui.note(&match (recording.records.len(), args.dry_run) {
        (0, _) if n_touched == 0 => format!("commit {} touches no image", commit.short()),
        (0, _) => format!(
            "{} of commit {} {} recorded already",
            count(n_touched, "image"),
            commit.short(),
            if n_touched == 1 { "is" } else { "are" }
        ),
        (n, false) => format!(
            "{} recorded for commit {}",
            count(n, "target"),
            commit.short()
        ),
        (n, true) => format!(
            "{} would be recorded for commit {}",
            count(n, "target"),
            commit.short()
        ),
    });
    Ok(report::snapshot(app, &snapshot))
}

/// Finds out what is to be recorded of the `touched` images for `commit`, waiting for registries no longer than `budget`.
pub(crate) async fn prepare(
    project: &Project,
    snapshot: &Snapshot,
    commit: &ObjectId,
    touched: Touched<'_>,
    budget: Duration,
) -> Result<Recording, CommandError> {
    let wanted = resolve::externals(snapshot, &touched);
    let (resolved, unresolved) = resolve(project, wanted, budget).await;
    let at = project.environment.now_text();
    let mut recording = Recording {
        records: Vec::new(),
        sentences: Vec::new(),
        unresolved,
        batch: Batch::default(),
    };
    let mut parents = BTreeMap::new();
    for (image, sources) in &touched {
        let Some((blob, _)) = project.repo.blob_at(commit, &image.dockerfile)? else {
            continue;
        };
        let lines = project.repo.notes_of(RECORDS, &blob)?;
        let known: Vec<Record> = lines
            .iter()
            .filter_map(|line| Record::parse(line))
            .collect();
        for (platform, source) in sources {
            let deps = pins(snapshot, image, platform, &resolved, &mut parents);
            let record = DepsRecord {
                image: image.name.clone(),
                platform: platform.clone(),
                source: source.id.clone(),
                commit: commit.clone(),
                deps,
                at: at.clone(),
            };
            if known.iter().any(|line| says_as_much(line, &record)) {
                continue;
            }
            let line = Record::Deps(record.clone()).to_line();
            recording
                .batch
                .records
                .entry(blob.clone())
                .or_default()
                .insert(line);
            recording.records.push(record);
        }
    }
    recording.sentences = sentence::deps(&recording.records, &parents);
    if !recording.sentences.is_empty() {
        recording
            .batch
            .sentences
            .insert(commit.clone(), recording.sentences.clone());
    }
    let images: BTreeSet<&str> = recording
        .records
        .iter()
        .map(|record| record.image.as_str())
        .collect();
    recording.batch.message = format!(
        "deps: {} at {}",
        count(images.len(), "image"),
        commit.short()
    );
    Ok(recording)
}

/// Writes it.
pub(crate) fn write(project: &Project, recording: &Recording) -> Result<(), CommandError> {
    if !recording.records.is_empty() {
        project.repo.notes_append(&recording.batch)?;
    }
    Ok(())
}

/// The pins of one target; in-repo parents are noted in `parents` by the reference that means them.
fn pins(
    snapshot: &Snapshot,
    image: &Image,
    platform: &Platform,
    resolved: &Resolutions,
    parents: &mut BTreeMap<Reference, String>,
) -> Vec<Pin> {
    let mut pins = Vec::new();
    for found in snapshot
        .scans
        .target(&image.name, platform)
        .into_iter()
        .flat_map(|r| &r.found)
    {
        let parent = snapshot.edges.parent(&image.name, found);
        let reference = match &found.source {
            FoundSource::Reference(reference) => Some(reference.clone()),
            FoundSource::InRepo(name) => snapshot.inventory.image(name).and_then(own_reference),
        };
        let Some(reference) = reference else { continue };
        let mut pin = Pin {
            kind: found.kind,
            reference: reference.clone(),
            platform: found.platform.clone(),
            index: None,
            manifest: None,
        };
        match parent {
            Some(parent) => _ = parents.insert(reference, parent.image.to_owned()),
            None => {
                if let Some((index, manifest)) = resolved.get(&(reference, found.platform.clone()))
                {
                    pin.index.clone_from(index);
                    pin.manifest = Some(manifest.clone());
                }
            }
        }
        pins.push(pin);
    }
    pin::sort(&mut pins);
    pins
}

/// How an image of the repository is named where nothing but a build context does.
fn own_reference(image: &Image) -> Option<Reference> {
    image
        .lead_tag()
        .or_else(|| image.destination().tagged("latest").ok())
}

/// Whether a line of the note makes `record` superfluous: the same, with as many digests.
fn says_as_much(line: &Record, record: &DepsRecord) -> bool {
    let Record::Deps(there) = line else {
        return false;
    };
    let same_target = there.image == record.image && there.platform == record.platform;
    let same_state = there.commit == record.commit && there.source == record.source;
    let n_known = |deps: &[Pin]| deps.iter().filter(|pin| pin.manifest.is_some()).count();
    same_target && same_state && n_known(&there.deps) >= n_known(&record.deps)
}
