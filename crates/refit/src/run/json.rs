//! A plan, and what became of it, as JSON.

use refit_build::apply::{Done, Mirrored, Outcome, Published};
use refit_deps::plan::{self, Plan, PlanView, Step};
use refit_platform::Target;
use refit_registry::{Requests, Uploaded};
use serde_json::{Value, json};

use super::Ran;

/// The plan: what `--dry-run` prints.
pub(crate) fn plan_json(plan: &Plan, rebuild_from: &str, requests: Requests) -> Value {
    let mut value = serde_json::to_value(PlanView::of(plan, rebuild_from)).unwrap_or_default();
    value["requests"] = json!({ "head": requests.head, "get": requests.get });
    value
}

/// What a run did.
pub(crate) fn ran_json(plan: &Plan, ran: &Ran, requests: Requests) -> Value {
    let mut value = nothing_json(plan, requests);
    let images = ran.applied.published.iter();
    let images: Vec<Value> = images
        .map(|published| image_json(plan, ran, published))
        .collect();
    let failed: Vec<Value> = ran.applied.done.iter().filter_map(failure_json).collect();
    let mirrors = ran.applied.mirrored.iter().map(mirrored_json);
    value["mirrors"] = json!(mirrors.collect::<Vec<_>>());
    value["run"] = json!(ran.id.to_string());
    value["images"] = json!(images);
    value["failed"] = json!(failed);
    value
}

/// The same where there was nothing to do.
pub(crate) fn nothing_json(plan: &Plan, requests: Requests) -> Value {
    let plan = plan_json(plan, "", requests);
    json!({
        "format_version": 1, "run": null, "images": [], "failed": [], "mirrors": [],
        "states": plan["states"], "kept": plan["kept"], "errors": plan["errors"],
        "requests": plan["requests"],
    })
}

fn mirrored_json(mirrored: &Mirrored) -> Value {
    let mut value = plan::mirror_json(&mirrored.copy);
    value["copied"] = json!(mirrored.outcome == Ok(Uploaded::Uploaded));
    value["error"] = json!(mirrored.outcome.as_ref().err().map(|e| &e.message));
    value
}

fn image_json(plan: &Plan, ran: &Ran, published: &Published) -> Value {
    let tags = published.tags.iter().map(
        |(tag, moved)| json!({ "tag": tag, "moved": moved.is_ok(), "why": moved.as_ref().err() }),
    );
    let targets = published.platforms.iter();
    let targets = targets.map(|(platform, manifest)| {
        let target = Target {
            image: published.image.clone(),
            platform: platform.clone(),
        };
        let engine = plan.step(&target).map(|step: &Step| step.engine.as_str());
        json!({
            "platform": platform, "action": action(ran, &target), "manifest": manifest, "engine": engine,
            "node": ran.applied.done.iter().find(|done| done.target == target).and_then(|d| d.node.as_ref()),
        })
    });
    let publication = plan
        .publications
        .iter()
        .find(|p| p.image == published.image);
    json!({
        "name": published.image,
        "run": ran.id.to_string(),
        "line": publication.map(|p| &p.line),
        "reference": published.reference,
        "previous": published.previous,
        "tags": tags.collect::<Vec<_>>(),
        "targets": targets.collect::<Vec<_>>(),
        "error": published.failed,
    })
}

fn action(ran: &Ran, target: &Target) -> &'static str {
    let done = ran.applied.done.iter().find(|done| done.target == *target);
    match done.map(|done| &done.outcome) {
        Some(Outcome::Built(_)) => "rebuild",
        Some(Outcome::Rebased(_)) => "rebase",
        Some(Outcome::Staged(_)) => "publish",
        _ => "keep",
    }
}

fn failure_json(done: &Done) -> Option<Value> {
    let (kind, message) = match &done.outcome {
        Outcome::Failed(failed) => ("failed", failed.message.as_str()),
        Outcome::Skipped(why) => ("skipped", why.as_str()),
        Outcome::Built(_) | Outcome::Rebased(_) | Outcome::Staged(_) | Outcome::Kept(_) => {
            return None;
        }
    };
    let target = done.target.to_string();
    Some(json!({ "target": target, "kind": kind, "message": message, "log": done.log }))
}
