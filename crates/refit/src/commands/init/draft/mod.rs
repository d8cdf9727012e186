//! The text of `.config/refit.toml` for what a scan and other tools' files say, checked by reading it again.

mod defaults;
mod keys;
#[cfg(test)]
mod readback;
mod text;
mod unset;

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    config::CONFIG_PATH,
    edges::Edges,
    graph::{Graph, Node},
    inventory::{self, Files, Inventory},
    problem::Problem,
    scan::Scans,
};
use refit_dockerfile::FoundSource;
use refit_oci::{Platform, Repository};

use self::{defaults::Defaults, text::Text, unset::unset};
use super::{entry::Entry, groups::group, import::Merged};
use crate::{project::Snapshot, ui::sentence_list};

/// A configuration that is not written yet.
pub(super) struct Draft {
    /// The file.
    pub(super) text: String,
    /// What the user may want to do about it.
    pub(super) remarks: Vec<String>,
    /// What is wrong with its images.
    pub(super) problems: Vec<Problem>,
}

/// Where a draft is read again.
pub(super) struct Place<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// Every path of the repository.
    pub(super) paths: &'a BTreeSet<String>,
    pub(super) read: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The repository's name.
    pub(super) name: &'a str,
    pub(super) line: &'a str,
    pub(super) build_platform: &'a Platform,
}

/// The configuration that gives the images of other tools' files, and of the scan what those do not build.
pub(super) fn write(place: &Place<'_>, merged: Merged) -> Draft {
    let snapshot = place.snapshot;
    let repositories = repositories(snapshot);
    let mut entries = merged.entries;
    let n_imported = entries.len();
    let mut taken: BTreeSet<String> = entries.iter().map(|entry| entry.name.clone()).collect();
    for image in &snapshot.inventory.images {
        if merged.dockerfiles.contains(&image.dockerfile) {
            continue;
        }
        let mut entry = Entry::scanned(image);
        entry.keys.repository = repositories.get(&image.name).map(Repository::to_string);
        let names = (2..).map(|n: u32| format!("{}-{n}", image.name));
        let mut names = std::iter::once(image.name.clone()).chain(names);
        entry.name = names
            .find(|name| taken.insert(name.clone()))
            .expect("there are more numbers than images");
        entries.push(entry);
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = Text {
        push_to: merged.push_to,
        ignore: merged.ignore.iter().cloned().collect(),
        namespaces: repositories.values().map(Repository::namespace).collect(),
        defaults: Defaults::default(),
        unset: BTreeMap::new(),
    };
    if n_imported > 0 {
        forget_local(place, &merged.local, &text, &mut entries);
        text.defaults = Defaults::of(&mut entries);
    }
    let (groups, singles) = group(&entries, place.paths);
    let everything: BTreeSet<String> = entries.iter().map(|entry| entry.name.clone()).collect();
    let (plain, plain_graph) = place.again(&text.write(&entries, &[], &everything));
    text.unset = unset(&plain);
    // The compact one if it says the same, else every image by itself.
    let compact = text.write(&entries, &groups, &singles);
    let (again, graph) = place.again(&compact);
    let told = |inventory: &Inventory| images(inventory, n_imported > 0);
    let same = told(&again) == told(&plain)
        && edges(&graph) == edges(&plain_graph)
        && (n_imported > 0 || edges(&graph) == edges(&snapshot.graph));
    let written = if same {
        compact
    } else {
        text.write(&entries, &[], &everything)
    };
    let (inventory, scans, graph) = place.all(&written);
    let mut problems = inventory.problems.clone();
    problems.extend(scans.problems());
    problems.extend(graph.problems(&inventory));
    Draft {
        remarks: remarks(&text),
        text: written,
        problems,
    }
}

fn remarks(text: &Text) -> Vec<String> {
    let mut remarks = Vec::new();
    if text.push_to.is_empty() {
        remarks.push("set `push-to` in `.config/refit.toml` to publish to a registry".to_owned());
    }
    if !text.unset.is_empty() {
        let images: Vec<String> = text
            .unset
            .keys()
            .map(|image| format!("`{image}`"))
            .collect();
        let images = sentence_list(&images);
        remarks.push(format!(
            "fill in the `build-args` of {images} in `.config/refit.toml`"
        ));
    }
    remarks
}

/// Local names are of use only where another image is built on them.
fn forget_local(place: &Place<'_>, local: &BTreeSet<String>, text: &Text, entries: &mut [Entry]) {
    let everything = entries.iter().map(|entry| entry.name.clone()).collect();
    let graph_of =
        |entries: &[Entry]| edges(&place.again(&text.write(entries, &[], &everything)).1);
    let with = graph_of(entries);
    let mut without = entries.to_vec();
    let forget = |entry: &mut Entry| {
        entry.keys.repository = None;
        entry.keys.tags = None;
    };
    without
        .iter_mut()
        .filter(|entry| local.contains(&entry.name))
        .for_each(forget);
    let without = graph_of(&without);
    let used = |name: &String| {
        with.iter()
            .any(|edge| edge.1 == Node::Image(name.clone()) && !without.contains(edge))
    };
    let unused = entries
        .iter_mut()
        .filter(|entry| local.contains(&entry.name) && !used(&entry.name));
    unused.for_each(forget);
}

impl Place<'_> {
    /// The images and their graph under a configuration.
    fn again(&self, text: &str) -> (Inventory, Graph) {
        let (inventory, _, graph) = self.all(text);
        (inventory, graph)
    }

    fn all(&self, text: &str) -> (Inventory, Scans, Graph) {
        let mut paths = self.paths.clone();
        paths.insert(CONFIG_PATH.to_owned());
        let read = |path: &str| {
            if path == CONFIG_PATH {
                Some(text.as_bytes().to_vec())
            } else {
                (self.read)(path)
            }
        };
        let inventory = inventory::read(&Files {
            paths: &paths,
            read: &read,
            name: self.name,
            line: self.line,
        });
        let scans = Scans::of(&inventory.images, self.build_platform);
        let edges = Edges::of(&inventory, &scans);
        let graph = Graph::of(&inventory, &scans, &edges);
        (inventory, scans, graph)
    }
}

