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
    reset::Resets,
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
            let Some((root, resets)) = self.parsed(file) else {
                continue;
            };
            take_away(&resets, &mut services);
            if self.seen.insert(file.clone()) && self.seen.len() < DEEPEST {
                for included in self.included(file, &root) {
                    for (name, mut service) in self.project(&included) {
                        resets.apply(&["services", &name], &mut service.node);
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
                let own = Own {
                    file,
                    name: &name,
                    resets: &resets,
                };
                let node = normal(node, folder(file));
                let node = self.extended(own, node, &mut vec![format!("{file}:{name}")]);
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

    /// A file without what it resets, and where that is.
    fn parsed(&mut self, file: &str) -> Option<(Node, Resets)> {
        let Some(text) = self.source.text(file) else {
            self.imported
                .leave_out(&Place::new(file, 0), "the file", "it can't be read");
            return None;
        };
        match yaml::parse(&text) {
            Ok(mut root) => {
                let resets = Resets::take(&mut root);
                Some((root, resets))
            }
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
    fn extended(&mut self, own: Own<'_>, node: Node, path: &mut Vec<String>) -> Node {
        let file = own.file;
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
        let parsed = self.parsed(&other);
        let found = parsed.and_then(|(root, resets)| {
            let base = root.get("services")?.get(&name)?.clone();
            Some((base, resets))
        });
        let Some((base, resets)) = found else {
            let why = format!("there is no service `{name}` in `{other}`");
            self.imported
                .leave_out(&Place::new(file, extends.line), "extends", why);
            return node;
        };
        let of_base = Own {
            file: &other,
            name: &name,
            resets: &resets,
        };
        // Compose merges these as lists, and resets nothing within lists.
        let is_list = |key: &&str| {
            let pairs = base.get("build").and_then(|build| build.get(key));
            let here = other == file && pairs.is_some_and(|pairs| !pairs.items().is_empty());
            here || base.filled("extends").is_some()
        };
        let lists: Vec<&str> = PAIRS.into_iter().filter(is_list).collect();
        let mut base = self.extended(of_base, normal(base, folder(&other)), path);
        let resets = own.resets.without(&["services", own.name, "build"], &lists);
        resets.apply(&["services", own.name], &mut base);
        merged(base, node)
    }
}

/// A service of a file, and what that file resets.
#[derive(Clone, Copy)]
struct Own<'a> {
    file: &'a str,
    name: &'a str,
    resets: &'a Resets,
}

/// Takes out of the services of the files below what a file resets.
fn take_away(resets: &Resets, services: &mut BTreeMap<String, Service>) {
    if resets.has(&["services"]) {
        services.clear();
    }
    services.retain(|name, _| !resets.has(&["services", name]));
    for (name, service) in services {
        resets.apply(&["services", name], &mut service.node);
        if resets.has(&["secrets"]) {
            service.secrets = None;
        } else if let Some(secrets) = &mut service.secrets {
            resets.apply(&["secrets"], secrets);
        }
    }
}

/// Keys of `build` that hold pairs, as a mapping or a list.
const PAIRS: [&str; 3] = ["args", "labels", "additional_contexts"];

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
                key if PAIRS.contains(&key) => pairs(node),
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
        Some((key, Node::new(value, line)))
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
    Node::new(value, over.line)
}
