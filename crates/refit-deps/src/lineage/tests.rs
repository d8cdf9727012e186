//! Questions asked of small repositories and their records.

use std::collections::{BTreeMap, BTreeSet};

use refit_oci::{Digest, Platform};
use serde_json::{Value, json};

use super::{
    causes::{causes, chains},
    diff::{self, ImageChange, Side},
    place,
    users::{Query, Use, known_digests, uses},
};
use crate::{
    edges::Edges,
    graph::Graph,
    inventory::{self, Files, Inventory},
    plan::{Action, Plan, Step},
    reason::Reason,
    record::Records,
    scan::Scans,
};

struct Repository {
    inventory: Inventory,
    scans: Scans,
    graph: Graph,
}

/// The images of some files: `//- path`, then the text.
fn repository(text: &str) -> Repository {
    let files: BTreeMap<&str, &str> = text
        .split("//- ")
        .skip(1)
        .filter_map(|part| part.split_once('\n'))
        .collect();
    let paths: BTreeSet<String> = files.keys().map(ToString::to_string).collect();
    let inventory = inventory::read(&Files {
        paths: &paths,
        read: &|path| files.get(path).map(|text| text.as_bytes().to_vec()),
        name: "shop",
        line: "main",
    });
    let scans = Scans::of(&inventory.images, &Platform::linux_amd64());
    let edges = Edges::of(&inventory, &scans);
    let graph = Graph::of(&inventory, &scans, &edges);
    Repository {
        inventory,
        scans,
        graph,
    }
}

fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64))
        .parse()
        .unwrap()
}

const DEBIAN: &str = "docker.io/library/debian:12-slim";
const BASE: &str = "registry.example.com/base:latest";

fn build(image: &str, on: (&str, char), manifest: char, at: &str) -> Value {
    let (reference, pin) = on;
    json!({"v":1,"type":"build","image":image,"platform":"linux/amd64","line":"main",
        "source":format!("s1:{}", "0".repeat(64)),"commit":"1".repeat(40),
        "deps":[{"kind":"base","reference":reference,"platform":"linux/amd64","manifest":digest(pin)}],
        "manifest":digest(manifest),"how":"rebuild","engine":"native","run":"r","at":at})
}

fn publish(id: u32, image: &str, manifest: char, at: &str) -> Value {
    let after = (id > 10).then(|| (id - 10).to_string());
    json!({"v":1,"type":"publish","id":id.to_string(),"after":after,"image":image,"line":"main","commit":"1".repeat(40),
        "index":digest('f'),"platforms":{"linux/amd64":digest(manifest)},
        "tags":[format!("registry.example.com/{image}:latest")],"run":"r","at":at})
}

/// `base` on debian, `web` on `base`; then debian moves from `a` to `b`, and both are rebuilt.
fn records() -> Records {
    let lines = [
        build("base", (DEBIAN, 'a'), '1', "2026-11-01T00:00:00Z"),
        build("web", (BASE, '1'), '2', "2026-11-01T00:01:00Z"),
        publish(1, "base", '1', "2026-11-01T01:00:00Z"),
        publish(2, "web", '2', "2026-11-01T01:00:00Z"),
        build("base", (DEBIAN, 'b'), '3', "2026-11-05T00:00:00Z"),
        build("web", (BASE, '3'), '4', "2026-11-05T00:01:00Z"),
        publish(11, "base", '3', "2026-11-05T01:00:00Z"),
        publish(12, "web", '4', "2026-11-05T01:00:00Z"),
        json!({"v":1,"type":"deps","image":"tool","platform":"linux/amd64","source":format!("s1:{}", "0".repeat(64)),
            "commit":"2".repeat(40),"deps":[{"kind":"copy","reference":DEBIAN,"platform":"linux/amd64"}],
            "at":"2026-11-02T00:00:00Z"}),
    ];
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    Records::read(lines.iter().map(String::as_str), true)
}

