//! Applies a plan: builds its steps wave by wave, stages each result, then moves tags image by image.
//!
//! A staged target is its result, from any machine: a run that is killed, and begun again, repeats nothing.

mod attest;
mod build;
mod caches;
mod content;
mod control;
mod cutoff;
mod foreseen;
mod found;
mod gate;
mod mirror;
mod phases;
mod pinned;
mod placed;
mod publish;
mod rebase;
mod stage;
mod target;
mod trace;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{StreamExt as _, future::BoxFuture, stream};
use jiff::Timestamp;
use refit_deps::{
    image::Image,
    key::EngineKind,
    plan::{Plan, Step},
    record::Record,
};
use refit_dockerfile::{Dockerfile, Resolved};
use refit_logs::Run;
use refit_oci::{Digest, Platform, Reference};
use refit_platform::Target;
use refit_registry::Registries;

use crate::{
    engine::{ContextTar, Engine, SecretValues, SshAgent},
    nodes::Nodes,
    rebase::Rebaser,
    sign::Signer,
};

pub use control::{Broken, Control, Failures, Timeouts};
pub use foreseen::{Foreseen, foresee};
pub use found::{Staged, staged};
pub use mirror::Mirrored;
pub use publish::{copy_published, signed_tag};

/// What a run needs of the world that this crate knows nothing of: git, the terminal, the notes.
pub trait Workshop: Send + Sync {
    /// Runs the image's `prepare`, if it has one, so that what it makes is there when the context is packed. What it
    /// prints goes to `log`.
    fn generate<'w>(
        &'w self,
        step: &'w Step,
        log: &'w mut (dyn io::Write + Send),
    ) -> BoxFuture<'w, Result<(), Broken>>;

    /// The source of a step, its context packed into `work_dir`.
    fn prepare(&self, step: &Step, work_dir: &Path) -> Result<Prepared, Failed>;

    /// Whether the image has a `test`.
    fn is_tested(&self, step: &Step) -> bool;

    /// Runs the image's `test` on a built manifest that is about to be published; what it prints goes to `line`.
    fn test<'w>(
        &'w self,
        step: &'w Step,
        manifest: &'w Digest,
        line: &'w (dyn Fn(&str) + Sync),
    ) -> BoxFuture<'w, Tested>;

    /// What a step's source says of how it is built, without its context.
    fn describe(&self, step: &Step) -> Result<Described, Failed>;

    /// Keeps records for good; called after every wave and after tags have moved.
    fn keep(&self, records: &[Record]) -> Result<(), Failed>;

    /// Keeps the record of a decision before it is acted on, where everybody sees it: or not at all.
    fn decide(&self, record: &Record) -> Result<(), Failed>;

    /// What became of a base on its way to the mirror, as soon as it is known.
    fn mirrored(&self, mirrored: &Mirrored);

    /// A node gets nothing more in this run, and why.
    fn drained(&self, node: &str, why: &str);

    /// A line of a target's build, as it happens.
    fn line(&self, target: &Target, line: &str);

    /// What became of a target, as soon as it is known.
    fn done(&self, done: &Done);
}

/// What an image's `test` said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tested {
    /// There is none, or it ended with exit code 0.
    Passed,
    /// It says no.
    Failed(Failed),
    /// It could not be run.
    CouldNot(Failed),
}

/// A step's source.
pub struct Prepared {
    /// The image's entry at the step's commit.
    pub image: Image,
    /// Its Dockerfile.
    pub file: Arc<Dockerfile>,
    /// The Dockerfile for this platform.
    pub resolved: Resolved,
    /// The packed context.
    pub context: ContextTar,
    /// The values of the image's build secrets.
    pub secrets: SecretValues,
    /// The SSH agent that the image may ask.
    pub ssh: Option<SshAgent>,
}

