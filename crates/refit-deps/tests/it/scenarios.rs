//! Walks `testdata/scenarios`: a story, the plan that is expected of it. Adding a case needs no Rust.

use std::{fs, path::Path};

use crate::{
    format::{Expect, Scenario},
    outcome::outcome,
    world::World,
};

/// Every story with its name, sorted.
pub(crate) fn stories() -> Vec<(String, World)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/scenarios");
    let mut files: Vec<_> = entries(&root).iter().flat_map(|f| entries(f)).collect();
    files.sort();
    let story = |file: &std::path::PathBuf| {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let text = fs::read_to_string(file).unwrap();
        let scenario: Scenario = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        (name, World::new(scenario))
    };
    files.iter().map(story).collect()
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_scenario_comes_to_the_plan_it_expects() {
    let stories = stories();
    assert!(stories.len() >= 80, "only {} stories", stories.len());
    let mut failures = Vec::new();
    for (name, world) in &stories {
        let (got, expected) = (outcome(world), &world.scenario.expect);
        if got != *expected {
            failures.push(format!("{name}\n{}", differences(expected, &got)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What is expected and not there, and what is there and not expected.
fn differences(expected: &Expect, got: &Expect) -> String {
    let [expected, got] = [expected, got].map(|expect| format!("{expect:#?}"));
    let missing = expected
        .lines()
        .filter(|line| !got.lines().any(|l| l == *line));
    let surplus = got
        .lines()
        .filter(|line| !expected.lines().any(|l| l == *line));
    let missing = missing.map(|line| format!("- {}\n", line.trim()));
    let surplus = surplus.map(|line| format!("+ {}\n", line.trim()));
    let lines: String = missing.chain(surplus).collect();
    if lines.is_empty() {
        return format!("the order differs: {got}");
    }
    lines
}
