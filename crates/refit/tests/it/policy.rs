//! `[policy]`: at a commit, and when it is asked for.

use refit_testkit::registry::{Fault, Image, Options, TestRegistry};

use crate::{assert_snapshot, sandbox::Sandbox};

const STRICT: &str = "\
//- .config/refit.toml
version = 1
[policy]
registries = [\"docker.io/library\", \"ghcr.io/team\"]
pinned = [\"ghcr.io\"]
forbidden-tags = [\"latest\", \"nightly*\"]
no-secret-build-args = true
warn = [\"pinned\"]
[[images]]
files = \"*/Dockerfile\"
name = \"{dir}\"
[[image]]
name = \"web\"
build-args = { NPM_TOKEN = \"x\", NODE = \"20\" }
//- web/Dockerfile
# syntax=docker/dockerfile:1
ARG BASE=quay.io/a/b:1
FROM ${BASE} AS build
ARG DB_PASSWORD
FROM debian
COPY --from=ghcr.io/team/tools:nightly-2 / /
COPY --from=ghcr.io/team/tools:1 / /
//- api/Dockerfile
FROM refit.local/web
FROM ghcr.io/teams/x@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
FROM scratch
ARG PUBLIC_KEY
COPY --from=0 / /
COPY --from=1 / /
";

#[test]
fn what_breaks_a_rule_is_told_with_its_place() {
    let sandbox = Sandbox::with(STRICT);
    assert_snapshot!("policy-check", sandbox.refit(&["config", "check"]).all());
    let json = sandbox.refit(&["config", "check", "--format", "json"]);
    assert_eq!(json.code, 1);
    assert_snapshot!("policy-check-json", json.stdout);
}

#[test]
fn rules_that_only_warn_break_nothing() {
    let all = "[\"registries\", \"pinned\", \"forbidden-tags\", \"no-secret-build-args\"]";
    let sandbox = Sandbox::with(&STRICT.replace("[\"pinned\"]", all));
    let ran = sandbox.refit(&["config", "check"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("2 images, 8 warnings"),
        "{}",
        ran.stderr
    );
}

fn hooked(files: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_all(files);
    sandbox.refit(&["init", "--hooks"]).ok();
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-q", "--no-verify", "-m", "Add images"]);
    sandbox
}

#[test]
fn a_commit_may_not_break_the_policy_and_may_leave_it_broken() {
    let sandbox = hooked(STRICT);
    let commit = |message| sandbox.try_git(&["commit", "-q", "-m", message]);
    // What was broken before is not this commit's business, wherever it stands now.
    let web = sandbox
        .read("web/Dockerfile")
        .replace("FROM debian\n", "\nFROM debian\nUSER 1\n");
    sandbox.write("web/Dockerfile", &web);
    sandbox.git(&["add", "-A"]);
    let ran = commit("Add a user");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    // A warning is told, and stops nothing.
    sandbox.write(
        "web/Dockerfile",
        &format!("{web}COPY --from=ghcr.io/team/more:1 / /\n"),
    );
    sandbox.git(&["add", "-A"]);
    let ran = commit("Copy more");
    assert_eq!(ran.code, 0);
    assert_snapshot!("policy-hook-warning", ran.all());
    sandbox.write(
        "web/Dockerfile",
        &format!("{web}COPY --from=quay.io/x/y:1 / /\n"),
    );
    sandbox.git(&["add", "-A"]);
    let ran = commit("Copy from elsewhere");
    assert_eq!(ran.code, 1);
    assert_snapshot!("policy-hook-error", ran.all());
    // Only what is staged counts.
    sandbox.write("web/Dockerfile", &web);
    sandbox.git(&["add", "-A"]);
    sandbox.write("web/Dockerfile", "FROM nothing/that:latest\n");
    assert_eq!(commit("Take it back").code, 0);
}

#[test]
fn a_dockerfile_that_belongs_to_no_image_is_refused_until_it_is_listed() {
    let sandbox = hooked(STRICT);
    sandbox.write("deep/er/Dockerfile", "FROM debian:12\n");
    sandbox.git(&["add", "-A"]);
    let ran = sandbox.try_git(&["commit", "-q", "-m", "Add another"]);
    assert_eq!(ran.code, 1);
    assert_snapshot!("hook-pre-commit-unlisted", ran.all());
    let config = sandbox.read(".config/refit.toml");
    let listed = config.replace("version = 1\n", "version = 1\nignore = [\"deep/**\"]\n");
    sandbox.write(".config/refit.toml", &listed);
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-q", "-m", "Add another"]);
}

#[test]
fn what_a_base_offers_and_how_old_it_is_is_asked_of_its_registry() {
    let registry = TestRegistry::start(Options::default());
    let host = registry.host();
    let made = |at, platform| Image::made_at(at, platform, &[&[("a", at)]]);
    registry.put_index(
        "os",
        "new",
        &[
            made("2026-11-20T00:00:00Z", "linux/amd64"),
            made("2026-11-20T00:00:00Z", "linux/arm64"),
        ],
    );
    registry.put_index("os", "old", &[made("2026-06-01T12:00:00Z", "linux/amd64")]);
    registry.put_image("os", "single", &made("2026-11-01T00:00:00Z", "linux/amd64"));
    // Reproducible builds have no date of their own.
    registry.put_image("os", "epoch", &made("1970-01-01T00:00:00Z", "linux/amd64"));
    let sandbox = hooked(&format!(
        "//- .config/refit.toml\nversion = 1\n[policy]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\
         max-age = \"90d\"\nwarn = [\"max-age\"]\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{{dir}}\"\n\
         //- new/Dockerfile\nFROM {host}/os:new\n//- old/Dockerfile\nFROM {host}/os:old\n\
         //- single/Dockerfile\nFROM {host}/os:single\n//- epoch/Dockerfile\nFROM {host}/os:epoch\n\
         //- gone/Dockerfile\nFROM {host}/os:gone\n"
    ));
    let told = |ran: crate::sandbox::Ran| ran.all().replace(&host, "registry.test");
    registry.forget_requests();
    assert_snapshot!("policy-bases", told(sandbox.refit(&["config", "check"])));
    assert_eq!(registry.count("HEAD", "/manifests/"), 5);
    let offline = sandbox.refit(&["config", "check", "--offline"]);
    assert_eq!(
        (offline.code, offline.stderr.as_str()),
        (0, "5 images, nothing wrong\n")
    );

    // A commit asks for what it brings in, and for nothing else.
    registry.forget_requests();
    sandbox.write("new/README", "no build sees this\n");
    sandbox.commit("Explain");
    assert_eq!(registry.requests().len(), 0);
    sandbox.write(
        "new/Dockerfile",
        &format!("FROM {host}/os:new\nFROM {host}/os:old\n"),
    );
    sandbox.git(&["add", "-A"]);
    assert_snapshot!(
        "policy-hook-bases",
        told(sandbox.try_git(&["commit", "-q", "-m", "Take another"]))
    );
    // What does not answer in time stops nobody.
    sandbox.write("new/Dockerfile", &format!("FROM {host}/os:slow\n"));
    sandbox.git(&["add", "-A"]);
    registry.fail("HEAD", "slow", 9, Fault::Status(503));
    let ran = sandbox.try_git(&["commit", "-q", "-m", "Take the slow one"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.stderr.contains("`[policy]` can't be checked for"),
        "{}",
        ran.stderr
    );
}
