//! What is built when images, bases or policies are named.

use serde_json::{Value, json};

use crate::{
    bench::{Bench, texts},
    checkout::Checkout,
    fixtures::{IMAGES, LINEAGE, SINGLE},
};

const AMD64: &str = "linux/amd64";

fn released<'b>(bench: &'b Bench, files: &str) -> Checkout<'b> {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(files);
    shop.refit(&["build", "--push"]).exits(0);
    shop
}

fn names(ran: &Value) -> Vec<String> {
    texts(&ran["images"], "name")
}

#[test]
fn a_named_image_brings_the_parents_that_were_never_published() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(&format!(
        "{LINEAGE}//- api/Dockerfile\nFROM HUB/base/os:1\n"
    ));
    let ran = shop
        .refit(&["build", "shop", "--push", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(names(&ran), IMAGES);
    assert_eq!(bench.hub.tag("team/api", "latest"), None);
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are")
        .mentions("api: unpublished: nothing is published yet");
}

#[test]
fn children_of_a_release_are_named_and_patched_by_the_next_sweep() {
    let bench = Bench::new();
    let shop = released(&bench, LINEAGE);
    shop.write("//- base/ca.pem\nanother certificate\n//- web/site\nnot released\n");
    shop.commit("Change base and web");
    let before = bench.all_published(&IMAGES);
    shop.refit(&["build", "base", "--push"])
        .exits(0)
        .mentions("built on these and left as they are: shop and web")
        .mentions("hint: run `refit sweep` to patch them");
    let now = bench.all_published(&IMAGES);
    assert_eq!(
        (&now["web"], &now["shop"]),
        (&before["web"], &before["shop"])
    );
    shop.refit(&["sweep"]).exits(0);
    for image in IMAGES {
        assert_eq!(
            bench.file(image, AMD64, "etc/ssl/ca.pem").unwrap(),
            "another certificate\n"
        );
    }
    assert_eq!(
        bench.file("shop", AMD64, "srv/site").unwrap(),
        "hello\n",
        "web as it was released"
    );
}

#[test]
fn dependents_of_a_release_can_be_patched_at_once() {
    let bench = Bench::new();
    let shop = released(&bench, LINEAGE);
    shop.write("//- base/ca.pem\nanother certificate\n//- web/site\nnot released\n");
    shop.commit("Change base and web");
    let ran = shop
        .refit(&[
            "build",
            "base",
            "--push",
            "--with-dependents",
            "--format",
            "json",
        ])
        .exits(0)
        .json();
    assert_eq!(names(&ran), IMAGES);
    assert_eq!(
        bench.file("shop", AMD64, "etc/ssl/ca.pem").unwrap(),
        "another certificate\n"
    );
    assert_eq!(bench.file("shop", AMD64, "srv/site").unwrap(), "hello\n");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
}

#[test]
fn a_sweep_of_named_images_takes_their_parents_as_published() {
    let bench = Bench::new();
    let shop = released(&bench, LINEAGE);
    bench.push_base("1", "two", "two");
    bench.hub.forget_requests();
    shop.refit(&["sweep", "shop"])
        .exits(0)
        .mentions("nothing to do: 2 targets are");
    assert_eq!(bench.writes(), 0);
    let ran = shop
        .refit(&["sweep", "base", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(names(&ran), ["base"]);
    let ran = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(names(&ran), ["web", "shop"]);
}

#[test]
fn a_sweep_of_one_base_leaves_the_others_for_later() {
    let bench = Bench::new();
    bench.push_base("2", "one", "one");
    let shop = released(
        &bench,
        &format!(
            "{LINEAGE}//- api/Dockerfile\nFROM HUB/base/os:2\nCOPY --from=HUB/base/os:1 /etc/patch /other\n"
        ),
    );
    bench.push_base("1", "two", "two");
    bench.push_base("2", "two", "two");
    let base = bench.hosted("HUB/base/os:2");
    let ran = shop
        .refit(&["sweep", "--base", &base, "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(names(&ran), ["api"]);
    assert_eq!(bench.file("api", AMD64, "etc/patch").unwrap(), "two");
    assert_eq!(bench.file("api", AMD64, "other").unwrap(), "one");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("api", AMD64, "other").unwrap(), "two");
    assert_eq!(bench.file("shop", AMD64, "etc/patch").unwrap(), "two");
}

#[test]
fn a_forced_sweep_that_comes_to_the_same_moves_no_tag() {
    let bench = Bench::new();
    let shop = released(&bench, LINEAGE);
    let before = bench.all_published(&IMAGES);
    for _ in 0..2 {
        let said = shop.refit(&["sweep", "base", "--force"]).exits(0);
        said.mentions("base@linux/amd64 | COPY ca.pem /etc/ssl/")
            .mentions("base@linux/amd64: unchanged");
        assert_eq!(bench.all_published(&IMAGES), before);
    }
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
}

#[test]
fn an_image_on_hold_is_not_patched_and_its_children_stay_on_it() {
    let bench = Bench::new();
    let shop = released(&bench, LINEAGE);
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    shop.write(&format!("//- .config/refit.toml\n{config}\n[[image]]\nname = \"web\"\nhold = \"until the audit is over\"\n"));
    shop.commit("Hold web");
    bench.push_base("1", "two", "two");
    let ran = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(names(&ran), ["base"]);
    assert_eq!(
        ran["states"],
        json!([{"image": "web", "state": "held", "reason": "until the audit is over"}])
    );
    assert_eq!(bench.file("shop", AMD64, "etc/patch").unwrap(), "one");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("web: held: until the audit is over");
}

#[test]
fn a_pin_that_fell_behind_is_reported_or_followed() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let pinned = bench.hub.tag("base/os", "1").unwrap();
    let shop =
        bench.repository(&SINGLE.replace("HUB/base/os:1", &format!("HUB/base/os:1@{pinned}")));
    shop.refit(&["build", "--push"]).exits(0);
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is")
        .omits("pinned");
    bench.push_base("1", "two", "two");
    let now = bench.hub.tag("base/os", "1").unwrap();
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&said["states"], "state"), ["pinned"]);
    assert_eq!(
        (&said["states"][0]["pinned"], &said["states"][0]["current"]),
        (&json!(pinned), &json!(now))
    );
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "one");

    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    shop.write(&format!(
        "//- .config/refit.toml\n{config}pinned = \"follow\"\n"
    ));
    shop.commit("Follow");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "two");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
}

