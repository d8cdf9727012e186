//! `--plan`: one machine's part of a plan that another one made. What both of them would do is done; for the rest it is
//! said why not.

mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use refit_build::apply;
use refit_deps::{
    plan::{
        Plan, outcome,
        shard::{self, Fit, PlanFile, PlannedStep, Shard},
    },
    publication::claims::Claims,
};
use refit_logs::RunKind;
use refit_oci::Platform;
use refit_platform::Target;

use self::report::{Part, Report};
use super::{SweepArgs, annotate_failures, asked::Asked, emit, refuse_broken_inventory, tips};
use crate::{
    commands::App,
    error::{CommandError, Exit},
    lease::{self, Held},
    lines,
    observe::Observer,
    project::{Project, Snapshot},
    run, workshop,
};

/// How a plan gets to other machines.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "On several machines")]
pub(super) struct ElsewhereArgs {
    /// Build nothing, and print the plan for machines that build it in shards, or the jobs of a CI system that do
    #[arg(
        long,
        value_name = "json|github|gitlab|azure",
        value_enum,
        hide_possible_values = true,
        conflicts_with = "take_over"
    )]
    pub(super) emit: Option<emit::System>,
    /// With `--emit`: how many shards a wave has at most [default: 8]
    #[arg(long, value_name = "N", requires = "emit", conflicts_with = "plan", value_parser = shards)]
    pub(super) shards: Option<usize>,
    /// With `--emit`: how many waves of jobs there are at most; what is later in the plan is built in the last, by the
    /// shard that builds its parents
    #[arg(long, value_name = "N", requires = "emit", conflicts_with = "plan", value_parser = positive)]
    pub(super) waves: Option<usize>,
    /// A plan that `--emit json` printed. It is compared with what would be done now: what differs is left alone
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        conflicts_with_all = ["images", "base", "force", "packages"]
    )]
    pub(super) plan: Option<PathBuf>,
    /// With `--plan`: build this shard's targets and leave them under their staging tags
    #[arg(long, value_name = "I/N", requires = "plan", conflicts_with_all = ["publish", "emit"])]
    pub(super) shard: Option<Shard>,
    /// With `--shard` or `--emit`: only this wave
    #[arg(long, value_name = "W", value_parser = positive)]
    pub(super) wave: Option<usize>,
    /// With `--emit`: only the jobs on the runner for this platform
    #[arg(long, value_name = "PLATFORM", requires = "emit")]
    pub(super) platform: Option<Platform>,
    /// With `--plan`: build nothing, and move the tags of what is staged
    #[arg(long, requires = "plan", conflicts_with_all = ["emit", "wave"])]
    pub(super) publish: bool,
}

fn shards(text: &str) -> Result<usize, String> {
    let n = text
        .parse()
        .ok()
        .filter(|n| (1..=shard::MOST_SHARDS).contains(n));
    n.ok_or_else(|| format!("`{text}` is no number from 1 to {}", shard::MOST_SHARDS))
}

fn positive(text: &str) -> Result<usize, String> {
    let n = text.parse().ok().filter(|n| *n > 0);
    n.ok_or_else(|| format!("`{text}` is no number from 1 on"))
}

/// What is done of a plan here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// A shard's targets are built; in one wave or in all.
    Shard(Shard, Option<usize>),
    /// Tags are moved.
    Publish,
}

