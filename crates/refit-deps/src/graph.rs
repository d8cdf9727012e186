//! The dependency graph of a repository: images, external references, and the edges between them.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use refit_dockerfile::{FoundSource, Kind};
use refit_oci::{Platform, Reference};

use crate::{edges::Edges, inventory::Inventory, problem::Problem, scan::Scans};

/// All images and what they depend on.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Names, sorted.
    pub images: BTreeSet<String>,
    /// References outside the repository, sorted.
    pub externals: BTreeSet<Reference>,
    /// Sorted by `from`, `to`, kind.
    pub edges: Vec<Edge>,
    /// Positions of the edges between images, sorted by `to`, then `from`.
    by_parent: Vec<usize>,
    /// The images that no order puts behind all of their parents: those on cycles, and what is built on them.
    unordered: BTreeSet<String>,
    /// How many images the longest chain below each image has, in the order of `images`.
    levels: Vec<usize>,
}

/// `from` depends on `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// An image's name.
    pub from: String,
    /// What it depends on.
    pub to: Node,
    /// How.
    pub kind: Kind,
    /// Whether no configuration says that `to` is an image of this repository.
    pub inferred: bool,
    /// The targets' platforms that have this edge, sorted.
    pub platforms: BTreeSet<Platform>,
}

/// What tells edges apart: both ends, the kind's word, and whether it is inferred.
type Key<'a> = (&'a str, End<'a>, &'a str, bool);

/// A [`Node`] of somebody else's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End<'a> {
    Image(&'a str),
    External(&'a Reference),
}

impl End<'_> {
    fn node(self) -> Node {
        match self {
            Self::Image(name) => Node::Image(name.to_owned()),
            Self::External(reference) => Node::External(reference.clone()),
        }
    }
}

/// One end of an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// An image of the repository.
    Image(String),
    /// A reference outside of it.
    External(Reference),
}

impl Node {
    /// The image's name, if it is one of the repository.
    fn image(&self) -> Option<&str> {
        match self {
            Self::Image(name) => Some(name),
            Self::External(_) => None,
        }
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image(name) => f.write_str(name),
            Self::External(reference) => reference.fmt(f),
        }
    }
}

impl Graph {
    /// The graph of an inventory.
    pub fn of(inventory: &Inventory, scans: &Scans, edges: &Edges) -> Self {
        let mut all: Vec<(Key<'_>, Kind, &Platform)> = Vec::new();
        let mut sorted = 0;
        for (image, platform, found) in scans.found() {
            // They come image by image: each is sorted by itself.
            if all[sorted..]
                .first()
                .is_some_and(|(key, ..)| key.0 != image)
            {
                all[sorted..].sort_unstable();
                sorted = all.len();
            }
            let (to, inferred) = match (edges.parent(image, found), &found.source) {
                (Some(parent), _) => (End::Image(parent.image), parent.inferred),
                (None, FoundSource::Reference(reference)) => (End::External(reference), false),
                (None, FoundSource::InRepo(name)) => (End::Image(name), false),
            };
            let key = (image, to, found.kind.as_str(), inferred);
            all.push((key, found.kind, platform));
        }
        all[sorted..].sort_unstable();
        let images: BTreeSet<String> = inventory
            .images
            .iter()
            .map(|image| image.name.clone())
            .collect();
        let mut graph = Self {
            images,
            ..Self::default()
        };
        for same in all.chunk_by(|a, b| a.0 == b.0) {
            let ((from, to, _, inferred), kind, _) = same[0];
            if let End::External(reference) = to
                && !graph.externals.contains(reference)
            {
                graph.externals.insert(reference.clone());
            }
            graph.edges.push(Edge {
                from: from.to_owned(),
                to: to.node(),
                kind,
                inferred,
                platforms: same.iter().map(|(_, _, p)| (*p).clone()).collect(),
            });
        }
        let between = |at: &usize| matches!(graph.edges[*at].to, Node::Image(_));
        let mut by_parent: Vec<usize> = (0..graph.edges.len()).filter(between).collect();
        by_parent.sort_by_key(|at| (&graph.edges[*at].to, *at));
        graph.by_parent = by_parent;
        (graph.unordered, graph.levels) = graph.order();
        graph
    }

    /// The images that `image` depends on directly.
    pub fn parents<'a>(&'a self, image: &'a str) -> impl Iterator<Item = &'a str> {
        let start = self.edges.partition_point(|e| e.from.as_str() < image);
        self.edges[start..]
            .iter()
            .take_while(move |e| e.from == image)
            .filter_map(|e| e.to.image())
    }

    /// The images that depend on `image` directly, sorted, each once.
    pub fn children(&self, image: &str) -> BTreeSet<&str> {
        let edge = |at: &usize| &self.edges[*at];
        let before = |at: &usize| edge(at).to.image() < Some(image);
        let start = self.by_parent.partition_point(before);
        let edges = self.by_parent[start..].iter().map(edge);
        edges
            .take_while(|e| e.to.image() == Some(image))
            .map(|e| e.from.as_str())
            .collect()
    }

    /// The images that depend on `image` at any depth, itself left out.
    pub fn descendants(&self, image: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![image];
        while let Some(next) = open.pop() {
            for child in self.children(next) {
                if child != image && found.insert(child) {
                    open.push(child);
                }
            }
        }
        found
    }

    /// One problem for each cycle among the images and for each edge to an image that is not there.
    pub fn problems(&self, inventory: &Inventory) -> Vec<Problem> {
        let mut problems = Vec::new();
        for edge in &self.edges {
            if let Node::Image(name) = &edge.to
                && !self.images.contains(name)
            {
                let file = inventory
                    .image(&edge.from)
                    .map_or("", |i| i.dockerfile.as_str());
                let known = self.images.iter().map(String::as_str);
                let mut problem = Problem::of_file(
                    file,
                    format!(
                        "`{}` depends on `image:{name}`, which is no image",
                        edge.from
                    ),
                );
                problem.hint = crate::problem::nearest(name, known)
                    .map(|near| format!("did you mean `{near}`?"));
                problems.push(problem);
            }
        }
        let mut reported: BTreeSet<Vec<&str>> = BTreeSet::new();
        for image in &self.unordered {
            if let Some(cycle) = self.cycle_from(image) {
                let mut members = cycle.clone();
                members.sort_unstable();
                if reported.insert(members) {
                    let path = cycle
                        .iter()
                        .chain(cycle.first())
                        .map(|name| format!("`{name}`"));
                    let path = path.collect::<Vec<_>>().join(" → ");
                    let file = inventory.image(image).map_or("", |i| i.dockerfile.as_str());
                    let problem = Problem::of_file(
                        file,
                        format!("images depend on each other in a cycle: {path}"),
                    );
                    problems.push(problem.with_hint(
                        "give one of them a tag or digest that no image of this repository moves",
                    ));
                }
            }
        }
        problems
    }

    /// Images that are on a cycle: nothing can order them.
    pub fn cyclic(&self) -> BTreeSet<&str> {
        let unordered = self.unordered.iter().map(String::as_str);
        unordered
            .filter(|image| self.cycle_from(image).is_some())
            .collect()
    }

    /// Images, sorted, each with the number of images that the longest chain below it has. What is on a cycle, or built
    /// on one, has any number.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (&str, usize)> {
        let names = self.images.iter().map(String::as_str);
        names.zip(self.levels.iter().copied())
    }

