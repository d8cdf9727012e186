//! The dependency graph as a tree of text: external bases as roots, images below what they are built on.

mod draw;
mod line;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::graph::{Edge, Node};
use refit_dockerfile::Kind;
use refit_oci::Platform;

use super::stale::Staleness;
use crate::{project::Snapshot, ui};

/// What a tree hangs from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Root {
    /// A base outside of the repository.
    External(String),
    /// Images without a base.
    Scratch,
    /// An image on a cycle: nothing is above it.
    Cycle(String),
    /// Images whose Dockerfile can't be read.
    Unreadable,
}

/// An image as it hangs below one parent.
#[derive(Clone, Debug)]
struct Branch<'a> {
    image: &'a str,
    platforms: BTreeSet<&'a Platform>,
    inferred: bool,
}

/// All trees of a graph.
pub(super) struct Forest<'a> {
    roots: BTreeMap<Root, Vec<Branch<'a>>>,
    below: BTreeMap<&'a str, Vec<Branch<'a>>>,
    /// What an image takes beside its base.
    beside: BTreeMap<&'a str, Vec<String>>,
    /// The platforms that all images have; none if they differ.
    common: Option<BTreeSet<&'a Platform>>,
    focus: Option<&'a str>,
    stale: &'a Staleness,
}

impl<'a> Forest<'a> {
    /// The trees of the images in `shown`; `focus` is set off from the others.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        shown: &BTreeSet<&str>,
        focus: Option<&'a str>,
        stale: &'a Staleness,
    ) -> Self {
        let images = &snapshot.inventory.images;
        let mut platforms = images
            .iter()
            .map(|image| image.platforms.iter().collect::<BTreeSet<_>>());
        let first = platforms.next();
        let common = first.filter(|first| platforms.all(|other| other == *first));
        let mut forest = Self {
            roots: BTreeMap::new(),
            below: BTreeMap::new(),
            beside: BTreeMap::new(),
            common,
            focus,
            stale,
        };
        for edge in snapshot
            .graph
            .edges
            .iter()
            .filter(|edge| shown.contains(edge.from.as_str()))
        {
            forest.add(edge, shown);
        }
        for image in images
            .iter()
            .filter(|image| shown.contains(image.name.as_str()))
        {
            let mut scratch = BTreeSet::new();
            let mut unreadable = BTreeSet::new();
            for platform in &image.platforms {
                match snapshot.scans.target(&image.name, platform) {
                    Some(resolved)
                        if resolved.found.iter().any(|found| found.kind == Kind::Base) => {}
                    Some(_) => _ = scratch.insert(platform),
                    None => _ = unreadable.insert(platform),
                }
            }
            for (root, platforms) in [(Root::Scratch, scratch), (Root::Unreadable, unreadable)] {
                if !platforms.is_empty() {
                    let branch = Branch {
                        image: &image.name,
                        platforms,
                        inferred: false,
                    };
                    forest.roots.entry(root).or_default().push(branch);
                }
            }
        }
        forest.add_cycles(shown, snapshot);
        forest
    }

    fn add(&mut self, edge: &'a Edge, shown: &BTreeSet<&str>) {
        let branch = Branch {
            image: &edge.from,
            platforms: edge.platforms.iter().collect(),
            inferred: edge.inferred,
        };
        match (&edge.to, edge.kind) {
            (Node::External(reference), Kind::Base) => {
                self.roots
                    .entry(Root::External(ui::reference(reference)))
                    .or_default()
                    .push(branch);
            }
            (Node::Image(parent), Kind::Base) if shown.contains(parent.as_str()) => {
                self.below.entry(parent).or_default().push(branch);
            }
            (to, kind) => {
                let name = match to {
                    Node::External(reference) => ui::reference(reference),
                    Node::Image(name) => name.clone(),
                };
                let inferred = if edge.inferred { ", inferred" } else { "" };
                self.beside
                    .entry(&edge.from)
                    .or_default()
                    .push(format!("{name} ({}{inferred})", kind.as_str()));
            }
        }
    }

    /// Images that hang from no root are on a cycle, or below one.
    fn add_cycles(&mut self, shown: &BTreeSet<&str>, snapshot: &'a Snapshot) {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = self
            .roots
            .values()
            .flatten()
            .map(|branch| branch.image)
            .collect();
        let on_cycle = snapshot.graph.cyclic();
        let candidates = snapshot
            .graph
            .images
            .iter()
            .map(String::as_str)
            .filter(|image| shown.contains(image));
        let mut candidates: Vec<&str> = candidates.collect();
        candidates.sort_by_key(|image| !on_cycle.contains(image));
        let mut candidates = candidates.into_iter();
        loop {
            while let Some(image) = open.pop() {
                if reached.insert(image) {
                    open.extend(
                        self.below
                            .get(image)
                            .into_iter()
                            .flatten()
                            .map(|branch| branch.image),
                    );
                }
            }
            let Some(next) = candidates.find(|image| !reached.contains(image)) else {
                return;
            };
            let Some(image) = snapshot.inventory.image(next) else {
                continue;
            };
            let branch = Branch {
                image: next,
                platforms: image.platforms.iter().collect(),
                inferred: false,
            };
            self.roots
                .insert(Root::Cycle(next.to_owned()), vec![branch]);
            open.push(next);
        }
    }
}
