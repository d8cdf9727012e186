//! What failed is left alone for a while, and how a run is steered: time, order of failing.

use std::time::Duration;

use refit_testkit::registry::{Fault, Gate, Image};
use serde_json::{Value, json};

use crate::{bench::Bench, checkout::Checkout, fixtures::SINGLE};

/// Noon of a day in 2026, and minutes later.
fn after(minutes: u32) -> [(&'static str, String); 1] {
    [(
        "SOURCE_DATE_EPOCH",
        (1_780_000_000 + minutes * 60).to_string(),
    )]
}

fn push_base(bench: &Bench, patch: &str, users: &str) {
    let files = [
        ("etc/patch", patch),
        ("etc/passwd", users),
        ("etc/group", ""),
    ];
    let image = Image::new("linux/amd64", &[&files]);
    bench.hub.put_index("base/os", "1", &[image]);
}

/// `web` is released on a base that has the user it needs, and does not have it any more.
fn failing(bench: &Bench) -> Checkout<'_> {
    push_base(bench, "one", "www:x:33:33::/:/bin/false\n");
    let shop = bench.repository(&SINGLE.replace("COPY page", "COPY --chown=www page"));
    sweep_at(&shop, 0, &["build", "--push"], 0);
    push_base(bench, "two", "");
    shop
}

#[track_caller]
fn sweep_at(shop: &Checkout<'_>, minutes: u32, args: &[&str], exits: i32) -> Value {
    let [(name, time)] = after(minutes);
    let args = [args, &["--format", "json"]].concat();
    shop.refit_with(&[(name, &time)], &args).exits(exits).json()
}

fn n_failed(ran: &Value) -> usize {
    ran["failed"].as_array().unwrap().len()
}

#[test]
fn a_failed_target_is_tried_again_after_longer_and_longer() {
    let bench = Bench::new();
    let shop = failing(&bench);
    let published = bench.published("web");
    assert_eq!(n_failed(&sweep_at(&shop, 1, &["sweep"], 1)), 1);
    let waits = sweep_at(&shop, 60, &["sweep"], 1);
    assert_eq!(n_failed(&waits), 0);
    let expected = json!([{
        "image": "web", "platform": "linux/amd64", "state": "deferred", "waits_for": "failure",
        "class": "build", "count": 1, "until": "2026-05-28T21:27:40Z",
    }]);
    assert_eq!(waits["states"], expected);
    let [(name, time)] = after(60);
    shop.refit_with(&[(name, &time)], &["sweep"])
        .exits(1)
        .mentions("deferred until 2026-05-28 21:27 UTC: it failed")
        .mentions("`refit sweep web` tries it at once");
    let status = shop
        .refit_with(&[(name, &time)], &["status", "--exit-code"])
        .exits(1)
        .mentions("deferred")
        .mentions("until 2026-05-28 21:27 UTC: it failed");
    assert!(!status.stdout.contains("stale  "), "{}", status.stdout);
    // After an hour, and after two more.
    assert_eq!(n_failed(&sweep_at(&shop, 62, &["sweep"], 1)), 1);
    assert_eq!(n_failed(&sweep_at(&shop, 130, &["sweep"], 1)), 0);
    assert_eq!(n_failed(&sweep_at(&shop, 183, &["sweep"], 1)), 1);
    // By name at once.
    assert_eq!(n_failed(&sweep_at(&shop, 190, &["sweep", "web"], 1)), 1);
    let waits = sweep_at(&shop, 191, &["sweep"], 1);
    assert_eq!(waits["states"][0]["count"], 4);
    assert_eq!(bench.published("web"), published);
    // Another base is something else.
    push_base(&bench, "three", "www:x:33:33::/:/bin/false\n");
    assert_eq!(n_failed(&sweep_at(&shop, 192, &["sweep"], 0)), 0);
    assert_eq!(
        bench.file("web", "linux/amd64", "etc/patch").unwrap(),
        "three"
    );
}

#[test]
fn a_registry_s_503_is_tried_again_and_a_failing_build_is_not() {
    let bench = Bench::new();
    let shop = failing(&bench);
    bench
        .hub
        .fail("HEAD", "/v2/base/os/manifests/1", 1, Fault::Status(503));
    bench.hub.forget_requests();
    let ran = sweep_at(&shop, 1, &["sweep"], 1);
    assert_eq!(bench.hub.count("HEAD", "/v2/base/os/manifests/1"), 2);
    assert_eq!(n_failed(&ran), 1);
    let logs = shop.refit(&["logs", "web"]).exits(0);
    assert_eq!(logs.stdout.matches("FROM ").count(), 1, "{}", logs.stdout);
}

#[test]
fn a_push_that_a_registry_refuses_is_tried_sooner_than_a_build() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let built = "context = \"web\"\nrebase = \"never\"";
    let shop = bench.repository(&SINGLE.replace("context = \"web\"", built));
    sweep_at(&shop, 0, &["build", "--push"], 0);
    bench.push_base("1", "two", "two");
    let uploads = "/v2/team/web/blobs/uploads/";
    bench.hub.fail("POST", uploads, 2, Fault::Status(400));
    assert_eq!(n_failed(&sweep_at(&shop, 1, &["sweep"], 1)), 1);
    assert_eq!(n_failed(&sweep_at(&shop, 2, &["sweep"], 1)), 1);
    let waits = sweep_at(&shop, 3, &["sweep"], 1);
    assert_eq!(waits["states"][0]["class"], "environment");
    assert_eq!(waits["states"][0]["until"], "2026-05-28T20:43:40Z");
    assert_eq!(n_failed(&sweep_at(&shop, 18, &["sweep"], 0)), 0);
}

#[test]
fn a_target_that_takes_longer_than_its_timeout_is_given_up() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(&SINGLE.replace("context", "timeout = \"1s\"\ncontext"));
    let gate = Gate::default();
    let uploads = "/v2/team/web/blobs/uploads/";
    bench
        .hub
        .fail("POST", uploads, 1, Fault::Held(gate.clone()));
    let begun = std::time::Instant::now();
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("it took longer than its `timeout`, 1s");
    assert!(begun.elapsed() < Duration::from_secs(20));
    gate.open();
    assert_eq!(bench.hub.tag("team/web", "latest"), None);
    shop.refit(&["build", "--push"]).exits(0);
    shop.write(&bench_config(&bench, "soon"));
    shop.refit(&["config", "check"])
        .exits(1)
        .mentions("`timeout = \"soon\"` is no duration");
}

fn bench_config(bench: &Bench, timeout: &str) -> String {
    let all = bench.hosted(SINGLE);
    let config = all.split("//- web/Dockerfile").next().unwrap();
    config.replace("context", &format!("timeout = \"{timeout}\"\ncontext"))
}

#[test]
fn with_fail_fast_nothing_is_begun_after_a_failure() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\n\
         [[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\n\
         //- a/Dockerfile\nFROM HUB/base/os:1\nSTOPSIGNAL nothing-here\n\
         //- b/Dockerfile\nFROM HUB/base/os:1\nCOPY file /\n//- b/file\nb\n",
    );
    let args = ["build", "--push", "--jobs", "1", "--fail-fast"];
    shop.refit(&args).exits(1).mentions("not begun");
    assert_eq!(bench.hub.tag("team/b", "latest"), None);
    shop.refit(&args[..4]).exits(1);
    assert!(bench.hub.tag("team/b", "latest").is_some());
    shop.refit(&["sweep", "--jobs", "0"])
        .exits(2)
        .mentions("from 1 to 256");
}
