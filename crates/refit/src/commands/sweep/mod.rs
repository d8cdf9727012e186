//! `refit sweep`: patch what is published, on every line.

mod asked;
mod elsewhere;
mod emit;
pub(crate) mod merge;
mod nothing;
mod planned;
mod turn;
mod unfit;

use std::{collections::BTreeSet, path::PathBuf};

use refit_build::apply::Outcome;
use refit_deps::{graph::Node, observe::Line, problem::nearest, publication::claims::Claims};
use refit_logs::RunKind;
use refit_oci::{Reference, Repository};
use serde_json::Value;

pub(crate) use emit::GITHUB_RUNNER;

use self::{
    asked::Asked,
    elsewhere::ElsewhereArgs,
    turn::{Turn, TurnArgs},
};
use crate::{
    cli::{FormatArgs, TrustArgs},
    commands::App,
    error::{CommandError, Exit},
    lines,
    observe::Observer,
    project::{Project, Snapshot},
    run, summary,
    ui::{Format, Severity, Ui},
    workshop,
};

/// Rebuild and publish what is stale
///
/// Asks the registries what every base and every published image is now, and rebuilds exactly the targets that were
/// built on something else, from the source that was released. Tags that somebody else moved are reported and left
/// alone.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    refit sweep --dry-run\n  \
    refit sweep -n --trust-records     a quick look: asks for the bases only\n  \
    refit sweep -n --packages         also what changed inside of the bases\n  \
    refit sweep -n --explain          also why by which engine, and why nothing cheaper\n  \
    refit sweep\n  \
    refit sweep --base debian:12-slim  only what is built on it\n  \
    refit sweep --summary summary.md   what was done, as Markdown\n  \
    refit sweep --wait 30m             after a sweep that is under way elsewhere\n  \
    refit sweep web --take-over        patch what somebody else moved its tag to\n  \
    refit sweep web --force            a fresh build although nothing changed\n  \
    refit sweep --emit json --shards 8 >plan.json  a plan for eight machines\n  \
    refit sweep --plan plan.json --shard 3/8       what the third of them builds\n  \
    refit sweep --plan plan.json --publish         moves the tags in the end")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct SweepArgs {
    /// Only these images
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Only what is stale because of this base
    #[arg(long, value_name = "REF")]
    base: Option<Reference>,
    /// Show the plan, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// With `--dry-run`: also show the packages that changed inside of the bases; reads their layers
    #[arg(long, requires = "dry_run")]
    packages: bool,
    /// With `--dry-run`: also why each step does that, by which engine, and why nothing cheaper; tries the proofs of
    /// rebases, which reads layers of the bases
    #[arg(long, requires = "dry_run")]
    explain: bool,
    /// Rebuild although nothing changed, without layers from a cache; new bases are not waited for
    #[arg(long)]
    force: bool,
    /// Patch the named images as their tags hold them, although somebody else moved those
    #[arg(long, requires = "images")]
    take_over: bool,
    /// Append what was patched, what failed and what was left as it is to this file, as Markdown: in GitHub Actions
    /// `$GITHUB_STEP_SUMMARY`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    summary: Option<PathBuf>,
    #[command(flatten)]
    steering: run::Steering,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    turn: TurnArgs,
    #[command(flatten)]
    elsewhere: ElsewhereArgs,
}

/// Runs the verb.
pub(crate) async fn run(app: &App, args: &SweepArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    if let Some(path) = &args.elsewhere.plan {
        return elsewhere::run(app, &project, args, path).await;
    }
    let mut turn = Turn::default();
    loop {
        if let Some(exit) = once(app, args, &project, &mut turn).await? {
            return Ok(exit);
        }
        // Another sweep was waited for: nothing that was known is sure any more.
    }
}

