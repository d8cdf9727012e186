//! GitHub workflows: steps that build and push become images.

mod bake;
mod call;
mod expression;
mod inputs;
mod job;
mod matrix;
mod metadata;
mod step;
#[cfg(test)]
mod tests;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{
    Source,
    model::{Imported, ImportedImage, Place},
    yaml::{self, Node, Value},
};
use call::Call;
use job::{Job, expand, steps, uses};
use views::{Views, never_publishes};

pub(super) use bake::{BakeUse, METADATA_TARGET};

/// Jobs and composite actions in all; workflows that call one another can come to more than anyone means.
const MOST: usize = 4096;

/// The workflows below a folder.
pub(super) fn workflows(source: &Source<'_>, folder: &str) -> Vec<String> {
    let below = source.paths.iter().filter(|path| {
        let name = path
            .strip_prefix(folder)
            .and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| {
            !name.contains('/') && matches!(name.rsplit_once('.'), Some((_, "yml" | "yaml")))
        })
    });
    below.cloned().collect()
}

/// The images of these workflows, and the bake files that they use.
pub(super) fn import(source: &Source<'_>, files: &[String]) -> (Imported, Vec<BakeUse>) {
    let outside = Views::new(source);
    let mut reader = Reader {
        source,
        outside: &outside,
        imported: Imported::default(),
        bakes: Vec::new(),
        files: BTreeMap::new(),
        n_jobs: 0,
    };
    let mut roots = Vec::new();
    for file in files {
        if source.paths.contains(file) {
            roots.extend(reader.parsed(file).map(|root| (file, root)));
        } else {
            let place = Place::new(file, 0);
            reader
                .imported
                .leave_out(&place, "the file", "it can't be read");
        }
    }
    let called: BTreeSet<String> = roots.iter().flat_map(|(_, root)| calls(root)).collect();
    for (file, root) in roots {
        let events = events(&root);
        let is_called = called.contains(file) && events == ["workflow_call"];
        let is_for_pull_requests =
            !events.is_empty() && events.iter().all(|event| event.starts_with("pull_request"));
        if !is_called && !is_for_pull_requests {
            let call = Call::of_event(file, &root, &outside);
            reader.jobs(file, &root, &call);
        }
    }
    let mut imported = reader.imported;
    imported.images = united(std::mem::take(&mut imported.images));
    (imported, reader.bakes)
}

/// Reads workflows, and what they lead to.
struct Reader<'a> {
    source: &'a Source<'a>,
    /// What every workflow sees.
    outside: &'a Views,
    imported: Imported,
    bakes: Vec<BakeUse>,
    /// Files that are parsed already; none of those that are no YAML.
    files: BTreeMap<String, Option<Rc<Node>>>,
    n_jobs: usize,
}

impl Reader<'_> {
    /// A file of the repository. What is wrong with it is listed once.
    fn parsed(&mut self, file: &str) -> Option<Rc<Node>> {
        if let Some(known) = self.files.get(file) {
            return known.clone();
        }
        let parsed = match yaml::parse(&self.source.text(file)?) {
            Ok(root) => Some(Rc::new(root)),
            Err((line, why)) => {
                self.imported
                    .leave_out(&Place::new(file, line), "the file", why);
                None
            }
        };
        self.files.insert(file.to_owned(), parsed.clone());
        parsed
    }

    fn jobs(&mut self, file: &str, root: &Node, call: &Call) {
        for (name, node) in root.get("jobs").map(Node::entries).unwrap_or_default() {
            let around = (self.source, self.outside);
            for mut job in expand(around, (file, name, node), call, &mut self.imported) {
                if node.get("uses").is_some() {
                    if self.has_room(&job, node) {
                        self.called(&job, node, call);
                    }
                } else {
                    self.steps(&mut job, steps(node));
                }
            }
        }
    }

    fn has_room(&mut self, job: &Job<'_>, node: &Node) -> bool {
        self.n_jobs += 1;
        if self.n_jobs == MOST {
            let place = Place::new(&job.file, node.line);
            let why = format!("workflows and actions come to more than {MOST} jobs");
            self.imported.leave_out(&place, job.name.clone(), why);
        }
        self.n_jobs < MOST
    }

    fn steps(&mut self, job: &mut Job<'_>, steps: &[Node]) {
        for step in steps {
            if uses(step, "docker/metadata-action") {
                job.read_metadata(step, &mut self.imported);
                continue;
            }
            let condition = step.text_at("if");
            if condition.is_some_and(|condition| never_publishes(&job.views.plain, &condition)) {
                continue;
            }
            if uses(step, "docker/build-push-action") {
                let image = step::read(job, step, &mut self.imported);
                self.imported.images.extend(image);
            } else if uses(step, "docker/bake-action") {
                self.bakes.extend(bake::read(job, step, &mut self.imported));
            } else if is_local(step) && self.has_room(job, step) {
                let tags = self.action(job, step);
                if let (Some(tags), Some(id)) = (tags, step.text_at("id")) {
                    job.metadata.insert(id, tags);
                }
            }
        }
    }
}

fn is_local(step: &Node) -> bool {
    step.text_at("uses")
        .is_some_and(|uses| uses.starts_with("./"))
}

/// The workflows of this repository that a workflow calls.
fn calls(root: &Node) -> Vec<String> {
    let jobs = root.get("jobs").map(Node::entries).unwrap_or_default();
    let uses = jobs.iter().filter_map(|(_, job)| job.text_at("uses"));
    uses.filter_map(|uses| call::local(&uses)).collect()
}

/// What starts a workflow.
fn events(root: &Node) -> Vec<String> {
    let Some(on) = root.get("on") else {
        return Vec::new();
    };
    match &on.value {
        Value::Map(entries) => entries.iter().map(|(name, _)| name.clone()).collect(),
        Value::List(items) => items.iter().filter_map(Node::text).collect(),
        _ => on.text().into_iter().collect(),
    }
}

/// One image for every way of building it: rows that differ in platforms, and builds that only test.
fn united(images: Vec<ImportedImage>) -> Vec<ImportedImage> {
    let mut united: Vec<ImportedImage> = Vec::new();
    for image in images {
        let same = |other: &&mut ImportedImage| {
            let same_source = other.dockerfile == image.dockerfile
                && other.context == image.context
                && other.target == image.target;
            let tests = image.tags.is_empty() || other.tags.is_empty();
            same_source && (other.build_args == image.build_args || tests)
        };
        match united.iter_mut().find(same) {
            Some(known) => {
                if known.tags.is_empty() && !image.tags.is_empty() {
                    // What is pushed counts, not what is tested.
                    let tested = std::mem::replace(known, image);
                    if known.platforms.is_empty() {
                        known.platforms = tested.platforms;
                    }
                } else if known.tags.is_empty() == image.tags.is_empty() {
                    known.platforms.extend(image.platforms);
                    known.platforms.sort();
                    known.platforms.dedup();
                    let new = image
                        .tags
                        .into_iter()
                        .filter(|tag| !known.tags.contains(tag))
                        .collect::<Vec<_>>();
                    known.tags.extend(new);
                }
            }
            None => united.push(image),
        }
    }
    united
}
