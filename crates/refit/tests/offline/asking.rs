//! What changed inside of bases, and newer tags, with a registry's own answers.

use refit_testkit::registry::{Fault, Image};
use serde_json::json;

use crate::{bench::Bench, fixtures::LINEAGE};

const STATUS: &str = "var/lib/dpkg/status";

/// A base of three layers, the topmost with a package database.
fn debian(platform: &str, openssl: &str, more: &str) -> Image {
    let status = format!(
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\n\n\
         Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: {openssl}\n{more}"
    );
    Image::new(
        platform,
        &[
            &[("etc/os-release", "ID=debian\n")],
            &[("srv/common", "common\n")],
            &[(STATUS, &status), ("usr/bin/openssl", openssl)],
        ],
    )
}

fn push(bench: &Bench, arm64: &Image) {
    let amd64 = debian("linux/amd64", "3.0.11-1", "");
    bench.hub.put_index("base/os", "1", &[amd64, arm64.clone()]);
}

#[test]
fn a_plan_and_the_ways_to_it_show_the_packages_that_changed_in_a_base() {
    let bench = Bench::new();
    push(
        &bench,
        &debian("linux/arm64", "3.0.11-1", "\nPackage: old\nVersion: 1\n"),
    );
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let new = debian("linux/arm64", "3.0.15-1", "\nPackage: fresh\nVersion: 2\n");
    push(&bench, &new);

    bench.hub.forget_requests();
    let plan = ["sweep", "--dry-run", "--packages"];
    shop.refit(&plan)
        .exits(0)
        .mentions("openssl  3.0.11-1 → 3.0.15-1")
        .mentions("fresh    2 (added)")
        .mentions("old      1 (removed)")
        .omits("libc6");
    // Only the layers that differ were read, and they are kept under their digests.
    let common = new.manifest.value.layers[1].digest.to_string();
    assert_eq!(bench.hub.count("GET", &common), 0);
    bench.hub.forget_requests();
    let json = [&plan[..], &["--format", "json"]].concat();
    let plan = shop.refit(&json).exits(0).json();
    assert_eq!(
        plan["steps"][0]["reasons"][0]["packages"],
        json!([
            {"name": "fresh", "from": null, "to": "2", "change": "added"},
            {"name": "old", "from": "1", "to": null, "change": "removed"},
            {"name": "openssl", "from": "3.0.11-1", "to": "3.0.15-1", "change": "upgraded"},
        ])
    );
    assert_eq!(bench.hub.count("GET", "/blobs/"), 0);
    shop.refit(&["deps", "why", "shop@linux/arm64", "--packages"])
        .exits(0)
        .mentions("openssl  3.0.11-1 → 3.0.15-1")
        .mentions("FROM at base/Dockerfile:1");
    shop.refit(&["status", "--packages"])
        .exits(0)
        .mentions("openssl  3.0.11-1 → 3.0.15-1");
    let status = shop
        .refit(&["status", "--packages", "--format", "json"])
        .exits(0)
        .json();
    let arm = status["targets"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["target"] == "base@linux/arm64");
    assert_eq!(
        arm.unwrap()["reasons"][0]["packages"]
            .as_array()
            .unwrap()
            .len(),
        3
    );

    shop.refit(&["sweep", "--quiet"]).exits(0);
    shop.refit(&["deps", "diff", "HEAD", "--packages"])
        .exits(0)
        .mentions("openssl  3.0.11-1 → 3.0.15-1");
}

#[test]
fn packages_that_cannot_be_read_are_said_to_be_unknown() {
    let bench = Bench::new();
    push(&bench, &debian("linux/arm64", "3.0.11-1", ""));
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let new = debian("linux/arm64", "3.0.15-1", "");
    push(&bench, &new);
    let layer = new.manifest.value.layers[2].digest.to_string();
    bench.hub.fail("GET", &layer, 100, Fault::Status(403));
    shop.refit(&["sweep", "--dry-run", "--packages"])
        .exits(0)
        .mentions("the packages are unknown: ")
        .mentions("rebase  base@linux/arm64");
    bench.hub.behave();
    // A database below is seen through layers that say nothing of it; rpm's is named.
    let rpm = Image::new("linux/arm64", &[&[("var/lib/rpm/rpmdb.sqlite", "SQLite")]]);
    push(&bench, &rpm);
    shop.refit(&["sweep", "--quiet"]).exits(0);
    let rpm = Image::new(
        "linux/arm64",
        &[&[("var/lib/rpm/rpmdb.sqlite", "SQLite 2")]],
    );
    push(&bench, &rpm);
    shop.refit(&["sweep", "--dry-run", "--packages"])
        .exits(0)
        .mentions("rpm database: not read");
}

#[test]
fn tags_are_listed_once_a_repository_and_a_refusal_is_a_state() {
    let bench = Bench::new();
    for tag in ["1", "2", "3-rc1", "10"] {
        bench.push_base(tag, "one", "one");
    }
    let shop = bench.repository(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\n\
         //- a/Dockerfile\nFROM HUB/base/os:1\n//- b/Dockerfile\nFROM HUB/base/os:2\n//- c/Dockerfile\nFROM HUB/base/os:10\n",
    );
    bench.hub.forget_requests();
    let found = shop
        .refit(&["deps", "outdated", "--format", "json"])
        .exits(0)
        .json();
    let results = found["results"].as_array().unwrap();
    let said: Vec<_> = results
        .iter()
        .map(|r| (r["state"].clone(), r["major"].clone()))
        .collect();
    assert_eq!(
        said,
        [
            (json!("newer"), json!("10")),
            (json!("current"), json!(null)),
            (json!("newer"), json!("10")),
        ]
    );
    assert_eq!(bench.hub.count("GET", "/tags/list"), 1);
    shop.refit(&["deps", "outdated", "--exit-code"]).exits(1);

    bench.hub.fail("GET", "/tags/list", 100, Fault::Status(405));
    shop.refit(&["deps", "outdated", "--exit-code"])
        .exits(0)
        .mentions("its tags could not be listed: ");
}

#[test]
fn a_digest_in_a_from_line_is_reported_once_its_tag_is_another() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let pinned = bench.hub.tag("base/os", "1").unwrap();
    let shop = bench.repository(&crate::fixtures::SINGLE.replace(
        "FROM HUB/base/os:1",
        &format!("FROM HUB/base/os:1@{pinned}"),
    ));
    let moved_to = || {
        let found = shop
            .refit(&["deps", "outdated", "--format", "json"])
            .exits(0)
            .json();
        found["results"][0]["moved_to"].clone()
    };
    assert_eq!(moved_to(), json!(null));
    bench.push_base("1", "two", "two");
    assert_eq!(moved_to(), json!(bench.hub.tag("base/os", "1").unwrap()));
    shop.refit(&["deps", "outdated", "--exit-code"]).exits(1);
}
