//! `refit promote`: an image's tags are moved to what a run has built and did not publish.

mod unfinished;

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    image::EMBEDDED_HOST,
    plan::{self, Action, Plan, PromoteOptions},
    publication::claims::Claims,
    record::{BuildRecord, Records},
};
use refit_git::Repo;
use refit_logs::RunKind;
use refit_oci::Repository;
use refit_platform::Target;
use refit_registry::Place;

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

/// How few characters of a run's id still name it.
const SHORTEST: usize = 6;

/// Publish what a run has built and did not publish
///
/// For results whose tags did not move: their `test` failed, they were built for this machine only, or on another line.
/// Nothing is built, and no test is run: it is your decision, recorded as such and pushed. All that a publication checks
/// is checked: a tag that somebody else moved stays, as does one that holds a newer commit's image; what is built on
/// another image goes no further than that one. It is recorded before any tag moves; running it again finishes what was
/// cut short. `refit rollback` takes it back.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    refit promote 01KA0S3N5V7C4M1T9R8Q6P2E0D --dry-run\n  \
    refit promote Q6P2E0D web                the end of its id, and one image of it\n  \
    refit promote Q6P2E0D --line release/1   on another line than it was built for\n\n\
    `refit runs` lists them.")]
pub(crate) struct PromoteArgs {
    /// The run: its id, or at least 6 characters of its beginning or end
    #[arg(value_name = "RUN")]
    run: String,
    /// Only these images of it
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// The line whose tags are moved [default: the one it was built for]
    #[arg(long, value_name = "NAME")]
    line: Option<String>,
    /// Show what would move, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(app: &App, args: &PromoteArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    // It is an explicit decision: pushed at once, or not made.
    let remote = workshop::notes_remote(&project, !args.dry_run)?;
    let records = project.records()?;
    let builds = builds(&records, args)?;
    let json = args.format.format == Format::Json;
    let mut claims = Claims::default();
    let (mut documents, mut exit, mut found) = (Vec::new(), Exit::Fine, false);
    for (line, mut tip) in tips(&project, &args.images)? {
        refuse_broken_inventory(&tip.inventory.problems)?;
        let claimed = lines::claim(&mut claims, &line.name, &mut tip);
        let of_line = |build: &&&BuildRecord| {
            let is_meant = match &args.line {
                Some(name) => *name == line.name,
                None => build.line.as_deref() == Some(line.name.as_str()),
            };
            is_meant && is_promotable(&tip, build) && !claimed.images.contains(&build.image)
        };
        let of_line: Vec<&BuildRecord> = builds.iter().filter(of_line).copied().collect();
        if of_line.is_empty() {
            continue;
        }
        found = true;
        let registries = project.registries();
        let site = unfinished::Site {
            tip: &tip,
            records: &records,
            registries: &registries,
            dry_run: args.dry_run,
        };
        let unfinished = unfinished::finish(&site, &of_line).await?;
        for ran in &unfinished {
            if json {
                documents.push(run::ran_json(&Plan::default(), ran, registries.requests()));
            } else {
                run::show_published(&app.ui, ran);
            }
        }
        let options = PromoteOptions {
            newer: newer(&project.repo, &records, (&tip, &of_line)),
            builds: by_target(&of_line),
        };
        let observer = Observer::new(&project, line, tip, registries)?;
        let mut plan = observer
            .resolve(|ground| plan::promote(ground, options.clone()))
            .await?;
        if args.dry_run {
            unfinished::forget(&mut plan, &unfinished, &observer.tip);
        }
        exit = exit.or(run::exit_of_build(&plan));
        let requests = || observer.registries.requests();
        if args.dry_run || plan.steps.is_empty() {
            if json {
                documents.push(if args.dry_run {
                    run::plan_json(&plan, "release", requests())
                } else {
                    run::nothing_json(&plan, requests())
                });
            } else {
                run::show_plan(&app.ui, &plan);
                let is_done = unfinished.is_empty() && plan.states.is_empty();
                if plan.steps.is_empty() && is_done {
                    app.ui.note("nothing to do: it is published");
                }
            }
            continue;
        }
        if !json {
            run::announce(&app.ui, &plan);
        }
        fill(&observer, &plan).await?;
        let kind = (RunKind::Promote, Steering::default());
        let ran = run::apply(app, &observer, &plan, kind, remote.clone()).await?;
        exit = exit.or(run::exit_of_applied(&ran.applied));
        if json {
            documents.push(run::ran_json(&plan, &ran, requests()));
        } else {
            run::show_applied(&app.ui, &ran);
            if is_unfinished(&project.records()?, &ran) {
                let again = format!("run `refit promote {}` again to move the tags", args.run);
                app.ui.hint(&format!("it is decided and recorded; {again}"));
            }
        }
    }
    if !found {
        return Err(nowhere(&builds, args));
    }
    if json {
        app.ui.json(&merge::lines(documents));
    }
    Ok(exit)
}

