//! The text of the configuration file.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{image::Image, names};
use refit_oci::Repository;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::super::groups::Group;
use crate::project::Snapshot;

/// The file with these globs, and every other image by itself.
pub(super) fn text(
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
                first.decor_mut().set_prefix(to_decide(repositories));
            }
            document.insert(key, Item::ArrayOfTables(tables));
        }
    }
    document.set_trailing(needs(unset, singles));
    document.to_string()
}

/// What a scan can't know, as comments.
fn to_decide(repositories: &BTreeMap<String, Repository>) -> String {
    let namespaces: BTreeSet<String> = repositories.values().map(Repository::namespace).collect();
    let push_to = match namespaces.first() {
        Some(namespace) if namespaces.len() == 1 => namespace,
        _ => "registry.example.com/team",
    };
    format!(
        "\n# Where images are pushed; without it they stay in this clone's own store.\n\
         # push-to = [\"{push_to}\"]\n\n\
         # What all images have in common; without it they are built for linux/amd64.\n\
         # [defaults]\n\
         # platforms = [\"linux/amd64\", \"linux/arm64\"]\n\n"
    )
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