fn said(of: &Use) -> String {
    let through: Vec<&str> = of.through.iter().map(|t| t.image.as_str()).collect();
    let published = match &of.published {
        None => "never".to_owned(),
        Some(span) => format!(
            "{}..{}",
            &span.from[8..10],
            span.until.as_deref().map_or("", |at| &at[8..10])
        ),
    };
    let digest = of.digest.as_ref().map_or("-", |digest| &digest.hex()[..1]);
    format!(
        "{} {digest} {} {published} through {through:?}",
        of.target.image, of.kind
    )
}

fn asked(query: &Query) -> Vec<String> {
    uses(&records(), query).iter().map(said).collect()
}

#[test]
fn every_image_that_ever_had_a_base_is_found_at_any_level_and_when() {
    let debian = Query {
        repository: Some("debian".parse().unwrap()),
        ..Query::default()
    };
    let expect = [
        "base a base 01..05 through []",
        "base b base 05.. through []",
        "tool - copy never through []",
        r#"web a base 01..05 through ["base"]"#,
        r#"web b base 05.. through ["base"]"#,
    ];
    assert_eq!(asked(&debian), expect);
    let tagged = |tag: &str| Query {
        tag: Some(tag.to_owned()),
        ..debian.clone()
    };
    assert_eq!(asked(&tagged("12-slim")), expect);
    assert!(asked(&tagged("12")).is_empty());
}

#[test]
fn an_image_on_its_own_last_build_and_what_a_commit_says_again_are_told_once() {
    let deps = |image: &str, commit: char, pin: char| {
        json!({"v":1,"type":"deps","image":image,"platform":"linux/amd64","source":format!("s1:{}", "0".repeat(64)),
            "commit":commit.to_string().repeat(40),
            "deps":[{"kind":"base","reference":DEBIAN,"platform":"linux/amd64","manifest":digest(pin)}],
            "at":"2026-11-02T00:00:00Z"})
    };
    let own = "registry.example.com/web:latest";
    let lines = [
        build("web", (DEBIAN, 'a'), '1', "2026-11-01T00:00:00Z"),
        build("web", (own, '1'), '2', "2026-11-02T00:00:00Z"),
        // As the build has it; at another commit; with another digest.
        deps("web", '1', 'a'),
        deps("web", '2', 'a'),
        deps("web", '1', 'b'),
    ];
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let records = Records::read(lines.iter().map(String::as_str), true);
    let debian = Query {
        repository: Some("debian".parse().unwrap()),
        ..Query::default()
    };
    let told: Vec<String> = uses(&records, &debian).iter().map(said).collect();
    let expect = [
        "web a base never through []",
        "web a base never through []",
        "web b base never through []",
    ];
    assert_eq!(told, expect);
}

#[test]
fn a_digest_alone_finds_what_had_it() {
    let query = Query {
        digest: Some(digest('a')),
        ..Query::default()
    };
    assert_eq!(
        asked(&query),
        [
            "base a base 01..05 through []",
            r#"web a base 01..05 through ["base"]"#
        ]
    );
    let records = records();
    let known = known_digests(&records);
    assert_eq!(known.len(), 4, "two of debian, two of base");
}

#[test]
fn records_that_lead_in_a_ring_end() {
    let lines = [
        build("base", (DEBIAN, 'a'), '1', "2026-11-01T00:00:00Z"),
        build("web", (BASE, '1'), '2', "2026-11-01T00:00:00Z"),
        build(
            "base",
            ("registry.example.com/web:latest", '2'),
            '1',
            "2026-11-01T00:00:00Z",
        ),
    ];
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let records = Records::read(lines.iter().map(String::as_str), true);
    let query = Query {
        digest: Some(digest('a')),
        ..Query::default()
    };
    assert_eq!(uses(&records, &query).len(), 2);
}

