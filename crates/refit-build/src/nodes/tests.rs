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

    async fn build(&self, _: &Recipe, _: &mut (dyn Write + Send)) -> Result<Built, EngineError> {
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
