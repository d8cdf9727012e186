//! `refit init`: the configuration, the refspec, the hooks.

use std::os::unix::fs::PermissionsExt;

use crate::{assert_snapshot, fixtures::notebooks, sandbox::Sandbox};

const REFSPEC: &str = "+refs/notes/refit*:refs/refit/remote/origin/refit*";

/// The graph without what a configuration says better: that an edge is inferred.
fn edges(sandbox: &Sandbox) -> Vec<(String, String, String)> {
    let json = sandbox.refit(&["deps", "graph", "--format", "json"]).json();
    let edges = json["edges"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    edges
        .iter()
        .map(|e| (text(&e["from"]), text(&e["to"]), text(&e["kind"])))
        .collect()
}

#[test]
fn a_dry_run_shows_the_file_and_writes_nothing() {
    let sandbox = Sandbox::with(&notebooks());
    sandbox.git(&[
        "remote",
        "add",
        "origin",
        "https://git.example.com/stacks.git",
    ]);
    assert_snapshot!(
        "init-notebooks-dry-run",
        sandbox.refit(&["init", "--dry-run"]).all()
    );
    assert!(!sandbox.root().join(".config").exists());
    assert!(
        !sandbox
            .git(&["config", "--get-all", "remote.origin.fetch"])
            .contains(REFSPEC)
    );
}

#[test]
fn the_file_means_the_same_images_and_edges_and_twice_changes_nothing() {
    let sandbox = Sandbox::with(&notebooks());
    sandbox.git(&[
        "remote",
        "add",
        "origin",
        "https://git.example.com/stacks.git",
    ]);
    let before = edges(&sandbox);
    let first = sandbox.refit(&["init", "--hooks"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert_eq!(edges(&sandbox), before);
    assert!(!sandbox.refit(&["deps", "graph"]).ok().contains("inferred"));
    assert!(
        sandbox
            .git(&["config", "--get-all", "remote.origin.fetch"])
            .contains(REFSPEC)
    );
    sandbox.refit(&["config", "check"]).ok();
    let text = sandbox.read(".config/refit.toml");
    assert_snapshot!("init-notebooks", text);
    let again = sandbox.refit(&["init", "--hooks"]);
    assert_eq!(again.stderr, "everything is in place already\n");
    assert_eq!(sandbox.refit(&["init", "--hooks", "--dry-run"]).ok(), "");
    assert_eq!(sandbox.read(".config/refit.toml"), text);
    assert_eq!(
        sandbox
            .git(&["config", "--get-all", "remote.origin.fetch"])
            .matches(REFSPEC)
            .count(),
        1
    );
}

#[test]
fn values_that_a_base_needs_are_asked_for() {
    let sandbox = Sandbox::with(
        "//- api/Dockerfile\nARG NODE_VERSION\nARG BASE=node:${NODE_VERSION}\nFROM $BASE\n\
         //- web/Dockerfile\nFROM debian:12\n//- Dockerfile.dev\nFROM debian:12\n",
    );
    let ran = sandbox.refit(&["init"]);
    assert_eq!(ran.code, 1, "the image cannot be used yet");
    assert_snapshot!("init-unset-args", ran.all());
    assert_snapshot!("init-unset-args-file", sandbox.read(".config/refit.toml"));
}

#[test]
fn an_existing_file_stays_as_it_is() {
    let sandbox =
        Sandbox::with("//- .config/refit.toml\nversion = 1\n//- web/Dockerfile\nFROM debian:12\n");
    let ran = sandbox.refit(&["init"]);
    assert_snapshot!("init-existing", ran.all());
    assert_eq!(sandbox.read(".config/refit.toml"), "version = 1\n");
}

fn hook(sandbox: &Sandbox, name: &str, text: &str, mode: u32) {
    let path = format!(".git/hooks/{name}");
    sandbox.write(&path, text);
    std::fs::set_permissions(sandbox.root().join(path), PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn existing_hooks_keep_working() {
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM debian:12\n");
    hook(
        &sandbox,
        "post-commit",
        "#!/bin/sh\necho theirs >> ../theirs\nexit 0\n",
        0o755,
    );
    hook(
        &sandbox,
        "post-rewrite",
        "#!/bin/sh\ncat >> ../rewritten\n",
        0o755,
    );
    hook(
        &sandbox,
        "pre-commit",
        "#!/usr/bin/env python3\nopen('../python', 'w').write('ran')\n",
        0o755,
    );
    hook(&sandbox, "pre-push", "#!/bin/sh\nexit 1\n", 0o644);
    assert_snapshot!(
        "init-hooks-dry-run",
        sandbox.refit(&["init", "--hooks", "--dry-run"]).ok()
    );
    sandbox.refit(&["init", "--hooks"]).ok();
    sandbox.commit("Add the configuration");
    assert_eq!(sandbox.read("../theirs"), "theirs\n");
    let has_python = std::process::Command::new("python3")
        .arg("--version")
        .output()
        .is_ok();
    assert_eq!(sandbox.root().join("../python").exists(), has_python);
    assert!(
        sandbox
            .git(&["notes", "--ref=refit", "show", "HEAD"])
            .starts_with("web: ")
    );
    let old = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&[
        "commit",
        "-q",
        "--amend",
        "-m",
        "Add the configuration again",
    ]);
    let new = sandbox.git(&["rev-parse", "HEAD"]);
    assert_eq!(
        sandbox.read("../rewritten"),
        format!("{} {}\n", old.trim(), new.trim())
    );
    assert!(
        sandbox
            .git(&["notes", "--ref=refit", "show", "HEAD"])
            .starts_with("web: ")
    );
    // A hook that git did not run, because it can't be executed, is not run by ours.
    assert_eq!(
        sandbox.read(".git/hooks/pre-push.before-refit"),
        "#!/bin/sh\nexit 1\n"
    );
    let bare = sandbox.path("remote.git");
    sandbox.git(&["init", "-q", "--bare", bare.to_str().unwrap()]);
    sandbox.git(&["push", "-q", bare.to_str().unwrap(), "main"]);
    assert_eq!(sandbox.refit(&["init", "--hooks", "--dry-run"]).ok(), "");
}

#[test]
fn hooks_go_where_git_looks_for_them() {
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM debian:12\n");
    sandbox.git(&["config", "core.hooksPath", "tools/hooks"]);
    sandbox.refit(&["init", "--hooks"]).ok();
    assert!(sandbox.root().join("tools/hooks/post-commit").exists());
    assert!(!sandbox.root().join(".git/hooks/post-commit").exists());
    sandbox.git(&[
        "config",
        "core.hooksPath",
        sandbox.path("shared").to_str().unwrap(),
    ]);
    let ran = sandbox.refit(&["init", "--hooks"]);
    assert!(
        ran.stderr
            .contains("hint: `SANDBOX/shared` is outside of this repository"),
        "{}",
        ran.stderr
    );
}

#[test]
fn hooks_do_nothing_where_refit_is_not_installed() {
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM debian:12\n");
    sandbox.refit(&["init", "--hooks"]).ok();
    for name in ["pre-commit", "post-commit", "post-rewrite", "pre-push"] {
        let hook = sandbox.root().join(".git/hooks").join(name);
        let output = std::process::Command::new(hook)
            .env("PATH", "/usr/bin:/bin")
            .env_remove("HOME")
            .output()
            .unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{name}: {output:?}"
        );
    }
}