/// Sweeps all lines; none if another sweep had to be waited for first.
async fn once(
    app: &App,
    args: &SweepArgs,
    project: &Project,
    turn: &mut Turn,
) -> Result<Option<Exit>, CommandError> {
    let remote = workshop::notes_remote(project, !args.dry_run)?;
    let mut sweep = Sweep {
        app,
        args,
        remote,
        turn,
        claims: Claims::default(),
        observer: None,
        written: BTreeSet::new(),
        summary: String::new(),
    };
    let mut exit = Exit::Fine;
    let mut documents: Vec<Value> = Vec::new();
    let tips = tips(project, &args.images)?;
    if let Some(base) = &args.base {
        warn_of_unknown(&app.ui, base, &tips);
    }
    let is_one_of_many = tips.len() > 1 && args.format.format == Format::Human;
    for (line, tip) in tips {
        if is_one_of_many {
            app.ui.note(&format!("line {}:", line.name));
        }
        let Some((document, line_exit)) = sweep.line(project, line, tip).await? else {
            return Ok(None);
        };
        documents.extend(document);
        exit = exit.or(line_exit);
    }
    let summary = std::mem::take(&mut sweep.summary);
    let remote = sweep.remote.take();
    let emitted = match args.elsewhere.emit {
        Some(system) => {
            let mut document = merge::lines(documents.clone());
            let to_do = document["steps"]
                .as_array()
                .is_some_and(|steps| !steps.is_empty());
            if !to_do {
                turn.ends();
            } else if !args.dry_run && turn.of_plan(app, args, remote.as_deref()).await? {
                return Ok(None);
            }
            document["lease"] = serde_json::json!(turn.id());
            Some((system, document))
        }
        None => None,
    };
    if let Some(path) = &args.summary {
        summary::append(&app.dir.join(path), &summary)?;
    }
    if let Some(emitted) = emitted {
        emit::plan(app, project, args, emitted)?;
    } else if args.format.format == Format::Json {
        app.ui.json(&merge::lines(documents));
    }
    Ok(Some(exit))
}

/// The lines with what is at their tips. Every image that was named is on one of them.
pub(crate) fn tips(
    project: &Project,
    images: &[String],
) -> Result<Vec<(Line, Snapshot)>, CommandError> {
    let mut tips = Vec::new();
    for line in lines::lines(project)? {
        let Some(commit) = &line.commit else {
            return Err(
                CommandError::new(format!("`{}` has no commit yet", line.name))
                    .hint("commit something first"),
            );
        };
        let tip = project.at_on(commit, &line.name)?;
        tips.push((line, tip));
    }
    for name in images {
        let known = tips.iter().any(|(_, tip)| tip.image(name).is_ok());
        if let (false, Some((_, tip))) = (known, tips.first()) {
            tip.image(name)?;
        }
    }
    Ok(tips)
}

/// Says if no Dockerfile at a tip refers to this base: what was released may, but a misspelt name is likelier.
fn warn_of_unknown(ui: &Ui, base: &Reference, tips: &[(Line, Snapshot)]) {
    let edges = tips.iter().flat_map(|(_, tip)| &tip.graph.edges);
    let bases: BTreeSet<String> = edges
        .filter_map(|edge| match &edge.to {
            Node::External(reference) => Some(reference.familiar()),
            Node::Image(_) => None,
        })
        .collect();
    let name = base.familiar();
    if bases.contains(&name) {
        return;
    }
    ui.warning(&format!("no Dockerfile refers to `{name}`"));
    match nearest(&name, bases.iter().map(String::as_str)) {
        Some(near) => ui.hint(&format!("did you mean `{near}`?")),
        None => ui.hint("`refit deps graph` shows the bases"),
    }
}

/// A sweep on its way through the lines.
struct Sweep<'p, 't> {
    app: &'p App,
    args: &'p SweepArgs,
    turn: &'t mut Turn,
    /// Where records are pushed to.
    remote: Option<String>,
    claims: Claims,
    /// The line before, with what it learned of the registries.
    observer: Option<Observer<'p>>,
    /// Repositories that this sweep has written to.
    written: BTreeSet<Repository>,
    /// What is told in `--summary`.
    summary: String,
}

