//! Whose turn it is: two sweeps at once do everything twice, and one of them for nothing.

use jiff::SignedDuration;
use refit_deps::config;

use super::SweepArgs;
use crate::{
    commands::App,
    error::CommandError,
    lease::{self, Held, Manners},
};

/// What is done where another sweep is under way.
#[derive(Debug, clap::Args)]
pub(super) struct TurnArgs {
    /// Wait as long as this for a sweep that is under way elsewhere, and do what it left [default: end with 2]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<SignedDuration>,
    /// Take the lease of a sweep that is under way elsewhere: its machine is gone, say
    #[arg(long, conflicts_with = "wait")]
    take_lease: bool,
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{text}` is no duration (want `90s`, `30m`, `2h`)");
    config::parse_duration(text).ok_or_else(wrong)
}

impl TurnArgs {
    pub(super) fn manners(&self) -> Manners {
        Manners {
            wait: self.wait.unwrap_or(SignedDuration::ZERO),
            take: self.take_lease,
        }
    }
}

/// This sweep's turn.
#[derive(Default)]
pub(super) struct Turn {
    held: Option<Held>,
    /// Whether it was asked for: a remote may take no such ref.
    asked: bool,
}

impl Turn {
    /// Begins it, unless it has begun; whether another sweep was waited for, and what is known is old.
    pub(super) async fn has_to_wait(
        &mut self,
        app: &App,
        args: &SweepArgs,
        remote: Option<&str>,
    ) -> Result<bool, CommandError> {
        if self.asked {
            return Ok(false);
        }
        self.held = lease::take(app, remote, args.turn.manners()).await?;
        Ok(self.begun())
    }

    /// The same for a plan whose shards go on with it.
    pub(super) async fn of_plan(
        &mut self,
        app: &App,
        args: &SweepArgs,
        remote: Option<&str>,
    ) -> Result<bool, CommandError> {
        if self.asked {
            return Ok(false);
        }
        self.held = lease::take_for_plan(app, remote, args.turn.manners()).await?;
        Ok(self.begun())
    }

    fn begun(&mut self) -> bool {
        self.asked = true;
        self.held.as_ref().is_some_and(|held| held.waited)
    }

    /// Ends it: there is nothing to do after all.
    pub(super) fn ends(&mut self) {
        if let Some(held) = self.held.take() {
            held.ends();
        }
    }

    /// By which others join it.
    pub(super) fn id(&self) -> Option<&str> {
        Some(&self.held.as_ref()?.id)
    }
}
