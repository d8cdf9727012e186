//! Compose files as one: overrides laid over, `include` and `extends` followed, paths from the repository's root.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        Source,
        model::{Imported, Place},
        paths::{is_remote, join},
        yaml::{self, Node, Value},
    },
    interpolate::env_file,
};
use refit_deps::names::folder;

/// Files that lead on to one another, at most.
const DEEPEST: usize = 32;

/// A service, with what it extends below it.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) place: Place,
    pub(super) node: Node,
    /// The variables of its project.
    pub(super) variables: BTreeMap<String, String>,
    /// The project's own secrets.
    pub(super) secrets: Option<Node>,
}

/// Reads compose files.
pub(super) struct Loader<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) imported: Imported,
    seen: BTreeSet<String>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(source: &'a Source<'a>) -> Self {
        Self {
            source,
            imported: Imported::default(),
            seen: BTreeSet::new(),
        }
    }

    /// The services of a project: of its files, each over those before it, and of what they include.
    pub(super) fn project(&mut self, files: &[String]) -> BTreeMap<String, Service> {
        let mut services: BTreeMap<String, Service> = BTreeMap::new();
        let Some(first) = files.first() else {
            return services;
        };
        let env = join(folder(first), ".env").and_then(|path| self.source.text(&path));
        let variables = env.map(|text| env_file(&text)).unwrap_or_default();
        for file in files {
            let Some(root) = self.parsed(file) else {
                continue;
            };
            if self.seen.insert(file.clone()) && self.seen.len() < DEEPEST {
                for included in self.included(file, &root) {
                    for (name, service) in self.project(&included) {
                        services.entry(name).or_insert(service);
                    }
                }
            }
            let nodes: Vec<(String, Node)> = root
                .get("services")
                .map(|n| n.entries().to_vec())
                .unwrap_or_default();
            for (name, node) in nodes {
                let place = Place::new(file, node.line);
                let node = self.extended(file, normal(node, folder(file)), &mut vec![name.clone()]);
                let below = services.remove(&name);
                let secrets = root.get("secrets").cloned();
                let service = match below {
                    Some(below) => Service {
                        place,
                        node: merged(below.node, node),
                        variables: below.variables,
                        secrets: match (below.secrets, secrets) {
                            (Some(below), Some(over)) => Some(merged(below, over)),
                            (below, over) => over.or(below),
                        },
                    },
                    None => Service {
                        place,
                        node,
                        variables: variables.clone(),
                        secrets,
                    },
                };
                services.insert(name, service);
            }
        }
        services
    }

    fn parsed(&mut self, file: &str) -> Option<Node> {
        let Some(text) = self.source.text(file) else {
            self.imported
                .leave_out(&Place::new(file, 0), "the file", "it can't be read");
            return None;
        };
        match yaml::parse(&text) {
            Ok(root) => Some(root),
            Err((line, why)) => {
                self.imported
                    .leave_out(&Place::new(file, line), "the file", why);
                None
            }
        }
    }

    /// The files of each `include`.
    fn included(&mut self, file: &str, root: &Node) -> Vec<Vec<String>> {
        let mut projects = Vec::new();
        for item in root.get("include").map(Node::items).unwrap_or_default() {
            let paths: Vec<String> = match item.get("path") {
                Some(path) if !path.items().is_empty() => {
                    path.items().iter().filter_map(Node::text).collect()
                }
                Some(path) => path.text().into_iter().collect(),
                None => item.text().into_iter().collect(),
            };
            let here = paths.iter().filter_map(|path| join(folder(file), path));
            let files: Vec<String> = here
                .filter(|path| self.source.paths.contains(path))
                .collect();
            if files.is_empty() {
                let why = "it is not in this repository";
                self.imported
                    .leave_out(&Place::new(file, item.line), "include", why);
            } else {
                projects.push(files);
            }
        }
        projects
    }

    /// A service over what it extends. `path` are the services on the way here.
    fn extended(&mut self, file: &str, node: Node, path: &mut Vec<String>) -> Node {
        let Some(extends) = node.filled("extends").cloned() else {
            return node;
        };
        let name = extends
            .text()
            .or_else(|| extends.text_at("service"))
            .unwrap_or_default();
        let other = match extends.text_at("file") {
            Some(other) => join(folder(file), &other),
            None => Some(file.to_owned()),
        };
        let mut leave_out = |why: String| {
            self.imported
                .leave_out(&Place::new(file, extends.line), "extends", why);
        };
        let Some(other) = other.filter(|other| self.source.paths.contains(other)) else {
            leave_out("the file is not in this repository".to_owned());
            return node;
        };
        let key = format!("{other}:{name}");
        if path.contains(&key) || path.len() > DEEPEST {
            leave_out(format!("`{name}` extends itself"));
            return node;
        }
        path.push(key);
        let root = self.parsed(&other);
        let base = root.and_then(|root| root.get("services")?.get(&name).cloned());
        let Some(base) = base else {
            let why = format!("there is no service `{name}` in `{other}`");
            self.imported
                .leave_out(&Place::new(file, extends.line), "extends", why);
            return node;
        };
        let base = self.extended(&other, normal(base, folder(&other)), path);
        merged(base, node)
    }
}

/// The long forms of a service's `build`, its context from the repository's root.
fn normal(mut service: Node, folder: &str) -> Node {
    let Value::Map(entries) = &mut service.value else {
        return service;
    };
    for (_, build) in entries.iter_mut().filter(|(key, _)| key == "build") {
        if build.text().is_some() {
            let context = build.clone();
            build.value = Value::Map(vec![("context".to_owned(), context)]);
        }
        let Value::Map(keys) = &mut build.value else {
            continue;
        };
        for (key, node) in keys {
            match key.as_str() {
                "context" => {
                    // With a variable in it, it is joined as well: variables stand for names, hardly for `..`.
                    if let Some(path) = node
                        .text()
                        .filter(|path| !is_remote(path) && !path.starts_with('/'))
                        && let Some(joined) = join(folder, &path)
                    {
                        let joined = if joined.is_empty() {
                            ".".to_owned()
                        } else {
                            joined
                        };
                        node.value = Value::Text(joined);
                    }
                }
                "args" | "labels" | "additional_contexts" => pairs(node),
                _ => {}
            }
        }
    }
    service
}

/// `["A=1", "B"]` as `{A: 1, B: null}`.
fn pairs(node: &mut Node) {
    let Value::List(items) = &node.value else {
        return;
    };
    let pair = |item: &Node| {
        let text = item.text()?;
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), Value::Text(value.to_owned())),
            None => (text, Value::Null),
        };
        let line = item.line;
        Some((key, Node { value, line }))
    };
    node.value = Value::Map(items.iter().filter_map(pair).collect());
}

/// `over` over `below`: mappings are united, sequences appended, everything else replaced.
fn merged(below: Node, over: Node) -> Node {
    let value = match (below.value, over.value) {
        (Value::Map(mut entries), Value::Map(more)) => {
            for (key, node) in more {
                let known = entries.iter().position(|(name, _)| *name == key);
                match known {
                    Some(at) => {
                        let (_, old) = entries.remove(at);
                        entries.insert(at, (key, merged(old, node)));
                    }
                    None => entries.push((key, node)),
                }
            }
            Value::Map(entries)
        }
        (Value::List(mut items), Value::List(more)) => {
            for item in more {
                if !items.iter().any(|known| known.value == item.value) {
                    items.push(item);
                }
            }
            Value::List(items)
        }
        (below, Value::Null) => below,
        (_, over) => over,
    };
    Node {
        value,
        line: over.line,
    }
}
