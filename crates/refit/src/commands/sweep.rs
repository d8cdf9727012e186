//! `refit sweep`: patch what is published, on every line.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    observe::Line,
    plan::{self, Plan, ReleaseOptions, SweepOptions},
    reason::StateKind,
};
use refit_logs::RunKind;
use refit_oci::Reference;
use serde_json::{Value, json};

use crate::{
    cli::FormatArgs,
    commands::App,
    error::{CommandError, Exit},
    lines,
    observe::Observer,
    project::Project,
    run,
    ui::{Format, count},
    workshop,
};

/// Rebuild and publish what is stale
///
/// Asks the registries what every base and every published image is now, and rebuilds exactly the targets that were
/// built on something else, from the source that was released. Tags that somebody else moved are reported and left
/// alone.
///
/// Example: `refit sweep --dry-run` prints the plan and changes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct SweepArgs {
    /// Only these images
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Only what this base changes
    #[arg(long, value_name = "REF")]
    base: Option<Reference>,
    /// Print the plan and stop
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Rebuild although nothing changed, reading no layer cache
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the verb.
pub(crate) async fn run(app: &App, args: &SweepArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let remote = workshop::notes_remote(&project, !args.dry_run)?;
    let lines = lines::lines(&project)?;
    let mut claimed: BTreeMap<Reference, String> = BTreeMap::new();
    let mut exit = Exit::Fine;
    let mut documents: Vec<Value> = Vec::new();
    for line in &lines {
        let (document, line_exit) =
            sweep_line(app, args, &project, line, &mut claimed, remote.clone()).await?;
        documents.push(document);
        exit = exit.or(line_exit);
    }
    if args.format.format == Format::Json {
        app.ui.json(&merge(documents));
    }
    Ok(exit)
}

async fn sweep_line(
    app: &App,
    args: &SweepArgs,
    project: &Project,
    line: &Line,
    claimed: &mut BTreeMap<Reference, String>,
    remote: Option<String>,
) -> Result<(Value, Exit), CommandError> {
    let Some(commit) = &line.commit else {
        return Err(
            CommandError::new(format!("`{}` has no commit yet", line.name))
                .hint("commit something first"),
        );
    };
    let tip = project.at_on(commit, &line.name)?;
    for name in &args.images {
        tip.image(name)?;
    }
    refuse_broken_inventory(&tip.inventory.problems)?;
    let observer = Observer::new(project, line.clone(), tip, project.registries())?;
    if !observer.records.present
        && observer
            .tip
            .inventory
            .images
            .iter()
            .any(|i| i.lead_tag().is_some())
    {
        app.ui.note("no records here yet: what the images' own annotations say is taken, and rollbacks are unknown");
    }
    let tip_rule = observer.tip.inventory.sweep.rebuild_from.as_deref() == Some("tip");
    let mut selected: BTreeSet<String> = args.images.iter().cloned().collect();
    let taken = lines::claim(&observer, line, claimed);
    if !taken.is_empty() {
        let all = observer.tip.inventory.images.iter().map(|i| i.name.clone());
        selected = if selected.is_empty() {
            all.collect()
        } else {
            selected
        };
        selected.retain(|name| !taken.iter().any(|state| state.image == *name));
    }
    let mut plan = if !taken.is_empty() && selected.is_empty() {
        Plan::default()
    } else if tip_rule {
        let options = ReleaseOptions {
            images: selected,
            push: true,
            ..ReleaseOptions::default()
        };
        observer
            .resolve(|ground| plan::release(ground, &options))
            .await?
    } else {
        let options = SweepOptions {
            images: selected,
            base: args.base.clone(),
            force: args.force,
        };
        observer
            .resolve(|ground| plan::sweep(ground, &options))
            .await?
    };
    plan.states.extend(taken);
    plan.problems.clone_from(&observer.tip.problems);
    let rebuild_from = if tip_rule { "tip" } else { "release" };
    let after = run::exit_of_sweep(&plan);
    let json = args.format.format == Format::Json;
    if !json {
        // What was released is patched all the same: it could be read then.
        for problem in &plan.problems {
            app.ui.problem_as_warning(problem);
        }
    }
    if args.dry_run || plan.steps.is_empty() {
        if !json {
            run::show_plan(&app.ui, &plan);
            nothing_to_do(app, &plan, &observer);
        }
        let requests = observer.registries.requests();
        let document = if args.dry_run {
            run::plan_json(&plan, rebuild_from, requests)
        } else {
            run::nothing_json(&plan, requests)
        };
        return Ok((document, after));
    }
    if !json {
        run::announce(&app.ui, &plan);
    }
    let ran = run::apply(app, &observer, &plan, RunKind::Sweep, remote).await?;
    if !json {
        run::show_applied(&app.ui, &ran);
    }
    let document = run::ran_json(&plan, &ran, observer.registries.requests());
    Ok((document, run::exit_of_applied(&ran.applied).or(after)))
}

