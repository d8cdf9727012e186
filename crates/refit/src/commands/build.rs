//! `refit build`: release what is unpublished, changed or stale; without `--push`, build it for this machine.

use std::collections::BTreeSet;

use refit_deps::{
    image::Image,
    observe::Line,
    plan::{self, Plan, ReleaseOptions},
    publication::claims::Claimed,
};
use refit_git::Head;
use refit_logs::RunKind;

use crate::{
    cli::FormatArgs,
    commands::{App, sweep::refuse_broken_inventory},
    error::{CommandError, Exit},
    lines,
    observe::Observer,
    project::{Project, Snapshot},
    run,
    ui::{Format, count, sentence_list},
    workshop,
};

/// Build images, and with `--push` publish them
///
/// Without `--push` images are built for this machine and lie untagged in the embedded store, an OCI layout under the
/// git directory. With it, what is unpublished, changed or stale is built from the commit that is checked out, on every
/// platform, and the configured tags move.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    refit build                        try the Dockerfiles as they are now\n  \
    refit build web --push             release an image, and what it is built on\n  \
    refit build --push --dry-run       what a release of everything would do")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct BuildArgs {
    /// Only these images, and what they are built on where that is not published
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Publish: push, and move the configured tags
    #[arg(long)]
    push: bool,
    /// Also rebuild and publish the images that are built on these
    #[arg(long, requires = "push")]
    with_dependents: bool,
    /// Write over tags that somebody else moved
    #[arg(long, requires = "push")]
    take_over: bool,
    /// The branch or tag that is released, where none is checked out
    #[arg(long, value_name = "NAME", env = "REFIT_LINE")]
    line: Option<String>,
    /// Show the plan, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// With `--dry-run`: also why each step does that, by which engine, and why nothing cheaper
    #[arg(long, requires = "dry_run")]
    explain: bool,
    #[command(flatten)]
    steering: run::Steering,
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the verb.
pub(crate) async fn run(app: &App, args: &BuildArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let remote = if args.push {
        workshop::notes_remote(&project, !args.dry_run)?
    } else {
        None
    };
    let (line, mut tip) = tip(&project, args)?;
    for name in &args.images {
        tip.image(name)?;
    }
    refuse_broken_inventory(&tip.inventory.problems)?;
    let mut claimed = Claimed::default();
    if args.push {
        lines::refuse_other_lines(&project, &line.name)?;
        let mut claims = lines::claims_before(&project, &line.name)?;
        claimed = lines::claim(&mut claims, &line.name, &mut tip);
    }
    let observer = Observer::new(&project, line, tip, project.registries())?;
    let images = wanted(&observer.tip, args, &claimed.images);
    let mut dependents = BTreeSet::new();
    if args.with_dependents {
        let graph = &observer.tip.graph;
        let all = args.images.iter().flat_map(|name| graph.descendants(name));
        let ours = all.filter(|name| !claimed.images.contains(*name));
        dependents.extend(ours.map(str::to_owned));
    }
    let mut plan = if images.is_empty() {
        Plan::default()
    } else {
        let options = ReleaseOptions {
            images,
            dependents,
            push: args.push,
            take_over: args.take_over,
            patient: false,
            backs_off: false,
            queues: false,
        };
        observer
            .resolve(|ground| plan::release(ground, &options))
            .await?
    };
    plan.states.extend(claimed.states);
    plan.problems.clone_from(&observer.tip.problems);
    let json = args.format.format == Format::Json;
    if !json {
        for problem in &plan.problems {
            app.ui.problem(problem);
        }
    }
    if args.dry_run {
        if json {
            let requests = observer.registries.requests();
            let mut document = run::plan_json(&plan, "tip", requests);
            if args.explain {
                run::explain(&mut document, &plan, (app, &project));
            }
            app.ui.json(&document);
        } else {
            run::show_plan(&app.ui, &plan);
            if args.explain {
                app.ui.data(&run::explained(&plan, (app, &project)));
            }
            nothing_to_build(app, &plan);
        }
        return Ok(run::exit_of_build(&plan));
    }
    if !json {
        run::announce(&app.ui, &plan);
    }
    if plan.steps.is_empty() {
        if json {
            app.ui
                .json(&run::nothing_json(&plan, observer.registries.requests()));
        } else {
            nothing_to_build(app, &plan);
        }
        return Ok(run::exit_of_build(&plan));
    }
    let ran = run::apply(
        app,
        &observer,
        &plan,
        (RunKind::Build, args.steering),
        remote,
    )
    .await?;
    if json {
        app.ui
            .json(&run::ran_json(&plan, &ran, observer.registries.requests()));
    } else {
        run::show_applied(&app.ui, &ran);
        if args.push && !args.with_dependents {
            now_stale(app, &observer, &plan);
        }
    }
    Ok(run::exit_of_applied(&ran.applied).or(run::exit_of_build(&plan)))
}

