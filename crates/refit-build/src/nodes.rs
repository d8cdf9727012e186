//! Nodes: several endpoints of one engine that share a run's targets by platform.
//!
//! Of the nodes that fit a target best, the least busy takes it. One that does not answer is drained: it gets nothing
//! more, and what it had goes to another.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use refit_oci::Platform;
use refit_platform::{Placement, runs_on, satisfies};
use tokio::sync::Notify;

use crate::engine::{Engine, EngineError};

/// How long a node that may be gone has to say that it is there.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often in a row a node may fail to say that it is there.
const MISSED: usize = 2;

/// An endpoint with an engine.
pub struct Node {
    /// The user's word for it.
    pub name: String,
    /// How many targets it builds at once.
    pub slots: usize,
    /// The only platforms that it is given; empty: all.
    pub platforms: Vec<Platform>,
    /// The engine, or why it can't be used.
    pub engine: Result<NodeEngine, String>,
}

/// An engine that answered, and what it executes.
pub struct NodeEngine {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// The platform of its processor.
    pub native: Platform,
    /// Those that it emulates.
    pub emulated: Vec<Platform>,
}

/// The nodes of one kind of engine.
pub struct Nodes {
    all: Vec<Node>,
    states: Mutex<Vec<State>>,
    /// A slot is free, or a node is drained.
    changed: Notify,
}

#[derive(Clone, Default)]
struct State {
    busy: usize,
    drained: Option<String>,
}

/// How well a node fits a target; the lesser fits better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It is for exactly this platform.
    Exact,
    /// Its processor executes it as well.
    Native,
    Emulated,
    /// It executes nothing of it: only a Dockerfile that executes nothing can be built there.
    Unexecuted,
}

impl Node {
    fn fit(&self, target: &Platform) -> Option<Fit> {
        let NodeEngine {
            native, emulated, ..
        } = self.engine.as_ref().ok()?;
        if !self.is_for(target) {
            return None;
        }
        let placement = runs_on(target, native, emulated);
        Some(match placement {
            Placement::Native if native == target || self.platforms.contains(target) => Fit::Exact,
            Placement::Native => Fit::Native,
            Placement::Emulated => Fit::Emulated,
            Placement::No => Fit::Unexecuted,
        })
    }

    fn is_for(&self, target: &Platform) -> bool {
        let listed = self.platforms.iter();
        self.platforms.is_empty() || { listed }.any(|platform| satisfies(target, platform))
    }
}

/// No node can build a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no node is left for {platform}: {}", why.join("; "))]
pub struct NoNode {
    /// The target's platform.
    pub platform: Platform,
    /// What is the matter with each.
    pub why: Vec<String>,
}

impl Nodes {
    /// All nodes of a kind.
    pub fn new(nodes: Vec<Node>) -> Self {
        let states = nodes.iter().map(|node| State {
            busy: 0,
            drained: node.engine.as_ref().err().cloned(),
        });
        Self {
            states: Mutex::new(states.collect()),
            all: nodes,
            changed: Notify::new(),
        }
    }

    /// How many targets can be built at once.
    pub fn n_slots(&self) -> usize {
        let states = self.states();
        let alive = self.all.iter().zip(states.iter());
        let alive = alive.filter(|(_, state)| state.drained.is_none());
        alive.map(|(node, _)| node.slots).sum()
    }

    /// Why no node can be used; none: one can.
    pub fn all_drained(&self) -> Option<String> {
        let states = self.states();
        let drained = self.all.iter().zip(states.iter());
        let why: Option<Vec<String>> = drained
            .map(|(node, state)| Some(format!("`{}`: {}", node.name, state.drained.as_ref()?)))
            .collect();
        why.map(|why| why.join("; "))
    }

