//! What one asks of dependencies: why, who, what changed, what is newer.

use crate::{
    assert_masked,
    sandbox::Sandbox,
    shop::{release_debian, stale, unpublished},
};

#[test]
fn why_shows_the_way_from_an_image_to_what_changed() {
    let sandbox = stale();
    assert_masked!("why-stale", sandbox.refit(&["deps", "why", "app"]).all());
    let json = ["deps", "why", "app@linux/arm64", "--format", "json"];
    assert_masked!("why-stale-json", sandbox.refit(&json).ok());
    let packages = ["deps", "why", "app@linux/arm64", "--packages"];
    let said = sandbox.refit(&packages).ok();
    assert!(said.contains("no package database in it"), "{said}");

    sandbox.refit(&["sweep", "--quiet"]).ok();
    assert_masked!("why-fresh", sandbox.refit(&["deps", "why", "app"]).all());
    let json = ["deps", "why", "base@linux/arm64", "--format", "json"];
    assert_masked!("why-fresh-json", sandbox.refit(&json).ok());
}

#[test]
fn why_knows_other_states_and_says_what_it_does_not_know() {
    let sandbox = unpublished();
    assert_masked!(
        "why-unpublished",
        sandbox.refit(&["deps", "why", "app"]).all()
    );
    assert_masked!("why-unknown", sandbox.refit(&["deps", "why", "appp"]).all());
    let other = sandbox.refit(&["deps", "why", "app@linux/s390x"]);
    assert_masked!("why-other-platform", other.all());
    assert_eq!(sandbox.refit(&["deps", "why", "app@"]).code, 2);
}

#[test]
fn users_are_found_at_any_level_now_and_before() {
    let sandbox = stale();
    let debian = ["deps", "users", "debian"];
    sandbox.refit(&["sweep", "--quiet"]).ok();
    assert_masked!("users", sandbox.refit(&debian).all());
    let json = ["deps", "users", "debian:12-slim", "--format", "json"];
    assert_masked!("users-json", sandbox.refit(&json).ok());

    // A digest, whole or cut short, of a manifest or of an index.
    let all = sandbox.refit(&json).json();
    let uses = all["uses"].as_array().unwrap();
    assert_eq!(uses.len(), 9, "amd64 was not rebuilt");
    let of_arm = uses
        .iter()
        .find(|of| of["target"] == "base@linux/arm64" && of["is_published"] == false);
    let old = of_arm.unwrap()["digest"].as_str().unwrap();
    let short = &old["sha256:".len()..][..12];
    let had = |what: &str| {
        let json = sandbox
            .refit(&["deps", "users", what, "--format", "json"])
            .json();
        let uses = json["uses"].as_array().unwrap().clone();
        let targets = uses
            .iter()
            .map(|of| of["target"].as_str().unwrap().to_owned());
        targets.collect::<Vec<_>>()
    };
    let expect = ["app@linux/arm64", "base@linux/arm64", "web@linux/arm64"];
    for what in [
        old,
        short,
        &format!("debian@{old}"),
        &format!("debian:12-slim@{short}"),
    ] {
        assert_eq!(had(what), expect, "{what}");
    }
    let index = of_arm.unwrap()["index"].as_str().unwrap();
    assert_eq!(had(index).len(), 6);
    assert!(had(&format!("alpine@{old}")).is_empty());
}

#[test]
fn users_of_nothing_are_told_so() {
    let sandbox = unpublished();
    assert_masked!(
        "users-unknown",
        sandbox.refit(&["deps", "users", "debain"]).all()
    );
    assert_masked!(
        "users-unpublished",
        sandbox.refit(&["deps", "users", "debian"]).all()
    );
    assert_masked!(
        "users-no-digest",
        sandbox.refit(&["deps", "users", "debian@12"]).all()
    );
    let unknown = sandbox.refit(&["deps", "users", "debian@abcdef123456"]);
    assert_eq!(unknown.code, 2);
    // An image of the repository has users, too.
    let web = ["deps", "users", "web", "--format", "json"];
    let web = sandbox.refit(&web).json();
    let users: Vec<_> = web["now"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| &of["image"])
        .collect();
    assert_eq!(users, ["app"]);
}

