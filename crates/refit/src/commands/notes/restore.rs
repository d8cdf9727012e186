//! `refit notes restore`: records that were lost, from what is published.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use refit_deps::{
    inventory::clean,
    plan::{self, RestorePlan, state_json},
    record::Record,
};
use refit_git::notes::Batch;
use refit_oci::{ObjectId, Reference};
use serde_json::json;

use super::App;
use crate::{
    cli::FormatArgs,
    commands::sweep::{refuse_broken_inventory, tips},
    error::{CommandError, Exit},
    observe::Observer,
    ui::{self, Format, GOOD, Table, count},
};

/// Record again what published images say of themselves
///
/// Every index and manifest that refit pushed says from which commit and source it was built, on which digests, and what
/// it replaced. From that come the records of builds and publications that are missing, as far back as the registry has
/// them; of a manifest that another tool made and a patch kept, from BuildKit's provenance beside it. Holds, adoptions and the output of builds are not in a registry: `refit hold` and `refit adopt` record those
/// again. Nothing is pushed: `refit notes push` does.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit notes fetch                              first what another clone still has\n  \
    refit notes restore --from-registry --dry-run\n  \
    refit notes restore --from-registry")]
pub(crate) struct RestoreArgs {
    /// Ask the registries of the images' destinations
    #[arg(long, required = true)]
    from_registry: bool,
    /// Say what would be recorded, and write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(app: &App, args: &RestoreArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let mut before: Option<Observer<'_>> = None;
    let mut all = RestorePlan::default();
    for (line, tip) in tips(&project, &[])? {
        refuse_broken_inventory(&tip.inventory.problems)?;
        let observer = match before.take() {
            Some(before) => before.next(line, tip, &BTreeSet::new())?,
            None => Observer::new(&project, line, tip, project.registries())?,
        };
        let plan = observer.resolve(plan::restore).await?;
        if !args.dry_run && !plan.records.is_empty() {
            project.repo.notes_append(&batch(&observer, &plan)?)?;
        }
        all.records.extend(plan.records);
        all.known.extend(plan.known);
        all.states.extend(plan.states);
        before = Some(observer);
    }
    show(app, args, &all);
    let is_partial = all.states.iter().any(|state| state.kind.is_unknown());
    Ok(if is_partial {
        Exit::Partial
    } else {
        Exit::Fine
    })
}

/// The records, on the Dockerfiles that they are of.
fn batch(observer: &Observer<'_>, plan: &RestorePlan) -> Result<Batch, CommandError> {
    let mut records: BTreeMap<ObjectId, BTreeSet<String>> = BTreeMap::new();
    for record in &plan.records {
        let on = dockerfile_blob(observer, record)?;
        records.entry(on).or_default().insert(record.to_line());
    }
    Ok(Batch {
        records,
        sentences: BTreeMap::new(),
        message: "refit: restore from the registry".to_owned(),
    })
}

/// The blob of an image's Dockerfile at the commit that was built; where that is gone, or not in a shallow clone, that
/// at the line's tip.
fn dockerfile_blob(observer: &Observer<'_>, record: &Record) -> Result<ObjectId, CommandError> {
    let built = match record {
        Record::Build(build) => build.commit.as_ref(),
        Record::Publish(publish) => publish.commit.as_ref(),
        _ => None,
    };
    let image = record.image();
    if let Some(commit) = built
        && let Ok(snapshot) = observer.snapshot(commit)
        && let Ok(image) = snapshot.image(image)
        && let Some((blob, _)) = observer
            .project
            .repo
            .blob_at(commit, &clean(&image.dockerfile))?
    {
        return Ok(blob);
    }
    let path = clean(&observer.tip.image(image)?.dockerfile);
    let tip = observer.line.commit.as_ref();
    let missing = || CommandError::new(format!("`{path}` is not committed"));
    let blob = observer
        .project
        .repo
        .blob_at(tip.ok_or_else(missing)?, &path)?;
    blob.map(|(blob, _)| blob).ok_or_else(missing)
}

fn show(app: &App, args: &RestoreArgs, plan: &RestorePlan) {
    let builds = plan
        .records
        .iter()
        .filter(|r| matches!(r, Record::Build(_)));
    let n_builds = builds.count();
    if args.format.format == Format::Json {
        let records = plan.records.iter().map(|record| json!(record));
        app.ui.json(&json!({
            "format_version": 1, "dry_run": args.dry_run, "records": records.collect::<Vec<_>>(),
            "known": plan.known, "states": plan.states.iter().map(state_json).collect::<Vec<_>>(),
        }));
        return;
    }
    let mut table = Table::new();
    for record in &plan.records {
        let Record::Publish(publish) = record else {
            continue;
        };
        let lead = publish.tags.first().map(Reference::familiar);
        let commit = publish.commit.as_ref();
        let cells = vec![
            publish.image.clone(),
            format!("{}@{}", lead.unwrap_or_default(), publish.index.short()),
            count(publish.platforms.len(), "platform"),
            commit.map_or_else(
                || "no commit".to_owned(),
                |commit| commit.short().to_owned(),
            ),
            publish.at.clone(),
        ];
        table.row(cells, GOOD);
    }
    app.ui.table(&table);
    ui::states(&app.ui, &plan.states);
    let n = plan.records.len() - n_builds;
    app.ui.note(&match (plan.records.len(), args.dry_run) {
        (0, _) => "no record is missing that a registry has".to_owned(),
        (_, true) => format!(
            "{} and {} would be recorded",
            count(n, "publication"),
            count(n_builds, "build")
        ),
        (_, false) => format!(
            "{} and {} are recorded",
            count(n, "publication"),
            count(n_builds, "build")
        ),
    });
}
