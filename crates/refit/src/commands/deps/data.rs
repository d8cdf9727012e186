//! `refit deps graph --format json`.

use std::collections::BTreeSet;

use refit_deps::graph::{Edge, Node};
use refit_oci::{ObjectId, Platform, Reference};
use serde::Serialize;

use super::{picture::is_shown, stale::Staleness};
use crate::project::Snapshot;

#[derive(Debug, Serialize)]
struct GraphView<'a> {
    format_version: u32,
    revision: Option<&'a ObjectId>,
    images: Vec<ImageView<'a>>,
    externals: Vec<ExternalView<'a>>,
    edges: Vec<EdgeView<'a>>,
}

#[derive(Debug, Serialize)]
struct ImageView<'a> {
    name: &'a str,
    dockerfile: &'a str,
    target: Option<&'a str>,
    platforms: BTreeSet<&'a Platform>,
    /// None where nobody asked, or where it could not be found out.
    stale: Option<bool>,
    /// How it stands, in one word; none where nobody asked.
    state: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct ExternalView<'a> {
    reference: &'a Reference,
}

#[derive(Debug, Serialize)]
struct EdgeView<'a> {
    from: &'a str,
    to: String,
    kind: &'static str,
    inferred: bool,
    platforms: &'a BTreeSet<Platform>,
}

/// The document.
pub(super) fn json(snapshot: &Snapshot, shown: &BTreeSet<&str>, stale: &Staleness) -> String {
    crate::ui::json(&view(snapshot, shown, stale))
}

fn view<'a>(snapshot: &'a Snapshot, shown: &BTreeSet<&str>, stale: &Staleness) -> GraphView<'a> {
    let images = snapshot
        .inventory
        .images
        .iter()
        .filter(|image| shown.contains(image.name.as_str()));
    let images = images.map(|image| ImageView {
        name: &image.name,
        dockerfile: &image.dockerfile,
        target: image.target.as_deref(),
        platforms: image.platforms.iter().collect(),
        stale: stale.of(&image.name),
        state: stale.word(&image.name),
    });
    let edges = snapshot.graph.edges.iter();
    let edges: Vec<&Edge> = edges.filter(|edge| is_shown(edge, shown)).collect();
    let externals: BTreeSet<&Reference> = edges
        .iter()
        .filter_map(|edge| match &edge.to {
            Node::External(reference) => Some(reference),
            Node::Image(_) => None,
        })
        .collect();
    let edge_view = |edge: &&'a Edge| EdgeView {
        from: &edge.from,
        to: edge.to.to_string(),
        kind: edge.kind.as_str(),
        inferred: edge.inferred,
        platforms: &edge.platforms,
    };
    GraphView {
        format_version: 1,
        revision: snapshot.revision.as_ref(),
        images: images.collect(),
        externals: externals
            .into_iter()
            .map(|reference| ExternalView { reference })
            .collect(),
        edges: edges.iter().map(edge_view).collect(),
    }
}
