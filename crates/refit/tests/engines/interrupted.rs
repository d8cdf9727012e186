//! What a killed run left is found again.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use refit_testkit::engines::Version;
use serde_json::{Value, json};

use crate::{bench::Bench, hub::text, lineage};

#[test]
fn needs_engine_docker26_a_killed_sweep_repeats_nothing_that_it_staged() {
    let (hub, bench) = lineage::released(Version::V26);
    hub.push_base("1", "2");
    let latest =
        || ["base", "web", "shop"].map(|image| hub.digest(&format!("team/{image}:latest")));
    let before = latest();

    kill_at(&bench, "web@linux/arm64 | ");
    assert_eq!(latest(), before, "no tag has moved");
    let tags = || {
        let mut tags = hub.tags("team/base");
        tags.retain(|tag, _| !tag.starts_with("sha256-"));
        tags
    };
    let staged = tags();
    assert_eq!(
        staged.len(),
        4,
        "latest, both released targets and the patched one: {staged:?}"
    );
    bench.refit(&["runs"]).exits(0).mentions("interrupted");
    bench
        .refit(&["logs", "base@linux/arm64"])
        .exits(0)
        .mentions("DONE");

    let plan = bench
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    let actions: Vec<_> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (text(&s["target"]), text(&s["action"])))
        .collect();
    let expected = [("base", "publish"), ("web", "rebuild"), ("shop", "rebuild")];
    assert_eq!(
        actions,
        expected.map(|(image, action)| (format!("{image}@linux/arm64"), action.to_owned()))
    );

    let ran = bench.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(arm64_actions(&ran), ["publish", "rebuild", "rebuild"]);
    assert_eq!(tags().len(), staged.len(), "the same staging tag");
    bench.refit(&["sweep"]).exits(0).mentions("nothing to do");
    assert_eq!(bench.left_in_engine(), (Vec::new(), 0));
}

#[test]
fn needs_engine_docker20_a_push_that_was_not_recorded_is_still_ours() {
    let (hub, bench) = lineage::released(Version::V20);
    hub.push_base("2", "1");
    let records = |bench: &Bench| {
        bench
            .git(&["rev-parse", "refs/notes/refit-records"])
            .exits(0)
            .line()
    };
    bench.refit(&["sweep"]).exits(0);
    // As if the run had been killed between the last tag and its record.
    bench
        .git(&[
            "update-ref",
            "refs/notes/refit-records",
            "refs/notes/refit-records~1",
        ])
        .exits(0);
    let (forgotten, latest) = (records(&bench), hub.digest("team/shop:latest"));
    bench
        .refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are built on what the bases are now");
    assert_eq!(
        (records(&bench), hub.digest("team/shop:latest")),
        (forgotten, latest)
    );

    hub.push_base("3", "1");
    let ran = bench.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!((&ran["failed"], &ran["states"]), (&json!([]), &json!([])));
    bench
        .refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are built on what the bases are now");
}

/// Starts a sweep, and kills it as soon as it prints a line that begins so.
fn kill_at(bench: &Bench, begins: &str) {
    let mut command = bench.refit_command(&bench.repository(), &["sweep"]);
    let mut sweep = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(sweep.stderr.take().unwrap()).lines();
    let lines: Vec<String> = lines
        .map(Result::unwrap)
        .take_while(|line| !line.starts_with(begins))
        .collect();
    sweep.kill().unwrap();
    assert!(
        !sweep.wait().unwrap().success(),
        "it came to its end: {lines:#?}"
    );
}

/// What became of each image's arm64 target, in the order of the publications.
fn arm64_actions(ran: &Value) -> Vec<String> {
    let images = ran["images"].as_array().unwrap().iter();
    let targets = images.flat_map(|image| image["targets"].as_array().unwrap());
    targets
        .filter(|t| t["platform"] == "linux/arm64")
        .map(|t| text(&t["action"]))
        .collect()
}
