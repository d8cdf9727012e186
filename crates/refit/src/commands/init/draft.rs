//! The text of `.config/refit.toml` for what a scan found, checked by reading it again.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    config::CONFIG_PATH,
    edges::Edges,
    graph::Graph,
    image::Image,
    inventory::{self, Files, Inventory},
    names,
    scan::Scans,
};
use refit_dockerfile::{Dockerfile, FoundSource};
use refit_oci::{Platform, Repository};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::groups::{Group, group};
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

/// Build args that decide about a base and have no default.
fn unset(inventory: &Inventory) -> BTreeMap<&str, Vec<&str>> {
    let unset = inventory.images.iter().map(|image| {
        let args = image
            .file
            .as_deref()
            .map(|file| unset_args(file, image))
            .unwrap_or_default();
        (image.name.as_str(), args)
    });
    unset.filter(|(_, args)| !args.is_empty()).collect()
}

fn unset_args<'f>(file: &'f Dockerfile, image: &Image) -> Vec<&'f str> {
    let bases = file
        .stages
        .iter()
        .map(|stage| stage.from.image.value.as_str());
    let texts: Vec<&str> = bases
        .chain(
            file.global_args
                .iter()
                .filter_map(|arg| arg.value.as_deref()),
        )
        .collect();
    let is_used = |name: &str| texts.iter().any(|text| mentions(text, name));
    let needed = file.global_args.iter().filter(|arg| arg.value.is_none());
    let needed = needed
        .map(|arg| arg.name.as_str())
        .filter(|name| !image.build_args.contains_key(*name));
    let needed: BTreeSet<&str> = needed.filter(|name| is_used(name)).collect();
    needed.into_iter().collect()
}

/// Whether `$name` or `${name` without a default is in the text.
fn mentions(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split('$').skip(1).any(|rest| {
        let (rest, braced) = rest
            .strip_prefix('{')
            .map_or((rest, false), |rest| (rest, true));
        match rest.strip_prefix(name) {
            Some(after) if braced => after.starts_with('}'),
            Some(after) => !after.starts_with(is_word),
            None => false,
        }
    })
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

fn text(
    snapshot: &Snapshot,
    groups: &[Group],
    singles: &BTreeSet<String>,
    repositories: &BTreeMap<String, Repository>,
    unset: &BTreeMap<&str, Vec<&str>>,
) -> String {
    let mut document = DocumentMut::new();
    document["version"] = value(1);
    if let Some(mut key) = document.key_mut("version") {
        key.leaf_decor_mut()
            .set_prefix("# The images of this repository, as refit builds them.\n");
    }
    let mut globs = ArrayOfTables::new();
    let mut images = ArrayOfTables::new();
    for group in groups {
        let mut table = Table::new();
        table["files"] = value(&group.files);
        table["name"] = value(&group.name);
        let known: BTreeMap<&String, &Repository> = group
            .members
            .iter()
            .filter_map(|name| Some((name, repositories.get(name)?)))
            .collect();
        match common_namespace(&known) {
            Some(namespace) => table["repository"] = value(format!("{namespace}/{}", group.name)),
            None => known.into_iter().for_each(|(name, repository)| {
                let mut table = Table::new();
                table["name"] = value(name);
                table["repository"] = value(repository.to_string());
                images.push(table);
            }),
        }
        globs.push(table);
    }
    for image in snapshot
        .inventory
        .images
        .iter()
        .filter(|image| singles.contains(&image.name))
    {
        images.push(single(image, repositories.get(&image.name), unset));
    }
    for (key, mut tables) in [("images", globs), ("image", images)] {
        if !tables.is_empty() {
            if let Some(first) = tables
                .get_mut(0)
                .filter(|_| !document.contains_key("images"))
            {
                first.decor_mut().set_prefix(
                    "\n# Where images are pushed; without it they stay in this clone's own store.\n\
                     # push-to = [\"registry.example.com/team\"]\n\n",
                );
            }
            document.insert(key, Item::ArrayOfTables(tables));
        }
    }
    document.set_trailing(needs(unset, singles));
    document.to_string()
}

/// The namespace that all repositories share, if they are named like their images.
fn common_namespace(known: &BTreeMap<&String, &Repository>) -> Option<String> {
    let mut namespaces: BTreeSet<String> = BTreeSet::new();
    for (name, repository) in known {
        if repository.last_component() != name.as_str() {
            return None;
        }
        namespaces.insert(repository.namespace());
    }
    if namespaces.len() == 1 {
        namespaces.pop_first()
    } else {
        None
    }
}

fn single(
    image: &Image,
    repository: Option<&Repository>,
    unset: &BTreeMap<&str, Vec<&str>>,
) -> Table {
    let mut table = Table::new();
    table["name"] = value(&image.name);
    if !image.context.is_empty() {
        table["context"] = value(&image.context);
    }
    let file = names::file_name(&image.dockerfile);
    if file != "Dockerfile" {
        table["dockerfile"] = value(file);
    }
    if let Some(repository) = repository {
        table["repository"] = value(repository.to_string());
    }
    if let Some(args) = unset.get(image.name.as_str())
        && let Some((_, Item::Value(last))) = table.iter_mut().last()
    {
        // A comment, as only a person knows the values.
        last.decor_mut()
            .set_suffix(format!("\n# {}", build_args(args)));
    }
    table
}

/// `build-args = { NODE = "" }`, to be filled in.
fn build_args(args: &[&str]) -> String {
    let args: Vec<String> = args.iter().map(|arg| format!("{arg} = \"\"")).collect();
    format!("build-args = {{ {} }}", args.join(", "))
}

/// Entries for images that a glob lists, as comments.
fn needs(unset: &BTreeMap<&str, Vec<&str>>, singles: &BTreeSet<String>) -> String {
    let listed = unset.iter().filter(|(image, _)| !singles.contains(**image));
    let entries = listed.map(|(image, args)| {
        format!(
            "\n# [[image]]\n# name = \"{image}\"\n# {}\n",
            build_args(args)
        )
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_without_a_default_are_found() {
        for (text, expect) in [
            ("$V", true),
            ("a:${V}", true),
            ("a:${V}-x", true),
            ("$VERSION", false),
            ("${V:-12}", false),
            ("${W}$V.1", true),
            ("V", false),
        ] {
            assert_eq!(mentions(text, "V"), expect, "{text}");
        }
    }
}
