//! `refit adopt`: take on what other tools published, so that sweeps patch it.

mod shown;

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use refit_deps::{
    adopt::{AdoptOptions, AdoptPlan, Adoption, UserSource},
    inventory::clean,
    observe::Line,
    plan,
    publication::claims::Claims,
    reason::StateKind,
    record::{AdoptRecord, AdoptedPlatform, Record},
    sentence,
};
use refit_git::notes::Batch;
use refit_logs::RunId;
use refit_oci::ObjectId;
use serde_json::Value;

use super::{
    App,
    sweep::{refuse_broken_inventory, tips},
};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    lines,
    observe::Observer,
    project::{Project, Snapshot},
    run,
    ui::{Format, count},
    workshop,
};

/// Take on images that other tools published
///
/// Records what each published image was built on and from which commit, so that sweeps patch it from then on. Known is
/// that from BuildKit's provenance, from the image's own annotations or labels, else from its layers and its base's. An
/// image that was pushed in the place of one of refit's is taken only by its name. Nothing is built and no tag moves.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit adopt --dry-run                        what is known of them\n  \
    refit adopt\n  \
    refit adopt web --source v1.4.2              it was built from that commit\n  \
    refit adopt web --source HEAD~3:old/Dockerfile  and from that Dockerfile")]
pub(crate) struct AdoptArgs {
    /// Only these images
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// The commit that was built, and the Dockerfile if it is not the configured one; without names for the images
    /// that do not say it themselves
    #[arg(long, value_name = "REV[:DOCKERFILE]")]
    source: Option<String>,
    /// Show what would be recorded, and write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(app: &App, args: &AdoptArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let source = source(&project, args)?;
    // It is an explicit decision: pushed at once, or not made.
    let remote = workshop::notes_remote(&project, !args.dry_run)?;
    let mut claims = Claims::default();
    let mut before: Option<Observer<'_>> = None;
    let mut exit = Exit::Fine;
    let mut documents: Vec<Value> = Vec::new();
    for (line, mut tip) in tips(&project, &args.images)? {
        refuse_broken_inventory(&tip.inventory.problems)?;
        let claimed = lines::claim(&mut claims, &line.name, &mut tip);
        let options = AdoptOptions {
            images: selected(&tip, args, &claimed.images),
            named: !args.images.is_empty(),
            source: source.clone(),
        };
        let observer = match before.take() {
            Some(before) => before.next(line, tip, &BTreeSet::new())?,
            None => Observer::new(&project, line, tip, project.registries())?,
        };
        let mut plan = observer
            .resolve(|ground| plan::adopt(ground, &options))
            .await?;
        plan.states.extend(claimed.states);
        exit = exit.or(exit_of(&plan));
        let id = (!args.dry_run && !plan.adoptions.is_empty()).then(run::new_id);
        if let Some(id) = id {
            let batch = batch(app, &observer, &plan, id)?;
            workshop::decide(&project, &batch, remote.as_deref())?;
        }
        if args.format.format == Format::Json {
            let requests = observer.registries.requests();
            documents.push(shown::json(&plan, &observer.line, (id, requests)));
        } else {
            shown::print(&app.ui, &plan, args.dry_run);
        }
        before = Some(observer);
    }
    if args.format.format == Format::Json {
        app.ui.json(&shown::merged(documents));
    }
    Ok(exit)
}

fn selected(tip: &Snapshot, args: &AdoptArgs, not_ours: &BTreeSet<String>) -> BTreeSet<String> {
    let images = tip.inventory.images.iter();
    let names = images
        .filter(|image| match args.images.as_slice() {
            [] => !image.tags.is_empty(),
            names => names.contains(&image.name),
        })
        .map(|image| image.name.clone());
    names.filter(|name| !not_ours.contains(name)).collect()
}

