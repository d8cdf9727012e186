//! `cargo xtask edges`: which crate may use which, checked against what cargo knows of the workspace.

use serde_json::Value;

use crate::shell::{Failure, Outcome, cargo, output};

/// Crate, and the crates of ours that it may use: arrows point down only.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("refit-oci", &[]),
    ("refit-platform", &["refit-oci"]),
    ("refit-dockerfile", &["refit-oci"]),
    (
        "refit-deps",
        &["refit-oci", "refit-platform", "refit-dockerfile"],
    ),
    ("refit-git", &["refit-oci"]),
    ("refit-registry", &["refit-oci"]),
    (
        "refit-context",
        &["refit-oci", "refit-git", "refit-registry"],
    ),
    ("refit-logs", &["refit-oci"]),
    (
        "refit-build",
        &[
            "refit-oci",
            "refit-platform",
            "refit-dockerfile",
            "refit-deps",
            "refit-context",
            "refit-registry",
            "refit-logs",
        ],
    ),
    (
        "refit-task",
        &["refit-oci", "refit-build", "refit-logs", "refit-context"],
    ),
    (TESTKIT, &["refit-oci", "refit-registry"]),
];

/// The tool itself, which may use every crate.
const TOOL: &str = "refit";

/// For tests of every crate, and for nothing else.
const TESTKIT: &str = "refit-testkit";

/// Crates of others that belong to one or two of ours: each marks an effect that the others must not have.
const RESERVED: [(&str, &[&str]); 8] = [
    ("gix", &["refit-git"]),
    ("bollard", &["refit-build"]),
    ("tonic", &["refit-build"]),
    ("reqwest", &["refit-registry"]),
    ("oci-client", &["refit-registry"]),
    ("clap", &[TOOL]),
    ("indicatif", &[TOOL]),
    ("anstream", &[TOOL]),
];

/// Crates without I/O, clock, environment or async, and what would bring it in.
const PURE: [&str; 4] = [
    "refit-oci",
    "refit-platform",
    "refit-dockerfile",
    "refit-deps",
];
const IMPURE: [&str; 6] = [
    "tokio",
    "futures-util",
    "async-trait",
    "tempfile",
    "rand",
    "axum",
];

/// One crate of the workspace uses another crate, of ours or not.
#[derive(Debug)]
struct Edge {
    from: String,
    to: String,
    for_tests: bool,
}

/// Fails with every edge that the design does not have.
pub(crate) fn check() -> Outcome {
    let broken = broken(&edges()?);
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure(format!(
        "dependency edges that the design does not have:\n  {}",
        broken.join("\n  ")
    )))
}

/// The edges that cargo knows, without the crates' own dependencies.
fn edges() -> Outcome<Vec<Edge>> {
    let args = ["metadata", "--format-version=1", "--no-deps", "--offline"];
    let text = output(&mut cargo(&args))?;
    let metadata: Value = serde_json::from_str(&text)
        .map_err(|error| Failure(format!("`cargo metadata` printed no JSON: {error}")))?;
    let mut edges = Vec::new();
    for package in array(&metadata["packages"]) {
        for dependency in array(&package["dependencies"]) {
            let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
            edges.push(Edge {
                from: name(package),
                to: name(dependency),
                for_tests: dependency["kind"] == "dev",
            });
        }
    }
    Ok(edges)
}

/// A sentence for each edge that must not be.
fn broken(edges: &[Edge]) -> Vec<String> {
    let sentences = edges.iter().filter_map(|edge| {
        let Edge {
            from,
            to,
            for_tests,
        } = edge;
        // Tests may look at things from outside.
        let reserved = RESERVED.iter().find(|(name, _)| name == to && !for_tests);
        if let Some((_, owners)) = reserved
            && !owners.contains(&from.as_str())
        {
            return Some(format!(
                "`{from}` uses `{to}`, which only `{}` may",
                owners.join("`, `")
            ));
        }
        if PURE.contains(&from.as_str()) && IMPURE.contains(&to.as_str()) && !for_tests {
            return Some(format!("`{from}` uses `{to}`, and it is pure"));
        }
        if to == TESTKIT {
            return (!for_tests).then(|| format!("`{from}` uses `{to}` outside of its tests"));
        }
        let is_ours = to == TOOL || ALLOWED.iter().any(|(name, _)| name == to);
        if !is_ours || from == TOOL {
            return None;
        }
        let allowed = ALLOWED.iter().find(|(name, _)| name == from);
        let allowed = allowed.is_some_and(|(_, targets)| targets.contains(&to.as_str()));
        (!allowed).then(|| format!("`{from}` uses `{to}`"))
    });
    sentences.collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_has_the_designs_edges_alone() {
        let edges = edges().unwrap();
        assert!(
            edges
                .iter()
                .any(|edge| edge.from == "refit-build" && edge.to == "refit-deps")
        );
        assert_eq!(broken(&edges), Vec::<String>::new());
    }

    #[test]
    fn an_edge_that_must_not_be_is_named() {
        for (from, to, for_tests, expect) in [
            ("refit", "refit-build", false, None),
            ("refit-deps", "refit-oci", false, None),
            (
                "refit-deps",
                "refit-registry",
                false,
                Some("`refit-deps` uses `refit-registry`"),
            ),
            (
                "refit-oci",
                "refit",
                false,
                Some("`refit-oci` uses `refit`"),
            ),
            ("refit-git", "refit-testkit", true, None),
            (
                "refit-git",
                "refit-testkit",
                false,
                Some("`refit-git` uses `refit-testkit` outside of its tests"),
            ),
            (
                "refit-build",
                "gix",
                false,
                Some("`refit-build` uses `gix`, which only `refit-git` may"),
            ),
            (
                "refit-deps",
                "tokio",
                false,
                Some("`refit-deps` uses `tokio`, and it is pure"),
            ),
            ("refit-deps", "tempfile", true, None),
            (
                "xtask",
                "refit-oci",
                false,
                Some("`xtask` uses `refit-oci`"),
            ),
        ] {
            let (from, to) = (from.to_owned(), to.to_owned());
            let edge = Edge {
                from,
                to,
                for_tests,
            };
            let told = broken(std::slice::from_ref(&edge));
            assert_eq!(told.first().map(String::as_str), expect, "{edge:?}");
        }
    }
}
