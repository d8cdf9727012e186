//! `--explain`: why each step does what it does, by whom, and why nothing cheaper.

use std::fmt::Write as _;

use refit_deps::{
    key::{Because, EngineKind},
    plan::{Action, NotTaken, Plan, Step},
    problem::Problem,
};
use serde_json::{Value, json};

use crate::{commands::App, nodes, project::Project, ui::sentence_list};

/// For people: a paragraph for each step.
pub(crate) fn explained(plan: &Plan, (app, project): (&App, &Project)) -> String {
    let paragraphs = plan.steps.iter().map(|step| {
        let nodes = nodes_of(step, app, project);
        paragraph(step, &nodes)
    });
    paragraphs.collect::<Vec<_>>().join("\n")
}

/// The nodes that share what is executed, as far as they may get the step; none where there is but one engine.
fn nodes_of<'p>(step: &Step, app: &App, project: &'p Project) -> Vec<&'p str> {
    if step.action != Action::Rebuild {
        return Vec::new();
    }
    let of = (step.engine, &step.target.platform);
    nodes::names_for(of, &app.environment, &project.user.engines)
}

fn paragraph(step: &Step, nodes: &[&str]) -> String {
    let mut text = format!("{}: {}\n", step.target, done(step));
    if !nodes.is_empty() {
        let quoted: Vec<String> = nodes.iter().map(|name| format!("`{name}`")).collect();
        let node = match nodes {
            [_] => "node",
            _ => "the least busy of the nodes",
        };
        let _ = writeln!(text, "  on {node} {}", sentence_list(&quoted));
    }
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
pub(crate) fn annotate(document: &mut Value, plan: &Plan, (app, project): (&App, &Project)) {
    let Some(steps) = document["steps"].as_array_mut() else {
        return;
    };
    for (value, step) in steps.iter_mut().zip(&plan.steps) {
        value["explanation"] = explanation(step);
        value["explanation"]["nodes"] = json!(nodes_of(step, app, project));
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
