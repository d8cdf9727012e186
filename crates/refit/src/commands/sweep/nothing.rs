//! A sweep without anything to do.

use refit_deps::{observe::Line, plan::Plan, reason::StateKind};
use refit_registry::Requests;

use crate::ui::{Ui, count};

/// An empty result explains itself.
pub(super) fn say(ui: &Ui, plan: &Plan, line: &Line, requests: Requests) {
    if !plan.steps.is_empty() {
        return;
    }
    let asked = [
        (requests.head, "HEAD request"),
        (requests.get, "GET request"),
    ];
    let asked = asked.iter().filter(|(n, _)| *n > 0);
    let asked: Vec<String> = asked.map(|(n, what)| count(to_usize(*n), what)).collect();
    let asked = match asked.as_slice() {
        [] => String::new(),
        asked => format!(" ({})", asked.join(", ")),
    };
    if plan.states.iter().any(|state| state.kind.is_unknown()) {
        let known = if plan.kept.is_empty() {
            String::new()
        } else {
            format!("; {} fresh", count(plan.kept.len(), "target"))
        };
        ui.note(&format!(
            "nothing was done: a registry did not answer, so not all is known{known}{asked}"
        ));
        return;
    }
    if plan.kept.is_empty() {
        let mut states = plan.states.iter();
        if states.all(|state| state.kind == StateKind::Unpublished) {
            let note = format!(
                "nothing to do: nothing of `{}` is published{asked}",
                line.name
            );
            ui.note(&note);
            ui.hint("run `refit build --push` to publish a first time");
        } else {
            ui.note(&format!("nothing to do{asked}"));
        }
        return;
    }
    let kept = count(plan.kept.len(), "target");
    let verb = if plan.kept.len() == 1 { "is" } else { "are" };
    ui.note(&format!(
        "nothing to do: {kept} {verb} built on what the bases are now{asked}"
    ));
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