    /// What cannot be ordered, and the levels of all.
    fn order(&self) -> (BTreeSet<String>, Vec<usize>) {
        let names: Vec<&String> = self.images.iter().collect();
        let numbers: HashMap<&str, usize> =
            names.iter().map(|name| name.as_str()).zip(0..).collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
        let mut n_parents = vec![0_usize; names.len()];
        for of_child in self.edges.chunk_by(|a, b| a.from == b.from) {
            let Some(child) = numbers.get(of_child[0].from.as_str()) else {
                continue;
            };
            let parents = of_child.iter().filter_map(|edge| edge.to.image());
            let mut parents: Vec<usize> = parents
                .filter_map(|parent| numbers.get(parent).copied())
                .collect();
            parents.dedup(); // they are sorted
            n_parents[*child] = parents.len();
            for parent in parents {
                children[parent].push(*child);
            }
        }
        let mut ready: Vec<usize> = (0..names.len()).filter(|n| n_parents[*n] == 0).collect();
        let mut levels = vec![0_usize; names.len()];
        while let Some(parent) = ready.pop() {
            for child in &children[parent] {
                levels[*child] = levels[*child].max(levels[parent] + 1);
                n_parents[*child] -= 1;
                if n_parents[*child] == 0 {
                    ready.push(*child);
                }
            }
        }
        let waiting = names.into_iter().zip(n_parents);
        let unordered = waiting.filter(|(_, n)| *n > 0);
        let unordered = unordered.map(|(name, _)| name.clone()).collect();
        (unordered, levels)
    }

    /// A shortest way from `image` back to itself.
    fn cycle_from<'a>(&'a self, image: &'a str) -> Option<Vec<&'a str>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = std::collections::VecDeque::from([image]);
        while let Some(next) = queue.pop_front() {
            for parent in self.parents(next) {
                if parent == image {
                    let mut path = vec![next];
                    while let Some(before) = came_from.get(path[path.len() - 1]) {
                        path.push(before);
                    }
                    path.reverse();
                    return Some(path);
                }
                if parent != next && !came_from.contains_key(parent) {
                    came_from.insert(parent, next);
                    queue.push_back(parent);
                }
            }
        }
        None
    }
}
