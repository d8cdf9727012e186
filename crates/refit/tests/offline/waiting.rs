//! Bases that moved and are not taken: of the same content, too new, or held.

use std::collections::BTreeMap;

use refit_oci::{Descriptor, Document, Exact, Index};

use crate::{bench::Bench, checkout::Checkout, fixtures::SINGLE};

/// A moment, and a day later.
const NOON: &str = "1780000000";
const NEXT_NOON: &str = "1780086400";

fn at(time: &str) -> [(&'static str, &str); 1] {
    [("SOURCE_DATE_EPOCH", time)]
}

/// `web` is released on base `one`.
fn released<'b>(bench: &'b Bench, more_configuration: &str) -> Checkout<'b> {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(&SINGLE.replace(
        "context = \"web\"\n",
        &format!("context = \"web\"\n{more_configuration}"),
    ));
    shop.refit_with(&at(NOON), &["build", "--push"]).exits(0);
    shop
}

#[track_caller]
fn patch_of_web(bench: &Bench) -> String {
    bench.file("web", "linux/amd64", "etc/patch").unwrap()
}

/// Pushes the base again: the very layers and configs, under other manifests.
fn push_the_same_again(bench: &Bench) {
    let digest = bench.hub.tag("base/os", "1").unwrap();
    let old = bench.index_at("base/os", &digest);
    let again = old.manifests.iter().map(|entry| {
        let bytes = bench.hub.document("base/os", &entry.digest).unwrap();
        let Document::Manifest(mut manifest) = Document::decode(None, bytes).unwrap() else {
            panic!("an index in an index");
        };
        let note = ("note".to_owned(), "again".to_owned());
        manifest.value.annotations.extend([note]);
        let manifest = Exact::encode(&manifest.media_type, manifest.value);
        let mut again = Descriptor::of(&manifest.media_type, &manifest.bytes);
        again.platform.clone_from(&entry.platform);
        bench
            .hub
            .put_document("base/os", "again", &Document::Manifest(manifest));
        again
    });
    let index = Index::new(again.collect(), BTreeMap::new());
    let index = Exact::encode(refit_oci::media_type::OCI_INDEX, index);
    bench
        .hub
        .put_document("base/os", "1", &Document::Index(index));
}

#[test]
fn a_base_of_the_same_content_is_no_reason_and_costs_nothing_the_second_time() {
    let bench = Bench::new();
    let shop = released(&bench, "");
    let before = bench.published("web");
    push_the_same_again(&bench);

    shop.refit(&["status", "--exit-code"])
        .exits(0)
        .mentions("none of 1 target is stale");
    shop.refit(&["status", "--verbose"])
        .exits(0)
        .mentions("is the same content");
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
    assert_eq!(bench.published("web"), before);

    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(plan["unaffected"][0]["level"], "manifest");
    assert_eq!(plan["unaffected"][0]["target"], "web@linux/amd64");
    assert_eq!(plan["steps"], serde_json::json!([]));
    bench.hub.forget_requests();
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
    assert_eq!((bench.hub.count("GET", ""), bench.writes()), (0, 0));
}

#[test]
fn a_base_cools_down_from_the_sweep_that_saw_it_first() {
    let bench = Bench::new();
    let shop = released(&bench, "[sweep]\ncooldown = \"24h\"\n");
    bench.push_base("1", "two", "two");

    shop.refit_with(&at(NOON), &["status"])
        .exits(0)
        .mentions("deferred")
        .mentions("none of 1 target is stale");
    shop.refit_with(&at(NOON), &["sweep"])
        .exits(0)
        .mentions("deferred until 2026-05-29 20:26 UTC");
    assert_eq!(patch_of_web(&bench), "one");
    let seen = || {
        let args = [
            "grep",
            "--count",
            "\"type\":\"seen\"",
            "refs/notes/refit-records",
        ];
        shop.git(&args)
    };
    let records = seen();
    assert!(records.ends_with(":1"), "{records}");

    // Seen is seen: the next sweep has nothing to write.
    shop.refit_with(&at("1780086399"), &["sweep"])
        .exits(0)
        .mentions("deferred");
    assert_eq!(seen(), records);
    assert_eq!(patch_of_web(&bench), "one");

    shop.refit_with(&at(NEXT_NOON), &["sweep"]).exits(0);
    assert_eq!(patch_of_web(&bench), "two");
    shop.refit_with(&at(NEXT_NOON), &["sweep"])
        .exits(0)
        .mentions("nothing to do");
}

