//! Images that other tools published: explained by every reading verb, left alone by sweeps, patched once adopted.

mod day_one;
mod evidence;
mod made;
mod restored;
mod sources;
mod taken;

use std::os::unix::fs::PermissionsExt as _;

use refit_testkit::registry::TestRegistry;
use serde_json::Value;

use self::made::Made;
use crate::{
    bench::{Bench, texts},
    checkout::{Checkout, publishes},
};

/// Four images on one base, none of them refit's.
const SHOP: &str = r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]

[[images]]
files = "*/Dockerfile"
name = "{dir}"
//- attested/Dockerfile
FROM HUB/base/os:1
COPY page /srv/
//- attested/page
one
//- annotated/Dockerfile
FROM HUB/base/os:1
COPY page /srv/
//- annotated/page
one
//- labelled/Dockerfile
FROM HUB/base/os:1
COPY page /srv/
//- labelled/page
one
//- unsigned/Dockerfile
FROM HUB/base/os:1
COPY page /srv/
//- unsigned/page
one
"#;

/// The four, published on a base that has moved on since.
fn stale(bench: &Bench) -> (Checkout<'_>, String) {
    bench.push_base("1", "one", "one");
    let base = bench.hub.tag("base/os", "1").unwrap();
    let shop = bench.repository(SHOP);
    let commit = shop.git(&["rev-parse", "HEAD"]);
    let name = format!("{}/base/os:1", bench.hub.host());
    Made::on("one").push_attested(&bench.hub, "attested", (&name, &base, &commit));
    Made::on("one")
        .annotated("org.opencontainers.image.base.name", &name)
        .annotated("org.opencontainers.image.base.digest", base.as_str())
        .annotated("org.opencontainers.image.revision", &commit)
        .push(&bench.hub, "annotated");
    Made::on("one")
        .labelled("org.opencontainers.image.revision", &commit)
        .push(&bench.hub, "labelled");
    Made::on("one").push(&bench.hub, "unsigned");
    bench.push_base("1", "two", "two");
    (shop, commit)
}

const EXPLAINED: [&str; 3] = ["annotated", "attested", "labelled"];

fn words(status: &Value) -> Vec<(String, String)> {
    let targets = status["targets"].as_array().unwrap().iter();
    let word = |target: &Value| {
        let text = |key: &str| target[key].as_str().unwrap().to_owned();
        (text("image"), text("status"))
    };
    targets.map(word).collect()
}

fn all_stale(names: &[&str]) -> Vec<(String, String)> {
    let stale = names.iter().map(|n| ((*n).to_owned(), "stale".to_owned()));
    stale.collect()
}

