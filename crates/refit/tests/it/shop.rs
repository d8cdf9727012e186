//! A repository whose images are published, on a base that moves: Docker Hub is a folder, and nothing is executed.

use crate::{assert_masked, sandbox::Sandbox};

const SETTINGS: &str = "\
//- ../home/config/refit/config.toml
[registries.\"docker.io\"]
layout = \"hub\"
//- ../home/config/refit/hub/oci-layout
{\"imageLayoutVersion\":\"1.0.0\"}
//- ../home/config/refit/hub/index.json
{\"schemaVersion\":2,\"manifests\":[]}
//- ../debian/.config/refit.toml
push-to = [\"docker.io/library\"]
[[image]]
name = \"debian\"
tags = [\"12-slim\"]
platforms = [\"linux/amd64\", \"linux/arm64\"]
//- ../debian/Dockerfile
FROM scratch
ARG TARGETARCH
COPY $TARGETARCH /
//- ../debian/amd64/libssl
one
//- ../debian/arm64/libssl
one
";

/// Built on each other in this order.
const SHOP: &str = "\
//- .config/refit.toml
version = 1
[defaults]
platforms = [\"linux/amd64\", \"linux/arm64\"]
[[images]]
files = \"*/Dockerfile\"
name = \"{dir}\"
//- base/Dockerfile
FROM debian:12-slim
COPY ca.pem /etc/ssl/
//- base/ca.pem
certificate
//- web/Dockerfile
FROM refit.local/base
CMD [\"web\"]
//- app/Dockerfile
FROM refit.local/web
CMD [\"app\"]
";

/// Nothing is published yet.
pub(crate) fn unpublished() -> Sandbox {
    let sandbox = Sandbox::with(SHOP);
    sandbox.write_all(SETTINGS);
    sandbox.git(&["init", "-q", "-b", "main", "../debian"]);
    release_debian(&sandbox);
    sandbox
}

/// Everything is published, and then the base moves on arm64.
pub(crate) fn stale() -> Sandbox {
    let sandbox = unpublished();
    sandbox.refit(&["build", "--push"]).ok();
    sandbox.write("../debian/arm64/libssl", "two\n");
    release_debian(&sandbox);
    sandbox
}

pub(crate) fn release_debian(sandbox: &Sandbox) {
    sandbox.git(&["-C", "../debian", "add", "-A"]);
    sandbox.git(&["-C", "../debian", "commit", "-q", "-m", "debian"]);
    sandbox.refit(&["-C", "../debian", "build", "--push"]).ok();
}

#[test]
fn a_graph_says_what_is_stale_only_if_it_is_asked() {
    let sandbox = stale();
    let unasked = sandbox.refit(&["deps", "graph", "--format", "json"]).json();
    for image in unasked["images"].as_array().unwrap() {
        assert_eq!(image["stale"], serde_json::Value::Null);
    }
    assert_masked!(
        "graph-stale-json",
        sandbox
            .refit(&["deps", "graph", "--stale", "--format", "json"])
            .ok()
    );
    assert_masked!(
        "graph-stale-tree",
        sandbox.refit(&["deps", "graph", "--stale"]).all()
    );
    for (format, name) in [
        ("svg", "graph-stale-svg"),
        ("mermaid", "graph-stale-mermaid"),
        ("dot", "graph-stale-dot"),
    ] {
        let args = ["deps", "graph", "--stale", "--format", format];
        assert_masked!(name, sandbox.refit(&args).ok());
    }
    let page = sandbox
        .refit(&["deps", "graph", "--stale", "--format", "html"])
        .ok();
    for said in [
        "3 stale",
        "\"tone\":\"stale\"",
        "its parent base is rebuilt on linux/arm64",
        "\"at\":\"2026-11-22T",
    ] {
        assert!(page.contains(said), "{said}");
    }
    sandbox.refit(&["sweep"]).ok();
    let asked = ["deps", "graph", "--stale", "--format", "json"];
    let swept = sandbox.refit(&asked).json();
    for image in swept["images"].as_array().unwrap() {
        assert_eq!(image["stale"], false);
    }
    assert_eq!(
        sandbox
            .refit(&["deps", "graph", "--stale", "--at", "HEAD"])
            .code,
        2
    );
}

#[test]
fn a_registry_that_is_away_leaves_open_what_is_stale() {
    let sandbox = stale();
    sandbox.write("../home/config/refit/hub/index.json", "no JSON");
    let asked = ["deps", "graph", "base", "--stale"];
    let json = sandbox.refit(&[&asked[..], &["--format", "json"]].concat());
    let json = json.json();
    let mut images = json["images"].as_array().unwrap().iter();
    let base = images.find(|image| image["name"] == "base").unwrap();
    assert_eq!(base["stale"], serde_json::Value::Null);
    let tree = sandbox.refit(&asked).ok();
    assert!(tree.contains("base  unreachable"), "{tree}");
}

#[test]
fn a_graph_names_the_commit_that_a_clean_working_tree_is() {
    let sandbox = Sandbox::with(SHOP);
    let revision = || {
        let graph = sandbox.refit(&["deps", "graph", "--format", "json"]).json();
        let list = sandbox.refit(&["deps", "list", "--format", "json"]).json();
        assert_eq!(graph["revision"], list["revision"]);
        graph["revision"].clone()
    };
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    assert_eq!(revision(), head.trim());
    sandbox.write("web/Dockerfile", "FROM scratch\n");
    assert_eq!(revision(), serde_json::Value::Null);
    sandbox.git(&["add", "-A"]);
    assert_eq!(
        revision(),
        serde_json::Value::Null,
        "staged is not committed"
    );
}

#[test]
fn what_a_run_did_is_told_in_words_and_in_json() {
    let sandbox = unpublished();
    let plan = ["build", "--push", "--dry-run", "--format", "json"];
    assert_masked!("build-dry-run-json", sandbox.refit(&plan).ok());
    let built = sandbox.refit(&["build", "--push", "--format", "json"]);
    assert_masked!("build-json", built.ok());
    assert_masked!(
        "build-nothing-json",
        sandbox.refit(&["build", "--push", "--format", "json"]).ok()
    );

    sandbox.write("../debian/arm64/libssl", "two\n");
    release_debian(&sandbox);
    assert_masked!(
        "status-json",
        sandbox.refit(&["status", "--format", "json"]).ok()
    );
    assert_masked!("status-stale", sandbox.refit(&["status"]).all());
    assert_masked!(
        "sweep-dry-run-json",
        sandbox
            .refit(&["sweep", "--dry-run", "--format", "json"])
            .ok()
    );
    assert_masked!(
        "sweep-dry-run",
        sandbox.refit(&["sweep", "--dry-run"]).all()
    );
    assert_masked!(
        "sweep-json",
        sandbox.refit(&["sweep", "--format", "json"]).ok()
    );
    assert_masked!(
        "sweep-nothing-json",
        sandbox.refit(&["sweep", "--format", "json"]).ok()
    );
    assert_masked!("sweep-nothing", sandbox.refit(&["sweep"]).all());
    assert_masked!(
        "runs-real-json",
        sandbox.refit(&["runs", "--format", "json"]).ok()
    );
}

#[test]
fn a_sweep_says_its_plan_its_output_and_its_results() {
    let sandbox = stale();
    assert_masked!("sweep", sandbox.refit(&["sweep"]).all());
}

#[test]
fn quiet_leaves_results_and_errors() {
    let sandbox = stale();
    assert_masked!("sweep-quiet", sandbox.refit(&["-q", "sweep"]).all());
    assert_eq!(sandbox.refit(&["-q", "sweep"]).all(), "-- exit code 0\n");
    let other = stale();
    other.write("web/Dockerfile", "FROM refit.local/base\nSTOPSIGNAL gone\n");
    other.commit("what is signalled is not known");
    assert_masked!(
        "build-quiet-failed",
        other.refit(&["-q", "build", "--push"]).all()
    );
    let why = "`gone` is no signal";
    let said = other.refit(&["build", "--push"]).stderr;
    assert_eq!(said.matches(why).count(), 2, "once a target: {said}");
    let logs = other.refit(&["logs", "web@linux/amd64"]).ok();
    assert_eq!(logs.matches(why).count(), 1, "{logs}");
}

#[test]
fn what_was_built_before_is_taken_and_its_output_is_found_where_it_was_built() {
    let sandbox = unpublished();
    sandbox.refit(&["build"]).ok();
    let logs = sandbox.refit(&["logs", "web"]).ok();
    assert!(logs.contains("CMD [\"web\"]"), "{logs}");

    let again = sandbox.refit(&["build", "web"]);
    assert!(
        again.stderr.contains(": 4 targets taken as built before\n"),
        "{}",
        again.stderr
    );
    assert_eq!(sandbox.refit(&["logs", "web"]).ok(), logs);
    // The newest run itself has nothing to show.
    assert_masked!("logs-taken", sandbox.refit(&["logs"]).all());
}

#[test]
fn a_base_that_no_dockerfile_refers_to_is_said() {
    let sandbox = unpublished();
    let said = sandbox.refit(&["sweep", "--dry-run", "--base", "debain:12-slim"]);
    let warning = "warning: no Dockerfile refers to `debain:12-slim`\n\
                   hint: did you mean `debian:12-slim`?\n";
    assert!(said.stderr.starts_with(warning), "{}", said.stderr);
    let said = sandbox.refit(&["sweep", "--dry-run", "--base", "debian:12-slim"]);
    assert!(!said.stderr.contains("warning:"), "{}", said.stderr);
}

#[test]
fn each_line_of_several_is_named_before_its_plan() {
    let sandbox = unpublished();
    let config =
        sandbox.read(".config/refit.toml") + "[sweep]\nbranches = [\"main\", \"stable\"]\n";
    sandbox.write(".config/refit.toml", &config);
    sandbox.commit("two lines");
    sandbox.git(&["branch", "stable"]);
    let said = sandbox.refit(&["sweep", "--dry-run"]).stderr;
    let lines: Vec<&str> = said.lines().filter(|l| l.starts_with("line ")).collect();
    assert_eq!(lines, ["line main:", "line stable:"], "{said}");
}