fn step(target: &str, wave: usize, reasons: Vec<Reason>) -> Step {
    Step {
        target: target.parse().unwrap(),
        action: Action::Rebuild,
        in_the_way: None,
        wave,
        line: None,
        commit: None,
        source: format!("s1:{}", "0".repeat(64)).parse().unwrap(),
        pins: Vec::new(),
        triggers: BTreeMap::default(),
        engine: crate::key::EngineKind::Native,
        because: crate::key::Because::NothingExecutes,
        repository: "registry.example.com/x".parse().unwrap(),
        replaces: None,
        no_cache: false,
        reasons,
    }
}

#[test]
fn causes_lead_through_parents_to_what_changed() {
    let rebuilt = |parent: &str| Reason::ParentRebuilt {
        parent: parent.parse().unwrap(),
    };
    let plan = Plan {
        steps: vec![
            step(
                "base@linux/amd64",
                1,
                vec![Reason::Forced, Reason::SourceChanged],
            ),
            step("left@linux/amd64", 2, vec![rebuilt("base@linux/amd64")]),
            step(
                "right@linux/amd64",
                2,
                vec![rebuilt("base@linux/amd64"), Reason::ConfigChanged],
            ),
            step(
                "top@linux/amd64",
                3,
                vec![rebuilt("left@linux/amd64"), rebuilt("right@linux/amd64")],
            ),
        ],
        ..Plan::default()
    };
    let top = causes(&plan, &"top@linux/amd64".parse().unwrap());
    let said: Vec<String> = chains(&top)
        .iter()
        .map(|chain| {
            let names: Vec<&str> = chain
                .iter()
                .map(|cause| cause.target.image.as_str())
                .collect();
            let last = chain.last().map(|cause| cause.reason.clone());
            format!("{} {:?}", names.join(" "), last.unwrap())
        })
        .collect();
    assert_eq!(
        said,
        [
            "top left base Forced",
            "top left base SourceChanged",
            "top right base Forced",
            "top right base SourceChanged",
            "top right ConfigChanged",
        ]
    );
    assert!(causes(&plan, &"other@linux/amd64".parse().unwrap()).is_empty());
}

/// Where the tag of the only image's bases is written.
fn places(files: &str) -> Vec<String> {
    let repository = repository(files);
    let image = &repository.inventory.images[0];
    let found = repository.scans.found().map(|(_, _, found)| found);
    let places: BTreeSet<String> = found
        .flat_map(|found| place::of_tag(image, found))
        .map(|place| place.to_string())
        .collect();
    places.into_iter().collect()
}

#[test]
fn a_tag_is_written_at_the_reference_its_arg_or_in_the_configuration() {
    for (dockerfile, expect) in [
        ("FROM node:20\n", "web/Dockerfile:1"),
        ("FROM node\n", "web/Dockerfile:1"),
        ("ARG NODE=20\nFROM node:$NODE\n", "web/Dockerfile:1"),
        (
            "ARG A=1\nARG NODE=20-alpine3.19\nFROM node:${NODE}\n",
            "web/Dockerfile:2",
        ),
        (
            "ARG V=20\nARG BASE=node:$V\nFROM $BASE\n",
            "web/Dockerfile:1",
        ),
        (
            "ARG HOST=localhost:5000\nFROM $HOST/node:20\n",
            "web/Dockerfile:2",
        ),
        (
            "ARG HOST=localhost:5000/x\nARG V=20\nFROM $HOST/node:$V\n",
            "web/Dockerfile:2",
        ),
        (
            "ARG FLAVOUR=slim\nFROM debian:12-$FLAVOUR\n",
            "web/Dockerfile:2",
        ),
        ("ARG BASE=debian:12\nFROM ${BASE:-x}\n", "web/Dockerfile:1"),
        (
            "FROM scratch\nCOPY --from=node:20 a b\n",
            "web/Dockerfile:2",
        ),
    ] {
        assert_eq!(
            places(&format!("//- web/Dockerfile\n{dockerfile}")),
            [expect],
            "{dockerfile}"
        );
    }
    let configured = "//- .config/refit.toml\nversion = 1\n[[image]]\nname = \"web\"\ncontext = \"web\"\nbuild-args = { NODE = \"20\" }\n\
                      //- web/Dockerfile\nARG NODE=18\nFROM node:$NODE\n";
    assert_eq!(
        places(configured),
        [".config/refit.toml (build-args.NODE of web)"]
    );
}

