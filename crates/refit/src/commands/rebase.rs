//! `refit rebase`: the layers of a published image on another base, without building anything.

use std::collections::BTreeSet;

use refit_deps::{
    config::Partial,
    plan::{self, Action, Plan, SweepOptions},
    publication::claims::Claims,
};
use refit_logs::RunKind;
use refit_oci::Reference;
use serde_json::Value;

use crate::{
    cli::FormatArgs,
    commands::{
        App,
        sweep::{merge, refuse_broken_inventory, tips},
    },
    error::{CommandError, Exit},
    lines,
    observe::Observer,
    project::Snapshot,
    run::{self, Steering},
    ui::Format,
    workshop,
};

/// Put a published image on another base, without building it
///
/// Its layers stay as they are, behind those of the base; the config is the Dockerfile's on the new base. That is only
/// done where it is proven to come to the same as a rebuild: nothing executes on the base, and the files of both bases
/// are alike wherever the image puts something. An image with `rebase = "always"` needs no proof. All platforms are
/// published together, or none. Nothing but manifests, configs and, once, the layers of the bases is read.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    refit rebase web --dry-run         onto what its base is now\n  \
    refit rebase web\n  \
    refit rebase web --onto debian:12.8-slim\n\n\
    What was put onto another base than the Dockerfile's is stale: the next sweep goes back to that one.")]
pub(crate) struct RebaseArgs {
    /// The published image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The base to put it on; without it what the Dockerfile's base resolves to now
    #[arg(long, value_name = "REF")]
    onto: Option<Reference>,
    /// Show the plan and whether it is proven, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the verb.
pub(crate) async fn run(app: &App, args: &RebaseArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let remote = workshop::notes_remote(&project, !args.dry_run)?;
    let mut claims = Claims::default();
    let mut documents: Vec<Value> = Vec::new();
    let mut exit = Exit::Fine;
    let json = args.format.format == Format::Json;
    for (line, mut tip) in tips(&project, std::slice::from_ref(&args.image))? {
        refuse_broken_inventory(&tip.inventory.problems)?;
        let claimed = lines::claim(&mut claims, &line.name, &mut tip);
        if tip.image(&args.image).is_err() || claimed.images.contains(&args.image) {
            continue;
        }
        let observer = Observer::new(&project, line, tip, project.registries())?;
        let plan = plan(args, &observer).await?;
        if !json {
            for problem in &observer.tip.problems {
                app.ui.problem_as_warning(problem);
            }
        }
        refuse_builds(&plan, &observer.tip)?;
        exit = exit.or(run::exit_of_build(&plan));
        let requests = || observer.registries.requests();
        if args.dry_run || plan.steps.is_empty() {
            let foresight = run::foreseen::foresee(&observer, &plan).await;
            exit = exit.or(run::foreseen::exit(&foresight));
            if json {
                let mut document = if args.dry_run {
                    run::plan_json(&plan, "release", requests())
                } else {
                    run::nothing_json(&plan, requests())
                };
                run::foreseen::annotate(&mut document, &plan, &foresight);
                documents.push(document);
            } else {
                run::show_plan(&app.ui, &plan);
                run::foreseen::show(&app.ui, &foresight);
                say_nothing(app, args, &plan);
            }
            continue;
        }
        if !json {
            run::announce(&app.ui, &plan);
        }
        let remote = remote.clone();
        let ran = run::apply(
            app,
            &observer,
            &plan,
            (RunKind::Rebase, Steering::default()),
            remote,
        )
        .await?;
        exit = exit.or(run::exit_of_applied(&ran.applied));
        if json {
            documents.push(run::ran_json(&plan, &ran, requests()));
        } else {
            run::show_applied(&app.ui, &ran);
            if args.onto.is_some() && !ran.applied.failed() {
                app.ui
                    .hint("the Dockerfile names another base: a sweep goes back to that one");
            }
        }
    }
    if json {
        app.ui.json(&merge::lines(documents));
    }
    Ok(exit)
}

async fn plan(args: &RebaseArgs, observer: &Observer<'_>) -> Result<Plan, CommandError> {
    let options = SweepOptions {
        images: BTreeSet::from([args.image.clone()]),
        rebase: true,
        onto: args.onto.clone(),
        ..SweepOptions::default()
    };
    let mut plan = observer
        .resolve(|ground| plan::sweep(ground, &options))
        .await?;
    plan.problems.clone_from(&observer.tip.problems);
    for publication in &mut plan.publications {
        publication.partial = Partial::Never;
    }
    Ok(plan)
}

/// What only a build could bring up to date is not begun.
fn refuse_builds(plan: &Plan, tip: &Snapshot) -> Result<(), CommandError> {
    let mut steps = plan.steps.iter();
    let Some(step) = steps.find(|step| step.action == Action::Rebuild) else {
        return Ok(());
    };
    let target = &step.target;
    let why = match &step.in_the_way {
        Some(why) => why.to_string(),
        None => "its base has not moved, or not only that".to_owned(),
    };
    let place = tip.inventory.image(&target.image);
    let place = place.map_or("", |image| image.dockerfile.as_str());
    Err(
        CommandError::new(format!("`{target}` can't be rebased: {why} (`{place}`)"))
            .hint(format!("`refit sweep {}` builds it", target.image)),
    )
}

fn say_nothing(app: &App, args: &RebaseArgs, plan: &Plan) {
    if plan.steps.is_empty() && plan.states.is_empty() {
        let image = &args.image;
        app.ui
            .note(&format!("nothing to do: `{image}` is on that base already"));
    }
}
