//! Records that are lost, late or forged: they can cost work, and move no tag.

use std::fs;

use refit_testkit::registry::{Fault, Gate};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, texts},
    checkout::publishes,
    fixtures::{IMAGES, LINEAGE, SINGLE},
};

#[test]
fn without_notes_the_annotations_are_enough() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    shop.git(&["update-ref", "-d", "refs/notes/refit"]);
    shop.git(&["update-ref", "-d", "refs/notes/refit-records"]);
    bench.hub.forget_requests();
    let unknown = "what the images' own annotations say is taken, and rollbacks are unknown";
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are")
        .mentions(unknown);
    assert_eq!(bench.writes(), 0);

    bench.push_base("1", "one", "two");
    shop.refit(&["sweep"]).exits(0).mentions(unknown);
    assert_eq!(
        bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
        "two"
    );
    assert_eq!(publishes(&shop, "shop").len(), 1, "records begin again");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are")
        .omits(unknown);
}

#[test]
fn lost_records_are_restored_as_far_back_as_the_registry_has_them() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "one", "two");
    shop.refit(&["sweep"]).exits(0);
    bench.push_base("1", "three", "two");
    let asked = || {
        let mut status = shop.refit(&["status", "--format", "json"]).exits(0).json();
        status.as_object_mut().unwrap().remove("requests");
        // No image says when it was swept.
        status["last_sweeps"] = serde_json::json!({});
        status
    };
    let (before, first) = (
        asked(),
        bench.index("shop").annotations["dev.refit.replaces"].clone(),
    );
    shop.git(&["update-ref", "-d", "refs/notes/refit"]);
    shop.git(&["update-ref", "-d", "refs/notes/refit-records"]);
    let writes = bench.writes();
    shop.refit(&["notes", "restore", "--from-registry"])
        .exits(0)
        .mentions("6 publications and ");
    assert_eq!(bench.writes(), writes, "nothing is pushed");
    assert_eq!(asked(), before);
    assert_eq!(publishes(&shop, "shop").len(), 2);
    // A rollback by hand is known as one again.
    let published = bench.published("shop");
    bench.retag("shop", &first.parse().unwrap());
    let said = shop
        .refit(&["sweep", "shop", "--dry-run", "--format", "json"])
        .json();
    assert_eq!(said["states"][0]["state"], "moved-elsewhere", "{said}");
    bench.retag("shop", &published);
    shop.refit(&["sweep"]).exits(0).omits("no records here");
    assert_eq!(publishes(&shop, "shop").len(), 3);
    shop.refit(&["notes", "verify"]).exits(0);
    shop.refit(&["notes", "restore", "--from-registry"])
        .exits(0)
        .mentions("no record is missing");
}

#[test]
fn an_unrecorded_push_becomes_the_head() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let remote = bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    let ci = bench.clone_of(&remote, "ci", &[]);
    let url = ci.git(&["remote", "get-url", "origin"]);
    // The tag moves, and the records get no further than this clone.
    ci.git(&["remote", "remove", "origin"]);
    ci.git(&["fetch", "--quiet", &url, "refs/notes/*:refs/notes/*"]);
    bench.push_base("1", "two", "two");
    ci.refit(&["sweep"]).exits(0);
    let unrecorded = bench.published("web");
    assert_eq!(publishes(&remote, "web").len(), 1);

    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
    bench.push_base("1", "three", "three");
    shop.refit(&["sweep"]).exits(0);
    let latest = bench.published("web");
    assert_eq!(
        bench.index("web").annotations["dev.refit.replaces"],
        unrecorded.to_string()
    );

    // When its record turns up after all, it is no second head: a rollback to it is a rollback.
    ci.git(&["remote", "add", "origin", &url]);
    ci.refit(&["notes", "push"]).exits(0);
    assert_eq!(publishes(&remote, "web").len(), 3);
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
    bench.retag("web", &unrecorded);
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(said["states"][0]["state"], "moved-elsewhere", "{said}");
    assert_eq!(said["states"][0]["published"], json!(latest));
}

#[test]
fn records_that_could_not_be_pushed_are_pushed_by_the_next_sweep() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let remote = bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    let ci = bench.clone_of(&remote, "ci", &[]);
    bench.push_base("1", "two", "two");
    // The remote goes away when the last tag moves.
    let gate = Gate::default();
    bench.hub.fail(
        "PUT",
        "/v2/team/shop/manifests/latest",
        1,
        Fault::Held(gate.clone()),
    );
    let sweep = shop.start(&["sweep"]);
    assert!(gate.wait());
    let away = bench.folder().join("away");
    fs::rename(remote.dir(), &away).unwrap();
    gate.open();
    assert_eq!(sweep.wait_with_output().unwrap().status.code(), Some(2));
    for image in IMAGES {
        assert_eq!(
            bench.file(image, "linux/arm64", "etc/patch").unwrap(),
            "two"
        );
    }
    fs::rename(away, remote.dir()).unwrap();

    // To others these are pushes of ours that nobody recorded.
    ci.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
    assert_eq!(publishes(&remote, "shop").len(), 1);
    let notes = shop.notes();
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
    assert_eq!(publishes(&remote, "shop").len(), 2);
    assert_eq!((shop.notes(), remote.notes()), (notes.clone(), notes));
}

