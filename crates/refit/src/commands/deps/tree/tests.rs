//! Trees of a stale family at the widths of terminals.

use std::collections::BTreeSet;

use refit_deps::{
    edges::Edges,
    graph::Graph,
    inventory::{self, Files},
    scan::Scans,
};
use refit_oci::Platform;

use super::{super::stale::Staleness, Forest};
use crate::project::Snapshot;

/// Dockerfiles by their folders' names.
fn snapshot(files: &[(&str, String)]) -> Snapshot {
    let paths: BTreeSet<String> = files
        .iter()
        .map(|(name, _)| format!("{name}/Dockerfile"))
        .collect();
    let read = |path: &str| {
        let file = files
            .iter()
            .find(|(name, _)| path == format!("{name}/Dockerfile"));
        file.map(|(_, text)| text.clone().into_bytes())
    };
    let inventory = inventory::read(&Files {
        paths: &paths,
        read: &read,
        name: "shop",
        line: "main",
    });
    let scans = Scans::of(&inventory.images, &Platform::linux_amd64());
    let edges = Edges::of(&inventory, &scans);
    let graph = Graph::of(&inventory, &scans, &edges);
    Snapshot {
        commit: None,
        revision: None,
        config: None,
        entries: Vec::new(),
        is_index: false,
        inventory,
        scans,
        edges,
        graph,
        problems: Vec::new(),
    }
}

fn family() -> Vec<(&'static str, String)> {
    let on = |parent: &str| format!("FROM quay.io/notebooks/{parent}\nRUN x\n");
    vec![
        ("foundation", "FROM ubuntu:24.04\n".to_owned()),
        ("base-notebook", on("foundation")),
        ("minimal-notebook", on("base-notebook")),
        ("datascience-notebook-with-everything-that-anybody-asked-for", on("minimal-notebook")),
        (
            "scipy-notebook",
            "FROM golang:1.25 AS build\nFROM ghcr.io/tools/micromamba:2.1 AS tools\nFROM quay.io/notebooks/minimal-notebook\n\
             COPY --from=build /x /\nCOPY --from=tools /y /\n"
                .to_owned(),
        ),
        ("pyspark-notebook", on("scipy-notebook")),
        ("all-spark-notebook", on("pyspark-notebook")),
    ]
}

fn tree(files: &[(&str, String)], stale: &Staleness, width: usize) -> String {
    let snapshot = snapshot(files);
    let shown = snapshot.graph.images.iter().map(String::as_str).collect();
    let text = Forest::new(&snapshot, &shown, None, stale).render(Some(width));
    for line in anstream::adapter::strip_str(&text).to_string().lines() {
        assert!(crate::ui::width(line) <= width, "{width}: {line}");
    }
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn a_tree_says_what_is_stale_at_every_width() {
    let moved = "ubuntu:24.04 1f3c09aa71c2 → 9ab0d4417e55";
    let stale = Staleness::known(&[
        ("foundation", "stale", Some(true), moved),
        (
            "base-notebook",
            "stale",
            Some(true),
            "its parent foundation is rebuilt",
        ),
        (
            "minimal-notebook",
            "stale",
            Some(true),
            "its parent base-notebook is rebuilt",
        ),
        (
            "datascience-notebook-with-everything-that-anybody-asked-for",
            "stale",
            Some(true),
            "its parent minimal-notebook is rebuilt",
        ),
        (
            "scipy-notebook",
            "unreachable",
            None,
            "quay.io/notebooks/scipy-notebook:latest: the connection was refused",
        ),
        ("all-spark-notebook", "fresh", Some(false), ""),
    ]);
    for width in [60, 80, 120] {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../snapshots/cli"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| {
            insta::assert_snapshot!(format!("tree-{width}"), tree(&family(), &stale, width));
        });
    }
}

#[test]
fn a_deep_chain_and_a_wide_one_fit() {
    let mut deep = vec![("layer0".to_owned(), "FROM debian\n".to_owned())];
    for number in 1..500 {
        deep.push((
            format!("layer{number}"),
            format!("FROM registry.example.com/x/layer{}\n", number - 1),
        ));
    }
    let deep: Vec<(&str, String)> = deep
        .iter()
        .map(|(name, text)| (name.as_str(), text.clone()))
        .collect();
    let text = tree(&deep, &Staleness::default(), 80);
    assert_eq!(text.lines().count(), 501);
    assert!(
        text.lines()
            .last()
            .unwrap()
            .ends_with("layer499 (inferred)"),
        "{text}"
    );
}
