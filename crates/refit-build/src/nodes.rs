//! Nodes: several endpoints of one engine that share a run's targets by platform.
//!
//! Of the nodes that fit a target best, the least busy takes it. One that does not answer is drained: it gets nothing
//! more, and what it had goes to another.

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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::engine::{Built, EngineKind, Recipe, Refusal};

    /// Builds nothing; answers at first as it is told, the last one first, and then as if it were gone.
    struct Idle(Arc<Mutex<Vec<bool>>>);

    #[async_trait::async_trait]
    impl Engine for Idle {
        fn kind(&self) -> EngineKind {
            EngineKind::Docker
        }

        fn layer_format(&self) -> &'static str {
            "gzip"
        }

        fn check(&self, _: &Recipe) -> Result<(), Refusal> {
            Ok(())
        }

        async fn answers(&self) -> Result<(), EngineError> {
            if self.0.lock().unwrap().pop().unwrap_or_default() {
                return Ok(());
            }
            Err(EngineError::BadResult {
                reason: "nobody is there".to_owned(),
            })
        }

        async fn build(
            &self,
            _: &Recipe,
            _: &mut (dyn Write + Send),
        ) -> Result<Built, EngineError> {
            Err(EngineError::Failed {
                message: "nothing is built here".to_owned(),
            })
        }
    }

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    /// `name native+emulated+emulated slots [only]`
    fn nodes(lines: &[&str]) -> Arc<Nodes> {
        let nodes = lines.iter().map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap().to_owned();
            let mut executes = words.next().unwrap().split('+').map(platform);
            let engine = NodeEngine {
                engine: Arc::new(Idle(Arc::default())),
                native: executes.next().unwrap(),
                emulated: executes.collect(),
            };
            Node {
                name,
                slots: words.next().unwrap().parse().unwrap(),
                platforms: words.map(platform).collect(),
                engine: Ok(engine),
            }
        });
        Arc::new(Nodes::new(nodes.collect()))
    }

    /// The names of the nodes that take these targets one after the other, none giving its slot back; `-`: all are busy.
    fn taken(nodes: &Arc<Nodes>, targets: &[&str]) -> (Vec<String>, Vec<Place>) {
        let mut places = Vec::new();
        let names = targets.iter().map(|target| {
            let place = nodes.take(&platform(target), &BTreeSet::new());
            match place {
                Ok(Some(place)) => {
                    let name = place.name().to_owned();
                    places.push(place);
                    name
                }
                Ok(None) => "-".to_owned(),
                Err(error) => error.to_string(),
            }
        });
        let names = names.collect();
        (names, places)
    }

    #[test]
    fn a_target_goes_to_the_least_busy_of_the_nodes_that_fit_best() {
        let amd64 = "linux/amd64";
        let arm64 = "linux/arm64";
        let both = ["x linux/amd64+linux/arm64 2", "a linux/arm64 1"];
        for (lines, targets, expect) in [
            // An emulator is not taken while the processor is busy.
            (
                &both[..],
                &[arm64, arm64, amd64, amd64, amd64][..],
                "a - x x -",
            ),
            // In proportion to their slots.
            (
                &["one linux/amd64 1", "four linux/amd64 4"],
                &[amd64; 6],
                "one four four four four -",
            ),
            // A listed platform is a word to keep others away.
            (
                &["x linux/amd64 2 linux/386", "y linux/amd64 1"],
                &["linux/386", "linux/386", "linux/386", amd64, amd64],
                "x x - y -",
            ),
            // What nobody executes may be a Dockerfile that executes nothing.
            (&["x linux/amd64 1"], &["linux/s390x"], "x"),
        ] {
            let (names, _places) = taken(&nodes(lines), targets);
            assert_eq!(names.join(" "), expect, "{lines:?} {targets:?}");
        }
    }

    #[test]
    fn a_drained_node_gets_nothing_and_is_named_when_none_is_left() {
        let nodes = nodes(&[
            "x linux/amd64+linux/arm64 1",
            "a linux/arm64 1",
            "w linux/amd64 1 linux/386",
        ]);
        let (names, mut places) = taken(&nodes, &["linux/arm64"]);
        assert_eq!(names, ["a"]);
        let place = places.pop().unwrap();
        assert!(place.drain("it is gone"));
        assert!(!place.drain("it is gone again"), "once is enough");
        drop(place);
        assert_eq!(nodes.n_slots(), 2);
        let (names, places) = taken(&nodes, &["linux/arm64"]);
        assert_eq!(names, ["x"]);
        places[0].drain("so is this");
        let (names, _) = taken(&nodes, &["linux/arm64"]);
        assert_eq!(
            names,
            [
                "no node is left for linux/arm64: `x` is drained, so is this; `a` is drained, it is gone; \
              `w` is for other platforms"
            ]
        );
        assert_eq!(nodes.all_drained(), None);
    }

    #[tokio::test]
    async fn who_waits_gets_the_slot_that_becomes_free() {
        let nodes = nodes(&["x linux/amd64 1"]);
        let target = platform("linux/amd64");
        let first = nodes.place(&target, &BTreeSet::new()).await.unwrap();
        let waiting = tokio::spawn({
            let (nodes, target) = (Arc::clone(&nodes), target.clone());
            async move { nodes.place(&target, &BTreeSet::new()).await.map(|p| p.at()) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert_eq!(waiting.await.unwrap(), Ok(0));
        let refused = BTreeSet::from([0]);
        let error = nodes.place(&target, &refused).await.err().unwrap();
        assert_eq!(error.why, ["`x` refuses it"]);
    }

    #[tokio::test]
    async fn a_node_that_once_says_nothing_is_not_gone() {
        let answers = Arc::new(Mutex::new(vec![true, true, false, true]));
        let engine = NodeEngine {
            engine: Arc::new(Idle(Arc::clone(&answers))),
            native: platform("linux/amd64"),
            emulated: Vec::new(),
        };
        let nodes = Arc::new(Nodes::new(vec![Node {
            name: "x".to_owned(),
            slots: 1,
            platforms: Vec::new(),
            engine: Ok(engine),
        }]));
        let target = platform("linux/amd64");
        let place = nodes.place(&target, &BTreeSet::new()).await.unwrap();
        let why = place.until_gone(Duration::from_millis(1)).await;
        assert!(why.ends_with("nobody is there"), "{why}");
        let unasked = answers.lock().unwrap().len();
        assert_eq!(
            unasked, 0,
            "the second answer of four was none, and not the end"
        );
    }
}