#[test]
fn people_read_what_happened_in_the_log() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "one", "two");
    shop.refit(&["sweep"]).exits(0);
    let log = shop.git(&["log", "--notes=refit"]);
    assert!(log.contains(": base, shop, web built"), "{log}");
    let moved = format!(
        ": base, shop, web rebased, 3 kept; {}/base/os:1 ",
        bench.hub.host()
    );
    assert!(log.contains(&moved), "{log}");
    let shown = shop.git(&[
        "notes",
        "--ref=refit-records",
        "show",
        "HEAD:web/Dockerfile",
    ]);
    assert!(
        shown.lines().all(|line| line.contains(r#""image":"web""#)),
        "{shown}"
    );
    assert_eq!(shown.lines().count(), 5, "three builds, two moves: {shown}");
}

#[test]
fn forged_records_change_nothing() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let fresh = bench.manifests("shop");
    bench.push_base("1", "two", "two");
    let target = "web@linux/amd64";
    let plan = || {
        let plan = shop
            .refit(&["sweep", "--dry-run", "--format", "json"])
            .exits(0)
            .json();
        (
            plan["steps"].clone(),
            plan["kept"].clone(),
            plan["states"].clone(),
        )
    };
    let honest = plan();
    assert!(texts(&honest.0, "target").contains(&target.to_owned()));

    let real = publishes(&shop, "web").remove(0);
    let build = shop.records();
    let build = build
        .lines()
        .find(|l| l.contains(r#""type":"build""#) && l.contains(r#""image":"web""#));
    let build: Value = serde_json::from_str(build.unwrap()).unwrap();
    let elsewhere =
        json!({"linux/amd64": fresh["linux/amd64"], "linux/arm64": fresh["linux/arm64"]});
    let with = |record: &Value, changes: &[(&str, Value)]| {
        let mut record = record.clone();
        for (key, value) in changes {
            record[*key] = value.clone();
        }
        record.to_string()
    };
    let base = bench.manifests("base")["linux/amd64"].clone();
    let forged = [
        // The index that the tag holds, with manifests that it never held.
        with(&real, &[("id", json!("forged")), ("after", real["id"].clone()), ("platforms", elsewhere.clone())]),
        with(&real, &[("id", json!("forged-too")), ("platforms", elsewhere)]),
        // A fresh build, of another image.
        with(&build, &[("image", json!("shop")), ("deps", json!([]))]),
        // What today's commit depends on says nothing of what is published.
        json!({"v": 1, "type": "deps", "image": "web", "platform": "linux/amd64", "source": build["source"],
            "commit": build["commit"], "deps": build["deps"], "at": "2100-01-01T00:00:00Z"}).to_string(),
        // Versions and types to come.
        with(&build, &[("v", json!(2))]),
        json!({"v": 1, "type": "hold-everything", "image": "web", "manifest": base}).to_string(),
        "no JSON at all".to_owned(),
    ];
    let dockerfile = shop.git(&["rev-parse", "HEAD:web/Dockerfile"]);
    for line in &forged {
        shop.git(&[
            "notes",
            "--ref=refit-records",
            "append",
            "--no-separator",
            "-m",
            line,
            &dockerfile,
        ]);
        assert_eq!(plan(), honest, "after {line}");
    }
    shop.refit(&["sweep"]).exits(0);
    for image in IMAGES {
        assert_eq!(
            bench.file(image, "linux/amd64", "etc/patch").unwrap(),
            "two"
        );
    }
    let records = shop.records();
    for line in &forged {
        assert!(records.contains(line.as_str()), "{line} is kept as it is");
    }
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
}

#[test]
fn what_only_a_forged_record_says_is_built_by_nobody() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let older = shop.git(&["rev-parse", "HEAD"]);
    shop.write("//- web/site\nhello again\n");
    shop.commit("another page");
    shop.refit(&["build", "--push"]).exits(0);
    let released = bench.published("web");
    let never_held = bench.manifests("base")["linux/arm64"].clone();
    bench.push_base("1", "two", "two");

    let real = publishes(&shop, "web").remove(0).to_string();
    let forged = |key: &str, value: Value| {
        let mut forged: Value = serde_json::from_str(&real).unwrap();
        forged[key] = value;
        forged.to_string()
    };
    let mut platforms: Value = serde_json::from_str::<Value>(&real).unwrap()["platforms"].take();
    platforms["linux/arm64"] = json!(never_held);
    let dockerfile = shop.git(&["rev-parse", "HEAD:web/Dockerfile"]);
    let note = shop.git(&["notes", "--ref=refit-records", "show", &dockerfile]);
    for (forged, said) in [
        (forged("commit", json!(older)), "its record names commit"),
        (
            forged("platforms", platforms),
            "which its index does not hold",
        ),
    ] {
        let lines = note.lines().map(|line| {
            let is_real = line.contains(r#""type":"publish""#);
            if is_real { forged.as_str() } else { line }
        });
        let note = lines.collect::<Vec<_>>().join("\n");
        let add = [
            "notes",
            "--ref=refit-records",
            "add",
            "-f",
            "-m",
            &note,
            &dockerfile,
        ];
        shop.git(&add);
        let plan = shop
            .refit(&["sweep", "--dry-run", "--format", "json"])
            .json();
        let steps = texts(&plan["steps"], "target");
        assert!(steps.contains(&"base@linux/amd64".to_owned()), "{plan:#}");
        assert!(
            !steps.iter().any(|step| step.starts_with("web@")),
            "{plan:#}"
        );
        let states = plan["states"].as_array().unwrap();
        let web = states.iter().find(|state| state["image"] == "web").unwrap();
        assert_eq!(web["state"], "release-source-gone");
        let message = web["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
    }
    shop.refit(&["sweep"]).mentions("web: release-source-gone");
    assert_eq!(bench.published("web"), released);
    assert_eq!(
        bench.file("base", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
}