#[test]
fn who_forces_does_not_wait() {
    let bench = Bench::new();
    let shop = released(&bench, "[sweep]\ncooldown = \"24h\"\n");
    bench.push_base("1", "two", "two");
    shop.refit_with(&at(NOON), &["sweep", "web", "--force"])
        .exits(0);
    assert_eq!(patch_of_web(&bench), "two");
}

#[test]
fn a_held_base_is_not_taken_in_any_clone_until_it_is_released() {
    let bench = Bench::new();
    let shop = released(&bench, "");
    let remote = bench.remote(&shop);
    shop.refit(&["notes", "push"]).exits(0);
    let other = bench.clone_of(&remote, "other", &[]);
    bench.push_base("1", "two", "two");
    let bad = bench.hub.tag("base/os", "1").unwrap();
    let subject = bench.hosted(&format!("HUB/base/os:1@{bad}"));

    shop.refit(&["hold", &subject, "--dry-run"]).exits(0);
    shop.refit(&["hold"]).exits(0).mentions("nothing is held");
    shop.refit(&["hold", &subject, "--reason", "breaks DNS"])
        .exits(0);
    shop.refit(&["hold"]).exits(0).mentions("breaks DNS");
    other
        .refit(&["sweep"])
        .exits(0)
        .mentions("held")
        .mentions("breaks DNS");
    assert_eq!(patch_of_web(&bench), "one");

    // The next digest is another one.
    bench.push_base("1", "three", "three");
    other.refit(&["sweep"]).exits(0);
    assert_eq!(patch_of_web(&bench), "three");

    let base = bench.hosted("HUB/base/os:1");
    shop.refit(&["hold", &base, "--release"]).exits(0);
    shop.refit(&["hold"]).exits(0).mentions("nothing is held");
    shop.refit(&["hold", &base, "--release"])
        .exits(2)
        .mentions("is not held");
}

#[test]
fn a_held_image_is_not_patched_and_a_misspelt_one_is_no_image() {
    let bench = Bench::new();
    let shop = released(&bench, "");
    bench.push_base("1", "two", "two");
    shop.refit(&["hold", "wbe"]).exits(2).mentions("`web`");
    shop.refit(&["hold", "alpine:3"])
        .exits(2)
        .mentions("no Dockerfile refers to `alpine:3`");
    shop.refit(&["hold", "web", "--until", "2001-01-01"])
        .exits(2)
        .mentions("is over already");
    shop.refit(&["hold", "web", "--until", "2999-01-01"])
        .exits(0);
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("web: held: until 2999-01-01T00:00:00Z");
    assert_eq!(patch_of_web(&bench), "one");
    shop.refit(&["hold", "web", "--release"]).exits(0);
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(patch_of_web(&bench), "two");
}

#[test]
fn values_of_the_sweep_that_mean_nothing_name_their_line() {
    let bench = Bench::new();
    let shop = released(&bench, "");
    let config = "[sweep]\ncooldown = \"soon\"\nwait-for-platforms = \"-1h\"\npartial = \"some\"\nrebuild-from = \"main\"\n";
    shop.write(&format!("//- .config/refit.toml\n{config}"));
    shop.refit(&["config", "check"])
        .exits(1)
        .mentions("refit.toml:2:12: `cooldown = \"soon\"` is no duration")
        .mentions("refit.toml:3:22: `wait-for-platforms = \"-1h\"` is no duration")
        .mentions("refit.toml:4:11: `partial = \"some\"` is unknown")
        .mentions("refit.toml:5:16: `rebuild-from = \"main\"` is unknown");
}
