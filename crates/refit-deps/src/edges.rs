//! In-repo edges: which references are another image of this repository, said explicitly or inferred.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use refit_dockerfile::{Found, FoundSource};
use refit_oci::Reference;

use crate::{inventory::Inventory, scan::Scans};

/// The in-repo parents of a repository's images.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    /// A moving tag of exactly one image.
    explicit: HashMap<Reference, String>,
    /// By child and reference.
    inferred: BTreeMap<(String, Reference), String>,
}

/// An in-repo parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent<'a> {
    /// The parent image's name.
    pub image: &'a str,
    /// Whether no configuration says so.
    pub inferred: bool,
}

impl Edges {
    /// The edges of an inventory. Without a configuration, edges are inferred from how the images refer to each other.
    pub fn of(inventory: &Inventory, scans: &Scans) -> Self {
        let mut edges = Self {
            explicit: explicit(inventory),
            inferred: BTreeMap::new(),
        };
        if !inventory.configured {
            edges.inferred = infer(inventory, scans, &edges);
        }
        edges
    }

    /// The in-repo parent that `found` means for `child`. A reference with a digest is external.
    pub fn parent<'a>(&'a self, child: &str, found: &'a Found) -> Option<Parent<'a>> {
        match &found.source {
            FoundSource::InRepo(image) => Some(Parent {
                image,
                inferred: false,
            }),
            FoundSource::Reference(reference) => self.parent_of_reference(child, reference),
        }
    }

    /// The same for a reference.
    pub fn parent_of_reference<'a>(
        &'a self,
        child: &str,
        reference: &Reference,
    ) -> Option<Parent<'a>> {
        if reference.digest().is_some() {
            return None;
        }
        if let Some(image) = self.explicit.get(reference) {
            return Some(Parent {
                image,
                inferred: false,
            });
        }
        if self.inferred.is_empty() {
            return None;
        }
        let inferred = self.inferred.get(&(child.to_owned(), reference.clone()))?;
        Some(Parent {
            image: inferred,
            inferred: true,
        })
    }
}

fn explicit(inventory: &Inventory) -> HashMap<Reference, String> {
    let mut holders: HashMap<Reference, BTreeSet<&str>> = HashMap::new();
    for image in &inventory.images {
        for reference in image.known_as() {
            holders.entry(reference).or_default().insert(&image.name);
        }
    }
    let single = holders.into_iter().filter(|(_, images)| images.len() == 1);
    single
        .filter_map(|(reference, images)| Some((reference, (*images.first()?).to_owned())))
        .collect()
}

/// At least two different images of the repository are referred to under one registry and namespace, by their names,
/// without a digest and with no tag but `latest`. Never an image by itself, never Docker Hub's official images, never
/// an edge that closes a cycle.
fn infer(
    inventory: &Inventory,
    scans: &Scans,
    edges: &Edges,
) -> BTreeMap<(String, Reference), String> {
    let mut by_namespace: BTreeMap<String, BTreeSet<(String, Reference, String)>> = BTreeMap::new();
    for (child, _, found) in scans.found() {
        let FoundSource::Reference(reference) = &found.source else {
            continue;
        };
        let repository = reference.repository();
        let namespace = repository.namespace();
        let plain = reference.digest().is_none() && reference.tag() == Some("latest");
        let name = repository.last_component();
        if plain
            && namespace != "docker.io/library"
            && name != child
            && inventory.image(name).is_some()
        {
            let edge = (child.to_owned(), reference.clone(), name.to_owned());
            by_namespace.entry(namespace).or_default().insert(edge);
        }
    }
    let mut parents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (child, _, found) in scans.found() {
        if let Some(parent) = edges.parent(child, found) {
            parents
                .entry(child.to_owned())
                .or_default()
                .insert(parent.image.to_owned());
        }
    }
    let mut inferred = BTreeMap::new();
    for group in by_namespace.into_values() {
        let referred: BTreeSet<&String> = group.iter().map(|(_, _, parent)| parent).collect();
        if referred.len() < 2 {
            continue;
        }
        for (child, reference, parent) in group {
            if !reaches(&parents, &parent, &child) {
                parents
                    .entry(child.clone())
                    .or_default()
                    .insert(parent.clone());
                inferred.insert((child, reference), parent);
            }
        }
    }
    inferred
}

/// Whether `to` is `from` or one of its ancestors.
fn reaches(parents: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(image) = open.pop() {
        if image == to {
            return true;
        }
        if seen.insert(image) {
            open.extend(parents.get(image).into_iter().flatten().map(String::as_str));
        }
    }
    false
}