/// The names by which images refer to each other: what no configuration has said so far.
fn repositories(snapshot: &Snapshot) -> BTreeMap<String, Repository> {
    let mut uses: BTreeMap<String, BTreeMap<Repository, usize>> = BTreeMap::new();
    for (child, _, found) in snapshot.scans.found() {
        if let (Some(parent), FoundSource::Reference(reference)) =
            (snapshot.edges.parent(child, found), &found.source)
            && parent.inferred
        {
            let repositories = uses.entry(parent.image.to_owned()).or_default();
            *repositories
                .entry(reference.repository().clone())
                .or_default() += 1;
        }
    }
    let most_used = |uses: BTreeMap<Repository, usize>| {
        uses.into_iter().max_by_key(|(_, n)| *n).map(|(r, _)| r)
    };
    uses.into_iter()
        .filter_map(|(image, uses)| Some((image, most_used(uses)?)))
        .collect()
}

/// Everything that a configuration says of its images. What a scan knows of repositories comes from the edges, which
/// are compared by themselves.
fn images(inventory: &Inventory, with_repositories: bool) -> Vec<String> {
    let images = inventory.images.iter().map(|image| {
        let mut image = image.clone();
        image.file = None;
        if !with_repositories {
            image.repository = None;
        }
        format!("{image:?}")
    });
    images.collect()
}

fn edges(graph: &Graph) -> Vec<(String, Node, &'static str)> {
    let edges = graph.edges.iter();
    let mut edges: Vec<_> = edges
        .map(|e| (e.from.clone(), e.to.clone(), e.kind.as_str()))
        .collect();
    edges.sort();
    edges.dedup();
    edges
}