/// Runs the verb with a plan.
pub(super) async fn run(
    app: &App,
    project: &Project,
    args: &SweepArgs,
    path: &Path,
) -> Result<Exit, CommandError> {
    let file = read(&app.dir.join(path), path)?;
    let given = &args.elsewhere;
    if let Some(system) = given.emit {
        let ci = project.working()?.inventory.ci;
        emit::jobs(app, &ci, args, (system, &file))?;
        return Ok(Exit::Fine);
    }
    let doing = match given.shard {
        Some(shard) => Doing::Shard(shard, given.wave),
        None if given.publish => Doing::Publish,
        None => {
            return Err(CommandError::new("what is to be done of the plan is missing")
                .hint("`--shard I/N` builds a part of it, `--publish` moves the tags, `--emit SYSTEM` prints jobs"));
        }
    };
    doing.check(&file)?;
    let remote = workshop::notes_remote(project, !args.dry_run)?;
    let held = turn(app, args, (&file, doing), remote.as_deref()).await?;
    let mut elsewhere = Elsewhere {
        app,
        args,
        remote,
        file: &file,
        doing,
        claims: Claims::default(),
        observer: None,
        report: Report::default(),
    };
    let mut open: BTreeSet<&str> = elsewhere.wanted().map(|step| step.line.as_str()).collect();
    for (line, tip) in tips(project, &[])? {
        open.remove(line.name.as_str());
        elsewhere.line(project, line, tip).await?;
    }
    for step in elsewhere
        .wanted()
        .filter(|step| open.contains(step.line.as_str()))
    {
        elsewhere.report.no_line(step);
    }
    let exit = elsewhere.report.tell(app, args, &doing.title())?;
    if let (Some(held), Doing::Publish) = (held, doing) {
        held.ends();
    }
    Ok(exit)
}

/// The lease that all shards of a plan hold together. One that has none is published like a sweep of its own.
async fn turn(
    app: &App,
    args: &SweepArgs,
    (file, doing): (&PlanFile, Doing),
    remote: Option<&str>,
) -> Result<Option<Held>, CommandError> {
    if args.dry_run || file.steps.is_empty() {
        return Ok(None);
    }
    let manners = args.turn.manners();
    match (&file.lease, doing) {
        (Some(id), _) => lease::join(app, remote, manners, id).await,
        (None, Doing::Publish) => lease::take(app, remote, manners).await,
        (None, Doing::Shard(..)) => Ok(None),
    }
}

/// Reads and checks a plan.
fn read(path: &Path, shown: &Path) -> Result<PlanFile, CommandError> {
    /// More than any plan has: what is longer is refused by its length.
    const LIMIT: u64 = 1 << 28;
    let shown = shown.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LIMIT).read_to_end(&mut bytes))
        .map_err(|error| CommandError::new(format!("cannot read `{shown}`: {error}")))?;
    PlanFile::parse(&bytes).map_err(|error| {
        CommandError::new(format!("`{shown}` is no plan for shards: {error}"))
            .hint("`refit sweep --emit json >plan.json` makes one")
    })
}

impl Doing {
    fn check(self, file: &PlanFile) -> Result<(), CommandError> {
        let Self::Shard(shard, wave) = self else {
            return Ok(());
        };
        if shard.of != file.shards {
            let hint = format!(
                "give it as `--shard {}/{}`",
                shard.index.min(file.shards),
                file.shards
            );
            let message = format!(
                "the plan has {}, and `--shard {shard}` counts {}",
                crate::ui::count(file.shards, "shard"),
                shard.of
            );
            return Err(CommandError::new(message).hint(hint));
        }
        match wave {
            Some(wave) if wave > file.waves => Err(CommandError::new(format!(
                "the plan has {}, and no wave {wave}",
                crate::ui::count(file.waves, "wave")
            ))),
            _ => Ok(()),
        }
    }

    fn title(self) -> String {
        match self {
            Self::Shard(shard, Some(wave)) => format!("Shard {shard}, wave {wave}"),
            Self::Shard(shard, None) => format!("Shard {shard}"),
            Self::Publish => "Publishing".to_owned(),
        }
    }
}

/// A plan on its way through the lines.
struct Elsewhere<'p> {
    app: &'p App,
    args: &'p SweepArgs,
    remote: Option<String>,
    file: &'p PlanFile,
    doing: Doing,
    claims: Claims,
    observer: Option<Observer<'p>>,
    report: Report,
}

impl<'p> Elsewhere<'p> {
    /// The steps that this machine has to do with.
    fn wanted(&self) -> impl Iterator<Item = &'p PlannedStep> + use<'p> {
        let (file, doing) = (self.file, self.doing);
        file.steps.iter().filter(move |step| match doing {
            Doing::Shard(shard, wave) => {
                step.place.shard == shard.index && wave.is_none_or(|wave| wave == step.place.wave)
            }
            Doing::Publish => true,
        })
    }

