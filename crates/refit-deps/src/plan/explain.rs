//! Why a step does what it does: what would have been cheaper, and what is in its way.

use std::fmt;

use super::{Action, InTheWay, PlannedPin, Step};
use crate::{
    key::{Because, EngineKind},
    problem::Problem,
    reason::Reason,
};

/// The ways to an up-to-date image, the cheapest first; below them is the engine that executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cheaper {
    /// What is published stays.
    Keep,
    /// What lies under the staging tag is published.
    Publish,
    /// The published layers go on the new base.
    Rebase,
    /// refit itself builds.
    Native,
}

/// Something cheaper that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken<'a> {
    /// What.
    pub what: Cheaper,
    /// Why not.
    pub why: WhyNot<'a>,
}

/// What is in the way of something cheaper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot<'a> {
    /// The target is stale: the step's reasons say why.
    Stale(&'a [Reason]),
    /// Nothing is published yet.
    Unpublished,
    /// Nothing lies under its staging tag.
    NotStaged,
    /// What it is built on is a step itself, so that its staging tag is not known yet.
    ParentFirst(&'a PlannedPin),
    /// It may not be, or not only its base moved.
    NoRebase,
    /// It could not be proven, or not done.
    InTheWay(&'a InTheWay),
    /// The configuration names another engine.
    Named(EngineKind),
    /// The Dockerfile asks for more: what, and where.
    Asked(Problem),
}

impl Cheaper {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Publish => "publish",
            Self::Rebase => "rebase",
            Self::Native => "native",
        }
    }
}

impl Step {
    /// Everything cheaper than what is done, the cheapest first.
    pub fn not_taken(&self) -> Vec<NotTaken<'_>> {
        let mut all = vec![(Cheaper::Keep, self.not_kept())];
        let rank = match &self.action {
            Action::Publish { .. } => Cheaper::Publish,
            Action::Rebase(_) => Cheaper::Rebase,
            Action::Rebuild => Cheaper::Native,
        };
        if rank > Cheaper::Publish {
            all.push((Cheaper::Publish, self.not_published()));
        }
        if rank > Cheaper::Rebase {
            all.push((Cheaper::Rebase, self.not_rebased()));
            let not_native = match &self.because {
                _ if self.engine == EngineKind::Native => None,
                Because::Asked(asked) => Some(WhyNot::Asked(asked.problem())),
                Because::Named | Because::NothingExecutes => Some(WhyNot::Named(self.engine)),
            };
            all.extend(not_native.map(|why| (Cheaper::Native, why)));
        }
        let all = all.into_iter();
        all.map(|(what, why)| NotTaken { what, why }).collect()
    }

    fn not_kept(&self) -> WhyNot<'_> {
        match self.replaces {
            Some(_) => WhyNot::Stale(&self.reasons),
            None => WhyNot::Unpublished,
        }
    }

    fn not_published(&self) -> WhyNot<'_> {
        let mut pins = self.pins.iter();
        let step = pins.find(|pin| matches!(pin, PlannedPin::Step { .. }));
        step.map_or(WhyNot::NotStaged, WhyNot::ParentFirst)
    }

    fn not_rebased(&self) -> WhyNot<'_> {
        match (&self.in_the_way, &self.replaces) {
            (Some(in_the_way), _) => WhyNot::InTheWay(in_the_way),
            (None, Some(_)) => WhyNot::NoRebase,
            (None, None) => WhyNot::Unpublished,
        }
    }
}

impl WhyNot<'_> {
    /// The place in a file that decides.
    pub fn place(&self) -> Option<&Problem> {
        match self {
            Self::Asked(asked) => Some(asked),
            _ => None,
        }
    }
}

impl fmt::Display for WhyNot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale(_) => f.write_str("it is stale"),
            Self::Unpublished => f.write_str("nothing is published"),
            Self::NotStaged => f.write_str("nothing lies under its staging tag"),
            Self::ParentFirst(PlannedPin::Step { target, .. }) => {
                write!(f, "its staging tag is known once {target} is done")
            }
            Self::ParentFirst(PlannedPin::Known { .. }) => f.write_str("its parent comes first"),
            Self::NoRebase => f.write_str("it may not be, or not its base alone moved"),
            Self::InTheWay(in_the_way) => in_the_way.fmt(f),
            Self::Named(kind) => write!(f, "`engine = \"{}\"` is configured", kind.as_str()),
            Self::Asked(asked) => write!(f, "{} takes more than files and images", asked.message),
        }
    }
}
