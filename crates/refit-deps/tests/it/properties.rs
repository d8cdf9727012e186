//! What holds of every story: the plan depends on what is known, not on how it came to be known, and a plan that was
//! applied is done.

use std::collections::BTreeSet;

use proptest::{
    prelude::{Just, Strategy as _, any},
    test_runner::{Config, TestRunner},
};
use refit_deps::{
    pin::Pin,
    plan::Plan,
    reason::StateKind,
    record::{DepsRecord, Record},
};
use refit_dockerfile::Kind;

use crate::{
    apply::after,
    outcome::plan_of,
    scenarios::stories,
    world::{World, digest, object_id},
};

fn plan(world: &World) -> Plan {
    world.resolve(|ground| plan_of(ground, &world.scenario)).0
}

fn text(plan: &Plan) -> String {
    format!("{plan:#?}")
}

#[test]
fn a_plan_that_was_applied_leaves_nothing_to_do() {
    for (name, mut world) in stories() {
        let first = plan(&world);
        // What is built for this machine only is published nowhere, and so is built again.
        if first.steps.is_empty() || world.scenario.run == "local" {
            continue;
        }
        after(&mut world, &first);
        world.scenario.force = false;
        world.scenario.take_over = false;
        let second = plan(&world);
        let steps: Vec<String> = second.steps.iter().map(|s| s.target.to_string()).collect();
        // What is not in the plan's own images may have become stale: the dependents of a release.
        let ours: BTreeSet<String> = first.steps.iter().map(|s| s.target.to_string()).collect();
        let again: Vec<&String> = steps.iter().filter(|step| ours.contains(*step)).collect();
        assert!(again.is_empty(), "{name}: {again:?} once more");
        if world.scenario.run == "sweep" {
            // What had to wait its turn has it now.
            let queued = |step: &&String| {
                let mut states = first.states.iter();
                states.any(|state| {
                    matches!(state.kind, StateKind::Queued(_))
                        && step.split('@').next() == Some(state.image.as_str())
                })
            };
            let later: Vec<&String> = steps.iter().filter(|step| !queued(step)).collect();
            assert!(later.is_empty(), "{name}: {later:?} came up later");
        }
    }
}

#[test]
fn the_order_of_records_is_no_matter() {
    for (name, mut world) in stories() {
        let expected = text(&plan(&world));
        let notes = world.notes.clone();
        let mut runner = TestRunner::new(Config::with_cases(4));
        let shuffled = Just(notes).prop_shuffle();
        for _ in 0..4 {
            use proptest::strategy::ValueTree as _;
            let tree = shuffled.new_tree(&mut runner).unwrap();
            world.notes = tree.current();
            assert_eq!(text(&plan(&world)), expected, "{name}");
        }
    }
}

#[test]
fn what_was_learned_before_does_not_change_the_plan() {
    for (name, world) in stories() {
        let expected = text(&plan(&world));
        let all = world.everything();
        let (again, _) = world.resolve_with(all, |ground| plan_of(ground, &world.scenario));
        assert_eq!(text(&again), expected, "{name}");
    }
}

#[test]
fn deps_records_never_change_a_plan() {
    for (name, mut world) in stories() {
        let expected = text(&plan(&world));
        let inventory = world.git.inventory(&world.git.tip).clone();
        let mut runner = TestRunner::new(Config::with_cases(4));
        let names = proptest::collection::vec(any::<u8>(), 1..6);
        for image in &inventory.images {
            use proptest::strategy::ValueTree as _;
            for platform in &image.platforms {
                let picked = names.new_tree(&mut runner).unwrap().current();
                let forged = |n: &u8| Pin {
                    kind: Kind::Base,
                    reference: "debian:12-slim".parse().unwrap(),
                    platform: platform.clone(),
                    index: Some(digest(&format!("debian-{}", n % 4))),
                    manifest: Some(digest(&format!("debian-amd-{}", n % 4))),
                };
                let line = Record::Deps(DepsRecord {
                    image: image.name.clone(),
                    platform: platform.clone(),
                    source: world.git.source(&image.name, &world.git.tip).id,
                    commit: object_id(&world.git.tip),
                    deps: picked.iter().map(forged).collect(),
                    at: "2030-01-01T00:00:00Z".to_owned(),
                });
                world.notes.push(line.to_line());
            }
        }
        assert_eq!(text(&plan(&world)), expected, "{name}");
    }
}
