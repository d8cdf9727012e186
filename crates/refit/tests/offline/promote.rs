//! `refit promote`: what a run has built and did not publish is published by decision.

use std::{fs, os::unix::fs::PermissionsExt};

use refit_testkit::registry::Fault;

use crate::{
    bench::{Bench, os},
    checkout::{Checkout, publishes},
    fixtures::{IMAGES, LINEAGE, SINGLE},
};

#[test]
fn what_failed_its_test_is_published_by_decision_and_rolled_back() {
    let bench = Bench::new();
    let broken = bench.folder().join("broken");
    let path = bench.folder().join("smoke.sh");
    fs::write(&path, format!("#!/bin/sh\n[ ! -e {} ]\n", broken.display())).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let test = format!(
        "[[image]]\nname = \"web\"\ntest = [\"{}\"]\n",
        path.display()
    );
    let files = LINEAGE.replacen("//- base/D", &format!("{test}//- base/D"), 1);
    bench.push_base("1", "one", "one");
    let shop = bench.repository(&files);
    let trust = [("REFIT_TRUST", "1")];
    shop.refit_with(&trust, &["build", "--push"]).exits(0);
    let before = bench.all_published(&IMAGES);
    bench.push_base("1", "two", "two");
    fs::write(&broken, "").unwrap();
    let swept = shop.refit_with(&trust, &["sweep", "--format", "json"]);
    let run = swept.exits(1).json()["run"].as_str().unwrap().to_owned();
    assert_eq!(bench.published("web"), before["web"]);

    bench.hub.forget_requests();
    shop.refit(&["promote", &run, "--dry-run"])
        .exits(0)
        .mentions("publish  web@linux/amd64")
        .mentions(&format!("run {run} is promoted"));
    assert_eq!(bench.writes(), 0);
    // The decision needs no command of the repository.
    shop.refit(&["promote", &run]).exits(0);
    for (image, patch) in [("base", "two"), ("web", "two"), ("shop", "one")] {
        let file = bench.file(image, "linux/arm64", "etc/patch").unwrap();
        assert_eq!(file, patch, "{image}");
    }
    let published = publishes(&shop, "web");
    let promoted: Vec<_> = published.iter().filter(|p| p["promotes"] == *run).collect();
    assert_eq!(promoted.len(), 1, "{published:?}");
    assert_eq!(promoted[0]["replaces"], before["web"].to_string());
    let said = shop.git(&["log", "--notes=refit", "-1"]);
    assert!(said.contains(": web published"), "{said}");
    shop.refit(&["promote", &run[20..]])
        .exits(0)
        .mentions("nothing to do: it is published");
    shop.refit(&["verify", "web"]).exits(0);

    shop.refit(&["rollback", "web"]).exits(0);
    assert_eq!(bench.published("web"), before["web"]);
}

#[test]
fn what_was_built_for_this_machine_is_brought_to_the_registry_parents_first() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let built = shop.refit(&["build", "--format", "json"]).exits(0).json();
    let run = built["run"].as_str().unwrap();
    assert_eq!(bench.hub.tag("team/base", "latest"), None);
    // A child goes no further than what it is built on.
    shop.refit(&["promote", run, "web"])
        .exits(1)
        .mentions("of `base`, which is not published");
    assert_eq!(bench.hub.tag("team/web", "latest"), None);
    shop.refit(&["promote", run]).exits(0);
    for image in IMAGES {
        assert_eq!(bench.manifests(image).len(), 2);
    }
    shop.refit(&["status", "--exit-code"]).exits(0);
}

#[test]
fn what_is_older_than_what_is_published_stays_where_it_is() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let built = shop.refit(&["build", "--format", "json"]).exits(0).json();
    let old = built["run"].as_str().unwrap();
    shop.write("//- web/page\ntwo\n");
    shop.commit("Two");
    shop.refit(&["build", "--push"]).exits(0);
    let published = bench.published("web");
    shop.refit(&["promote", old])
        .exits(1)
        .mentions("is published, which is newer; nothing moves");
    assert_eq!(bench.published("web"), published);
    // Nor is what somebody else moved written over.
    shop.write("//- web/page\nthree\n");
    shop.commit("Three");
    let built = shop.refit(&["build", "--format", "json"]).exits(0).json();
    let new = built["run"].as_str().unwrap();
    let theirs = [os("linux/amd64", "by hand")];
    bench.hub.put_index("team/web", "latest", &theirs);
    shop.refit(&["promote", new]).exits(1).mentions("foreign");
    shop.refit(&["promote", "01JZZZZZZZ"])
        .exits(2)
        .mentions("no record says that `01JZZZZZZZ` built anything");
}

/// Released, and built once more without publishing; the run's id.
fn built_anew(bench: &Bench) -> (Checkout<'_>, String) {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    shop.write("//- base/ca.pem\ntwo\n//- web/site\ntwo\n//- shop/prices\ntwo\n");
    shop.commit("Two");
    let built = shop.refit(&["build", "--format", "json"]);
    let run = built.exits(0).json()["run"].as_str().unwrap().to_owned();
    (shop, run)
}

#[test]
fn what_the_remote_does_not_take_moves_no_tag() {
    let bench = Bench::new();
    let (shop, run) = built_anew(&bench);
    let before = bench.all_published(&IMAGES);
    let remote = bench.remote(&shop);
    let hook = remote.dir().join("hooks/pre-receive");
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    shop.refit(&["promote", &run]).exits(2);
    assert_eq!(bench.all_published(&IMAGES), before);
    assert!(!shop.records().contains("promotes"));
}

#[test]
fn a_promotion_is_on_the_remote_before_its_tags_move_and_the_next_one_finishes_it() {
    let bench = Bench::new();
    let (shop, run) = built_anew(&bench);
    let before = bench.all_published(&IMAGES);
    let remote = bench.remote(&shop);
    let path = "/v2/team/base/manifests/latest";
    bench.hub.fail("PUT", path, 1, Fault::Status(400));
    shop.refit(&["promote", &run])
        .exits(1)
        .mentions(&format!("run `refit promote {run}` again to move the tags"));
    assert_eq!(bench.all_published(&IMAGES), before);
    let decided = publishes(&remote, "base").pop().unwrap();
    assert_eq!(decided["promotes"], *run);
    // A sweep leaves what is neither here nor there.
    shop.refit(&["sweep"]).mentions("moved-elsewhere");

    shop.refit(&["promote", &run, "--dry-run"])
        .exits(0)
        .mentions(&format!("{}/team/base:latest", bench.hub.host()));
    assert_eq!(bench.all_published(&IMAGES), before);
    shop.refit(&["promote", &run]).exits(0);
    assert_eq!(decided["index"], bench.published("base").to_string());
    for image in IMAGES {
        assert_ne!(bench.published(image), before[image]);
        let promoted = publishes(&remote, image);
        let promoted = promoted.iter().filter(|p| p["promotes"] == *run);
        assert_eq!(promoted.count(), 1, "{image}");
    }
    shop.refit(&["status", "--exit-code"]).exits(0);
    shop.refit(&["rollback", "base"]).exits(0);
    assert_eq!(bench.published("base"), before["base"]);
}
