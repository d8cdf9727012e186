//! What became of a part of a plan, for people, programs and CI.

use std::collections::{BTreeMap, BTreeSet};

use refit_build::apply::{Failed, Outcome};
use refit_deps::plan::{
    Plan,
    shard::{PlannedStep, Unfit},
};
use refit_oci::Repository;
use refit_platform::Target;
use refit_registry::Requests;
use serde_json::{Value, json};

use super::super::{SweepArgs, merge, unfit};
use crate::{
    commands::App,
    error::{CommandError, Exit},
    run::{self, Ran},
    summary,
    ui::{Format, GOOD, Table, Ui, count},
};

/// All lines' parts.
#[derive(Default)]
pub(super) struct Report {
    pub(super) parts: Vec<Part>,
    /// Repositories that were written to.
    pub(super) written: BTreeSet<Repository>,
}

/// What became of one line's part.
#[derive(Default)]
pub(super) struct Part {
    line: String,
    /// Targets that need nothing any more.
    pub(super) done: Vec<Target>,
    /// Targets that would be built in another way now.
    pub(super) unfit: Vec<(Target, Unfit)>,
    /// Targets whose parent is not staged.
    pub(super) waiting: Vec<(Target, Target)>,
    /// Targets that are not staged, and should be by now.
    pub(super) missing: Vec<Target>,
    /// Images of which nothing is published.
    pub(super) blocked: Vec<(String, String)>,
    /// What a registry did not answer.
    failed: Vec<(Target, String)>,
    /// The line is not swept.
    unswept: Vec<Target>,
    /// What would be done.
    pub(super) planned: Option<Plan>,
    /// What was done.
    pub(super) ran: Option<(Plan, Ran)>,
}

/// Something that was not done.
struct Left {
    target: String,
    /// A word for programs.
    kind: &'static str,
    message: String,
}

