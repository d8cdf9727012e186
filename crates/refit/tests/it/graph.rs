//! `deps graph`, `deps list` and `images`.

use crate::{
    assert_snapshot,
    fixtures::{SERVICES, notebooks},
    sandbox::Sandbox,
};

#[test]
fn a_family_of_images_shows_in_its_true_lineage_without_a_configuration() {
    let sandbox = Sandbox::with(&notebooks());
    assert_snapshot!(
        "graph-notebooks-tree",
        sandbox.refit(&["deps", "graph"]).all()
    );
    assert_snapshot!(
        "graph-notebooks-json",
        sandbox
            .refit(&["deps", "graph", "--at", "HEAD", "--format", "json"])
            .ok()
    );
}

#[test]
fn one_image_shows_with_its_ancestors_and_descendants() {
    let sandbox = Sandbox::with(&notebooks());
    let ran = sandbox.refit(&["deps", "graph", "scipy-notebook"]);
    assert_snapshot!("graph-notebooks-one", ran.all());
    let json = sandbox
        .refit(&["deps", "graph", "r-notebook", "--format", "json"])
        .json();
    let names: Vec<_> = json["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "base-notebook",
            "foundation",
            "minimal-notebook",
            "r-notebook"
        ]
    );
}

#[test]
fn configured_edges_and_platforms_are_marked_where_they_differ() {
    let sandbox = Sandbox::with(SERVICES);
    sandbox.write(
        ".config/refit.toml",
        &(sandbox.read(".config/refit.toml")
            + "\n[[image]]\nname = \"assets\"\nplatforms = [\"linux/amd64\"]\n"),
    );
    assert_snapshot!(
        "graph-services-tree",
        sandbox.refit(&["deps", "graph"]).all()
    );
    assert_snapshot!("list-services", sandbox.refit(&["deps", "list"]).all());
    assert_snapshot!(
        "list-services-json",
        sandbox
            .refit(&["deps", "list", "web", "--format", "json"])
            .ok()
    );
    assert_snapshot!("images-services", sandbox.refit(&["images"]).all());
    assert_snapshot!(
        "images-services-json",
        sandbox.refit(&["images", "--format", "json"]).ok()
    );
}

#[test]
fn bases_that_differ_by_platform_hang_under_each_of_them() {
    let sandbox = Sandbox::with(
        "//- .config/refit.toml\n[defaults]\nplatforms = ['linux/amd64', 'linux/arm64']\n\
         [[image]]\nname = 'web'\n[[image]]\nname = 'child'\ncontext = 'child'\n\
         //- Dockerfile\nFROM base-${TARGETARCH}\n\
         //- child/Dockerfile\nFROM refit.local/web\n",
    );
    assert_snapshot!("graph-by-platform", sandbox.refit(&["deps", "graph"]).all());
}

#[test]
fn a_graph_at_a_revision_is_that_of_the_revision() {
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM debian:11\n");
    sandbox.write("web/Dockerfile", "FROM debian:12\n");
    let at = sandbox.refit(&["deps", "graph", "--at", "HEAD"]).ok();
    let working = sandbox.refit(&["deps", "graph"]).ok();
    assert!(
        at.starts_with("debian:11\n") && working.starts_with("debian:12\n"),
        "{at}{working}"
    );
    let json = sandbox
        .refit(&["deps", "graph", "--at", "main", "--format", "json"])
        .json();
    assert_eq!(json["revision"], sandbox.git(&["rev-parse", "HEAD"]).trim());
}

#[test]
fn a_closed_pipe_is_quiet() {
    let sandbox = Sandbox::with(&notebooks());
    let refit = env!("CARGO_BIN_EXE_refit");
    let shell = format!(
        "{{ '{refit}' -C '{}' deps graph; echo \"exit $?\" >&2; }} | true",
        sandbox.root().display()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &shell])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "exit 0\n");
}

#[test]
fn colours_are_for_terminals_or_on_demand() {
    let sandbox = Sandbox::with(&notebooks());
    assert!(!sandbox.refit(&["deps", "graph"]).ok().contains('\u{1b}'));
    assert!(
        sandbox
            .refit(&["--color", "always", "deps", "graph"])
            .ok()
            .contains('\u{1b}')
    );
}