/// What a step's source says of how it is built.
pub struct Described {
    /// The image's entry at the step's commit.
    pub image: Image,
    /// Its Dockerfile.
    pub file: Arc<Dockerfile>,
    /// The Dockerfile for this platform.
    pub resolved: Resolved,
}

/// The engines of a run. Only those that the plan names are there.
#[derive(Clone, Default)]
pub struct Engines {
    by_kind: BTreeMap<EngineKind, Result<Builder, Failed>>,
}

/// Who executes for one kind of engine.
#[derive(Clone)]
enum Builder {
    One(Arc<dyn Engine>),
    Nodes(Arc<Nodes>),
}

impl Engines {
    /// Adds the engine for a kind.
    #[must_use]
    pub fn with(mut self, kind: EngineKind, engine: Arc<dyn Engine>) -> Self {
        self.by_kind.insert(kind, Ok(Builder::One(engine)));
        self
    }

    /// Adds the nodes that share a kind's targets.
    #[must_use]
    pub fn with_nodes(mut self, kind: EngineKind, nodes: Nodes) -> Self {
        let nodes = Builder::Nodes(Arc::new(nodes));
        self.by_kind.insert(kind, Ok(nodes));
        self
    }

    /// Says why there is none for a kind: what needs it fails, and the rest goes on.
    #[must_use]
    pub fn without(mut self, kind: EngineKind, why: Failed) -> Self {
        self.by_kind.insert(kind, Err(why));
        self
    }

    /// How many targets the nodes build at once; 0 where there are none.
    pub fn n_slots(&self) -> usize {
        let slots = self.by_kind.values().map(|builder| match builder {
            Ok(Builder::Nodes(nodes)) => nodes.n_slots(),
            Ok(Builder::One(_)) | Err(_) => 0,
        });
        slots.sum()
    }

    fn builder(&self, kind: EngineKind) -> Result<&Builder, Failed> {
        let missing = || Failed {
            message: format!("no {} engine was set up for this run", kind.as_str()),
            excerpt: None,
            hint: Some("`refit doctor` says what is missing".to_owned()),
        };
        let builder = self.by_kind.get(&kind).ok_or_else(missing)?;
        builder.as_ref().map_err(Failed::clone)
    }
}

/// Why something went wrong, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// One sentence.
    pub message: String,
    /// The line of a file, with the span underlined.
    pub excerpt: Option<String>,
    /// A way out.
    pub hint: Option<String>,
}

impl Failed {
    /// A failure in one sentence: an error with all its sources.
    pub fn of(error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            message = format!("{message}: {inner}");
            source = inner.source();
        }
        Self {
            message,
            excerpt: None,
            hint: None,
        }
    }
}

/// What became of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Which.
    pub target: Target,
    /// How it ended.
    pub outcome: Outcome,
    /// The log's digest in the archive, if something ran.
    pub log: Option<Digest>,
    /// The node that built it, where there are several.
    pub node: Option<String>,
}

/// How a target ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was built.
    Built(Digest),
    /// The published layers were put on the new base.
    Rebased(Digest),
    /// It lay under its staging tag.
    Staged(Digest),
    /// It came to what is published already.
    Kept(Digest),
    /// It failed.
    Failed(Failed),
    /// Something that it is built on failed.
    Skipped(String),
}

impl Outcome {
    /// The manifest, if there is one.
    pub fn manifest(&self) -> Option<&Digest> {
        match self {
            Self::Built(manifest)
            | Self::Rebased(manifest)
            | Self::Staged(manifest)
            | Self::Kept(manifest) => Some(manifest),
            Self::Failed(_) | Self::Skipped(_) => None,
        }
    }
}

/// What became of an image's tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The image.
    pub image: String,
    /// The reference of its index, by digest; none if nothing was put together.
    pub reference: Option<Reference>,
    /// What the lead tag held before.
    pub previous: Option<Digest>,
    /// Each tag, and whether it was moved; or why not.
    pub tags: Vec<(Reference, Result<(), String>)>,
    /// The platforms' manifests.
    pub platforms: BTreeMap<Platform, Digest>,
    /// Why nothing moved.
    pub failed: Option<String>,
}

