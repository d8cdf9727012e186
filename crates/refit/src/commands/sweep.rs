//! `refit sweep`: patch what is published, on every line.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    observe::Line,
    plan::{self, Plan, ReleaseOptions, SweepOptions},
    reason::{State, StateKind},
};
use refit_logs::RunKind;
use refit_oci::Reference;
use serde_json::{Value, json};

use crate::{
    cli::FormatArgs,
    commands::App,
    error::{CommandError, Exit},
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
    let lines = lines(&project)?;
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
    let taken = claim(&observer, line, claimed);
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

/// The lines that are swept: `[sweep] branches`, else the remote's default branch, else the current one.
fn lines(project: &Project) -> Result<Vec<Line>, CommandError> {
    let configured = project.working()?.inventory.sweep.branches;
    let names = if configured.is_empty() {
        vec![match project.repo.default_branch()? {
            Some(branch) => branch,
            None => project.current_line()?,
        }]
    } else {
        matching(project, &configured)?
    };
    let mut lines = Vec::new();
    for name in names {
        let commit = match project.repo.branch_tip(&name)? {
            Some(commit) => Some(commit),
            None => match project.repo.head()? {
                refit_git::Head::Commit { id, branch }
                    if branch.as_deref() == Some(&name) || branch.is_none() =>
                {
                    Some(id)
                }
                refit_git::Head::Unborn { .. } => None,
                refit_git::Head::Commit { .. } => {
                    return Err(
                        CommandError::new(format!("there is no branch or tag `{name}`"))
                            .hint("mend `[sweep] branches` in .config/refit.toml"),
                    );
                }
            },
        };
        lines.push(Line { name, commit });
    }
    Ok(lines)
}

/// The lines that names and globs stand for, in their order, each once.
fn matching(project: &Project, patterns: &[String]) -> Result<Vec<String>, CommandError> {
    let known = project
        .repo
        .branches()?
        .into_iter()
        .chain(project.repo.tags()?);
    let known: Vec<String> = known.map(|(name, _)| name).collect();
    let mut names: Vec<String> = Vec::new();
    for pattern in patterns {
        let found: Vec<String> = if pattern.contains(['*', '?']) {
            known
                .iter()
                .filter(|name| refit_deps::glob_matches(pattern, name))
                .cloned()
                .collect()
        } else {
            vec![pattern.clone()]
        };
        for name in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        return Err(CommandError::new(format!(
            "`[sweep] branches` matches no branch: {}",
            patterns.join(", ")
        ))
        .hint("run `git branch --remotes` to see them"));
    }
    Ok(names)
}

/// The first line that claims a tag owns it; a later one reports it and does not move it.
fn claim(
    observer: &Observer<'_>,
    line: &Line,
    claimed: &mut BTreeMap<Reference, String>,
) -> Vec<State> {
    let mut taken = Vec::new();
    for image in &observer.tip.inventory.images {
        let Some(lead) = image.lead_tag() else {
            continue;
        };
        match claimed.get(&lead) {
            Some(owner) => {
                let reason = format!("{} belongs to the line `{owner}`", lead.familiar());
                taken.push(State {
                    image: image.name.clone(),
                    platform: None,
                    kind: StateKind::Held { reason },
                });
            }
            None => {
                claimed.insert(lead, line.name.clone());
            }
        }
    }
    taken
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
