//! The text of `.config/refit.toml` for what a scan found, checked by reading it again.

mod text;
mod unset;

use std::collections::BTreeMap;

use refit_deps::{
    config::CONFIG_PATH,
    edges::Edges,
    graph::Graph,
    inventory::{self, Files, Inventory},
    scan::Scans,
};
use refit_dockerfile::FoundSource;
use refit_oci::{Platform, Repository};

use self::{text::text, unset::unset};
use super::groups::group;
use crate::{project::Snapshot, ui::sentence_list};

/// A configuration that is not written yet.
pub(super) struct Draft {
    /// The file.
    pub(super) text: String,
    /// What the user may want to do about it.
    pub(super) remarks: Vec<String>,
}

/// The configuration that gives the same images and edges as the scan did.
pub(super) fn write(
    snapshot: &Snapshot,
    read: &dyn Fn(&str) -> Option<Vec<u8>>,
    name: &str,
    line: &str,
    build_platform: &Platform,
) -> Draft {
    let again = |text: &str| {
        let mut paths = snapshot.paths.clone();
        paths.insert(CONFIG_PATH.to_owned());
        let read = |path: &str| {
            if path == CONFIG_PATH {
                Some(text.as_bytes().to_vec())
            } else {
                read(path)
            }
        };
        let inventory = inventory::read(&Files {
            paths: &paths,
            read: &read,
            name,
            line,
        });
        let scans = Scans::of(&inventory.images, build_platform);
        let edges = Edges::of(&inventory, &scans);
        let graph = Graph::of(&inventory, &scans, &edges);
        (inventory, graph)
    };
    let repositories = repositories(snapshot);
    let (groups, singles) = group(&snapshot.inventory.images, &snapshot.paths);
    let everything = snapshot
        .inventory
        .images
        .iter()
        .map(|image| image.name.clone())
        .collect();
    let unset = unset(&snapshot.inventory);
    // The compact one if it says the same, else every image by itself.
    let compact = text(snapshot, &groups, &singles, &repositories, &unset);
    let (inventory, graph) = again(&compact);
    let text = if is_same(snapshot, &inventory, &graph) {
        compact
    } else {
        text(snapshot, &[], &everything, &repositories, &unset)
    };
    let mut remarks =
        vec!["set `push-to` in `.config/refit.toml` to publish to a registry".to_owned()];
    if !unset.is_empty() {
        let images: Vec<String> = unset.keys().map(|image| format!("`{image}`")).collect();
        let images = sentence_list(&images);
        remarks.push(format!(
            "fill in the `build-args` of {images} in `.config/refit.toml`"
        ));
    }
    Draft { text, remarks }
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

/// Whether the configuration means the scan's images and edges.
fn is_same(snapshot: &Snapshot, inventory: &Inventory, graph: &Graph) -> bool {
    let images = |inventory: &Inventory| -> Vec<(String, String, String)> {
        let images = inventory.images.iter();
        images
            .map(|i| (i.name.clone(), i.dockerfile.clone(), i.context.clone()))
            .collect()
    };
    let edges = |graph: &Graph| -> Vec<_> {
        let edges = graph.edges.iter();
        let mut edges: Vec<_> = edges
            .map(|e| (e.from.clone(), e.to.clone(), e.kind.as_str()))
            .collect();
        edges.sort();
        edges.dedup();
        edges
    };
    images(&snapshot.inventory) == images(inventory) && edges(&snapshot.graph) == edges(graph)
}