#[test]
fn a_line_that_is_rebuilt_from_its_tip_ships_what_is_committed() {
    let bench = Bench::new();
    let shop = released(&bench, LINEAGE);
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    shop.write(&format!(
        "//- .config/refit.toml\n{config}\n[sweep]\nrebuild-from = \"tip\"\n//- web/site\nnew\n"
    ));
    let tip = shop.commit("Ship every commit");
    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(plan["rebuild_from"], "tip");
    let ran = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(names(&ran), ["web", "shop"]);
    assert_eq!(bench.file("shop", AMD64, "srv/site").unwrap(), "new\n");
    assert_eq!(
        bench.index("shop").annotations["org.opencontainers.image.revision"],
        tip
    );
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
}

#[test]
fn the_same_sources_at_the_same_time_are_the_same_bytes() {
    let published = || {
        let bench = Bench::new();
        let shop = bench.repository(
            "//- .config/refit.toml\nversion = 1\n[[image]]\nname = \"web\"\ncontext = \"web\"\n\
             platforms = [\"linux/amd64\", \"linux/arm64\"]\n//- web/Dockerfile\nFROM scratch\nCOPY page /\n//- web/page\none\n",
        );
        let epoch = [("SOURCE_DATE_EPOCH", "1795341600")];
        let ran = shop
            .refit_with(&epoch, &["build", "--push", "--format", "json"])
            .exits(0)
            .json();
        let records = shop.records();
        assert_eq!(
            records.matches(r#""at":"2026-11-22T10:00:00Z""#).count(),
            3,
            "{records}"
        );
        ran["images"][0]["reference"].clone()
    };
    assert_eq!(published(), published());
}
