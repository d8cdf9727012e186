//! `deps scan`: single files, without a repository.

use serde_json::json;

use crate::{assert_snapshot, sandbox::Sandbox};

const FILES: &str = "\
//- a/Dockerfile
# syntax=docker/dockerfile:1
ARG V=12
FROM --platform=$BUILDPLATFORM golang:1.25 AS build
RUN --mount=type=cache,from=cache.example.com/go:1 make
FROM unused:1 AS unused
FROM debian:${V}
COPY --from=build /x /x
COPY --from=nginx:1 /y /y
//- a/sub/Containerfile
FROM scratch
//- a/Dockerfile.j2
FROM {{ base }}
//- b/broken.Dockerfile
FROM debian
FROBNICATE now
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::bare();
    sandbox.write_all(FILES);
    sandbox
}

#[test]
fn files_are_scanned_for_every_platform_and_the_broken_do_not_stop_the_others() {
    let sandbox = sandbox();
    let args = [
        "deps",
        "scan",
        "--platform",
        "linux/amd64,Linux/ARM64/v8",
        "--build-arg",
        "V=13",
    ];
    let json = [&args[..], &["--format", "json", "b", "a"]].concat();
    let ran = sandbox.refit(&json);
    assert_eq!(ran.code, 1);
    assert_snapshot!("scan-json", ran.stdout);
    assert_snapshot!(
        "scan",
        sandbox.refit(&[&args[..], &["b", "a"]].concat()).all()
    );
}

#[test]
fn a_template_is_left_out_of_a_folder_and_an_error_when_it_is_named() {
    let sandbox = sandbox();
    let json = sandbox
        .refit(&["deps", "scan", "--format", "json", "a"])
        .json();
    let files: Vec<_> = json["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["file"].as_str().unwrap())
        .collect();
    assert_eq!(files, ["a/Dockerfile", "a/sub/Containerfile"]);
    let ran = sandbox.refit(&["deps", "scan", "a/Dockerfile.j2"]);
    assert_snapshot!("scan-template", ran.all());
}

#[test]
fn paths_come_from_a_list_too() {
    let sandbox = sandbox();
    let args = ["deps", "scan", "--files-from", "-", "--format", "json"];
    let ran = sandbox.refit_with(&args, "a/sub/Containerfile\n\na/Dockerfile\n", &[]);
    let json = ran.json();
    assert_eq!(
        json["results"][0],
        json!({
            "file": "a/sub/Containerfile", "platform": "linux/amd64", "target": null, "error": null, "dependencies": [],
        })
    );
    assert_eq!(json["results"][1]["file"], "a/Dockerfile");
    assert_eq!(json["results"].as_array().unwrap().len(), 2);
    let zeros = sandbox.refit_with(&args, "a/sub/Containerfile\0a/Dockerfile\0", &[]);
    assert_eq!(zeros.json(), json);
}

#[test]
fn a_target_and_named_contexts_narrow_what_counts() {
    let sandbox = sandbox();
    let args = [
        "deps",
        "scan",
        "--format",
        "json",
        "--target",
        "build",
        "a/Dockerfile",
    ];
    let json = sandbox.refit(&args).json();
    let references: Vec<_> = json["results"][0]["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["reference"].as_str().unwrap())
        .collect();
    assert!(
        references.contains(&"docker.io/library/golang:1.25"),
        "{references:?}"
    );
    assert!(
        !references
            .iter()
            .any(|r| r.contains("debian") || r.contains("nginx")),
        "{references:?}"
    );
    let args = [
        "deps",
        "scan",
        "--format",
        "json",
        "--build-context",
        "nginx:1=image:web",
        "a/Dockerfile",
    ];
    let json = sandbox.refit(&args).json();
    let dependencies = json["results"][0]["dependencies"].as_array().unwrap();
    let context = dependencies
        .iter()
        .find(|d| d["kind"] == "context")
        .unwrap();
    assert_eq!(
        (&context["image"], &context["reference"]),
        (&json!("web"), &json!(null))
    );
}

#[test]
fn a_build_argument_that_nobody_gives_is_an_error_of_its_file_alone() {
    let sandbox = Sandbox::bare();
    sandbox.write_all("//- a/Dockerfile\nARG BASE\nFROM $BASE\n//- b/Dockerfile\nFROM debian\n");
    let ran = sandbox.refit(&["deps", "scan", "a", "b"]);
    assert_eq!(ran.code, 1);
    for said in ["needs build argument `BASE`", "--build-arg BASE=", "debian"] {
        assert!(ran.all().contains(said), "{}", ran.all());
    }
    let given = ["deps", "scan", "--build-arg", "BASE=alpine", "a", "b"];
    assert_eq!(sandbox.refit(&given).code, 0);
}

#[test]
fn what_is_not_there_is_said() {
    let sandbox = sandbox();
    std::fs::create_dir(sandbox.root().join("empty")).unwrap();
    let ran = sandbox.refit(&["deps", "scan", "empty", "nowhere", "a/sub"]);
    assert_snapshot!("scan-nothing", ran.all());
}