/// Whether it was decided that tags move, and they did not.
fn is_unfinished(records: &Records, ran: &run::Ran) -> bool {
    let id = ran.id.to_string();
    let recorded = records.publishes().filter(|publish| publish.run == id);
    let recorded: BTreeSet<&str> = recorded.map(|publish| publish.image.as_str()).collect();
    let mut failed = ran.applied.published.iter().filter(|p| p.failed.is_some());
    failed.any(|published| recorded.contains(published.image.as_str()))
}

/// What the run has built of the images that are meant.
fn builds<'r>(
    records: &'r Records,
    args: &PromoteArgs,
) -> Result<Vec<&'r BuildRecord>, CommandError> {
    let wanted = args.run.to_ascii_uppercase();
    let is_meant = |run: &str| {
        run == args.run
            || run == wanted
            || (wanted.len() >= SHORTEST && (run.starts_with(&wanted) || run.ends_with(&wanted)))
    };
    let all: Vec<&BuildRecord> = records.builds().filter(|b| is_meant(&b.run)).collect();
    let runs: BTreeSet<&str> = all.iter().map(|build| build.run.as_str()).collect();
    if runs.len() > 1 {
        let runs: Vec<String> = runs.iter().map(|run| format!("`{run}`")).collect();
        let message = format!("`{}` may be any of {}", args.run, runs.join(", "));
        return Err(CommandError::new(message).hint("give more of it"));
    }
    if all.is_empty() {
        let message = format!("no record says that `{}` built anything", args.run);
        return Err(CommandError::new(message).hint(
            "`refit runs` lists runs; `refit notes fetch` brings records of other machines",
        ));
    }
    let is_named =
        |build: &&BuildRecord| args.images.is_empty() || args.images.contains(&build.image);
    Ok(all.into_iter().filter(is_named).collect())
}

fn is_promotable(tip: &Snapshot, build: &BuildRecord) -> bool {
    let image = tip.inventory.image(&build.image);
    image.is_some_and(|image| image.platforms.contains(&build.platform))
}

/// The newest of each target.
fn by_target(builds: &[&BuildRecord]) -> BTreeMap<Target, BuildRecord> {
    let mut newest: BTreeMap<Target, BuildRecord> = BTreeMap::new();
    for build in builds {
        let target = Target {
            image: build.image.clone(),
            platform: build.platform.clone(),
        };
        let known = newest.get(&target);
        if known.is_none_or(|known| known.at < build.at) {
            newest.insert(target, (*build).clone());
        }
    }
    newest
}

/// The images of which something was released that is no ancestor of what was built.
fn newer(
    repo: &Repo,
    records: &Records,
    (tip, builds): (&Snapshot, &[&BuildRecord]),
) -> BTreeMap<String, refit_oci::ObjectId> {
    let mut newer = BTreeMap::new();
    for build in builds {
        let lead = tip
            .inventory
            .image(&build.image)
            .and_then(refit_deps::image::Image::lead_tag);
        let Some(lead) = lead else { continue };
        let heads = records.heads(&build.image, &lead);
        let published = heads.last().and_then(|head| head.commit.as_ref());
        if let (Some(published), Some(built)) = (published, &build.commit)
            && published != built
            && !repo.is_ancestor(published, built).unwrap_or(false)
        {
            newer.insert(build.image.clone(), published.clone());
        }
    }
    newer
}

/// Brings what was built for this machine to where it is published.
async fn fill(observer: &Observer<'_>, plan: &Plan) -> Result<(), CommandError> {
    for step in &plan.steps {
        let Action::Publish { manifest } = &step.action else {
            continue;
        };
        let target = observer.registries.registry(step.repository.registry());
        let head = target.head(&step.repository.at(manifest)).await?;
        if head.digest().is_some() {
            continue;
        }
        let local = format!("{EMBEDDED_HOST}/{}", step.target.image);
        let local: Repository = local
            .parse()
            .expect("an image's name is a repository component");
        let source = observer.registries.registry(EMBEDDED_HOST);
        let from = Place {
            registry: source.as_ref(),
            repository: &local,
        };
        let to = Place {
            registry: target.as_ref(),
            repository: &step.repository,
        };
        refit_registry::copy_image(from, to, manifest).await?;
    }
    Ok(())
}

fn nowhere(builds: &[&BuildRecord], args: &PromoteArgs) -> CommandError {
    let built: BTreeSet<String> = builds
        .iter()
        .map(|build| match &build.line {
            Some(line) => format!("`{}` on `{line}`", build.image),
            None => format!("`{}` from a working tree", build.image),
        })
        .collect();
    let built: Vec<String> = built.into_iter().collect();
    let message = format!("nothing that `{}` built is published from here", args.run);
    CommandError::new(message).hint(if built.is_empty() {
        "it built other images".to_owned()
    } else {
        format!(
            "it built {}; `--line NAME` takes another line",
            built.join(", ")
        )
    })
}