    /// Waits for a slot on one of the nodes that fit `target` best, `refused` left aside.
    pub(crate) async fn place(
        self: &Arc<Self>,
        target: &Platform,
        refused: &BTreeSet<usize>,
    ) -> Result<Place, NoNode> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on a slot that becomes free is noticed, also before it is waited for.
            changed.as_mut().enable();
            if let Some(place) = self.take(target, refused)? {
                return Ok(place);
            }
            changed.await;
        }
    }

    /// A slot; none: all of the nodes that fit best are busy.
    fn take(
        self: &Arc<Self>,
        target: &Platform,
        refused: &BTreeSet<usize>,
    ) -> Result<Option<Place>, NoNode> {
        let mut states = self.states();
        let alive = self.all.iter().zip(states.iter()).enumerate();
        let fits: Vec<(Fit, usize)> = alive
            .filter(|(at, (_, state))| state.drained.is_none() && !refused.contains(at))
            .filter_map(|(at, (node, _))| Some((node.fit(target)?, at)))
            .collect();
        let Some(best) = fits.iter().map(|(fit, _)| *fit).min() else {
            return Err(self.none_left(target, &states));
        };
        let free = fits.iter().filter(|(fit, _)| *fit == best);
        let free = free.map(|(_, at)| *at);
        let free = free.filter(|&at| states[at].busy < self.all[at].slots);
        // Of 1 in 4 and 1 in 2 slots the former is less busy.
        let least = free.min_by_key(|&at| (states[at].busy * 1000 / self.all[at].slots, at));
        Ok(least.map(|at| {
            states[at].busy += 1;
            Place {
                nodes: Arc::clone(self),
                at,
            }
        }))
    }

    fn none_left(&self, target: &Platform, states: &[State]) -> NoNode {
        let why = self.all.iter().zip(states).map(|(node, state)| {
            let name = &node.name;
            match &state.drained {
                Some(why) => format!("`{name}` is drained, {why}"),
                None if node.is_for(target) => format!("`{name}` refuses it"),
                None => format!("`{name}` is for other platforms"),
            }
        });
        NoNode {
            platform: target.clone(),
            why: why.collect(),
        }
    }

    fn states(&self) -> MutexGuard<'_, Vec<State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot of a node; dropped, it is free again.
pub(crate) struct Place {
    nodes: Arc<Nodes>,
    at: usize,
}

impl Place {
    /// Which node, for [`Nodes::place`].
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The node's name.
    pub(crate) fn name(&self) -> &str {
        &self.nodes.all[self.at].name
    }

    /// The node's engine.
    pub(crate) fn engine(&self) -> &dyn Engine {
        let engine = self.nodes.all[self.at].engine.as_ref();
        let engine = engine.expect("a node without an engine is drained, and has no places");
        engine.engine.as_ref()
    }

    /// Why the node is to be given up after this error; `None`: the error is the target's own.
    pub(crate) async fn lost(&self, error: &EngineError) -> Option<String> {
        use EngineError as E;
        match error {
            E::Unreachable { .. }
            | E::Elsewhere { .. }
            | E::NoBuildKit { .. }
            | E::NoExport { .. } => Some(said(error)),
            E::Refused(_)
            | E::WrongPlatform { .. }
            | E::WrongBase { .. }
            | E::Base { .. }
            | E::Io { .. } => None,
            // A RUN that fails, and one that is killed with its engine, look alike.
            E::Failed { .. } | E::Instruction { .. } | E::Engine { .. } | E::BadResult { .. } => {
                self.is_gone().await
            }
        }
    }

    /// Why the node is not there; `None`: it is.
    pub(crate) async fn is_gone(&self) -> Option<String> {
        match tokio::time::timeout(PATIENCE, self.engine().answers()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(said(&error)),
            Err(_) => Some(format!("it has said nothing for {}s", PATIENCE.as_secs())),
        }
    }

    /// Ends when the node has not been there for some pulses, with why: a host that lost its power closes no connection.
    pub(crate) async fn until_gone(&self, pulse: Duration) -> String {
        let mut missed = 0;
        loop {
            tokio::time::sleep(pulse).await;
            match self.is_gone().await {
                None => missed = 0,
                Some(why) if missed + 1 == MISSED => return why,
                Some(_) => missed += 1,
            }
        }
    }

    /// Gives the node nothing more; whether it was not drained before.
    pub(crate) fn drain(&self, why: &str) -> bool {
        let drained = &mut self.nodes.states()[self.at].drained;
        let is_news = drained.is_none();
        drained.get_or_insert_with(|| why.to_owned());
        is_news
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.nodes.states()[self.at].busy -= 1;
        self.nodes.changed.notify_waiters();
    }
}

/// An error with all its sources.
fn said(error: &dyn Error) -> String {
    crate::apply::Failed::of(error).message
}
