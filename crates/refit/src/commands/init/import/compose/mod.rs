//! `compose.yaml`: services that are built become images.

mod interpolate;
mod load;
mod reset;

use std::collections::BTreeMap;

use self::{
    interpolate::interpolate,
    load::{Loader, Service},
};
use refit_deps::names::folder;

use super::{
    Source,
    bake::{Reader, Selected, Target},
    model::{Imported, Place},
    yaml::Node,
};

/// The names of compose files, the preferred first.
const FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// Keys of `build` that say nothing about the image.
const OTHERS: [&str; 11] = [
    "cache_from",
    "cache_to",
    "ssh",
    "extra_hosts",
    "isolation",
    "privileged",
    "shm_size",
    "ulimits",
    "entitlements",
    "provenance",
    "sbom",
];

/// The compose file of the root and what overrides it.
pub(super) fn usual(source: &Source<'_>) -> Vec<String> {
    let there = |path: &String| source.paths.contains(path);
    let Some(first) = FILES.iter().map(|name| (*name).to_owned()).find(there) else {
        return Vec::new();
    };
    with_override(source, &first)
}

/// A compose file and what overrides it.
pub(super) fn with_override(source: &Source<'_>, file: &str) -> Vec<String> {
    let mut files = vec![file.to_owned()];
    if let Some((stem, extension)) = file.rsplit_once('.') {
        let extensions = [extension, if extension == "yml" { "yaml" } else { "yml" }];
        let overrides = extensions.map(|extension| format!("{stem}.override.{extension}"));
        files.extend(
            overrides
                .into_iter()
                .find(|path| source.paths.contains(path)),
        );
    }
    files
}

/// The services of a project that are built, as targets.
pub(super) fn targets(
    source: &Source<'_>,
    files: &[String],
) -> (BTreeMap<String, Target>, Imported) {
    let mut loader = Loader::new(source);
    let services = loader.project(files);
    let built = services
        .iter()
        .filter(|(_, service)| service.node.filled("build").is_some());
    let targets = built
        .map(|(name, service)| (name.clone(), target(service)))
        .collect();
    (targets, loader.imported)
}

/// The images of a project.
pub(super) fn import(source: &Source<'_>, files: &[String]) -> Imported {
    let (targets, mut imported) = targets(source, files);
    let reader = Reader {
        source,
        folders: &[],
    };
    reader.images(Selected(targets), &mut imported);
    imported
}

fn target(service: &Service) -> Target {
    let mut target = Target {
        place: service.place.clone(),
        ..Target::default()
    };
    let Some(build) = service.node.filled("build") else {
        return target;
    };
    let mut keys = Keys {
        service,
        target: &mut target,
    };
    let text =
        |keys: &mut Keys<'_>, name: &str| build.filled(name).and_then(|node| keys.text(name, node));
    let context = text(&mut keys, "context");
    let dockerfile = text(&mut keys, "dockerfile");
    let stage = text(&mut keys, "target");
    let network = text(&mut keys, "network");
    let image = service
        .node
        .filled("image")
        .and_then(|node| keys.text("image", node));
    let platform = service
        .node
        .filled("platform")
        .and_then(|node| keys.text("platform", node));
    let args = keys.pairs(build, "args");
    let labels = keys.pairs(build, "labels");
    let contexts = keys.pairs(build, "additional_contexts");
    let platforms = keys.texts(build, "platforms");
    let tags = keys.texts(build, "tags");
    let secrets = keys.secrets(build);
    let extension = build.get("x-bake");
    let of_bake = |keys: &mut Keys<'_>, name: &str| {
        extension
            .map(|node| keys.texts(node, name))
            .unwrap_or_default()
    };
    let (bake_tags, bake_platforms) = (of_bake(&mut keys, "tags"), of_bake(&mut keys, "platforms"));
    for name in OTHERS {
        if let Some(node) = build.filled(name) {
            let place = keys.place(node);
            keys.target.others.insert(name.replace('_', "-"), place);
        }
    }
    // A service without one is built in its project's folder.
    target.context = context.or_else(|| match folder(&service.place.file) {
        "" => None,
        folder => Some(folder.to_owned()),
    });
    target.dockerfile = dockerfile;
    target.is_inline = build.filled("dockerfile_inline").is_some();
    target.stage = stage.filter(|stage| !stage.is_empty());
    target.network = network;
    target.args = args;
    target.labels = labels;
    let contexts = contexts.into_iter().map(|(name, value)| {
        let sibling = value
            .strip_prefix("service:")
            .map(|service| format!("target:{service}"));
        (name, sibling.unwrap_or(value))
    });
    target.contexts = contexts.collect();
    let platforms = [bake_platforms, platforms, platform.into_iter().collect()];
    target.platforms = platforms.into_iter().find(|list| !list.is_empty());
    target.tags = Some(if bake_tags.is_empty() {
        let tags = tags.into_iter().filter(|tag| image.as_ref() != Some(tag));
        image.iter().cloned().chain(tags).collect()
    } else {
        bake_tags
    });
    target.secrets = Some(secrets);
    target
}

struct Keys<'a> {
    service: &'a Service,
    target: &'a mut Target,
}

impl Keys<'_> {
    fn place(&self, node: &Node) -> Place {
        Place::new(&self.service.place.file, node.line)
    }

    /// A text with its variables put in.
    fn text(&mut self, what: &str, node: &Node) -> Option<String> {
        match interpolate(&node.text()?, &self.service.variables) {
            Ok(text) => Some(text),
            Err(why) => {
                let place = self.place(node);
                self.target.broken.push((place, what.to_owned(), why));
                None
            }
        }
    }

    fn texts(&mut self, node: &Node, key: &str) -> Vec<String> {
        let items = node.get(key).map(Node::items).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| self.text(key, item))
            .collect()
    }

    fn pairs(&mut self, build: &Node, key: &str) -> BTreeMap<String, String> {
        let entries = build.get(key).map(Node::entries).unwrap_or_default();
        let mut pairs = BTreeMap::new();
        for (name, node) in entries {
            // Without a value it is the environment's, which only `.env` says something of.
            let value = match node.text() {
                Some(_) => self.text(&format!("{key} {name}"), node),
                None => self.service.variables.get(name).cloned(),
            };
            pairs.extend(value.map(|value| (name.clone(), value)));
        }
        pairs
    }

    /// The build's secrets, as bake writes them.
    fn secrets(&mut self, build: &Node) -> Vec<String> {
        let mut records = Vec::new();
        for item in build.get("secrets").map(Node::items).unwrap_or_default() {
            let source = item.text().or_else(|| item.text_at("source"));
            let Some(source) = source else {
                continue;
            };
            let id = item.text_at("target").unwrap_or_else(|| source.clone());
            let secrets = self.service.secrets.as_ref();
            let known = secrets.and_then(|secrets| secrets.get(&source)).cloned();
            let place = self.place(item);
            let Some(known) = known else {
                let why = format!("there is no secret `{source}`");
                self.target
                    .broken
                    .push((place, format!("secret {source}"), why));
                continue;
            };
            if let Some(variable) = known.text_at("environment") {
                records.push(format!("id={id},env={variable}"));
            } else if let Some(file) = known
                .get("file")
                .and_then(|node| self.text("secrets", node))
            {
                let file = file.strip_prefix("./").unwrap_or(&file);
                records.push(format!("id={id},src={file}"));
            } else {
                let why = "it is neither a file nor a variable".to_owned();
                self.target
                    .broken
                    .push((place, format!("secret {source}"), why));
            }
        }
        records
    }
}