    async fn line(
        &mut self,
        project: &'p Project,
        line: refit_deps::observe::Line,
        mut tip: Snapshot,
    ) -> Result<(), CommandError> {
        let wanted: Vec<&PlannedStep> = self
            .wanted()
            .filter(|step| step.line == line.name)
            .collect();
        if wanted.is_empty() {
            // It still owns its tags.
            lines::claim(&mut self.claims, &line.name, &mut tip);
            return Ok(());
        }
        refuse_broken_inventory(&tip.inventory.problems)?;
        let claimed = lines::claim(&mut self.claims, &line.name, &mut tip);
        let observer = match self.observer.take() {
            Some(before) => before.next(line, tip, &self.report.written)?,
            None => Observer::new(project, line, tip, project.registries())?,
        };
        let options = &self.file.options;
        let asked = Asked {
            images: self.file.images_with_parents(wanted.iter().copied()),
            base: options.base.clone(),
            force: options.force,
            with_adoptable: false,
            // Commands that take long are asked again only for what they called stale.
            checks: wanted.iter().any(|step| {
                step.reasons
                    .iter()
                    .any(|reason| reason.kind == "check-failed")
            }),
            backs_off: false,
            // What is built somewhere is not published before the canaries; the plan is within its limit already.
            queues: self.doing == Doing::Publish,
            take_over: false,
        };
        let now = asked.plan(&observer, &claimed.images).await?;
        let mut part = Part::of(&observer.line.name);
        let mut same: BTreeSet<Target> = BTreeSet::new();
        for step in wanted {
            match shard::fit(step, &now) {
                Fit::Same => {
                    same.insert(step.target.clone());
                }
                Fit::Done => part.done.push(step.target.clone()),
                Fit::Unfit(unfit) => part.unfit.push((step.target.clone(), unfit)),
            }
        }
        let plan = match self.doing {
            Doing::Shard(..) => self.own(&now, &same, (&observer, &mut part)).await,
            Doing::Publish => published(now, &same, (&observer, &mut part)).await,
        };
        if self.args.dry_run {
            part.planned = Some(plan);
        } else if !plan.steps.is_empty() {
            let ran = run::apply(
                self.app,
                &observer,
                &plan,
                (RunKind::Sweep, self.args.steering),
                self.remote.clone(),
            )
            .await?;
            annotate_failures(&self.app.ui, &observer.tip, &ran);
            let tags = plan.publications.iter().flat_map(|p| &p.tags);
            self.report
                .written
                .extend(tags.map(|tag| tag.repository().clone()));
            part.ran = Some((plan, ran));
        }
        self.report.parts.push(part);
        self.observer = Some(observer);
        Ok(())
    }

    /// The shard's own part: what its targets are built on has to be there.
    async fn own(
        &self,
        now: &Plan,
        same: &BTreeSet<Target>,
        (observer, part): (&Observer<'_>, &mut Part),
    ) -> Plan {
        let steps = now.steps.iter().filter(|step| same.contains(&step.target));
        let parents = steps
            .flat_map(outcome::parents)
            .filter(|parent| !same.contains(*parent));
        let parents: BTreeSet<Target> = parents.cloned().collect();
        let staged = if parents.is_empty() {
            BTreeMap::new()
        } else {
            let staged = apply::staged(now, &parents, &observer.registries).await;
            part.unknown(staged.unknown);
            staged.manifests
        };
        let (plan, waiting) = shard::own(now, same, &staged);
        part.waiting = waiting;
        plan
    }
}

/// The part of a plan whose tags can be moved.
async fn published(
    now: Plan,
    same: &BTreeSet<Target>,
    (observer, part): (&Observer<'_>, &mut Part),
) -> Plan {
    let staged = apply::staged(&now, same, &observer.registries).await;
    part.unknown(staged.unknown);
    let mut manifests = staged.manifests;
    manifests.retain(|target, _| same.contains(target));
    let published = shard::published(now, &manifests);
    let missing = published.missing.into_iter();
    part.missing = missing.filter(|target| same.contains(target)).collect();
    part.blocked = published.blocked;
    published.plan
}
