//! `az acr task list -o json`: Azure's build tasks become images.

mod command;
mod image;
mod steps;
#[cfg(test)]
mod tests;
mod triggers;

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    Source,
    model::{Imported, Place},
    paths::join,
    yaml::{self, Node, Value},
};
use command::Build;
use image::folder;
use steps::{Steps, Values};

/// Reads the list. `file` is what the user calls it.
pub(super) fn import(source: &Source<'_>, file: &str, text: &str) -> Imported {
    let mut imported = Imported::default();
    let root = match yaml::parse_json(text) {
        Ok(root) => root,
        Err((line, why)) => {
            imported.leave_out(&Place::new(file, line), "the file", why);
            return imported;
        }
    };
    let tasks: Vec<&Node> = match &root.value {
        Value::List(items) => items.iter().collect(),
        Value::Map(_) => vec![&root],
        _ => {
            imported.leave_out(&Place::new(file, 0), "the file", "it is no list of tasks");
            return imported;
        }
    };
    for task in tasks {
        Task::of(file, task).read(source, &mut imported);
    }
    imported
}

struct Task<'a> {
    node: &'a Node,
    place: Place,
    name: String,
    /// `myregistry.azurecr.io`.
    registry: String,
}

impl<'a> Task<'a> {
    fn of(file: &str, node: &'a Node) -> Self {
        let name = node.text_at("name").unwrap_or_default();
        let line = node.get("name").map_or(node.line, |name| name.line);
        let id = node.text_at("id").unwrap_or_default();
        let mut parts = id
            .split('/')
            .skip_while(|part| !part.eq_ignore_ascii_case("registries"));
        let registry = parts
            .nth(1)
            .map(|registry| format!("{}.azurecr.io", registry.to_lowercase()));
        Self {
            node,
            place: Place::new(file, line),
            name,
            registry: registry.unwrap_or_default(),
        }
    }

    fn leave_out(&self, imported: &mut Imported, what: &str, why: impl Into<String>) {
        let what = match what {
            "" => self.name.clone(),
            what => format!("{}: {what}", self.name),
        };
        imported.leave_out(&self.place, what, why);
    }

    fn read(&self, source: &Source<'_>, imported: &mut Imported) {
        let Some(step) = self.node.filled("step") else {
            self.leave_out(imported, "", "it has no step");
            return;
        };
        if self
            .node
            .text_at("status")
            .is_some_and(|status| status.eq_ignore_ascii_case("disabled"))
        {
            self.leave_out(imported, "", "it is disabled");
            return;
        }
        self.triggers(imported);
        let kind = step.text_at("type").unwrap_or_default().to_lowercase();
        let found = match kind.as_str() {
            "docker" => vec![docker(step)],
            "filetask" => self.file_task(source, step, imported),
            "encodedtask" => self.encoded_task(step, imported),
            kind => {
                self.leave_out(
                    imported,
                    "",
                    format!("steps of type `{kind}` build no Dockerfile"),
                );
                return;
            }
        };
        let several = found.len() > 1;
        for (at, build) in found.into_iter().enumerate() {
            let id = if several {
                format!("{} step {}", self.name, at + 1)
            } else {
                self.name.clone()
            };
            self.image(source, (id, build), imported);
        }
    }

    fn file_task(&self, source: &Source<'_>, step: &Node, imported: &mut Imported) -> Vec<Build> {
        let context = step.text_at("contextPath").unwrap_or_default();
        let folder = match folder(source, &context) {
            Ok(folder) => folder,
            Err(why) => {
                self.leave_out(imported, "", why);
                return Vec::new();
            }
        };
        let file = step.text_at("taskFilePath").unwrap_or_default();
        let Some((path, text)) =
            join(&folder, &file).and_then(|path| Some((path.clone(), source.text(&path)?)))
        else {
            self.leave_out(
                imported,
                "",
                format!("there is no `{file}` in this repository"),
            );
            return Vec::new();
        };
        let values = step
            .text_at("valuesFilePath")
            .filter(|path| !path.is_empty());
        let values = values.map(|file| {
            let text = join(&folder, &file).and_then(|path| source.text(&path));
            text.ok_or_else(|| format!("there is no `{file}` in this repository"))
        });
        let values = self.values(values, step, imported);
        let steps = Steps {
            file: &path,
            text: &text,
            context: &context,
            values,
        };
        steps.builds(imported)
    }

    /// A task whose steps are in the list itself, in base64.
    fn encoded_task(&self, step: &Node, imported: &mut Imported) -> Vec<Build> {
        let encoded = step.text_at("encodedTaskContent").unwrap_or_default();
        let Some(text) = decoded(&encoded) else {
            self.leave_out(imported, "", "its encoded steps are no text in base64");
            return Vec::new();
        };
        let values = step
            .text_at("encodedValuesContent")
            .filter(|encoded| !encoded.trim().is_empty());
        let values = values.map(|encoded| {
            decoded(&encoded).ok_or_else(|| "they are no text in base64".to_owned())
        });
        let values = self.values(values, step, imported);
        let steps = Steps {
            // Lines are those of the text that is encoded.
            file: &format!("{}: {}", self.place.file, self.name),
            text: &text,
            context: &step.text_at("contextPath").unwrap_or_default(),
            values,
        };
        steps.builds(imported)
    }

    /// The values of the task: of a file, if it has one, and its own.
    fn values(
        &self,
        file: Option<Result<String, String>>,
        step: &Node,
        imported: &mut Imported,
    ) -> Values {
        let parsed = file.transpose().and_then(|text| {
            let parsed = yaml::parse(&text.unwrap_or_default());
            parsed.map_err(|(line, why)| format!("line {line}: {why}"))
        });
        let parsed = parsed.unwrap_or_else(|why| {
            self.leave_out(imported, "its values", why);
            Node::new(Value::Null, 0)
        });
        Values::of(&parsed, step)
    }
}

/// The text that is encoded.
fn decoded(base64: &str) -> Option<String> {
    let plain: String = base64.split_whitespace().collect();
    String::from_utf8(BASE64_STANDARD.decode(plain).ok()?).ok()
}

/// A step of type `Docker`.
fn docker(step: &Node) -> Build {
    let mut args = BTreeMap::new();
    for argument in step.get("arguments").map(Node::items).unwrap_or_default() {
        if let Some(name) = argument.text_at("name") {
            let is_secret = argument
                .get("isSecret")
                .is_some_and(|secret| secret.value == Value::Bool(true));
            let value = argument.text_at("value").filter(|_| !is_secret);
            args.insert(name, value);
        }
    }
    let is_pushed = step
        .get("isPushEnabled")
        .is_none_or(|pushed| pushed.value != Value::Bool(false));
    let names = step.get("imageNames").map(Node::items).unwrap_or_default();
    Build {
        context: step.text_at("contextPath").unwrap_or_default(),
        folder: ".".to_owned(),
        file: step
            .text_at("dockerFilePath")
            .unwrap_or_else(|| "Dockerfile".to_owned()),
        target: step.text_at("target").filter(|target| !target.is_empty()),
        args,
        images: names
            .iter()
            .filter_map(Node::text)
            .filter(|_| is_pushed)
            .collect(),
        ..Build::default()
    }
}
