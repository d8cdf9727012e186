//! What differs between the dependencies of a repository's images at two revisions.

use std::collections::{BTreeMap, BTreeSet};

use refit_dockerfile::Kind;
use refit_oci::{Platform, Repository};

use crate::{
    graph::{Edge, Graph, Node},
    image::Image,
    inventory::Inventory,
};

/// The images at one revision.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The images.
    pub inventory: &'a Inventory,
    /// What they depend on.
    pub graph: &'a Graph,
}

/// What became of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageDiff {
    /// Its name; the old one of a removed image.
    pub image: String,
    /// What became of it as a whole.
    pub change: ImageChange,
    /// Platforms that it has now and had not.
    pub platforms_added: Vec<Platform>,
    /// Platforms that it had and has no more.
    pub platforms_removed: Vec<Platform>,
    /// Its dependencies that differ, and of those that do not what both sides have.
    pub dependencies: Vec<DependencyDiff>,
}

/// What became of an image as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another name: it is built from the same Dockerfile and stage.
    Renamed {
        /// The old name.
        from: String,
    },
    /// It was there, and is.
    Kept,
}

/// One dependency on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyDiff {
    /// How the image depends on it.
    pub kind: Kind,
    /// Before; none if it was added.
    pub from: Option<Node>,
    /// After; none if it was removed.
    pub to: Option<Node>,
    /// The targets' platforms that have it on either side.
    pub platforms: BTreeSet<Platform>,
}

impl DependencyDiff {
    /// Whether it refers to something else than before.
    pub fn is_changed(&self) -> bool {
        self.from != self.to
    }
}

/// All images of both sides, by name. Those without any difference are among them.
pub fn diff(before: Side<'_>, after: Side<'_>) -> Vec<ImageDiff> {
    let renamed = renamed(before, after);
    let mut all: BTreeMap<String, ImageDiff> = BTreeMap::new();
    for image in &after.inventory.images {
        let old_name = renamed
            .get(image.name.as_str())
            .copied()
            .unwrap_or(&image.name);
        let old = before.inventory.image(old_name);
        let change = match old {
            None => ImageChange::Added,
            Some(old) if old.name != image.name => ImageChange::Renamed {
                from: old.name.clone(),
            },
            Some(_) => ImageChange::Kept,
        };
        let old_edges = old.map_or_else(Vec::new, |old| edges(before.graph, &old.name));
        let diff = ImageDiff {
            image: image.name.clone(),
            change,
            platforms_added: lacking(image, old),
            platforms_removed: old.map_or_else(Vec::new, |old| lacking(old, Some(image))),
            dependencies: dependencies(&old_edges, &edges(after.graph, &image.name), &renamed),
        };
        all.insert(image.name.clone(), diff);
    }
    let is_renamed = |name: &str| renamed.values().any(|old| *old == name);
    for image in &before.inventory.images {
        if after.inventory.image(&image.name).is_none() && !is_renamed(&image.name) {
            let diff = ImageDiff {
                image: image.name.clone(),
                change: ImageChange::Removed,
                platforms_added: Vec::new(),
                platforms_removed: lacking(image, None),
                dependencies: dependencies(&edges(before.graph, &image.name), &[], &renamed),
            };
            all.insert(image.name.clone(), diff);
        }
    }
    all.into_values().collect()
}

/// New names with the old ones: one image of a Dockerfile and stage has gone, and one has come.
fn renamed<'a>(before: Side<'a>, after: Side<'a>) -> BTreeMap<&'a str, &'a str> {
    let only = |here: &'a Inventory, there: &Inventory| {
        let mut by_source: BTreeMap<_, Vec<&'a str>> = BTreeMap::new();
        let images = here.images.iter();
        for image in images.filter(|image| there.image(&image.name).is_none()) {
            let source = (&image.dockerfile, &image.target, &image.build_args);
            by_source.entry(source).or_default().push(&image.name);
        }
        by_source
    };
    let gone = only(before.inventory, after.inventory);
    let come = only(after.inventory, before.inventory);
    let pairs = come.iter().filter_map(|(source, new)| {
        match (new.as_slice(), gone.get(source)?.as_slice()) {
            ([new], [old]) => Some((*new, *old)),
            _ => None,
        }
    });
    pairs.collect()
}

fn lacking(image: &Image, in_other: Option<&Image>) -> Vec<Platform> {
    let platforms: BTreeSet<&Platform> = image.platforms.iter().collect();
    let other = in_other.map_or(&[][..], |other| &other.platforms);
    let lacking = platforms.into_iter().filter(|p| !other.contains(p));
    lacking.cloned().collect()
}

fn edges<'a>(graph: &'a Graph, image: &str) -> Vec<&'a Edge> {
    graph
        .edges
        .iter()
        .filter(|edge| edge.from == image)
        .collect()
}

/// Pairs what is the same; then, of one kind and repository, what changed; what is left came or went.
fn dependencies(
    before: &[&Edge],
    after: &[&Edge],
    renamed: &BTreeMap<&str, &str>,
) -> Vec<DependencyDiff> {
    let is_same = |a: &Edge, b: &Edge| {
        let is_renamed = match (&a.to, &b.to) {
            (Node::Image(old), Node::Image(new)) => {
                renamed.get(new.as_str()) == Some(&old.as_str())
            }
            _ => false,
        };
        a.kind == b.kind && (a.to == b.to || is_renamed)
    };
    let is_moved = |a: &Edge, b: &Edge| {
        a.kind == b.kind && repository(&a.to).is_some() && repository(&a.to) == repository(&b.to)
    };
    // A target has one base: whatever it is now, it is instead of the other.
    let is_instead = |a: &Edge, b: &Edge| a.kind == b.kind && a.kind == Kind::Base;
    let (mut before, mut after) = (before.to_vec(), after.to_vec());
    let mut found = Vec::new();
    for alike in [
        &is_same as &dyn Fn(&Edge, &Edge) -> bool,
        &is_moved,
        &is_instead,
    ] {
        let mut i = 0;
        while let Some(old) = before.get(i).copied() {
            match after.iter().position(|new| alike(old, new)) {
                Some(at) => {
                    found.push(pair(Some(before.remove(i)), Some(after.remove(at))));
                }
                None => i += 1,
            }
        }
    }
    found.extend(before.into_iter().map(|old| pair(Some(old), None)));
    found.extend(after.into_iter().map(|new| pair(None, Some(new))));
    found.sort_by(|a, b| {
        let key = |d: &DependencyDiff| (d.kind, d.to.clone(), d.from.clone());
        key(a).cmp(&key(b))
    });
    found
}

fn pair(from: Option<&Edge>, to: Option<&Edge>) -> DependencyDiff {
    let both = [from, to].into_iter().flatten();
    DependencyDiff {
        kind: to.or(from).map_or(Kind::Base, |edge| edge.kind),
        from: from.map(|edge| edge.to.clone()),
        to: to.map(|edge| edge.to.clone()),
        platforms: both
            .flat_map(|edge| edge.platforms.iter().cloned())
            .collect(),
    }
}

fn repository(node: &Node) -> Option<&Repository> {
    match node {
        Node::External(reference) => Some(reference.repository()),
        Node::Image(_) => None,
    }
}
