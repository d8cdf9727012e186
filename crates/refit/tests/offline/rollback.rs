//! `refit rollback`: tags go back to what was published before, and stay there until something new comes.

use refit_oci::Digest;
use refit_testkit::registry::{Fault, Options, TestRegistry};

use crate::{
    bench::Bench,
    checkout::Checkout,
    fixtures::{LINEAGE, SINGLE},
};

/// `web` released twice; what both held.
fn released_twice(bench: &Bench) -> (Checkout<'_>, [Digest; 2]) {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    let first = bench.published("web");
    shop.write("//- web/page\ntwo\n");
    shop.commit("Two");
    shop.refit(&["build", "--push"]).exits(0);
    let second = bench.published("web");
    (shop, [first, second])
}

fn page(bench: &Bench) -> [String; 2] {
    ["etc/patch", "srv/page"].map(|path| {
        let file = bench.file("web", "linux/amd64", path).unwrap();
        file.trim_end().to_owned()
    })
}

#[test]
fn a_release_is_rolled_back_and_only_something_new_ends_that() {
    let bench = Bench::new();
    let (shop, [first, second]) = released_twice(&bench);
    bench.hub.forget_requests();
    shop.refit(&["rollback", "web", "--dry-run"])
        .exits(0)
        .mentions(&format!("{} → {}", second.short(), first.short()));
    assert_eq!(bench.writes(), 0);

    let rolled = shop.refit(&["rollback", "web", "--format", "json"]);
    let rolled = rolled.exits(0).json();
    assert_eq!(rolled["index"], first.to_string());
    assert_eq!(rolled["previous"], second.to_string());
    assert_eq!(rolled["tags"][0]["moved"], true);
    assert_eq!(bench.published("web"), first);
    assert_eq!(bench.writes(), 1, "the tag is moved, and nothing is built");

    // Neither a sweep nor the same commit brings it back.
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("rolled back from");
    assert_eq!(bench.published("web"), first);
    // A patch is made from what is published again.
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(page(&bench), ["two", "one"]);
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("rolled back from");
    assert_eq!(page(&bench), ["two", "one"]);

    shop.write("//- web/page\nthree\n");
    shop.commit("Three");
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(page(&bench), ["two", "three"]);
    let log = shop.git(&["log", "--notes=refit", "--format=%N"]);
    let said = format!("web {} → {}, of commit", second.short(), first.short());
    assert!(log.contains(&said), "{log}");
}

#[test]
fn a_patch_is_rolled_back_and_the_next_base_is_taken() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let released = bench.published("base");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    shop.refit(&["rollback", "base"])
        .exits(0)
        .mentions("built on it and left as they are: shop and web");
    // The children follow their parent back, and the parent stays.
    shop.refit(&["sweep"]).exits(0).mentions("held");
    assert_eq!(bench.published("base"), released);
    let patch = |image| bench.file(image, "linux/arm64", "etc/patch").unwrap();
    assert_eq!(["base", "web", "shop"].map(patch), ["one", "one", "one"]);
    shop.refit(&["status"]).exits(0).mentions("held");

    bench.push_base("1", "three", "three");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        ["base", "web", "shop"].map(patch),
        ["three", "three", "three"]
    );
}

#[test]
fn it_goes_back_step_by_step_and_to_what_is_named() {
    let bench = Bench::new();
    let (shop, [first, second]) = released_twice(&bench);
    shop.write("//- web/page\nthree\n");
    shop.commit("Three");
    shop.refit(&["build", "--push"]).exits(0);
    let third = bench.published("web");
    shop.refit(&["rollback", "web"]).exits(0);
    assert_eq!(bench.published("web"), second);
    shop.refit(&["rollback", "web"]).exits(0);
    assert_eq!(bench.published("web"), first);
    shop.refit(&["rollback", "web"])
        .exits(2)
        .mentions("nothing was published of `web` before");
    shop.refit(&["rollback", "web", "--to", third.short()])
        .exits(0);
    assert_eq!(bench.published("web"), third);
    shop.refit(&["rollback", "web", "--to", third.as_str()])
        .exits(0)
        .mentions("already");
    shop.refit(&["rollback", "web", "--to", "0123456789ab"])
        .exits(2)
        .mentions("is nothing that was published as")
        .mentions(third.short());
    let runs = shop.refit(&["runs", "--format", "json"]).exits(0).json();
    let runs = runs["runs"].as_array().unwrap();
    let oldest = runs.last().unwrap()["id"].as_str().unwrap();
    shop.refit(&["rollback", "web", "--to", oldest]).exits(0);
    assert_eq!(bench.published("web"), first);
}

