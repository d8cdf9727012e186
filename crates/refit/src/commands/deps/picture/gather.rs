//! From a repository's images and records to a picture.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    graph::{Edge, Node as End},
    image::Image,
};
use refit_oci::Reference;

use super::{
    super::stale::Staleness,
    facts::Facts,
    model::{Link, Node, Picture, State, Tone},
};
use crate::{project::Snapshot, ui};

/// What a picture is made of.
pub(in super::super) struct Source<'a> {
    /// The repository's name.
    pub(in super::super) name: String,
    pub(in super::super) snapshot: &'a Snapshot,
    /// The images that are shown.
    pub(in super::super) shown: &'a BTreeSet<&'a str>,
    /// The one that the picture is about.
    pub(in super::super) focus: Option<&'a str>,
    pub(in super::super) stale: &'a Staleness,
    pub(in super::super) facts: &'a Facts,
}

/// The picture of it.
pub(in super::super) fn picture(source: &Source<'_>) -> Picture {
    let snapshot = source.snapshot;
    let edges = snapshot.graph.edges.iter();
    let edges: Vec<&Edge> = edges.filter(|edge| is_shown(edge, source.shown)).collect();
    let externals: BTreeSet<&Reference> = edges
        .iter()
        .filter_map(|edge| match &edge.to {
            End::External(reference) => Some(reference),
            End::Image(_) => None,
        })
        .collect();
    let externals = externals.into_iter().map(|reference| Node {
        state: source.stale.moved(reference),
        ..external(reference)
    });
    let mut nodes: Vec<Node> = externals.collect();
    let cyclic = snapshot.graph.cyclic();
    let shown = |image: &&Image| source.shown.contains(image.name.as_str());
    for image in snapshot.inventory.images.iter().filter(shown) {
        nodes.push(self::image(
            source,
            image,
            cyclic.contains(image.name.as_str()),
        ));
    }
    // References and names are told apart: a name has no registry.
    let numbers: BTreeMap<(bool, &str), usize> = nodes
        .iter()
        .enumerate()
        .map(|(number, node)| ((node.is_image, node.name.as_str()), number))
        .collect();
    let links = links(source, &edges, &numbers);
    Picture {
        name: source.name.clone(),
        revision: snapshot.revision.as_ref().map(ToString::to_string),
        focus: source.focus.map(str::to_owned),
        asked: source.stale.is_asked(),
        links,
        nodes,
    }
}

/// Whether both ends of an edge are shown: all that is external is.
pub(in super::super) fn is_shown(edge: &Edge, shown: &BTreeSet<&str>) -> bool {
    let parent_shown = match &edge.to {
        End::Image(name) => shown.contains(name.as_str()),
        End::External(_) => true,
    };
    shown.contains(edge.from.as_str()) && parent_shown
}

fn external(reference: &Reference) -> Node {
    let repository = reference.repository();
    let mut label = repository.last_component().to_owned();
    if let Some(tag) = reference.tag() {
        label = format!("{label}:{tag}");
    }
    if let Some(digest) = reference.digest() {
        label = format!("{label}@{}", digest.short());
    }
    Node {
        name: reference.to_string(),
        label,
        place: repository.namespace(),
        ..Node::default()
    }
}

fn image(source: &Source<'_>, image: &Image, is_cyclic: bool) -> Node {
    let platforms: BTreeSet<_> = image.platforms.iter().collect();
    let scans = &source.snapshot.scans;
    let is_unreadable = platforms
        .iter()
        .any(|platform| scans.target(&image.name, platform).is_none());
    let broken = match (is_cyclic, is_unreadable) {
        (true, _) => Some(("cycle", "it depends on itself")),
        (_, true) => Some(("unreadable", "its Dockerfile can't be used")),
        _ => None,
    };
    let broken = broken.map(|(word, why)| State {
        word: word.to_owned(),
        tone: Tone::Alarm,
        why: vec![why.to_owned()],
    });
    Node {
        name: image.name.clone(),
        label: image.name.clone(),
        is_image: true,
        dockerfile: Some(image.dockerfile.clone()),
        target: image.target.clone(),
        platforms: platforms.iter().map(ToString::to_string).collect(),
        state: broken.or_else(|| source.stale.state(&image.name)),
        built: source.facts.built(&image.name),
        ..Node::default()
    }
}

fn links(
    source: &Source<'_>,
    edges: &[&Edge],
    numbers: &BTreeMap<(bool, &str), usize>,
) -> Vec<Link> {
    let mut kinds: BTreeMap<(usize, usize), BTreeSet<refit_dockerfile::Kind>> = BTreeMap::new();
    let mut links: BTreeMap<(usize, usize), Link> = BTreeMap::new();
    for edge in edges {
        let to = edge.to.to_string();
        let from_end = (matches!(edge.to, End::Image(_)), to.as_str());
        let (Some(&from), Some(&to)) = (
            numbers.get(&from_end),
            numbers.get(&(true, edge.from.as_str())),
        ) else {
            continue;
        };
        let link = links.entry((from, to)).or_insert_with(|| Link {
            from,
            to,
            pins: source.facts.pins(&edge.from, &names(source, &edge.to)),
            ..Link::default()
        });
        link.inferred |= edge.inferred;
        let platforms = edge.platforms.iter().map(ToString::to_string);
        let all: BTreeSet<String> = platforms.chain(link.platforms.drain(..)).collect();
        link.platforms = all.into_iter().collect();
        kinds.entry((from, to)).or_default().insert(edge.kind);
    }
    for (key, kinds) in kinds {
        if let Some(link) = links.get_mut(&key) {
            link.kinds = kinds
                .into_iter()
                .map(refit_dockerfile::Kind::as_str)
                .collect();
        }
    }
    links.into_values().collect()
}

/// The references by which records name what an edge leads to.
fn names(source: &Source<'_>, end: &End) -> Vec<Reference> {
    match end {
        End::External(reference) => vec![reference.clone()],
        End::Image(name) => {
            let image = source.snapshot.inventory.image(name);
            image.map(Image::known_as).unwrap_or_default()
        }
    }
}

/// The words of a node without markup, for formats that have only a label.
pub(super) fn label(node: &Node) -> Vec<String> {
    let mut lines = vec![if node.is_image {
        node.label.clone()
    } else {
        node.name
            .parse()
            .map_or_else(|_| node.name.clone(), |reference| ui::reference(&reference))
    }];
    if let Some(state) = node
        .state
        .as_ref()
        .filter(|state| state.tone != Tone::Fresh)
    {
        lines.push(state.word.clone());
    }
    lines
}
