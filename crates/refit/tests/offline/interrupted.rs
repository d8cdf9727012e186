//! Runs that were killed or overtaken: what was built is not built again, and no tag moves that somebody else moved.

use std::{process::Child, time::Duration};

use refit_testkit::registry::{Fault, Gate};
use serde_json::Value;

use crate::{
    bench::{Bench, texts},
    checkout::Checkout,
    fixtures::{IMAGES, LINEAGE, SINGLE},
};

/// Released on base `one`, which is `two` now; a sweep that stands before the gate.
fn held<'b>(bench: &'b Bench, method: &str, path: &str) -> (Checkout<'b>, Child, Gate) {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    let gate = Gate::default();
    bench.hub.fail(method, path, 1, Fault::Held(gate.clone()));
    let sweep = shop.start(&["sweep", "--format", "json"]);
    assert!(gate.wait(), "the sweep has come to {method} {path}");
    (shop, sweep, gate)
}

fn kill(mut sweep: Child) {
    sweep.kill().unwrap();
    sweep.wait().unwrap();
}

/// The next sweep finishes, builds nothing twice, and leaves nothing to do.
fn is_finished(bench: &Bench, shop: &Checkout<'_>, action: &str) {
    bench.hub.forget_requests();
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    for image in swept["images"].as_array().unwrap() {
        for taken in texts(&image["targets"], "action") {
            assert_eq!(taken, action, "{image}");
        }
    }
    for image in IMAGES {
        assert_eq!(
            bench.file(image, "linux/arm64", "etc/patch").unwrap(),
            "two"
        );
    }
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
}

#[test]
fn a_sweep_killed_before_the_first_tag_moves_builds_nothing_twice() {
    let bench = Bench::new();
    let (shop, sweep, _gate) = held(&bench, "PUT", "/v2/team/base/manifests/latest");
    let before = bench.all_published(&IMAGES);
    kill(sweep);
    assert_eq!(before, bench.all_published(&IMAGES));
    is_finished(&bench, &shop, "publish");
    assert_eq!(bench.uploads(), 0, "no blob is sent a second time");
    let runs = shop.refit(&["runs", "--format", "json"]).exits(0).json();
    assert!(
        texts(&runs["runs"], "outcome").contains(&"interrupted".to_owned()),
        "{runs}"
    );
}

#[test]
fn a_sweep_killed_between_two_tags_is_finished_by_the_next() {
    let bench = Bench::new();
    let (shop, sweep, _gate) = held(&bench, "PUT", "/v2/team/web/manifests/latest");
    let moved = bench.published("base");
    kill(sweep);
    is_finished(&bench, &shop, "publish");
    assert_eq!(
        bench.published("base"),
        moved,
        "what had moved is taken as it is"
    );
    assert_eq!(bench.uploads(), 0);
}

#[test]
fn a_sweep_killed_while_it_stages_loses_no_other_target() {
    let bench = Bench::new();
    let (shop, sweep, _gate) = held(&bench, "PUT", "/v2/team/web/manifests/refit-");
    kill(sweep);
    bench.hub.forget_requests();
    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    let of_base = |step: &&Value| step["image"] == "base";
    let base: Vec<&Value> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(of_base)
        .collect();
    assert_eq!(
        base.iter()
            .map(|step| step["action"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["publish", "publish"]
    );
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("shop", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
}

#[test]
fn a_build_killed_before_its_tag_moves_is_published_by_the_next() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let gate = Gate::default();
    bench.hub.fail(
        "PUT",
        "/v2/team/shop/manifests/latest",
        1,
        Fault::Held(gate.clone()),
    );
    let build = shop.start(&["build", "--push"]);
    assert!(gate.wait());
    kill(build);
    assert_eq!(bench.hub.tag("team/shop", "latest"), None);
    bench.hub.forget_requests();
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(bench.uploads(), 0);
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
}

#[test]
fn a_sweep_killed_at_any_write_is_finished_by_the_next() {
    let bench = Bench::new();
    bench.push_base("1", "0", "0");
    let two_platforms = "context = \"web\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]";
    let shop = bench.repository(&SINGLE.replace("context = \"web\"", two_platforms));
    shop.refit(&["build", "--push"]).exits(0);
    let mut n_killed = 0;
    for n in 0.. {
        let patch = (n + 1).to_string();
        bench.push_base("1", &patch, &patch);
        // All writes but the n-th pass.
        bench.hub.fail("PUT", "", n, Fault::Slow(Duration::ZERO));
        let gate = Gate::default();
        bench.hub.fail("PUT", "", 1, Fault::Held(gate.clone()));
        let mut sweep = shop.start(&["sweep"]);
        let finished = gate.wait_or(|| sweep.try_wait().unwrap().is_some());
        if !finished {
            n_killed += 1;
        }
        kill(sweep);
        bench.hub.behave();
        shop.refit(&["sweep"]).exits(0);
        for platform in ["linux/amd64", "linux/arm64"] {
            assert_eq!(
                bench.file("web", platform, "etc/patch").unwrap(),
                patch,
                "killed at write {n}"
            );
        }
        shop.refit(&["sweep"])
            .exits(0)
            .mentions("nothing to do: 2 targets are");
        if finished {
            break;
        }
    }
    // A config and a manifest for each platform, the index, its statement, the manifest and the list that attach that,
    // the tag; the layer is there since the release.
    assert_eq!(n_killed, 9);
}

#[test]
fn a_tag_that_moves_while_a_sweep_builds_is_left_where_it_went() {
    let bench = Bench::new();
    let (shop, sweep, gate) = held(&bench, "PUT", "/v2/team/shop/manifests/refit-");
    let before = bench.all_published(&IMAGES);
    // Somebody moves `web` by hand, to an index of their own.
    let theirs = bench.hub.put_index(
        "team/web",
        "latest",
        &[crate::bench::os("linux/amd64", "theirs")],
    );
    gate.open();
    let ran = sweep.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let swept: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let why = |image: usize| {
        swept["images"][image]["tags"][0]["why"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(why(0), "");
    assert_eq!(
        why(1),
        format!(
            "moved elsewhere: {}/team/web:latest holds {} now",
            bench.hub.host(),
            theirs.short()
        )
    );
    assert_eq!(why(2), "skipped: its parent web did not move");
    let now = bench.all_published(&IMAGES);
    assert_ne!(now["base"], before["base"]);
    assert_eq!((&now["web"], &now["shop"]), (&theirs, &before["shop"]));

    // The next sweep builds shop on what web is now: there it is an external base, without linux/arm64.
    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .json();
    let states: Vec<String> = texts(&plan["states"], "state");
    assert_eq!(states, ["missing-platform", "foreign"], "{plan}");
}

#[test]
fn an_interrupted_sweep_ends_in_order() {
    let bench = Bench::new();
    let (shop, mut sweep, _gate) = held(&bench, "PUT", "/v2/team/web/manifests/refit-");
    let pid = sweep.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(sweep.wait().unwrap().code(), Some(130));
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("shop", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
}
