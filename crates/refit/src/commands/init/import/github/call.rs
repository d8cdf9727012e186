//! Workflows that call one another, and composite actions of this repository.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    super::{model::Place, paths::join, yaml::Node},
    Reader,
    expression::Scope,
    inputs::{Inputs, Kind, Passed, inputs},
    job::Job,
    metadata::Metadata,
    views::Views,
};

/// GitHub's own limits are ten, of both.
const DEEPEST: usize = 10;

/// How a workflow comes to run.
pub(super) struct Call {
    /// What its expressions see.
    pub(super) views: Views,
    pub(super) passed: Passed,
    /// The files on the way here, itself last.
    pub(super) path: Vec<String>,
    /// The jobs on the way here: `images / `.
    pub(super) lead: String,
}

impl Call {
    /// A workflow that an event starts, or one that nothing in this repository calls.
    pub(super) fn of_event(file: &str, root: &Node, outside: &Views) -> Self {
        let of_event = |event: &str| super::events(root).iter().any(|other| other == event);
        let views = outside.each(|scope| {
            let mut inner = scope.clone();
            inner.inputs = if of_event("workflow_dispatch") {
                None
            } else if super::events(root) == ["workflow_call"] {
                Some(inputs(Kind::Uncalled, declared(root), None, scope))
            } else {
                // A push gives no inputs, and defaults are for those who call.
                Some(Inputs::new())
            };
            inner
        });
        Self {
            views: views.with_env(root),
            passed: Passed::default(),
            path: vec![file.to_owned()],
            lead: String::new(),
        }
    }
}

/// The inputs that a workflow takes when it is called.
fn declared(root: &Node) -> Option<&Node> {
    root.get("on")?.get("workflow_call")?.get("inputs")
}

/// The path of what `uses: ./…` names, from the repository's root.
pub(super) fn local(uses: &str) -> Option<String> {
    join("", uses.strip_prefix("./")?)
}

impl Reader<'_> {
    /// A job that is another workflow.
    pub(super) fn called(&mut self, job: &Job<'_>, node: &Node, from: &Call) {
        let uses = node.text_at("uses").unwrap_or_default();
        let line = node.get("uses").map_or(node.line, |uses| uses.line);
        let place = Place::new(&job.file, line);
        let why = match local(&uses) {
            None => format!("`{uses}` is not in this repository"),
            Some(path) if from.path.contains(&path) => format!("`{path}` calls itself"),
            Some(_) if from.path.len() >= DEEPEST => {
                format!("calls are more than {DEEPEST} deep")
            }
            Some(path) => match self.parsed(&path) {
                Some(root) => {
                    let call = into_workflow(job, (node, &root), (from, &path));
                    self.jobs(&path, &root, &call);
                    return;
                }
                None if self.source.paths.contains(&path) => return,
                None => format!("there is no `{path}`"),
            },
        };
        self.imported.leave_out(&place, job.name.clone(), why);
    }

    /// A step that is an action of this repository; what its output `tags` gives.
    pub(super) fn action(&mut self, job: &Job<'_>, step: &Node) -> Option<Metadata> {
        let uses = step.text_at("uses")?;
        let folder = local(&uses)?;
        let files = ["action.yml", "action.yaml"].map(|name| join(&folder, name));
        let mut files = files.into_iter().flatten();
        let place = Place::new(&job.file, step.line);
        let Some(file) = files.find(|file| self.source.paths.contains(file)) else {
            let why = format!("there is no action in `{folder}`");
            self.imported.leave_out(&place, job.name.clone(), why);
            return None;
        };
        let root = self.parsed(&file)?;
        let runs = root.get("runs")?;
        if runs.text_at("using")? != "composite" {
            return None;
        }
        if job.actions.contains(&file) || job.actions.len() >= DEEPEST {
            let why = format!("`{uses}` uses itself, or is more than {DEEPEST} deep");
            self.imported.leave_out(&place, job.name.clone(), why);
            return None;
        }
        let mut inner = into_action(job, (step, &root), file);
        let steps = runs.get("steps").map(Node::items).unwrap_or_default();
        self.steps(&mut inner, steps);
        let tags = root.get("outputs")?.get("tags")?.text_at("value")?;
        inner.output(&tags, "tags").cloned()
    }
}

fn into_workflow(
    job: &Job<'_>,
    (node, root): (&Node, &Rc<Node>),
    (from, path): (&Call, &str),
) -> Call {
    let given = |scope: &Scope| -> Inputs {
        inputs(Kind::Workflow, declared(root), node.get("with"), scope)
    };
    // It sees the caller's event, and nothing else of it.
    let mut views = job.outside.clone();
    views.plain.inputs = Some(given(&job.views.plain));
    views.tags.inputs = Some(given(&job.views.tags));
    views.push.inputs = Some(given(&job.views.push));
    let mut files = from.path.clone();
    files.push(path.to_owned());
    Call {
        views: views.with_env(root),
        passed: job.passed.to_workflow(node),
        path: files,
        lead: format!("{} / ", job.name),
    }
}

fn into_action<'a>(job: &Job<'a>, (step, root): (&Node, &Rc<Node>), file: String) -> Job<'a> {
    let mut actions = job.actions.clone();
    actions.push(file.clone());
    let views = job.views.with_env(step).each(|scope| {
        let mut inner = scope.clone();
        inner.inputs = Some(inputs(
            Kind::Action,
            root.get("inputs"),
            step.get("with"),
            scope,
        ));
        inner
    });
    Job {
        source: job.source,
        outside: job.outside,
        file,
        name: job.name.clone(),
        views,
        passed: job.passed.to_action(step),
        metadata: BTreeMap::new(),
        actions,
    }
}