#[test]
fn a_tag_that_somebody_else_moved_is_left_and_a_rollback_by_hand_is_recorded() {
    let bench = Bench::new();
    let (shop, [first, second]) = released_twice(&bench);
    bench.push_base("2", "other", "other");
    let other = Digest::sha256(b"none");
    shop.refit(&["rollback", "web", "--to", other.short()])
        .exits(2);
    bench.retag("web", &first);
    shop.refit(&["sweep"]).mentions("moved-elsewhere");
    shop.refit(&["rollback", "web", "--to", first.short()])
        .exits(0);
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
    // Whoever moves it forward again by hand is not followed, and one command goes back.
    bench.retag("web", &second);
    shop.refit(&["sweep"]).mentions("moved-elsewhere");
    shop.refit(&["rollback", "web"]).exits(0);
    assert_eq!(bench.published("web"), first);
    let single = bench.manifests("web").into_values().next().unwrap();
    bench.retag("web", &single);
    shop.refit(&["rollback", "web", "--to", second.short()])
        .exits(2)
        .mentions("somebody else moved");
    assert_eq!(bench.published("web"), single);
}

#[test]
fn what_is_gone_is_named_and_nothing_moves() {
    let bench = Bench::new();
    let (shop, [first, second]) = released_twice(&bench);
    let path = format!("/v2/team/web/manifests/{first}");
    bench.hub.fail("GET", &path, usize::MAX, Fault::Status(404));
    shop.refit(&["rollback", "web"])
        .exits(2)
        .mentions(&format!("does not have {} any more", first.short()))
        .mentions("release it again: check out");
    assert_eq!(bench.published("web"), second);
    assert!(!shop.records().contains("rollback"));
}

#[test]
fn notes_that_can_not_be_pushed_leave_the_tags_where_they_are() {
    let bench = Bench::new();
    let (shop, [_, second]) = released_twice(&bench);
    let remote = bench.remote(&shop);
    let hook = remote.dir().join("hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).unwrap();
    shop.refit(&["rollback", "web"]).exits(2);
    assert_eq!(bench.published("web"), second);
    assert!(!shop.records().contains("rollback"));
}

#[test]
fn a_rollback_whose_tags_did_not_move_is_finished_by_the_next() {
    let bench = Bench::new();
    let (shop, [first, second]) = released_twice(&bench);
    let path = "/v2/team/web/manifests/latest";
    bench.hub.fail("PUT", path, 1, Fault::Status(400));
    shop.refit(&["rollback", "web"])
        .exits(2)
        .mentions("run `refit rollback web` again to move the tags");
    assert_eq!(bench.published("web"), second);
    shop.refit(&["sweep"]).mentions("moved-elsewhere");
    shop.refit(&["rollback", "web"]).exits(0);
    assert_eq!(bench.published("web"), first);
}

#[test]
fn further_registries_go_back_as_well_and_one_that_is_down_is_behind() {
    let bench = Bench::new();
    let second = TestRegistry::start(Options::default());
    bench.push_base("1", "one", "one");
    let text = SINGLE.replace(
        "push-to = [\"HUB/team\"]",
        &format!("push-to = [\"HUB/team\", \"{}/copy\"]", second.host()),
    );
    let shop = bench.repository(&text);
    shop.refit(&["build", "--push"]).exits(0);
    let first = bench.published("web");
    shop.write("//- web/page\ntwo\n");
    shop.commit("Two");
    shop.refit(&["build", "--push"]).exits(0);
    let released = bench.published("web");
    shop.refit(&["rollback", "web"]).exits(0);
    assert_eq!(second.tag("copy/web", "latest").unwrap(), first);

    let path = "/v2/copy/web/manifests/latest";
    second.fail("HEAD", path, usize::MAX, Fault::Status(403));
    let to = released.short();
    shop.refit(&["rollback", "web", "--to", to])
        .exits(1)
        .mentions("behind: ");
    assert_eq!(bench.published("web"), released);
    assert_eq!(second.tag("copy/web", "latest").unwrap(), first);
}
