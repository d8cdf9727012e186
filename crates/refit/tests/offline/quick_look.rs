//! `--trust-records`: what is published is read from the records, and the bases alone are asked for.

use serde_json::json;

use crate::{
    bench::{Bench, texts},
    fixtures::{IMAGES, LINEAGE},
};

#[test]
fn a_quick_look_asks_for_the_bases_only() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    bench.hub.forget_requests();
    let quick = ["status", "--trust-records", "--format", "json"];
    let status = shop.refit(&quick).exits(0).json();
    assert_eq!(
        (&status["stale"], &status["requests"]),
        (&json!(0), &json!({ "head": 1, "get": 0 }))
    );
    assert_eq!(bench.hub.count("HEAD", "/base/os/manifests/1"), 1);

    bench.push_base("1", "one", "two");
    let quick = ["sweep", "-n", "--trust-records", "--format", "json"];
    let trusting = shop.refit(&quick).exits(0).json();
    let asking = ["sweep", "-n", "--format", "json"];
    let asking = shop.refit(&asking).exits(0).json();
    assert_eq!(trusting["steps"], asking["steps"]);
    assert_eq!(texts(&trusting["kept"], "").len(), IMAGES.len());
}

#[test]
fn a_tag_that_somebody_moved_goes_unseen_and_is_not_written_over() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let first = bench.all_published(&IMAGES);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    let second = bench.published("base");
    bench.retag("web", &first["web"]);

    bench.push_base("1", "three", "three");
    let quick = ["sweep", "-n", "--trust-records", "--format", "json"];
    let planned = shop.refit(&quick).exits(0).json();
    let planned = texts(&planned["steps"], "image");
    assert!(planned.iter().any(|image| image == "web"), "{planned:?}");

    shop.refit(&["sweep", "--trust-records"]).exits(1);
    assert_eq!(bench.published("web"), first["web"], "read again, and left");
    assert_ne!(bench.published("base"), second);
}