impl Part {
    pub(super) fn of(line: &str) -> Self {
        Self {
            line: line.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn unknown(&mut self, unknown: BTreeMap<Target, Failed>) {
        let unknown = unknown.into_iter();
        self.failed
            .extend(unknown.map(|(target, failed)| (target, failed.message)));
    }

    /// What was not done, but failures of what was begun.
    fn left(&self) -> Vec<Left> {
        let left = |target: &dyn ToString, kind, message| Left {
            target: target.to_string(),
            kind,
            message,
        };
        let mut all: Vec<Left> = Vec::new();
        all.extend(
            self.unfit
                .iter()
                .map(|(target, why)| left(target, unfit::word(why), unfit::words(why))),
        );
        all.extend(self.unswept.iter().map(|target| {
            left(
                target,
                "line-not-swept",
                format!("`{}` is not swept here", self.line),
            )
        }));
        all.extend(
            self.failed
                .iter()
                .map(|(target, message)| left(target, "unreachable", message.clone())),
        );
        all.extend(self.waiting.iter().map(|(target, parent)| {
            let message = format!(
                "its parent {parent} is not staged: its shard has failed, or has not run yet"
            );
            left(target, "parent-not-staged", message)
        }));
        all.extend(self.missing.iter().map(|target| {
            let message = "it is not staged: its shard has failed, or has not run yet".to_owned();
            left(target, "not-staged", message)
        }));
        all.extend(self.blocked.iter().map(|(image, why)| {
            left(
                image,
                "not-published",
                format!("nothing of it is published: {why}"),
            )
        }));
        all
    }

    fn exit(&self) -> Exit {
        let exit = match &self.ran {
            Some((_, ran)) => run::exit_of_applied(&ran.applied),
            None => Exit::Fine,
        };
        if self.left().is_empty() {
            exit
        } else {
            exit.or(Exit::Partial)
        }
    }
}

impl Report {
    /// A step of a line that is not swept.
    pub(super) fn no_line(&mut self, step: &PlannedStep) {
        let known = self.parts.iter().position(|part| part.line == step.line);
        let at = known.unwrap_or_else(|| {
            self.parts.push(Part::of(&step.line));
            self.parts.len() - 1
        });
        self.parts[at].unswept.push(step.target.clone());
    }

    /// Tells it all; how the process ends.
    pub(super) fn tell(
        self,
        app: &App,
        args: &SweepArgs,
        title: &str,
    ) -> Result<Exit, CommandError> {
        let exit = self
            .parts
            .iter()
            .fold(Exit::Fine, |exit, part| exit.or(part.exit()));
        if let Some(path) = &args.summary {
            let text: String = self
                .parts
                .iter()
                .map(|part| markdown(part, title))
                .collect();
            summary::append(&app.dir.join(path), &text)?;
        }
        if args.format.format == Format::Json {
            let documents = self.parts.iter().map(document).collect();
            app.ui.json(&merge::lines(documents));
            return Ok(exit);
        }
        for part in &self.parts {
            show(&app.ui, part);
        }
        if self
            .parts
            .iter()
            .all(|part| part.ran.is_none() && part.planned.is_none())
        {
            app.ui.note(&format!("{title}: nothing to do"));
        }
        Ok(exit)
    }
}

fn show(ui: &Ui, part: &Part) {
    if let Some(plan) = &part.planned {
        run::show_plan(ui, plan);
    }
    if let Some((plan, ran)) = &part.ran {
        if plan.publications.is_empty() {
            ui.table(&staged(plan, ran));
        }
        run::show_applied(ui, ran);
    }
    if !part.done.is_empty() {
        let done = count(part.done.len(), "target");
        ui.note(&format!("{done} of the plan need nothing any more"));
    }
    let left = part.left();
    for left in &left {
        ui.error(&format!("{}: {}", left.target, left.message));
    }
    if !part.unfit.is_empty() {
        ui.hint("the next `refit sweep` plans anew");
    }
}

/// What lies under staging tags now.
fn staged(plan: &Plan, ran: &Ran) -> Table {
    let mut table = Table::new();
    for done in &ran.applied.done {
        let step = plan.step(&done.target);
        if let (Some(manifest), Some(step)) = (done.outcome.manifest(), step) {
            let reference = step.repository.at(manifest).to_string();
            table.row(
                vec!["staged".to_owned(), done.target.to_string(), reference],
                GOOD,
            );
        }
    }
    table
}

fn document(part: &Part) -> Value {
    let nothing = Plan::default();
    let mut value = match (&part.ran, &part.planned) {
        (Some((plan, ran)), _) => run::ran_json(plan, ran, Requests::default()),
        (None, Some(plan)) => run::plan_json(plan, "", Requests::default()),
        (None, None) => run::nothing_json(&nothing, Requests::default()),
    };
    let staged = part.ran.iter().flat_map(|(_, ran)| &ran.applied.done).filter_map(|done| {
        let action = match &done.outcome {
            Outcome::Built(_) => "rebuild",
            Outcome::Rebased(_) => "rebase",
            Outcome::Staged(_) => "publish",
            _ => "keep",
        };
        let manifest = done.outcome.manifest()?;
        Some(json!({
            "target": done.target.to_string(), "line": part.line, "action": action, "manifest": manifest,
        }))
    });
    value["staged"] = json!(staged.collect::<Vec<_>>());
    let left = part.left();
    let left = left.iter().map(|left| {
        json!({ "target": left.target, "line": part.line, "kind": left.kind, "message": left.message })
    });
    value["left"] = json!(left.collect::<Vec<_>>());
    value
}

fn markdown(part: &Part, title: &str) -> String {
    let mut text = match &part.ran {
        Some((plan, ran)) if !plan.publications.is_empty() => {
            summary::sweep(&part.line, plan, Some(ran))
        }
        Some((_, ran)) => summary::staged(&part.line, title, ran),
        None => String::new(),
    };
    let left = part.left();
    let left: Vec<(&str, &str)> = left
        .iter()
        .map(|left| (left.target.as_str(), left.message.as_str()))
        .collect();
    if !left.is_empty() && part.ran.is_none() {
        text.push_str(&summary::title(title, &part.line));
    }
    text.push_str(&summary::left(&left));
    text
}
