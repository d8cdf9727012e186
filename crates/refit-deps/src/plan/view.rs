//! The plan as JSON: the format of `sweep --dry-run` and of plan files.

use hashbrown::HashMap;
use refit_oci::{Digest, ObjectId, Reference};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Action, BaseCopy, InTheWay, Plan, PlannedPin, PlannedPublication, Step};
use crate::reason::{Queue, Reason, State, StateKind, Unaffected};

/// `{"format_version":1,…}`, without the counts of requests, which the caller adds.
#[derive(Debug, Serialize)]
pub struct PlanView<'a> {
    format_version: u32,
    rebuild_from: &'a str,
    steps: Vec<StepView<'a>>,
    mirrors: Vec<Value>,
    kept: Vec<String>,
    states: Vec<Value>,
    unaffected: &'a [Unaffected],
    errors: Vec<String>,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct StepView<'a> {
    target: String,
    image: &'a str,
    platform: String,
    action: &'static str,
    wave: usize,
    line: &'a str,
    commit: Option<&'a ObjectId>,
    source: String,
    engine: &'static str,
    pins: Vec<Value>,
    tags: Vec<&'a Reference>,
    expects: Option<&'a Digest>,
    over: Option<&'static str>,
    reasons: &'a [Reason],
    #[serde(skip_serializing_if = "Option::is_none")]
    not_rebased: Option<&'a InTheWay>,
}

impl<'a> PlanView<'a> {
    /// The view of a plan.
    pub fn of(plan: &'a Plan, rebuild_from: &'a str) -> Self {
        let publications = plan.publications.iter().map(|p| (p.image.as_str(), p));
        let publications: HashMap<&str, &PlannedPublication> = publications.collect();
        let view = |step: &'a Step| {
            let publication = publications.get(step.target.image.as_str());
            StepView::of(step, publication.copied())
        };
        Self {
            format_version: 1,
            rebuild_from,
            steps: plan.steps.iter().map(view).collect(),
            mirrors: plan.mirrors.iter().map(mirror).collect(),
            kept: plan.kept.iter().map(ToString::to_string).collect(),
            states: plan.states.iter().map(state).collect(),
            unaffected: &plan.unaffected,
            errors: plan.problems.iter().map(ToString::to_string).collect(),
        }
    }
}

impl<'a> StepView<'a> {
    fn of(step: &'a Step, publication: Option<&'a PlannedPublication>) -> Self {
        Self {
            target: step.target.to_string(),
            image: &step.target.image,
            platform: step.target.platform.to_string(),
            action: match step.action {
                Action::Rebuild => "rebuild",
                Action::Rebase(_) => "rebase",
                Action::Publish { .. } => "publish",
            },
            wave: step.wave,
            line: publication.map_or("", |p| p.line.as_str()),
            commit: step.commit.as_ref(),
            source: step.source.to_string(),
            engine: step.engine.as_str(),
            pins: step.pins.iter().map(pin).collect(),
            tags: publication
                .iter()
                .flat_map(|p| p.tags.iter().chain(&p.unique_tags))
                .collect(),
            expects: publication.and_then(|p| p.expects.as_ref()),
            over: publication.and_then(|p| Some(p.over.as_ref()?.word())),
            reasons: &step.reasons,
            not_rebased: step.in_the_way.as_deref(),
        }
    }
}

fn pin(pin: &PlannedPin) -> Value {
    match pin {
        PlannedPin::Known { pin, .. } => serde_json::to_value(pin).unwrap_or_default(),
        PlannedPin::Step {
            kind,
            reference,
            platform,
            target,
            ..
        } => json!({
            "kind": kind.as_str(), "reference": reference, "platform": platform, "step": target.to_string(),
        }),
    }
}

/// `{"from":"REPOSITORY@DIGEST","to":"REPOSITORY@DIGEST","tag":…}`.
pub fn mirror(copy: &BaseCopy) -> Value {
    let BaseCopy { from, to, manifest } = copy;
    json!({ "from": from.at(manifest), "to": to.at(manifest), "tag": copy.tag() })
}

/// `{"image":…,"state":…}` and what the state says beside its word.
pub fn state(state: &State) -> Value {
    let mut value = json!({ "image": state.image, "state": state.kind.word() });
    if let Some(platform) = &state.platform {
        value["platform"] = json!(platform);
    }
    let more = match &state.kind {
        StateKind::Foreign { tag, digest } => json!({ "tag": tag, "digest": digest }),
        StateKind::MovedElsewhere {
            tag,
            digest,
            published,
        } => {
            json!({ "tag": tag, "digest": digest, "published": published })
        }
        StateKind::Held { reason } => json!({ "reason": reason }),
        StateKind::BaseHeld {
            reference,
            digest,
            until,
            reason,
        } => {
            json!({ "reference": reference, "digest": digest, "until": until, "reason": reason })
        }
        StateKind::Deferred {
            reference,
            digest,
            until,
            wait,
        } => json!({
            "reference": reference, "digest": digest, "until": until.to_string(), "waits_for": wait,
        }),
        StateKind::BackingOff {
            class,
            count,
            until,
        } => json!({
            "waits_for": "failure", "class": class, "count": count, "until": until.to_string(),
        }),
        StateKind::Queued(queue) => queued(queue),
        StateKind::Pinned {
            reference,
            pinned,
            current,
        } => {
            json!({ "reference": reference, "pinned": pinned, "current": current })
        }
        StateKind::MissingTag { tag, owner } => json!({ "tag": tag, "owner": owner }),
        StateKind::MissingPlatform {
            reference,
            platform,
            offered,
        } => json!({ "reference": reference, "wanted": platform, "offered": offered }),
        StateKind::Schema1 { reference } | StateKind::NestedIndex { reference } => {
            json!({ "reference": reference })
        }
        StateKind::Unauthorized {
            reference,
            credentials,
            message,
        } => json!({ "reference": reference, "credentials": credentials, "message": message }),
        StateKind::RateLimited {
            reference,
            until,
            message,
        } => json!({ "reference": reference, "until": until, "message": message }),
        StateKind::Unreachable { reference, message } => {
            json!({ "reference": reference, "message": message })
        }
        StateKind::ReleaseSourceGone { message }
        | StateKind::Broken { message }
        | StateKind::CheckError { message } => {
            json!({ "message": message })
        }
        StateKind::NeedsGeneratedFiles { missing } => json!({ "missing": missing }),
        StateKind::Behind {
            tag,
            digest,
            published,
        } => json!({ "tag": tag, "digest": digest, "published": published }),
        StateKind::Claimed { tag, line } => json!({ "tag": tag, "line": line }),
        StateKind::NewerIsPublished { commit } | StateKind::ReleaseSourceKnown { commit } => {
            json!({ "commit": commit })
        }
        StateKind::Unreleased { reasons } => json!({ "reasons": reasons }),
        StateKind::ReleaseSourceUnknown { reasons } if !reasons.is_empty() => {
            json!({ "reasons": reasons })
        }
        StateKind::Adoptable { tag, digest, how } => {
            json!({ "tag": tag, "digest": digest, "how": how })
        }
        StateKind::NoMovingTag
        | StateKind::ReleaseSourceUnknown { .. }
        | StateKind::CheckStillFails
        | StateKind::CheckNotAccepted
        | StateKind::Unpublished => {
            json!({})
        }
    };
    extend(&mut value, more);
    value
}

fn extend(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}

fn queued(queue: &Queue) -> Value {
    match queue {
        Queue::Limit { limit } => json!({ "waits_for": "limit", "limit": limit }),
        Queue::Canary { image } => json!({ "waits_for": "canary", "canary": image }),
    }
}
