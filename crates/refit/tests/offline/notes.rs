//! Notes between clones: fetched before a sweep, pushed after it, whoever else is at it.

use std::fs;

use serde_json::{Value, json};

use crate::{
    bench::{Bench, texts},
    checkout::publishes,
    fixtures::{IMAGES, LINEAGE, SINGLE},
};

#[test]
fn a_clone_that_never_fetched_notes_sweeps_what_another_released() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let remote = bench.remote(&shop);
    let ci = bench.clone_of(&remote, "ci", &[]);
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(shop.notes(), remote.notes(), "a release pushes its records");
    assert_eq!(ci.notes(), "");

    bench.push_base("1", "one", "two");
    ci.refit(&["sweep"]).exits(0);
    assert_eq!(ci.notes(), remote.notes(), "a sweep pushes its records");
    for image in IMAGES {
        let all = publishes(&remote, image);
        assert_eq!(all.len(), 2, "{image}");
        let swept = all
            .iter()
            .find(|record| !record["after"].is_null())
            .unwrap();
        let released = all.iter().find(|record| record["after"].is_null()).unwrap();
        assert_eq!(swept["after"], released["id"]);
        assert_eq!(swept["index"], json!(bench.published(image)));
    }
    // Nothing was moved elsewhere for the first clone either.
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
}

#[test]
fn a_clone_that_is_behind_the_published_commit_says_so() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let remote = bench.remote(&shop);
    let ci = bench.clone_of(&remote, "ci", &[]);
    shop.write("//- web/page\ntwo\n");
    shop.commit("Change the page");
    shop.git(&["push", "--quiet", "origin", "main"]);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    bench.hub.forget_requests();

    let said = ci.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&said["states"], "state"), ["newer-is-published"]);
    assert_eq!(bench.writes(), 0);
    ci.refit(&["sweep"])
        .exits(0)
        .mentions("hint: run `git fetch`");
    ci.git(&["fetch", "--quiet"]);
    ci.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("web", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
    assert_eq!(
        bench.file("web", "linux/amd64", "srv/page").unwrap(),
        "two\n"
    );
}

#[test]
fn two_sweeps_at_once_lose_nothing() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let remote = bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    let clones = [
        bench.clone_of(&remote, "ci-1", &[]),
        bench.clone_of(&remote, "ci-2", &[]),
    ];
    bench.push_base("1", "two", "two");

    let started = clones
        .each_ref()
        .map(|clone| clone.start(&["sweep", "--take-lease", "--format", "json"]));
    let mut runs = Vec::new();
    for child in started {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        runs.push(serde_json::from_slice::<Value>(&output.stdout).unwrap());
    }
    let records = remote.records();
    for run in runs {
        // Whoever was second may have found nothing to do.
        if let Some(id) = run["run"].as_str() {
            assert!(records.contains(id), "{id} is not in {records}");
        }
    }
    for image in IMAGES {
        let published = json!(bench.published(image));
        let recorded = publishes(&remote, image);
        assert!(
            recorded.iter().any(|record| record["index"] == published),
            "{image}"
        );
        assert_eq!(
            bench.file(image, "linux/arm64", "etc/patch").unwrap(),
            "two"
        );
    }
    bench.hub.forget_requests();
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
    assert_eq!(bench.writes(), 0);
}

#[test]
fn notes_that_cannot_be_reached_stop_a_sweep_before_it_builds() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let remote = bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    let away = bench.folder().join("away");
    fs::rename(remote.dir(), &away).unwrap();
    bench.hub.forget_requests();

    let said = shop.refit(&["sweep"]).exits(2);
    said.mentions("the notes of `origin` can't be reached")
        .mentions("hint: try `git fetch origin`");
    shop.write("//- web/page\ntwo\n");
    shop.commit("Change the page");
    shop.refit(&["build", "--push"])
        .exits(2)
        .mentions("the notes of `origin` can't be reached");
    assert_eq!(bench.hub.count("*", ""), 0);

    fs::rename(away, remote.dir()).unwrap();
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("web", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
}

#[test]
fn a_remote_that_takes_no_notes_stops_a_sweep_before_it_builds() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let remote = bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    // As for a CI job with a read-only token.
    shop.git(&["remote", "set-url", "--push", "origin", "/nonexistent.git"]);
    bench.hub.forget_requests();
    shop.refit(&["sweep"]).exits(2).mentions("/nonexistent.git");
    assert_eq!(bench.writes(), 0);
    shop.refit(&["sweep", "--dry-run"])
        .exits(0)
        .mentions("rebase  web@linux/amd64");
    drop(remote);
}

#[test]
fn a_hook_that_refuses_notes_stops_a_sweep_before_tags_move() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let remote = bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    let before = bench.published("web");
    bench.push_base("1", "two", "two");
    let hook = remote.dir().join("hooks/pre-receive");
    fs::write(&hook, "#!/bin/sh\necho no notes today >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    shop.refit(&["sweep"]).exits(2).mentions("no notes today");
    assert_eq!(bench.published("web"), before);
    fs::remove_file(hook).unwrap();
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(
        swept["images"][0]["targets"][0]["action"], "publish",
        "what was built is not built again"
    );
    assert_ne!(bench.published("web"), before);
}

#[test]
fn two_sweeps_at_once_in_one_clone_lose_nothing() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    let started = [(); 2].map(|()| shop.start(&["sweep"]));
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    for image in IMAGES {
        let published = json!(bench.published(image));
        assert!(
            publishes(&shop, image)
                .iter()
                .any(|record| record["index"] == published),
            "{image}"
        );
    }
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
}
