//! `refit status --format json`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use refit_deps::{plan::PlanView, reason::Reason};
use refit_oci::Platform;
use serde::Serialize;
use serde_json::{Value, json};

use crate::observe::Standing;

#[derive(Debug, Serialize)]
pub(super) struct StatusView<'a> {
    format_version: u32,
    targets: Vec<TargetView<'a>>,
    states: Value,
    stale: usize,
    total: usize,
    /// When each line was swept last.
    last_sweeps: &'a BTreeMap<String, Timestamp>,
    requests: Value,
}

#[derive(Debug, Serialize)]
struct TargetView<'a> {
    target: String,
    image: &'a str,
    platform: &'a Platform,
    status: &'static str,
    reasons: &'a [Reason],
}

/// How every target stands, sorted by target.
pub(super) fn view(standing: &Standing, stale: usize) -> StatusView<'_> {
    let (status, requests) = (&standing.status, standing.requests);
    let targets = status.rows.iter().map(|row| TargetView {
        target: row.target.to_string(),
        image: &row.target.image,
        platform: &row.target.platform,
        status: row.word.as_str(),
        reasons: &row.reasons,
    });
    let plan = serde_json::to_value(PlanView::of(&status.plan, "release")).unwrap_or_default();
    StatusView {
        format_version: 1,
        targets: targets.collect(),
        states: plan.get("states").cloned().unwrap_or_else(|| json!([])),
        stale,
        total: status.rows.len(),
        last_sweeps: standing.swept.all(),
        requests: json!({ "head": requests.head, "get": requests.get }),
    }
}