/// The source that the user names.
fn source(project: &Project, args: &AdoptArgs) -> Result<Option<UserSource>, CommandError> {
    let Some(text) = &args.source else {
        return Ok(None);
    };
    let (rev, dockerfile) = match text.split_once(':') {
        Some((rev, path)) => (rev, Some(clean(path))),
        None => (text.as_str(), None),
    };
    let commit = project.repo.resolve(rev)?;
    if let Some(path) = &dockerfile {
        if args.images.len() != 1 {
            return Err(CommandError::new(format!(
                "`{path}` is the Dockerfile of one image, and {} named",
                match args.images.len() {
                    0 => "none is".to_owned(),
                    n => format!("{n} are"),
                }
            ))
            .hint(format!("name it: `refit adopt IMAGE --source {text}`")));
        }
        if project.repo.blob_at(&commit, path)?.is_none() {
            let commit = commit.short();
            return Err(CommandError::new(format!(
                "commit {commit} has no `{path}`"
            )));
        }
    }
    Ok(Some(UserSource { commit, dockerfile }))
}

/// The records, and a sentence on the line's tip.
fn batch(
    app: &App,
    observer: &Observer<'_>,
    plan: &AdoptPlan,
    id: RunId,
) -> Result<Batch, CommandError> {
    let mut batch = Batch {
        message: format!("refit: adopt {id}"),
        ..Batch::default()
    };
    let at = app.environment.now_text();
    for adoption in &plan.adoptions {
        let blob = dockerfile_blob(observer, adoption)?;
        let record = record(adoption, &observer.line, (id, &at));
        let line = Record::Adopt(record).to_line();
        batch.records.entry(blob).or_default().insert(line);
    }
    if let Some(commit) = &observer.line.commit {
        let images = plan.adoptions.iter();
        let images: BTreeMap<_, _> = images.map(|a| (a.image.as_str(), &a.index)).collect();
        let date = app.environment.now().strftime("%Y-%m-%d").to_string();
        let sentence = sentence::adopted(&date, &id.to_string(), &images);
        batch.sentences.insert(commit.clone(), vec![sentence]);
    }
    Ok(batch)
}

/// What the record is a note on.
fn dockerfile_blob(observer: &Observer<'_>, adoption: &Adoption) -> Result<ObjectId, CommandError> {
    let commit = &adoption.commit;
    let path = if let Some(recipe) = &adoption.recipe {
        recipe.dockerfile.clone()
    } else {
        let snapshot = observer.snapshot(commit)?;
        clean(&snapshot.image(&adoption.image)?.dockerfile)
    };
    let blob = observer.project.repo.blob_at(commit, &path)?;
    let missing = || CommandError::new(format!("commit {} has no `{path}`", commit.short()));
    blob.map(|(blob, _)| blob).ok_or_else(missing)
}

fn record(adoption: &Adoption, line: &Line, (id, at): (RunId, &str)) -> AdoptRecord {
    let platforms = adoption.platforms.iter().map(|(platform, adopted)| {
        let manifest = adopted.manifest.clone();
        let platform_record = match &adopted.explained {
            Some((source, explained)) => AdoptedPlatform {
                manifest,
                source: Some(source.clone()),
                how: Some(explained.how),
                pins: explained.pins.clone(),
                assumed: explained.assumed.clone(),
            },
            None => AdoptedPlatform {
                manifest,
                source: None,
                how: None,
                pins: Vec::new(),
                assumed: Vec::new(),
            },
        };
        (platform.clone(), platform_record)
    });
    AdoptRecord {
        id: format!("{id}-{}", adoption.image),
        after: adoption.after.clone(),
        image: adoption.image.clone(),
        line: line.name.clone(),
        commit: adoption.commit.clone(),
        recipe: adoption.recipe.clone(),
        index: adoption.index.clone(),
        platforms: platforms.collect(),
        tags: adoption.tags.clone(),
        run: id.to_string(),
        at: at.to_owned(),
    }
}

/// What could not be adopted is left undone; what is not published, or another line's, was not asked for.
fn exit_of(plan: &AdoptPlan) -> Exit {
    plan.states
        .iter()
        .map(|state| match state.kind {
            StateKind::Unpublished | StateKind::NoMovingTag | StateKind::Claimed { .. } => {
                Exit::Fine
            }
            _ if state.kind.is_unknown() => Exit::CannotDo,
            _ => Exit::Partial,
        })
        .fold(Exit::Fine, Exit::or)
}

/// `3 images were adopted`.
fn adopted(n: usize, dry_run: bool) -> String {
    let verb = match (dry_run, n) {
        (true, _) => "would be",
        (false, 1) => "was",
        (false, _) => "were",
    };
    format!("{} {verb} adopted", count(n, "image"))
}
