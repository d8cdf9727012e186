//! One job of a workflow: its matrix, its environment, and the steps that build.

use std::collections::BTreeMap;

use super::{
    super::{
        Source,
        model::{Imported, Place},
        yaml::Node,
    },
    call::Call,
    expression::shown,
    inputs::Passed,
    matrix,
    metadata::{Metadata, Scopes},
    views::{Views, never_publishes, with_env},
};

/// A job for one row of its matrix, or a composite action within it.
pub(super) struct Job<'a> {
    pub(super) source: &'a Source<'a>,
    /// What a workflow that it calls sees.
    pub(super) outside: &'a Views,
    /// The file whose lines its steps are.
    pub(super) file: String,
    /// As GitHub shows it: `services (web, runtime)`, `images / build`.
    pub(super) name: String,
    pub(super) views: Views,
    pub(super) passed: Passed,
    /// What its metadata steps put out, by step.
    pub(super) metadata: BTreeMap<String, Metadata>,
    /// The composite actions on the way here.
    pub(super) actions: Vec<String>,
}

/// The jobs of one entry of `jobs:`. A job that never publishes is left out.
pub(super) fn expand<'a>(
    (source, outside): (&'a Source<'a>, &'a Views),
    (file, name, node): (&str, &str, &Node),
    call: &Call,
    imported: &mut Imported,
) -> Vec<Job<'a>> {
    let place = Place::new(file, node.line);
    let name = format!("{}{name}", call.lead);
    let scope = with_env(&call.views.plain, node);
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
            .map(shown)
            .collect();
        let name = if values.is_empty() {
            name.clone()
        } else {
            format!("{name} ({})", values.join(", "))
        };
        let job = Job {
            source,
            outside,
            file: file.to_owned(),
            name,
            views: call.views.with_matrix(&row).with_env(node),
            passed: call.passed.clone(),
            metadata: BTreeMap::new(),
            actions: Vec::new(),
        };
        if let Some(condition) = node.text_at("if")
            && never_publishes(&job.views.plain, &condition)
        {
            if builds(node) {
                let why = format!("it never publishes: `if: {condition}`");
                imported.leave_out(&place, job.name, why);
            }
            continue;
        }
        jobs.push(job);
    }
    jobs
}

impl Job<'_> {
    /// A metadata step. What it puts out is known from here on.
    pub(super) fn read_metadata(&mut self, step: &Node, imported: &mut Imported) {
        let (Some(id), Some(with)) = (step.text_at("id"), step.get("with")) else {
            return;
        };
        let views = self.views.with_env(step);
        let scopes = Scopes {
            tags: &views.tags,
            push: &views.push,
        };
        let metadata = Metadata::of(with, &scopes);
        let line = with.get("tags").map_or(step.line, |tags| tags.line);
        let place = Place::new(&self.file, line);
        for (rule, why) in &metadata.left_out {
            imported.leave_out(&place, format!("{}: {rule}", self.name), why.clone());
        }
        self.metadata.insert(id, metadata);
    }

    /// What `${{ steps.ID.outputs.NAME }}` refers to, if that is a metadata step.
    pub(super) fn output(&self, text: &str, name: &str) -> Option<&Metadata> {
        let inner = text.trim().strip_prefix("${{")?.strip_suffix("}}")?.trim();
        let (id, output) = inner.strip_prefix("steps.")?.split_once(".outputs.")?;
        (output == name).then(|| self.metadata.get(id)).flatten()
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
    let builds = |step: &Node| {
        let uses_local = step
            .text_at("uses")
            .is_some_and(|uses| uses.starts_with("./"));
        uses_local || uses(step, "docker/build-push-action") || uses(step, "docker/bake-action")
    };
    job.get("uses").is_some() || steps.any(builds)
}
