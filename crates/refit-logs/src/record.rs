//! The record of a run, as `refit logs` shows it.

use jiff::Timestamp;
use refit_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::RunId;

/// What a run is an execution of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// `refit build`.
    Build,
    /// `refit sweep`.
    Sweep,
    /// `refit rebase`.
    Rebase,
    /// `refit promote`.
    Promote,
    /// `refit task run`.
    Task,
}

impl RunKind {
    /// The name in records and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Sweep => "sweep",
            Self::Rebase => "rebase",
            Self::Promote => "promote",
            Self::Task => "task",
        }
    }
}

/// How a run, or one target of it, ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its process is alive.
    Running,
    /// All went well.
    Succeeded,
    /// Something did not.
    Failed,
    /// A target that was not tried, because one it depends on failed.
    Skipped,
    /// It was cancelled, or its process is gone without a word.
    Interrupted,
}

impl Outcome {
    /// The name in records and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The format's version, 1.
    pub v: u32,
    /// Names the run.
    pub id: RunId,
    /// Build, sweep or task.
    pub kind: RunKind,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; none while it runs, and for ever if it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// One entry a target, in the order in which they began.
    #[serde(default)]
    pub targets: Vec<TargetRecord>,
}

/// What a run did with one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRecord {
    /// `web@linux/arm64`; a task's step has its own name.
    pub target: String,
    /// The step's verb: `rebuild`, `rebase`, `keep`, `publish`.
    pub action: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The finished log's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Digest>,
    /// The platform manifest it made or kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// Why it failed or was skipped, one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The unfinished log's file name in the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The node that built it last, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl TargetRecord {
    /// One entry a target: a later one replaces it, but a log once stored stays, and where it was built.
    pub(crate) fn after(self, before: &Self) -> Self {
        Self {
            log: self.log.or_else(|| before.log.clone()),
            part: self.part.or_else(|| before.part.clone()),
            node: self.node.or_else(|| before.node.clone()),
            ..self
        }
    }
}

impl RunRecord {
    /// Whatever still runs, will not end.
    pub(crate) fn interrupt(&mut self) {
        let targets = self.targets.iter_mut().map(|t| &mut t.outcome);
        for outcome in targets.chain([&mut self.outcome]) {
            if *outcome == Outcome::Running {
                *outcome = Outcome::Interrupted;
            }
        }
    }
}
