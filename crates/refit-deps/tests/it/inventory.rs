//! Inventories: from a configuration, from a scan, with edges said and inferred.

use std::collections::BTreeMap;

use refit_deps::{edges::Edges, graph::Graph, inventory::Inventory, scan::Scans};
use refit_oci::Platform;

use crate::world::inventory_of;

/// Files as one string: `//- path` begins a file.
fn files(text: &str) -> BTreeMap<String, String> {
    let parts = text
        .split("//- ")
        .skip(1)
        .map(|part| part.split_once('\n').unwrap());
    parts
        .map(|(path, text)| (path.trim().to_owned(), text.to_owned()))
        .collect()
}

fn graph(text: &str) -> (Inventory, Graph) {
    let inventory = inventory_of(&files(text));
    let scans = Scans::of(&inventory.images, &Platform::linux_amd64());
    let edges = Edges::of(&inventory, &scans);
    let graph = Graph::of(&inventory, &scans, &edges);
    (inventory, graph)
}

fn edges(text: &str) -> Vec<String> {
    let (_, graph) = graph(text);
    let edge = |e: &refit_deps::graph::Edge| {
        format!(
            "{} → {}{}",
            e.from,
            e.to,
            if e.inferred { " (inferred)" } else { "" }
        )
    };
    graph.edges.iter().map(edge).collect()
}

