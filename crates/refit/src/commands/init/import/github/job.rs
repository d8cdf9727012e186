//! One job of a workflow: its matrix, its environment, and the steps that build.

use std::collections::BTreeMap;

use super::{
    super::{
        model::{Imported, Place},
        yaml::Node,
    },
    Workflow,
    expression::Scope,
    matrix,
    metadata::{Metadata, Scopes},
};

/// A job for one row of its matrix.
pub(super) struct Job<'a> {
    pub(super) workflow: &'a Workflow<'a>,
    /// As GitHub shows it: `services (web, runtime)`.
    pub(super) name: String,
    /// What only the repository decides.
    pub(super) plain: Scope,
    /// The same, with placeholders for branch and commit.
    pub(super) tags: Scope,
    /// The same, as on a push to the default branch.
    pub(super) push: Scope,
    /// What its metadata steps put out, by step.
    pub(super) metadata: BTreeMap<String, Metadata>,
}

/// The jobs of one entry of `jobs:`, each with its steps. A job that never publishes is left out.
pub(super) fn expand<'a>(
    workflow: &'a Workflow<'a>,
    (name, node): (&str, &Node),
    imported: &mut Imported,
) -> Vec<Job<'a>> {
    let place = Place::new(workflow.file, node.line);
    let scope = with_env(&workflow.scope, node);
    let rows = match matrix::rows(node, &scope) {
        Ok(rows) => rows,
        Err(expression) => {
            if builds(node) {
                let why = format!("its matrix depends on the run: {expression}");
                imported.leave_out(&place, name, why);
            }
            return Vec::new();
        }
    };
    let mut jobs = Vec::new();
    for row in rows {
        let values: Vec<String> = row
            .values()
            .filter(|value| !value.is_object() && !value.is_array())
            .map(|value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            })
            .collect();
        let name = if values.is_empty() {
            name.to_owned()
        } else {
            format!("{name} ({})", values.join(", "))
        };
        let mut scope = workflow.scope.clone();
        scope.matrix = row;
        let plain = with_env(&scope, node);
        let mut job = Job {
            workflow,
            name,
            tags: with_github(
                &plain,
                &[("sha", "{{.Run.Commit}}"), ("ref_name", "{{.Line}}")],
            ),
            push: workflow.on_push(&plain),
            plain,
            metadata: BTreeMap::new(),
        };
        if let Some(condition) = node.text_at("if")
            && never_publishes(&job.plain, &condition)
        {
            if builds(node) {
                imported.leave_out(
                    &place,
                    job.name.clone(),
                    format!("it never publishes: `if: {condition}`"),
                );
            }
            continue;
        }
        job.read_metadata(node, imported);
        jobs.push(job);
    }
    jobs
}

impl Job<'_> {
    fn read_metadata(&mut self, node: &Node, imported: &mut Imported) {
        for step in steps(node) {
            if !uses(step, "docker/metadata-action") {
                continue;
            }
            let (Some(id), Some(with)) = (step.text_at("id"), step.get("with")) else {
                continue;
            };
            let metadata = Metadata::of(
                with,
                &Scopes {
                    tags: &with_env(&self.tags, step),
                    push: &with_env(&self.push, step),
                },
            );
            let line = with.get("tags").map_or(step.line, |tags| tags.line);
            let place = Place::new(self.workflow.file, line);
            for (rule, why) in &metadata.left_out {
                imported.leave_out(&place, format!("{}: {rule}", self.name), why.clone());
            }
            self.metadata.insert(id, metadata);
        }
    }
}

pub(super) fn steps(job: &Node) -> &[Node] {
    job.get("steps").map(Node::items).unwrap_or_default()
}

/// Whether a step uses an action, at any version.
pub(super) fn uses(step: &Node, action: &str) -> bool {
    let uses = step.text_at("uses").unwrap_or_default();
    let name = uses.split('@').next().unwrap_or_default();
    name.eq_ignore_ascii_case(action)
}

fn builds(job: &Node) -> bool {
    let mut steps = steps(job).iter();
    steps.any(|step| uses(step, "docker/build-push-action") || uses(step, "docker/bake-action"))
}

/// The scope with a node's `env:` in it.
pub(super) fn with_env(scope: &Scope, node: &Node) -> Scope {
    let mut inner = scope.clone();
    for (name, value) in node.get("env").map(Node::entries).unwrap_or_default() {
        let value = value.text().unwrap_or_default();
        inner.env.insert(name.clone(), scope.text(&value).ok());
    }
    inner
}

fn with_github(scope: &Scope, values: &[(&'static str, &str)]) -> Scope {
    let mut inner = scope.clone();
    inner.github.extend(
        values
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    inner
}

/// Whether a condition fails for every event but a pull request's.
pub(super) fn never_publishes(scope: &Scope, condition: &str) -> bool {
    let events: [&[(&'static str, &str)]; 5] = [
        &[("event_name", "push"), ("ref_type", "branch")],
        &[
            ("event_name", "push"),
            ("ref_type", "tag"),
            ("ref", "refs/tags/v1.0.0"),
            ("ref_name", "v1.0.0"),
        ],
        &[("event_name", "schedule"), ("ref_type", "branch")],
        &[("event_name", "workflow_dispatch")],
        &[
            ("event_name", "release"),
            ("ref_type", "tag"),
            ("ref", "refs/tags/v1.0.0"),
            ("ref_name", "v1.0.0"),
        ],
    ];
    let fails = |event: &[(&'static str, &str)]| {
        with_github(scope, event).condition(condition) == Ok(false)
    };
    events.iter().all(|event| fails(event))
}