fn side(repository: &Repository) -> Side<'_> {
    Side {
        inventory: &repository.inventory,
        graph: &repository.graph,
    }
}

/// Every difference in a line.
fn differences(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (repository(before), repository(after));
    let mut said = Vec::new();
    for image in diff::diff(side(&before), side(&after)) {
        let name = &image.image;
        match &image.change {
            ImageChange::Added => said.push(format!("+ {name}")),
            ImageChange::Removed => said.push(format!("- {name}")),
            ImageChange::Renamed { from } => said.push(format!("{from} → {name}")),
            ImageChange::Kept => {}
        }
        for (sign, platforms) in [
            ("+", &image.platforms_added),
            ("-", &image.platforms_removed),
        ] {
            said.extend(
                platforms
                    .iter()
                    .map(|platform| format!("{name} {sign} {platform}")),
            );
        }
        for dependency in image.dependencies.iter().filter(|d| d.is_changed()) {
            let node = |node: &Option<crate::graph::Node>| {
                node.as_ref().map_or("-".to_owned(), |node| {
                    node.to_string().replace("docker.io/library/", "")
                })
            };
            let (from, to) = (node(&dependency.from), node(&dependency.to));
            said.push(format!("{name} {} {from} → {to}", dependency.kind.as_str()));
        }
    }
    said
}

#[test]
fn a_diff_names_what_came_went_and_changed() {
    let web = |text: &str| format!("//- web/Dockerfile\n{text}");
    for (before, after, expect) in [
        (web("FROM debian:12\n"), web("FROM debian:12\n"), &[][..]),
        (
            web("FROM debian:12\n"),
            web("FROM debian:13\n"),
            &["web base debian:12 → debian:13"],
        ),
        (
            web("FROM debian:12\n"),
            web("FROM alpine:3\n"),
            &["web base debian:12 → alpine:3"],
        ),
        (
            web("FROM debian:12\nCOPY --from=node:20 a b\n"),
            web("FROM debian:12\nCOPY --from=golang:1 a b\n"),
            &["web copy node:20 → -", "web copy - → golang:1"],
        ),
        (
            web("FROM debian:12\n"),
            web("FROM scratch\n"),
            &["web base debian:12 → -"],
        ),
        (
            String::new(),
            web("FROM debian:12\n"),
            &["+ web", "web base - → debian:12"],
        ),
        (
            web("FROM debian:12\n"),
            String::new(),
            &["- web", "web base debian:12 → -"],
        ),
    ] {
        let mut expect = expect.to_vec();
        // Platforms of what came and went are the image's own.
        let mut found = differences(&before, &after);
        found.retain(|line| !line.ends_with("linux/amd64"));
        expect.sort_unstable();
        found.sort();
        assert_eq!(found, expect, "{before}{after}");
    }
}

#[test]
fn a_diff_sees_a_new_name_and_new_platforms() {
    let files = |name: &str, platforms: &str| {
        format!(
            "//- .config/refit.toml\nversion = 1\n[[image]]\nname = \"{name}\"\ncontext = \"web\"\nplatforms = [{platforms}]\n\
             //- web/Dockerfile\nFROM debian:12\n"
        )
    };
    let (one, two) = (r#""linux/amd64""#, r#""linux/arm64", "linux/amd64""#);
    assert_eq!(
        differences(&files("web", one), &files("site", one)),
        ["web → site"]
    );
    assert_eq!(
        differences(&files("web", one), &files("web", two)),
        ["web + linux/arm64"]
    );
    assert_eq!(
        differences(&files("web", two), &files("web", one)),
        ["web - linux/arm64"]
    );
}