fn problems(text: &str) -> Vec<String> {
    let (inventory, graph) = graph(text);
    let mut problems = inventory.problems.clone();
    problems.extend(graph.problems(&inventory));
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn edges_are_inferred_when_two_images_are_referred_to_under_one_namespace() {
    let text = "\
//- base/Dockerfile
FROM ubuntu:24.04
//- mid/Dockerfile
ARG REGISTRY=quay.io
ARG OWNER=acme
ARG BASE=$REGISTRY/$OWNER/base
FROM $BASE
//- top/Dockerfile
FROM quay.io/acme/mid
";
    assert_eq!(
        edges(text),
        [
            "base → docker.io/library/ubuntu:24.04",
            "mid → base (inferred)",
            "top → mid (inferred)"
        ]
    );
}

#[test]
fn one_reference_alone_infers_nothing() {
    let text = "//- base/Dockerfile\nFROM scratch\n//- mid/Dockerfile\nFROM quay.io/acme/base\n";
    assert_eq!(edges(text), ["mid → quay.io/acme/base:latest"]);
}

#[test]
fn official_images_tags_and_cycles_are_never_inferred() {
    let text = "\
//- redis/Dockerfile
FROM debian
//- debian/Dockerfile
FROM redis
//- a/Dockerfile
FROM x.io/n/b
//- b/Dockerfile
FROM x.io/n/a
//- c/Dockerfile
FROM x.io/n/a:1.2
";
    assert_eq!(
        edges(text),
        [
            "a → b (inferred)",
            "b → x.io/n/a:latest",
            "c → x.io/n/a:1.2",
            "debian → docker.io/library/redis:latest",
            "redis → docker.io/library/debian:latest"
        ]
    );
}

#[test]
fn a_configuration_says_edges_by_repository_and_tag() {
    let text = "\
//- .config/refit.toml
version = 1
push-to = [\"r.io/team\"]
[[images]]
files = \"*/Dockerfile\"
name = \"{dir}\"
[[image]]
name = \"base\"
tags = [\"1\", \"latest\"]
repository = \"quay.io/x/base\"
//- base/Dockerfile
FROM scratch
//- a/Dockerfile
FROM quay.io/x/base:1
//- b/Dockerfile
FROM r.io/team/base
//- c/Dockerfile
FROM r.io/team/base:2
";
    assert_eq!(
        edges(text),
        ["a → base", "b → base", "c → r.io/team/base:2"]
    );
    assert_eq!(problems(text), Vec::<String>::new());
}

#[test]
fn a_cycle_names_its_images() {
    let text = "\
//- .config/refit.toml
push-to = [\"r.io/t\"]
[[images]]
files = \"*/Dockerfile\"
name = \"{dir}\"
//- a/Dockerfile
FROM r.io/t/b
//- b/Dockerfile
FROM r.io/t/a
";
    assert_eq!(
        problems(text),
        ["a/Dockerfile: images depend on each other in a cycle: `a` → `b` → `a`"]
    );
}

#[test]
fn a_tag_claimed_twice_names_both_images() {
    let text = "\
//- .config/refit.toml
push-to = [\"r.io/t\"]
[[image]]
name = \"a\"
context = \"a\"
repository = \"r.io/t/same\"
[[image]]
name = \"b\"
context = \"b\"
repository = \"r.io/t/same\"
//- a/Dockerfile
FROM scratch
//- b/Dockerfile
FROM scratch
";
    assert_eq!(
        problems(text),
        [".config/refit.toml: `a` and `b` both claim the tag `r.io/t/same:latest`"]
    );
}

#[test]
fn a_broken_dockerfile_hides_no_other() {
    let (inventory, _) =
        graph("//- a/Dockerfile\nFROM a\nFORM b\n//- b/Dockerfile\nFROM scratch\n");
    let names: Vec<&str> = inventory
        .images
        .iter()
        .map(|image| image.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert!(
        inventory.problems[0]
            .to_string()
            .starts_with("a/Dockerfile:2:1: "),
        "{:?}",
        inventory.problems
    );
}

#[test]
fn a_dockerfile_of_no_image_is_reported_unless_ignored() {
    let text = "\
//- .config/refit.toml
ignore = [\"testdata/**\"]
[[image]]
name = \"a\"
context = \"a\"
//- a/Dockerfile
FROM scratch
//- b/Dockerfile
FROM scratch
//- testdata/x/Dockerfile
FROM scratch
";
    let (inventory, _) = graph(text);
    assert_eq!(inventory.unlisted, ["b/Dockerfile"]);
}

#[test]
fn source_ids_are_pinned_by_this_vector() {
    use refit_deps::source::{EntryMode, SourceEntry, source};
    let (inventory, _) = graph("//- web/Dockerfile\nFROM scratch\nCOPY . /\n");
    let id = |digit: &str| digit.repeat(40).parse().unwrap();
    let entry = |path: &str, mode| SourceEntry {
        path: path.to_owned(),
        mode,
        id: id("2"),
    };
    let entries = [
        entry("b", EntryMode::Executable),
        entry("a", EntryMode::File),
    ];
    let source = source(inventory.image("web").unwrap(), &id("1"), &entries);
    assert_eq!(
        source.id.to_string(),
        "s1:101baf7de018df0a61c79b7f53c67cb078a99685fe1484ee9cdb6f2b4ee56513"
    );
}

#[test]
fn what_is_too_long_for_a_repository_is_a_problem_of_the_configuration() {
    let problems = |config: &str| {
        let text = format!("//- .config/refit.toml\n{config}\n//- Dockerfile\nFROM a\n");
        let problems = inventory_of(&files(&text)).problems;
        let messages = problems.into_iter().map(|problem| problem.message);
        messages.collect::<Vec<String>>()
    };
    let long = "x".repeat(300);
    let named = problems(&format!("version = 1\n[[image]]\nname = \"{long}\""));
    assert_eq!(
        named,
        [format!(
            "`{long}` is too long for an image's name: 300 characters"
        )]
    );
    let long = "x".repeat(250);
    let config =
        format!("version = 1\npush-to = [\"r.example/{long}\"]\n[[image]]\nname = \"image\"");
    let pushed = problems(&config);
    assert!(
        pushed.len() == 1 && pushed[0].starts_with("`image` cannot be pushed below `push-to`: "),
        "{pushed:?}"
    );
}

#[test]
fn what_buildkit_attests_is_said_with_its_own_attributes() {
    let text = |engine: &str, attest: &str| {
        format!(
            "//- .config/refit.toml\nversion = 1\n[[image]]\nname = \"a\"\nengine = \"{engine}\"\nattest = {attest}\n\
             //- Dockerfile\nFROM scratch\n"
        )
    };
    let (inventory, _) = graph(&text(
        "buildkit",
        r#"["sbom=generator=r.io/scan:1,x=y", "provenance"]"#,
    ));
    assert_eq!(inventory.problems, []);
    let attest = inventory.images[0].attest.iter();
    let attest: Vec<(&str, &str)> = attest.map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        attest,
        [("provenance", ""), ("sbom", "generator=r.io/scan:1,x=y")]
    );
    for (engine, attest, expect) in [
        (
            "buildkit",
            r#"["scan"]"#,
            "`scan` is nothing that BuildKit attests",
        ),
        (
            "docker",
            r#"["sbom"]"#,
            "only the engine `buildkit` attests",
        ),
        (
            "native",
            r#"["sbom"]"#,
            "only the engine `buildkit` attests",
        ),
    ] {
        let problems = problems(&text(engine, attest));
        assert!(problems[0].contains(expect), "{problems:?}");
    }
}
