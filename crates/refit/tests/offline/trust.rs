//! Tags that somebody else moved: reported, left alone, and written over only by who says so.

use refit_testkit::registry::{Image, index};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, os, texts},
    checkout::Checkout,
    fixtures::{IMAGES, LINEAGE, SINGLE},
};

/// Released on base `one`, patched on base `two`.
fn patched<'b>(bench: &'b Bench, files: &str) -> Checkout<'b> {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(files);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    shop
}

fn state_of(document: &Value, image: &str) -> Value {
    let states = document["states"].as_array().unwrap();
    let of_image: Vec<&Value> = states.iter().filter(|s| s["image"] == image).collect();
    assert_eq!(of_image.len(), 1, "{document}");
    of_image[0].clone()
}

#[test]
fn a_tag_rolled_back_by_hand_is_reported_and_left_alone() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    let released = bench.published("web");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    let swept = bench.published("web");

    bench.retag("web", &released);
    bench.push_base("1", "three", "three");
    bench.hub.forget_requests();
    let notes = shop.notes();
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    let state = state_of(&said, "web");
    assert_eq!(state["state"], "moved-elsewhere");
    assert_eq!(
        (&state["digest"], &state["published"]),
        (&json!(released), &json!(swept))
    );
    assert_eq!(
        (bench.writes(), bench.published("web"), shop.notes()),
        (0, released, notes)
    );
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("web: moved-elsewhere");
    // The same source again is what was rolled back: a release does not undo that.
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("moved-elsewhere");
    assert_eq!(bench.writes(), 0);
}

#[test]
fn a_rolled_back_parent_is_an_external_base_to_its_children() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let released = bench.published("web");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);

    bench.retag("web", &released);
    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(state_of(&plan, "web")["state"], "moved-elsewhere");
    assert_eq!(
        texts(&plan["steps"], "target"),
        ["shop@linux/amd64", "shop@linux/arm64"]
    );
    // That is how shop was released: nothing has to be built a second time.
    assert_eq!(texts(&plan["steps"], "action"), ["publish", "publish"]);
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("shop", "linux/amd64", "etc/patch").unwrap(),
        "one"
    );
    assert_eq!(bench.published("web"), released);
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
}

#[test]
fn what_somebody_else_pushed_is_left_alone() {
    let bench = Bench::new();
    let shop = patched(&bench, SINGLE);
    let theirs = [Image::new("linux/amd64", &[&[("theirs", "")]])];
    bench.hub.put_index("team/web", "latest", &theirs);
    bench.push_base("1", "three", "three");
    bench.hub.forget_requests();

    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(state_of(&said, "web")["state"], "foreign");
    shop.write("//- web/page\ntwo\n");
    shop.commit("Change the page");
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("web: foreign")
        .mentions("`refit build web --push --take-over` writes over it");
    assert_eq!(bench.writes(), 0);

    let over = shop
        .refit(&["build", "web", "--push", "--take-over"])
        .exits(0);
    over.mentions(&format!(
        "this writes over {}, which refit did not publish",
        index(&theirs).digest.short()
    ));
    assert_eq!(
        bench.file("web", "linux/amd64", "srv/page").unwrap(),
        "two\n"
    );
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
}

#[test]
fn a_single_manifest_of_somebody_else_is_foreign_too() {
    let bench = Bench::new();
    let shop = patched(&bench, SINGLE);
    bench
        .hub
        .put_image("team/web", "latest", &os("linux/amd64", "theirs"));
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(state_of(&said, "web")["state"], "foreign");
    shop.refit(&["build", "web", "--push", "--take-over"])
        .exits(0);
    assert_eq!(
        bench.file("web", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
}

#[test]
fn a_new_source_moves_on_from_a_rollback_and_says_so() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    let released = bench.published("web");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    bench.retag("web", &released);

    shop.write("//- web/page\ntwo\n");
    let commit = shop.commit("Change the page");
    let said = shop.refit(&["build", "--push"]).exits(0);
    said.mentions(&format!(
        "this writes over {}, which was put there since",
        released.short()
    ));
    let now = bench.index("web");
    assert_eq!(now.annotations["org.opencontainers.image.revision"], commit);
    assert_eq!(now.annotations["dev.refit.replaces"], released.to_string());
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
    // And the line goes on from there.
    bench.push_base("1", "three", "three");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("web", "linux/amd64", "etc/patch").unwrap(),
        "three"
    );
    assert_eq!(
        bench.file("web", "linux/amd64", "srv/page").unwrap(),
        "two\n"
    );
}

#[test]
fn an_older_commit_moves_nothing() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.write("//- web/page\ntwo\n");
    let newer = shop.commit("Change the page");
    shop.refit(&["build", "--push"]).exits(0);
    shop.git(&["checkout", "--quiet", "--detach", "HEAD~1"]);
    bench.hub.forget_requests();

    let said = shop
        .refit(&["build", "--push", "--line", "main", "--format", "json"])
        .exits(1)
        .json();
    let state = state_of(&said, "web");
    assert_eq!(
        (&state["state"], &state["commit"]),
        (&json!("newer-is-published"), &json!(newer))
    );
    // Not even where its bases moved on.
    bench.push_base("1", "two", "two");
    shop.refit(&["build", "--push", "--line", "main"])
        .exits(1)
        .mentions("newer-is-published");
    assert_eq!(bench.writes(), 0);
}

#[test]
fn a_deleted_tag_is_missing_to_a_sweep_and_comes_back_by_a_release() {
    let bench = Bench::new();
    let shop = patched(&bench, LINEAGE);
    bench.hub.delete_tag("team/shop", "latest");
    let said = shop.refit(&["sweep", "--format", "json"]).json();
    assert_eq!(state_of(&said, "shop")["state"], "missing-tag");
    assert_eq!(bench.hub.tag("team/shop", "latest"), None);
    shop.refit(&["build", "shop", "--push"]).exits(0);
    assert_eq!(bench.manifests("shop").len(), 2);
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
    assert_eq!(bench.all_published(&IMAGES).len(), 3);
}