/// The images that are named, else all that have a moving tag; without those that are another line's to write.
fn wanted(tip: &Snapshot, args: &BuildArgs, not_ours: &BTreeSet<String>) -> BTreeSet<String> {
    let named = |image: &Image| match args.images.as_slice() {
        [] => !image.tags.is_empty(),
        names => names.contains(&image.name),
    };
    let images = tip.inventory.images.iter().filter(|image| named(image));
    let images = images.map(|image| image.name.clone());
    images.filter(|name| !not_ours.contains(name)).collect()
}

/// The line and the tip that is built: HEAD's commit, or a working tree that differs from it, which can't be pushed.
fn tip(project: &Project, args: &BuildArgs) -> Result<(Line, Snapshot), CommandError> {
    let (commit, branch) = match project.repo.head()? {
        Head::Commit { id, branch } => (Some(id), branch),
        Head::Unborn { branch } => (None, branch),
    };
    let changes = if project.repo.is_bare() {
        Vec::new()
    } else {
        project.repo.worktree_changes()?
    };
    if args.push {
        let Some(commit) = commit else {
            return Err(CommandError::new("there is no commit yet to publish from")
                .hint("commit the Dockerfiles first"));
        };
        if let Some(change) = changes.first() {
            let differ = match changes.len() {
                1 => "differs from the commit".to_owned(),
                n => format!("and {} differ from the commit", count(n - 1, "other path")),
            };
            return Err(CommandError::new(format!("`{}` {differ}", change.path))
                .hint("commit or stash the changes: only a clean commit is published"));
        }
        let Some(name) = args.line.clone().or(branch) else {
            return Err(CommandError::new("no branch is checked out")
                .hint("name the line with `--line NAME`"));
        };
        let tip = project.at_on(&commit, &name)?;
        let commit = Some(commit);
        return Ok((Line { name, commit }, tip));
    }
    let name = args
        .line
        .clone()
        .or(branch)
        .unwrap_or_else(|| "HEAD".to_owned());
    let (commit, tip) = match commit {
        Some(commit) if changes.is_empty() => {
            let tip = project.at_on(&commit, &name)?;
            (Some(commit), tip)
        }
        _ => (None, project.working()?),
    };
    Ok((Line { name, commit }, tip))
}

fn nothing_to_build(app: &App, plan: &Plan) {
    if plan.steps.is_empty() && plan.states.is_empty() {
        let verb = if plan.kept.len() == 1 { "is" } else { "are" };
        app.ui.note(&format!(
            "nothing to build: {} {verb} published as the commit has them",
            count(plan.kept.len(), "target")
        ));
    }
}

/// The images that are stale now because a parent of theirs was released.
fn now_stale(app: &App, observer: &Observer<'_>, plan: &Plan) {
    let built: BTreeSet<&str> = plan
        .steps
        .iter()
        .map(|step| step.target.image.as_str())
        .collect();
    let stale: BTreeSet<&str> = built
        .iter()
        .flat_map(|image| observer.tip.graph.descendants(image))
        .filter(|i| !built.contains(i))
        .collect();
    if !stale.is_empty() {
        let names: Vec<&str> = stale.into_iter().collect();
        app.ui.note(&format!(
            "built on these and left as they are: {}",
            sentence_list(&names)
        ));
        app.ui.hint("run `refit sweep` to patch them");
    }
}
