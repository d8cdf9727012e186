//! The inventory: all images of a repository at one state of its files, from the configuration or from a scan.

mod checked;
mod parsed;
mod reader;

use std::collections::{BTreeMap, BTreeSet};

use refit_dockerfile::{is_parsed_template, looks_like_dockerfile};

use crate::{
    config::{self, CONFIG_PATH},
    glob::Glob,
    image::Image,
    mirror::BaseMirror,
    names,
    policy::Policy,
    problem::{Problem, nearest},
};
pub use parsed::Parsed;
use reader::Reader;

/// The files of a repository at one state: a commit's tree, the index or a working tree.
pub struct Files<'a> {
    /// Every path, relative to the root.
    pub paths: &'a dyn Paths,
    /// A file's bytes; none if it can't be read.
    pub read: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The repository's own name: of an image whose Dockerfile lies in the root.
    pub name: &'a str,
    /// The line that `{{.Line}}` in tags stands for.
    pub line: &'a str,
}

/// The paths of a repository's files, each once and in their order.
pub trait Paths {
    /// Whether a file is there.
    fn contains(&self, path: &str) -> bool;
    /// All of them.
    fn iter(&self) -> Box<dyn Iterator<Item = &str> + '_>;
}

impl Paths for BTreeSet<String> {
    fn contains(&self, path: &str) -> bool {
        self.contains(path)
    }

    fn iter(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.iter().map(String::as_str))
    }
}

/// All images of a repository, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Sorted by name; names are unique.
    pub images: Vec<Image>,
    /// What could not be read; the images beside it are good.
    pub problems: Vec<Problem>,
    /// Dockerfiles that belong to no image, with a configuration only.
    pub unlisted: Vec<String>,
    /// Whether there is a configuration file.
    pub configured: bool,
    /// Its globs of Dockerfiles: whatever they match is one, by any name.
    pub globs: Vec<String>,
    /// Where bases are copied to and built from, if they are.
    pub mirror: Option<BaseMirror>,
    /// The configuration's `[sweep]`.
    pub sweep: config::SweepKeys,
    /// The configuration's `[ci]`.
    pub ci: config::CiKeys,
    /// The configuration's `[policy]`.
    pub policy: Policy,
}

impl Inventory {
    /// The image of that name.
    pub fn image(&self, name: &str) -> Option<&Image> {
        self.images
            .binary_search_by(|image| image.name.as_str().cmp(name))
            .ok()
            .map(|at| &self.images[at])
    }
}

/// Reads the inventory of `files`: the configuration where there is one, else every Dockerfile that a scan finds.
pub fn read(files: &Files<'_>) -> Inventory {
    read_with(files, &Parsed::default())
}

/// The same, with what was parsed for other states of the files: no text is parsed twice.
pub fn read_with(files: &Files<'_>, parsed: &Parsed) -> Inventory {
    let mut reader = Reader {
        files,
        texts: parsed,
        parsed: BTreeMap::new(),
        problems: Vec::new(),
    };
    let mut policy = Policy::default();
    let config = text_of(files, CONFIG_PATH).map(|text| {
        let (config, problems) = config::parse(CONFIG_PATH, &text);
        reader.problems.extend(problems);
        policy = Policy::new(config.policy.clone(), &config.build_args, &text);
        config
    });
    let found = found(files, parsed);
    let mut images = match &config {
        Some(config) => reader.configured(config, &found),
        None => reader.scanned(&found),
    };
    images.sort_by(|a, b| a.name.cmp(&b.name));
    images.dedup_by(|later, first| {
        let twice = later.name == first.name;
        if twice {
            let message = format!(
                "two images are named `{}`: `{}` and this one",
                first.name, first.dockerfile
            );
            reader
                .problems
                .push(Problem::of_file(&later.dockerfile, message));
        }
        twice
    });
    reader.claimed_twice(&images);
    for canary in config.iter().flat_map(|config| config.sweep.canaries()) {
        if !images.iter().any(|image| image.name == canary) {
            let known = images.iter().map(|image| image.name.as_str());
            let hint = match nearest(canary, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`refit images` lists them".to_owned(),
            };
            reader.config_problem(format!("`canary`: there is no image `{canary}`"), &hint);
        }
    }
    let mut inventory = Inventory {
        images,
        problems: reader.problems,
        ..Inventory::default()
    };
    if let Some(config) = config {
        let ignored: Vec<Glob> = config.ignore.iter().map(|glob| Glob::new(glob)).collect();
        let listed: BTreeSet<&str> = inventory
            .images
            .iter()
            .map(|i| i.dockerfile.as_str())
            .collect();
        let unlisted = found
            .iter()
            .filter(|p| !listed.contains(p.as_str()) && !ignored.iter().any(|g| g.matches(p)));
        inventory.unlisted = unlisted.cloned().collect();
        inventory.configured = true;
        inventory.globs = config.images.iter().map(|e| e.files.clone()).collect();
        inventory.mirror = config.bases.mirror();
        inventory.sweep = config.sweep;
        inventory.ci = config.ci;
        inventory.policy = policy;
    }
    inventory
}

/// The Dockerfiles among the paths, templates left out.
pub fn dockerfiles(files: &Files<'_>) -> Vec<String> {
    found(files, &Parsed::default())
}

fn found(files: &Files<'_>, parsed: &Parsed) -> Vec<String> {
    let named = files
        .paths
        .iter()
        .filter(|path| looks_like_dockerfile(names::file_name(path)));
    let is_template =
        |path: &str, text: String| is_parsed_template(path, &text, &parsed.parse(&text));
    let real =
        named.filter(|path| !text_of(files, path).is_some_and(|text| is_template(path, text)));
    real.map(str::to_owned).collect()
}

fn text_of(files: &Files<'_>, path: &str) -> Option<String> {
    if !files.paths.contains(path) {
        return None;
    }
    (files.read)(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// A repository path without `.`, empty components or a leading slash; `..` takes its parent away.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