#[test]
fn a_diff_of_two_revisions_names_what_changed() {
    let sandbox = stale();
    sandbox.refit(&["sweep", "--quiet"]).ok();
    // The base moved since HEAD was released.
    assert_masked!("diff-moved", sandbox.refit(&["deps", "diff", "HEAD"]).all());
    sandbox.git(&["tag", "v1"]);
    sandbox.write(
        "web/Dockerfile",
        "FROM debian:12-slim\nCOPY --from=refit.local/base /etc /etc\n",
    );
    sandbox.git(&["rm", "-q", "-r", "app"]);
    sandbox.write("tool/Dockerfile", "FROM alpine:3.20\n");
    sandbox.commit("Change what is built");
    assert_masked!("diff", sandbox.refit(&["deps", "diff", "v1..HEAD"]).all());
    let json = ["deps", "diff", "v1..", "--format", "json"];
    assert_masked!("diff-json", sandbox.refit(&json).ok());
    assert_masked!(
        "diff-same",
        sandbox.refit(&["deps", "diff", "HEAD..HEAD"]).all()
    );
    assert_masked!(
        "diff-dots",
        sandbox.refit(&["deps", "diff", "v1...HEAD"]).all()
    );
    assert_masked!(
        "diff-unknown",
        sandbox.refit(&["deps", "diff", "v2..HEAD"]).all()
    );
}

#[test]
fn revisions_of_every_form_are_understood() {
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM debian:11\n");
    sandbox.git(&["tag", "-a", "-m", "one", "v1"]);
    sandbox.git(&["branch", "old"]);
    sandbox.write("web/Dockerfile", "FROM debian:12\n");
    sandbox.commit("Move on");
    let id = sandbox.git(&["rev-parse", "v1^{commit}"]);
    let id = id.trim();
    for rev in [
        "v1",
        "old",
        "refs/heads/old",
        "HEAD~1",
        "HEAD^",
        "main@{1}",
        id,
        &id[..7],
        "old~0",
    ] {
        let graph = sandbox
            .refit(&["deps", "graph", "--at", rev, "--format", "json"])
            .json();
        assert_eq!(graph["revision"], id, "{rev}");
    }
    let near = sandbox.refit(&["deps", "graph", "--at", "mian"]);
    assert_eq!(near.code, 2);
    assert!(
        near.stderr.contains("did you mean `main`?"),
        "{}",
        near.stderr
    );
    let diff = |range: &str| sandbox.refit(&["deps", "diff", range]).stderr;
    assert_eq!(
        diff("main@{2}..main"),
        "error: `main@{2}` is no revision of this repository\n\
         hint: git's log of `main` in this clone goes back to `main@{1}`: name a commit, as in `main~1`\n"
    );
    // A service's clone has a log of what it checked out, and of nothing before.
    sandbox.git(&["reflog", "expire", "--expire=all", "--all"]);
    assert_eq!(
        diff("@{1}..main"),
        "error: `@{1}` is no revision of this repository\n\
         hint: git keeps no log of `HEAD` here: name a commit, as in `HEAD~1`\n"
    );
}

#[test]
fn images_that_are_built_from_none_are_an_empty_list_with_a_reason() {
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM scratch\nCOPY web /web\n");
    let list = sandbox.refit(&["deps", "list"]);
    assert_eq!((list.code, list.stdout.as_str()), (0, ""));
    assert_eq!(
        list.stderr,
        "nothing to list: no image here is built from another one (`scratch` is none)\n"
    );
}

#[test]
fn newer_tags_are_listed_with_where_to_write_them() {
    let sandbox = stale();
    let tags =
        "tags = [\"12-slim\", \"13-slim\", \"12\", \"14-slim\", \"12.1\", \"12.5\", \"13.0\"]";
    let config = std::fs::read_to_string(sandbox.path("debian/.config/refit.toml")).unwrap();
    sandbox.write(
        "../debian/.config/refit.toml",
        &config.replace("tags = [\"12-slim\"]", tags),
    );
    sandbox.write("../debian/arm64/libssl", "three\n");
    release_debian(&sandbox);
    sandbox.write(
        "web/Dockerfile",
        "ARG DEBIAN=12.1\nFROM debian:$DEBIAN\nCOPY --from=debian:bookworm /etc /etc\nCOPY --from=debian:13.0 /a /a\n",
    );
    assert_masked!("outdated", sandbox.refit(&["deps", "outdated"]).all());
    let json = ["deps", "outdated", "web", "--format", "json"];
    assert_masked!("outdated-json", sandbox.refit(&json).ok());
    assert_eq!(sandbox.refit(&["deps", "outdated", "--exit-code"]).code, 1);
    assert_eq!(sandbox.refit(&["deps", "outdated", "webb"]).code, 2);
}
