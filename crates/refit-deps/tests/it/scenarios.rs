//! Walks `testdata/scenarios`: a story, the plan that is expected of it. Adding a case needs no Rust.

use std::{fs, path::Path};

use refit_deps::{
    observe::Resolved,
    plan::{self, Action, Plan, PlannedPin, ReleaseOptions, SweepOptions},
    reason::Reason,
};
use refit_oci::Digest;

use crate::world::{Expect, Scenario, World};

#[test]
fn every_scenario_comes_to_the_plan_it_expects() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/scenarios");
    let mut failures = Vec::new();
    let mut n_scenarios = 0;
    let mut folders: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    folders.sort();
    for folder in folders {
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            n_scenarios += 1;
            let name = file.strip_prefix(&root).unwrap().display().to_string();
            let text = fs::read_to_string(&file).unwrap();
            let scenario: Scenario =
                toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            let world = World::new(scenario);
            let got = outcome(&world);
            if got != world.scenario.expect {
                failures.push(format!(
                    "{name}\nexpected {:#?}\ngot {got:#?}",
                    world.scenario.expect
                ));
            }
        }
    }
    assert!(
        n_scenarios >= 10,
        "only {n_scenarios} scenarios were found under {}",
        root.display()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn outcome(world: &World) -> Expect {
    let scenario = &world.scenario;
    let (plan, asked) = world.resolve(|ground| -> Resolved<Plan> {
        let images = scenario.images.clone();
        match scenario.run.as_str() {
            "sweep" => plan::sweep(
                ground,
                &SweepOptions {
                    images,
                    base: scenario.base.clone(),
                    force: scenario.force,
                },
            ),
            "build" => {
                let take_over = scenario.take_over;
                plan::release(
                    ground,
                    &ReleaseOptions {
                        images,
                        push: true,
                        take_over,
                        ..ReleaseOptions::default()
                    },
                )
            }
            other => panic!("unknown run `{other}`"),
        }
    });
    let name = |digest: &Digest| {
        world
            .names
            .get(digest)
            .cloned()
            .unwrap_or_else(|| digest.short().to_owned())
    };
    let steps = plan.steps.iter().map(|step| {
        let action = match &step.action {
            Action::Rebuild => "rebuild".to_owned(),
            Action::Publish { manifest } => format!("publish {}", name(manifest)),
        };
        let reasons: Vec<String> = step.reasons.iter().map(|r| reason(r, &name)).collect();
        let pins: Vec<String> = step.pins.iter().map(|p| pin(p, &name)).collect();
        format!(
            "{} {action} {}: {} | on {}",
            step.wave,
            step.target,
            reasons.join(", "),
            pins.join(", ")
        )
    });
    let states = plan.states.iter().map(|state| match &state.platform {
        Some(platform) => format!("{}@{platform} {}", state.image, state.kind.word()),
        None => format!("{} {}", state.image, state.kind.word()),
    });
    let moves = plan.publications.iter().map(|p| {
        let expects = p
            .expects
            .as_ref()
            .map_or_else(|| "nothing".to_owned(), &name);
        let kept: Vec<String> = p.kept.values().map(&name).collect();
        let over = p
            .over
            .as_ref()
            .map(|kind| format!(", over {}", kind.word()));
        let over = over.unwrap_or_default();
        format!(
            "{} from {expects}, keeps [{}], after {}{over}",
            p.image,
            kept.join(", "),
            p.after.as_deref().unwrap_or("nothing")
        )
    });
    Expect {
        steps: steps.collect(),
        kept: plan.kept.iter().map(ToString::to_string).collect(),
        states: states.collect(),
        moves: moves.collect(),
        tags_asked: scenario.expect.tags_asked.map(|_| asked.tags.len()),
        documents_asked: scenario
            .expect
            .documents_asked
            .map(|_| asked.documents.len()),
        configs_asked: scenario.expect.configs_asked.map(|_| asked.configs.len()),
    }
}

fn reason(reason: &Reason, name: &dyn Fn(&Digest) -> String) -> String {
    match reason {
        Reason::BaseChanged {
            reference,
            from,
            to,
            ..
        } => {
            let from = from.as_ref().map_or_else(|| "nothing".to_owned(), name);
            format!("{} {from} → {}", reference.familiar(), name(to))
        }
        Reason::ParentRebuilt { parent } => format!("parent {parent}"),
        other => serde_json::to_value(other).unwrap()["kind"]
            .as_str()
            .unwrap()
            .to_owned(),
    }
}

fn pin(pin: &PlannedPin, name: &dyn Fn(&Digest) -> String) -> String {
    match pin {
        PlannedPin::Known { pin, .. } => pin.manifest.as_ref().map_or_else(String::new, name),
        PlannedPin::Step { target, .. } => target.to_string(),
    }
}
