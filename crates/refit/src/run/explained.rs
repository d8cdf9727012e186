//! `--explain`: why each step does what it does, by whom, and why nothing cheaper.

use std::fmt::Write as _;

use refit_deps::{
    key::{Because, EngineKind},
    plan::{Action, NotTaken, Plan, Step},
    problem::Problem,
};
use serde_json::{Value, json};

/// For people: a paragraph for each step.
pub(crate) fn explained(plan: &Plan) -> String {
    let paragraphs = plan.steps.iter().map(paragraph);
    paragraphs.collect::<Vec<_>>().join("\n")
}

fn paragraph(step: &Step) -> String {
    let mut text = format!("{}: {}\n", step.target, done(step));
    for NotTaken { what, why } in step.not_taken() {
        let place = why.place().map(place).unwrap_or_default();
        let _ = writeln!(text, "  no {}: {place}{why}", what.as_str());
        let excerpt = why.place().and_then(|place| place.excerpt.as_deref());
        for line in excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// What is done and who does it.
fn done(step: &Step) -> String {
    match (&step.action, &step.because) {
        (Action::Publish { .. }, _) => "publish, it lies under its staging tag".to_owned(),
        (Action::Rebase(_), _) => "rebase, nothing but its base moved".to_owned(),
        (Action::Rebuild, Because::Named) => {
            format!("rebuild by {}, as `engine` says", step.engine.as_str())
        }
        (Action::Rebuild, Because::NothingExecutes) => {
            format!("rebuild by {}, nothing executes", step.engine.as_str())
        }
        (Action::Rebuild, Because::Asked(asked)) => {
            let asked = asked.problem().message;
            format!("rebuild by {}, for {asked}", step.engine.as_str())
        }
    }
}

fn place(problem: &Problem) -> String {
    let (line, column) = problem.position.unwrap_or((1, 1));
    format!("{}:{line}:{column}: ", problem.file)
}

/// The same in the plan's JSON: `explanation` of each step.
pub(crate) fn annotate(document: &mut Value, plan: &Plan) {
    let Some(steps) = document["steps"].as_array_mut() else {
        return;
    };
    for (value, step) in steps.iter_mut().zip(&plan.steps) {
        value["explanation"] = explanation(step);
    }
}

fn explanation(step: &Step) -> Value {
    let not_taken = step.not_taken();
    let not_taken = not_taken.iter().map(|NotTaken { what, why }| {
        let mut value = json!({ "what": what.as_str(), "why": why.to_string() });
        if let Some(place) = why.place() {
            value["file"] = json!(place.file);
            value["line"] = json!(place.position.map(|(line, _)| line));
            value["column"] = json!(place.position.map(|(_, column)| column));
        }
        value
    });
    let engine = (step.action == Action::Rebuild).then(|| EngineKind::as_str(step.engine));
    json!({
        "engine": engine,
        "because": match &step.because {
            Because::Named => "configured",
            Because::NothingExecutes => "nothing-executes",
            Because::Asked(_) => "asked",
        },
        "not_taken": not_taken.collect::<Vec<_>>(),
    })
}
