//! `refit deps diff` for people and in JSON.

use anstyle::Style;
use refit_deps::{
    graph::Node,
    lineage::diff::{DependencyDiff, ImageChange},
};
use refit_oci::Platform;
use serde_json::{Value, json};

use super::{Difference, Moved};
use crate::{
    packages::Insides,
    project::Snapshot,
    ui::{self, ERROR, GOOD, Table, WARNING, platforms},
};

/// What differs, an image after the other: what became of it, its platforms, its dependencies, their digests.
pub(super) fn table(after: &Snapshot, differences: &[Difference]) -> Table {
    let mut table = Table::new();
    for difference in differences {
        let name = &difference.image.image;
        let all = after.inventory.image(name);
        let all = all.map_or(&[][..], |image| &image.platforms);
        let mut row = |word: &str, on: String, text: String, style: Style| {
            table.row(vec![word.to_owned(), name.clone(), on, text], style);
        };
        match &difference.image.change {
            ImageChange::Added => row("added", String::new(), "the image is new".to_owned(), GOOD),
            ImageChange::Removed => row(
                "removed",
                String::new(),
                "the image is gone".to_owned(),
                ERROR,
            ),
            ImageChange::Renamed { from } => {
                row("renamed", String::new(), format!("it was {from}"), WARNING);
            }
            ImageChange::Kept => {
                for platform in &difference.image.platforms_added {
                    row(
                        "added",
                        platform.to_string(),
                        "the platform is new".to_owned(),
                        GOOD,
                    );
                }
                for platform in &difference.image.platforms_removed {
                    row(
                        "removed",
                        platform.to_string(),
                        "the platform is gone".to_owned(),
                        ERROR,
                    );
                }
            }
        }
        for (i, dependency) in difference.image.dependencies.iter().enumerate() {
            if dependency.is_changed() {
                let (word, text, style) = changed(dependency);
                row(word, platforms(&dependency.platforms, all), text, style);
            }
            for moved in difference.digests.get(&i).into_iter().flatten() {
                let text = format!(
                    "{}  {} → {}",
                    dependency.to.as_ref().map(node).unwrap_or_default(),
                    moved.from.short(),
                    moved.to.short()
                );
                row("moved", platforms(&moved.platforms, all), text, WARNING);
            }
        }
    }
    table
}

fn changed(dependency: &DependencyDiff) -> (&'static str, String, Style) {
    let kind = dependency.kind.as_str();
    match (&dependency.from, &dependency.to) {
        (Some(from), Some(to)) => (
            "changed",
            format!("{kind} {} → {}", node(from), node(to)),
            WARNING,
        ),
        (None, Some(to)) => ("added", format!("{kind} {}", node(to)), GOOD),
        (Some(from), None) => ("removed", format!("{kind} {}", node(from)), ERROR),
        (None, None) => ("changed", String::new(), WARNING),
    }
}

fn node(node: &Node) -> String {
    match node {
        Node::External(reference) => ui::reference(reference),
        Node::Image(name) => format!("{name} of this repository"),
    }
}

/// The same for programs.
pub(super) fn view(
    before: &Snapshot,
    after: &Snapshot,
    differences: &[Difference],
    insides: &Insides,
) -> Value {
    let images: Vec<Value> = differences.iter().map(|d| image(d, insides)).collect();
    json!({
        "format_version": 1,
        "from": before.revision,
        "to": after.revision,
        "images": images,
    })
}

fn image(difference: &Difference, insides: &Insides) -> Value {
    let of = &difference.image;
    let (change, renamed_from) = match &of.change {
        ImageChange::Added => ("added", None),
        ImageChange::Removed => ("removed", None),
        ImageChange::Renamed { from } => ("renamed", Some(from)),
        ImageChange::Kept => ("changed", None),
    };
    let dependencies = of.dependencies.iter().enumerate();
    let dependencies = dependencies.filter_map(|(i, dependency)| {
        let moved = difference.digests.get(&i).map_or(&[][..], Vec::as_slice);
        if !dependency.is_changed() && moved.is_empty() {
            return None;
        }
        let digests = moved
            .iter()
            .map(|moved| digest(difference, (i, moved), insides));
        Some(json!({
            "kind": dependency.kind.as_str(),
            "from": dependency.from.as_ref().map(ToString::to_string),
            "to": dependency.to.as_ref().map(ToString::to_string),
            "platforms": texts(&dependency.platforms),
            "digests": digests.collect::<Vec<_>>(),
        }))
    });
    json!({
        "image": of.image,
        "change": change,
        "renamed_from": renamed_from,
        "platforms_added": texts(&of.platforms_added),
        "platforms_removed": texts(&of.platforms_removed),
        "dependencies": dependencies.collect::<Vec<_>>(),
    })
}

fn digest(difference: &Difference, (i, moved): (usize, &Moved), insides: &Insides) -> Value {
    let mut value = json!({
        "platforms": texts(&moved.platforms), "from": moved.from, "to": moved.to,
    });
    let inside = difference
        .as_move(i, moved)
        .and_then(|key| insides.get(&key));
    if let Some(inside) = inside {
        let (packages, why_not) = inside.to_json();
        value["packages"] = packages;
        if let Some(why_not) = why_not {
            value["packages_unknown"] = json!(why_not);
        }
    }
    value
}

fn texts<'a>(platforms: impl IntoIterator<Item = &'a Platform>) -> Vec<String> {
    platforms.into_iter().map(ToString::to_string).collect()
}