/// What became of a plan.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Every base that is built from the mirror, in the plan's order.
    pub mirrored: Vec<Mirrored>,
    /// Every step, in the plan's order.
    pub done: Vec<Done>,
    /// Every image with steps.
    pub published: Vec<Published>,
}

impl Applied {
    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        let failed = |done: &Done| matches!(done.outcome, Outcome::Failed(_) | Outcome::Skipped(_));
        self.done.iter().any(failed) || self.published.iter().any(|p| p.failed.is_some())
    }
}

/// Everything an application works with.
pub struct Site<'a> {
    /// Where images are read and written.
    pub registries: &'a Registries,
    /// Who builds.
    pub engines: &'a Engines,
    /// Who puts published layers on other bases.
    pub rebaser: &'a Rebaser,
    /// Sources, records, the terminal.
    pub workshop: &'a dyn Workshop,
    /// The run, which keeps the logs.
    pub run: &'a Run,
    /// The time of records.
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
    /// Scratch files.
    pub scratch: PathBuf,
    /// How many targets are built at once.
    pub slots: usize,
    /// How many are under way at once, with those of which registries have all that it takes; and how many images are
    /// published at once. At least `slots`.
    pub at_once: usize,
    /// How the run is steered.
    pub control: Control<'a>,
    /// The key that statements are signed with.
    pub signer: Option<&'a Signer>,
}

/// Applies a plan. Failures are in the result; an error is only what makes going on pointless.
pub async fn apply(plan: &Plan, site: &Site<'_>) -> Result<Applied, Failed> {
    let mut applied = Applied {
        mirrored: mirror::bases(plan, site).await,
        ..Applied::default()
    };
    let unmirrored = mirror::failures(&applied.mirrored);
    let mut way = phases::Way::default();
    for phase in phases::phases(plan) {
        if let Some(canary) = way.failed_canary(&applied) {
            phases::leave_out(&phase, &canary, (&mut applied, site));
            continue;
        }
        build(&phase, &unmirrored, (&mut way, &mut applied), site).await?;
        let published = publish::all(&phase, &way.results, &mut way.stuck, site).await?;
        applied.published.extend(published);
    }
    Ok(applied)
}

/// Builds the steps of a plan, wave by wave.
async fn build(
    plan: &Plan,
    unmirrored: &mirror::Unmirrored,
    (way, applied): (&mut phases::Way, &mut Applied),
    site: &Site<'_>,
) -> Result<(), Failed> {
    let waves = plan.steps.iter().map(|step| step.wave).max().unwrap_or(0);
    for wave in 1..=waves {
        let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.wave == wave).collect();
        let results = &way.results;
        let builds = steps.iter().enumerate().map(|(at, step)| async move {
            (at, target::attempt(step, results, unmirrored, site).await)
        });
        let mut finished: Vec<(usize, target::Finished)> = stream::iter(builds)
            .buffer_unordered(site.at_once.max(1))
            .collect()
            .await;
        // As the plan has them, whoever was the first.
        finished.sort_unstable_by_key(|(at, _)| *at);
        let mut records = Vec::new();
        for (_, finished) in finished {
            records.extend(finished.records);
            site.workshop.done(&finished.done);
            let target = finished.done.target.clone();
            way.results.insert(target, finished.done.outcome.clone());
            applied.done.push(finished.done);
        }
        if !records.is_empty() {
            site.workshop.keep(&records)?;
        }
    }
    Ok(())
}

/// The sum of what failed to be written, as a failure.
fn io_failed(action: &str, path: &Path, error: &io::Error) -> Failed {
    Failed {
        message: format!("cannot {action} `{}`: {error}", path.display()),
        excerpt: None,
        hint: None,
    }
}
