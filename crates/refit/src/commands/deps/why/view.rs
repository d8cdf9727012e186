//! `refit deps why --format json`.

use refit_deps::{
    lineage::causes::{Cause, chains},
    plan::state_json,
    reason::State,
};
use serde_json::{Value, json};

use super::{Explained, edges};
use crate::{
    packages::{self, Insides},
    project::Snapshot,
};

/// Every target with its chains, from the target to what changed.
pub(super) fn view(tip: &Snapshot, explained: &[Explained<'_>], insides: &Insides) -> Value {
    let targets: Vec<Value> = explained.iter().map(|of| target(tip, of)).collect();
    let mut view = json!({ "format_version": 1, "revision": tip.revision, "targets": targets });
    packages::annotate(&mut view, insides);
    view
}

fn target(tip: &Snapshot, of: &Explained<'_>) -> Value {
    let chains: Vec<Value> = chains(&of.causes)
        .into_iter()
        .map(
            |chain| json!({ "steps": chain.into_iter().map(|c| step(tip, c)).collect::<Vec<_>>() }),
        )
        .collect();
    let states = of.row.states.iter().map(|kind| {
        state_json(&State {
            image: of.row.target.image.clone(),
            platform: Some(of.row.target.platform.clone()),
            kind: kind.clone(),
        })
    });
    let built = of.built.as_ref().map(|built| {
        let pins = built.pins.iter().map(|(pin, place)| {
            let mut pin = json!(pin);
            pin["at"] = json!(place);
            pin
        });
        json!({
            "manifest": built.manifest, "commit": built.commit, "since": built.since,
            "on": pins.collect::<Vec<_>>(),
        })
    });
    json!({
        "target": of.row.target.to_string(),
        "image": of.row.target.image,
        "platform": of.row.target.platform,
        "status": of.row.word.as_str(),
        "chains": chains,
        "states": states.collect::<Vec<_>>(),
        "built": built,
    })
}

fn step(tip: &Snapshot, cause: &Cause) -> Value {
    let image = tip.inventory.image(&cause.target.image);
    let edges = edges(tip, &cause.target, &cause.reason)
        .into_iter()
        .map(|found| {
            json!({
                "kind": found.kind.as_str(),
                "file": image.map(|image| &image.dockerfile),
                "line": found.line,
                "written": found.written,
            })
        });
    json!({
        "target": cause.target.to_string(),
        "edges": edges.collect::<Vec<_>>(),
        "reason": cause.reason,
    })
}