/// A configuration that says two things at once must not decide what is pushed where.
pub(crate) fn refuse_broken_inventory(
    problems: &[refit_deps::problem::Problem],
) -> Result<(), CommandError> {
    let of_config = |p: &&refit_deps::problem::Problem| p.file == refit_deps::config::CONFIG_PATH;
    let problems: Vec<_> = problems.iter().filter(of_config).cloned().collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(CommandError::new("the configuration has errors, so nothing is built").problems(problems))
}

/// An empty result explains itself.
fn nothing_to_do(app: &App, plan: &Plan, observer: &Observer<'_>) {
    if !plan.steps.is_empty() {
        return;
    }
    let requests = observer.registries.requests();
    let asked = match (to_usize(requests.head), to_usize(requests.get)) {
        (0, 0) => String::new(),
        (head, get) => format!(
            " (asked with {} and {})",
            count(head, "HEAD"),
            count(get, "GET")
        ),
    };
    if plan
        .states
        .iter()
        .any(|state| matches!(state.kind, StateKind::Unreachable { .. }))
    {
        let known = if plan.kept.is_empty() {
            String::new()
        } else {
            format!("; {} fresh", count(plan.kept.len(), "target"))
        };
        app.ui.note(&format!(
            "nothing was done: a registry is unreachable, so not all is known{known}{asked}"
        ));
        return;
    }
    if plan.kept.is_empty() {
        app.ui.note(&format!(
            "nothing to do: nothing of `{}` is published{asked}",
            observer.line.name
        ));
        if plan
            .states
            .iter()
            .all(|state| state.kind == StateKind::Unpublished)
        {
            app.ui
                .hint("run `refit build --push` to publish a first time");
        }
        return;
    }
    let kept = count(plan.kept.len(), "target");
    let verb = if plan.kept.len() == 1 { "is" } else { "are" };
    app.ui.note(&format!(
        "nothing to do: {kept} {verb} built on what the bases are now{asked}"
    ));
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// One document for all lines: lists appended, counts added.
fn merge(documents: Vec<Value>) -> Value {
    let mut documents = documents.into_iter();
    let Some(mut merged) = documents.next() else {
        return json!({ "format_version": 1 });
    };
    for document in documents {
        for key in ["steps", "kept", "states", "errors", "images", "failed"] {
            if let (Some(Value::Array(all)), Some(Value::Array(more))) =
                (merged.get_mut(key), document.get(key))
            {
                all.extend(more.iter().cloned());
            }
        }
        for key in ["head", "get"] {
            let sum = merged["requests"][key].as_u64().unwrap_or(0)
                + document["requests"][key].as_u64().unwrap_or(0);
            merged["requests"][key] = json!(sum);
        }
        if merged["run"].is_null() {
            merged["run"] = document["run"].clone();
        }
    }
    merged
}