impl<'p> Sweep<'p, '_> {
    /// Sweeps a line; none if another sweep had to be waited for first.
    async fn line(
        &mut self,
        project: &'p Project,
        line: Line,
        mut tip: Snapshot,
    ) -> Result<Option<(Option<Value>, Exit)>, CommandError> {
        let (app, args) = (self.app, self.args);
        if let Err(error) = refuse_broken_inventory(&tip.inventory.problems) {
            // The other lines are as good as they were.
            app.ui.command_error(&error);
            return Ok(Some((None, error.exit)));
        }
        let claimed = lines::claim(&mut self.claims, &line.name, &mut tip);
        let mut observer = match self.observer.take() {
            Some(before) => before.next(line, tip, &self.written)?,
            None => Observer::new(project, line, tip, project.registries())?,
        };
        observer.own_tags = args.trust.own_tags();
        observer.is_full_sweep = args.images.is_empty() && args.base.is_none();
        let asked_before = observer.registries.requests();
        let images = &observer.tip.inventory.images;
        if !observer.records.present && images.iter().any(|image| image.lead_tag().is_some()) {
            app.ui.note("no records here yet: what the images' own annotations say is taken, and rollbacks are unknown");
        }
        app.ui.unreadable_notes(observer.records.damaged);
        let mut plan = Asked::of(args).plan(&observer, &claimed.images).await?;
        plan.states.extend(claimed.states);
        plan.problems.clone_from(&observer.tip.problems);
        if !args.dry_run {
            run::complete(&observer, &mut plan).await?;
        }
        let after = run::exit_of_sweep(&plan);
        let only_plan = args.dry_run || args.elsewhere.emit.is_some();
        let json = args.format.format == Format::Json || args.elsewhere.emit.is_some();
        if !json {
            // What was released is patched all the same: it could be read then.
            for problem in &plan.problems {
                app.ui.problem_as_warning(problem);
            }
        }
        if !args.dry_run && (only_plan || plan.steps.is_empty()) {
            run::keep_seen(app, &observer, &plan, self.remote.clone())?;
        }
        let document = if only_plan || plan.steps.is_empty() {
            let document = planned::show(&observer, &plan, args, (app, asked_before)).await;
            self.summary
                .push_str(&summary::sweep(&observer.line.name, &plan, None));
            (document, after)
        } else {
            if self
                .turn
                .has_to_wait(app, args, self.remote.as_deref())
                .await?
            {
                return Ok(None);
            }
            if !json {
                run::announce(&app.ui, &plan);
            }
            let remote = self.remote.clone();
            let ran = run::apply(
                app,
                &observer,
                &plan,
                (RunKind::Sweep, args.steering),
                remote,
            )
            .await?;
            if !json {
                run::show_applied(&app.ui, &ran);
            }
            annotate_failures(&app.ui, &observer.tip, &ran);
            self.summary
                .push_str(&summary::sweep(&observer.line.name, &plan, Some(&ran)));
            let repositories = plan.publications.iter().flat_map(|p| &p.tags);
            self.written
                .extend(repositories.map(|tag| tag.repository().clone()));
            let requests = observer.registries.requests().since(asked_before);
            let document = run::ran_json(&plan, &ran, requests);
            (Some(document), run::exit_of_applied(&ran.applied).or(after))
        };
        self.observer = Some(observer);
        Ok(Some(document))
    }
}

/// Shows what failed at the lines that name the bases, where the tip still has them.
fn annotate_failures(ui: &Ui, tip: &Snapshot, ran: &run::Ran) {
    for done in &ran.applied.done {
        let message = match &done.outcome {
            Outcome::Failed(failed) => &failed.message,
            Outcome::Skipped(why) => why,
            Outcome::Built(_) | Outcome::Rebased(_) | Outcome::Staged(_) | Outcome::Kept(_) => {
                continue;
            }
        };
        if let Some(place) = tip.base_place(&done.target) {
            let message = format!("{}: {message}", done.target);
            ui.annotate(Severity::Error, place, &message);
        }
    }
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