#[test]
fn what_is_stale_is_known_before_anything_is_adopted() {
    let bench = Bench::new();
    let (shop, _) = stale(&bench);
    bench.hub.forget_requests();
    let status = shop.refit(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(
        words(&status),
        all_stale(&["annotated", "attested", "labelled", "unsigned"])
    );
    let how = |state: &str| {
        let all = status["states"].as_array().unwrap().iter();
        let of = all.filter(|s| s["state"] == state);
        of.map(|s| (s["image"].clone(), s["how"].clone()))
            .collect::<Vec<_>>()
    };
    let expected = [
        ("annotated", "annotations"),
        ("attested", "provenance"),
        ("labelled", "layers"),
        ("unsigned", "layers"),
    ];
    assert_eq!(
        how("adoptable"),
        expected.map(|(i, h)| (i.into(), h.into()))
    );
    assert_eq!(how("release-source-unknown")[0].0, "unsigned");
    let said = shop.refit(&["status"]).exits(0);
    said.mentions("(adopted: provenance)")
        .mentions("4 images were published by another tool")
        .mentions("`refit adopt unsigned --source REV`");
    shop.refit(&["deps", "graph", "--stale"])
        .exits(0)
        .mentions("attested  stale");
    // The plan shows what would be built, and no sweep builds it.
    let plan = ["sweep", "--dry-run", "--format", "json"];
    let plan = shop.refit(&plan).exits(0).json();
    let targets = EXPLAINED.map(|name| format!("{name}@linux/amd64"));
    assert_eq!(texts(&plan["steps"], "target"), targets);
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("adoptable: another tool published it")
        .mentions("hint: run `refit adopt`");
    shop.refit(&["build", "--push"]).exits(1);
    assert_eq!((bench.writes(), shop.notes()), (0, String::new()));
}

#[test]
fn what_is_adopted_is_patched_and_then_left_alone() {
    let bench = Bench::new();
    let (shop, commit) = stale(&bench);
    let before = bench.all_published(&EXPLAINED);
    bench.hub.forget_requests();
    let dry = shop.refit(&["adopt", "--dry-run"]).exits(1);
    dry.mentions("unsigned: release-source-unknown")
        .mentions("3 images would be adopted");
    assert_eq!(shop.notes(), "");

    let adopted = shop.refit(&["adopt", "--format", "json"]).exits(1).json();
    assert_eq!(texts(&adopted["adoptions"], "image"), EXPLAINED);
    assert_eq!(texts(&adopted["adoptions"], "commit"), vec![commit; 3]);
    assert_eq!(bench.writes(), 0, "no tag moves");
    let notes = shop.notes();
    let again = shop.refit(&["adopt", "--format", "json"]).exits(1).json();
    assert_eq!(texts(&again["adoptions"], "image"), Vec::<String>::new());
    assert_eq!(texts(&again["known"], ""), EXPLAINED);
    assert_eq!(shop.notes(), notes, "twice changes nothing");
    shop.git(&["log", "-1", "--notes=refit"]);
    let sentence = shop.git(&["log", "-1", "--notes=refit", "--format=%N"]);
    assert!(sentence.contains("adopted as published"), "{sentence}");

    shop.refit(&["sweep"]).exits(0);
    for image in EXPLAINED {
        let file = |path| bench.file(image, "linux/amd64", path);
        assert_eq!(file("etc/patch").unwrap(), "two", "{image}");
        assert_eq!(file("srv/page").unwrap(), "one\n", "{image}");
        let index = bench.index(image);
        let replaced = &index.annotations["dev.refit.replaces"];
        assert_eq!(*replaced, before[image].to_string());
        let publish = &publishes(&shop, image)[0];
        let run = adopted["run"].as_str().unwrap();
        assert_eq!(publish["after"], format!("{run}-{image}"));
    }
    bench.hub.forget_requests();
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 3 targets are");
    assert_eq!(bench.writes(), 0);
}

#[test]
fn the_digest_that_layers_were_built_on_is_found_among_records_and_tags() {
    let bench = Bench::new();
    let (shop, _) = stale(&bench);
    let old = made::base_manifest("one");
    bench
        .hub
        .put_index("base/os", "1.0", &[crate::bench::os("linux/amd64", "one")]);
    let adopted = shop
        .refit(&["adopt", "labelled", "--format", "json"])
        .exits(0)
        .json();
    let platform = &adopted["adoptions"][0]["platforms"][0];
    assert_eq!(platform["how"], "layers");
    assert_eq!(platform["pins"][0]["manifest"], old.to_string());
    let status = shop.refit(&["status", "--format", "json"]).exits(0).json();
    let target = &status["targets"][2];
    assert_eq!(target["reasons"][0]["from"], old.to_string(), "{target}");
}

#[test]
fn a_remote_that_is_away_stops_an_adoption_before_it_is_made() {
    let bench = Bench::new();
    let (shop, _) = stale(&bench);
    let remote = bench.remote(&shop);
    let away = remote.dir().with_extension("away");
    std::fs::rename(remote.dir(), &away).unwrap();
    shop.refit(&["adopt", "attested"])
        .exits(2)
        .mentions("the notes of `origin` can't be reached");
    assert!(!shop.records().contains("\"adopt\""));

    std::fs::rename(&away, remote.dir()).unwrap();
    shop.refit(&["adopt", "attested"]).exits(0);
    let pushed = remote.git(&["for-each-ref", "refs/notes"]);
    assert!(pushed.contains("refs/notes/refit-records"), "{pushed}");
    // Another clone goes on from there.
    let clone = bench.clone_of(&remote, "clone", &[]);
    clone.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("attested", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
}

#[test]
fn a_hook_that_refuses_the_notes_leaves_nothing_recorded() {
    let bench = Bench::new();
    let (shop, commit) = stale(&bench);
    let remote = bench.remote(&shop);
    let hook = remote.dir().join("hooks/pre-receive");
    let refuse = |refuses: bool| {
        let code = i32::from(refuses);
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(
            &hook,
            format!("#!/bin/sh\necho notes are closed >&2\nexit {code}\n"),
        )
        .unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let decisions: [&[&str]; 2] = [
        &["adopt", "attested"],
        &["hold", "attested", "--reason", "freeze"],
    ];
    let before = shop.notes();
    for decision in decisions {
        refuse(true);
        shop.refit(decision)
            .exits(2)
            .mentions("`origin` did not take the notes, so nothing is recorded")
            .mentions("notes are closed");
        assert_eq!(shop.notes(), before, "{decision:?}");
        refuse(false);
    }
    // What was there before stays, with what others have pushed.
    shop.refit(&["adopt", "attested"]).exits(0);
    let clone = bench.clone_of(&remote, "clone", &[]);
    clone
        .refit(&["hold", "annotated", "--reason", "theirs"])
        .exits(0);
    refuse(true);
    shop.refit(&["adopt", "labelled", "--source", &commit])
        .exits(2);
    let records = shop.records();
    assert!(records.contains("\"image\":\"attested\""), "{records}");
    assert!(!records.contains("\"image\":\"labelled\""), "{records}");
    refuse(false);
    shop.refit(&["adopt", "labelled"]).exits(0);
    shop.refit(&["hold"]).exits(0).mentions("theirs");
}

/// The requests of a kind that a registry got since its log was emptied.
fn asked(hub: &TestRegistry, method: &str) -> usize {
    hub.count(method, "")
}
