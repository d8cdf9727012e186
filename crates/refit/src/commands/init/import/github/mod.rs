//! GitHub workflows: steps that build and push become images.

mod bake;
mod expression;
mod job;
mod matrix;
mod metadata;
mod step;

use super::{
    Source,
    model::{Imported, ImportedImage, Place},
    yaml::{self, Node, Value},
};
use expression::Scope;
use job::{expand, never_publishes, steps, uses};

pub(super) use bake::{BakeUse, METADATA_TARGET};

/// One workflow that is read.
struct Workflow<'a> {
    source: &'a Source<'a>,
    file: &'a str,
    scope: Scope,
}

impl Workflow<'_> {
    /// As on a push to the branch that is swept.
    fn on_push(&self, scope: &Scope) -> Scope {
        let mut inner = scope.clone();
        let branch = self.source.branch.clone();
        inner.github.extend([
            ("event_name", "push".to_owned()),
            ("ref_type", "branch".to_owned()),
            ("ref", format!("refs/heads/{branch}")),
            ("ref_name", branch.clone()),
            ("event.repository.default_branch", branch),
        ]);
        inner
    }
}

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
    let mut imported = Imported::default();
    let mut uses = Vec::new();
    for file in files {
        let Some(text) = source.text(file) else {
            imported.leave_out(&Place::new(file, 0), "the file", "it can't be read");
            continue;
        };
        match yaml::parse(&text) {
            Ok(root) => workflow(source, file, &root, (&mut imported, &mut uses)),
            Err((line, why)) => imported.leave_out(&Place::new(file, line), "the file", why),
        }
    }
    imported.images = united(std::mem::take(&mut imported.images));
    (imported, uses)
}

fn workflow(
    source: &Source<'_>,
    file: &str,
    root: &Node,
    (imported, bakes): (&mut Imported, &mut Vec<BakeUse>),
) {
    if is_for_pull_requests_only(root) {
        return;
    }
    let mut scope = Scope::default();
    if let Some(repository) = &source.github {
        let owner = repository.split('/').next().unwrap_or_default().to_owned();
        scope.github.insert("repository_owner", owner);
        scope.github.insert("repository", repository.clone());
    }
    let scope = job::with_env(&scope, root);
    let workflow = Workflow {
        source,
        file,
        scope,
    };
    for (name, node) in root.get("jobs").map(Node::entries).unwrap_or_default() {
        for job in expand(&workflow, (name, node), imported) {
            for step in steps(node) {
                let condition = step.text_at("if");
                if condition.is_some_and(|condition| never_publishes(&job.plain, &condition)) {
                    continue;
                }
                if uses(step, "docker/build-push-action") {
                    let image = step::read(&job, step, imported);
                    imported.images.extend(image);
                } else if uses(step, "docker/bake-action") {
                    bakes.extend(bake::read(&job, step, imported));
                }
            }
        }
    }
}

fn is_for_pull_requests_only(root: &Node) -> bool {
    let Some(on) = root.get("on") else {
        return false;
    };
    let events: Vec<String> = match &on.value {
        Value::Map(entries) => entries.iter().map(|(name, _)| name.clone()).collect(),
        Value::List(items) => items.iter().filter_map(Node::text).collect(),
        _ => on.text().into_iter().collect(),
    };
    !events.is_empty() && events.iter().all(|event| event.starts_with("pull_request"))
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
