//! Further tags, unique tags, further registries.

use refit_testkit::registry::{Options, TestRegistry};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, texts},
    checkout::Checkout,
};

/// One image, released on base `one`. `KEYS` are the configuration's own.
fn released<'b>(bench: &'b Bench, push_to: &str, keys: &str) -> Checkout<'b> {
    bench.push_base("1", "one", "one");
    let files = r#"
//- .config/refit.toml
version = 1
push-to = [PUSH_TO]
[[image]]
name = "web"
context = "web"
KEYS
//- web/Dockerfile
FROM HUB/base/os:1
COPY page /srv/
//- web/page
one
"#;
    let shop = bench.repository(&files.replace("PUSH_TO", push_to).replace("KEYS", keys));
    shop.refit(&["build", "--push"]).exits(0);
    shop
}

fn tag_of(bench: &Bench, tag: &str) -> Option<refit_oci::Digest> {
    bench.hub.tag("team/web", tag)
}

/// Whether each tag of a run's only image moved.
fn moved(ran: &Value) -> Vec<(String, bool)> {
    let tags = ran["images"][0]["tags"].as_array().unwrap().iter();
    let name = |tag: &Value| {
        tag["tag"]
            .as_str()
            .unwrap()
            .rsplit_once('/')
            .unwrap()
            .1
            .to_owned()
    };
    tags.map(|tag| (name(tag), tag["moved"] == true)).collect()
}

#[test]
fn a_unique_tag_is_written_once_and_never_by_a_patch() {
    let bench = Bench::new();
    let shop = released(
        &bench,
        r#""HUB/team""#,
        r#"unique-tags = ["{{.Run.Commit}}"]"#,
    );
    let first = shop.git(&["rev-parse", "HEAD"]);
    let released = tag_of(&bench, &first);
    assert_eq!(released, Some(bench.published("web")));

    bench.push_base("1", "two", "two");
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(moved(&swept), [("web:latest".to_owned(), true)]);
    assert_ne!(released, tag_of(&bench, "latest"));
    assert_eq!(released, tag_of(&bench, &first), "a patch is no release");

    // The same commit once more, with something to do: its tag stays what it was.
    bench.push_base("1", "three", "three");
    let again = shop
        .refit(&["build", "--push", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(
        moved(&again),
        [
            ("web:latest".to_owned(), true),
            (format!("web:{first}"), false)
        ]
    );
    assert_eq!(released, tag_of(&bench, &first));

    shop.write("//- web/page\ntwo\n");
    let second = shop.commit("Change the page");
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(tag_of(&bench, &second), Some(bench.published("web")));
    assert_eq!(released, tag_of(&bench, &first));
}

#[test]
fn a_further_tag_moves_with_the_lead_unless_somebody_moved_it() {
    let bench = Bench::new();
    let shop = released(&bench, r#""HUB/team""#, r#"tags = ["latest", "1.4", "1"]"#);
    let first = bench.published("web");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    let second = bench.published("web");
    for tag in ["1.4", "1"] {
        assert_eq!(tag_of(&bench, tag).as_ref(), Some(&second));
    }
    bench.retag_as("web", &first, "1.4");
    bench.push_base("1", "three", "three");
    let said = shop.refit(&["sweep"]).exits(0);
    said.mentions(&format!(
        "team/web:1.4 did not move: it holds {}",
        first.short()
    ));
    assert_eq!(tag_of(&bench, "1.4").as_ref(), Some(&first));
    assert_eq!(tag_of(&bench, "1"), tag_of(&bench, "latest"));

    // It is not forgotten, and not taken either.
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&said["states"], "state"), ["behind"]);
    assert_eq!(said["states"][0]["digest"], json!(first));
    shop.refit(&["sweep"]).exits(0).mentions("web: behind:");
    bench.push_base("1", "four", "four");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(tag_of(&bench, "1.4"), Some(first));
}

#[test]
fn a_tag_that_is_new_to_the_configuration_is_written_by_the_next_patch() {
    let bench = Bench::new();
    let shop = released(&bench, r#""HUB/team""#, "");
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    shop.write(&format!(
        "//- .config/refit.toml\n{config}tags = [\"latest\", \"stable\"]\n"
    ));
    shop.commit("One more tag");
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&said["states"], "state"), ["behind"]);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(tag_of(&bench, "stable"), tag_of(&bench, "latest"));
    // Removed by hand, it stays away until a release.
    bench.hub.delete_tag("team/web", "stable");
    bench.push_base("1", "three", "three");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(tag_of(&bench, "stable"), None);
    shop.write("//- web/page\ntwo\n");
    shop.commit("Change the page");
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(tag_of(&bench, "stable"), tag_of(&bench, "latest"));
}

#[test]
fn a_further_registry_gets_the_same_bytes() {
    let bench = Bench::new();
    let mirror = TestRegistry::start(Options::default());
    let push_to = format!(r#""HUB/team", "{}/mirror""#, mirror.host());
    let shop = released(
        &bench,
        &push_to,
        r#"platforms = ["linux/amd64", "linux/arm64"]"#,
    );
    let is_mirrored = || {
        let index = bench.published("web");
        assert_eq!(mirror.tag("mirror/web", "latest"), Some(index.clone()));
        for digest in std::iter::once(&index).chain(bench.manifests("web").values()) {
            assert_eq!(
                mirror.document("mirror/web", digest),
                bench.hub.document("team/web", digest)
            );
        }
    };
    is_mirrored();
    bench.push_base("1", "one", "two");
    shop.refit(&["sweep"]).exits(0);
    is_mirrored();
    mirror.forget_requests();
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 2 targets are");
    assert_eq!(
        mirror.count("*", ""),
        0,
        "what the records say was moved is not looked after"
    );
}

#[test]
fn a_further_registry_that_is_down_is_left_behind_and_catches_up() {
    let bench = Bench::new();
    let mut mirror = TestRegistry::start(Options::default());
    let push_to = format!(r#""HUB/team", "{}/mirror""#, mirror.host());
    let shop = released(&bench, &push_to, "");
    let before = mirror.tag("mirror/web", "latest");
    let host = mirror.host();

    mirror.stop();
    bench.push_base("1", "two", "two");
    let said = shop.refit(&["sweep"]).exits(0);
    said.mentions(&format!(
        "{host}/mirror/web:latest did not move: behind: `{host}` cannot be reached"
    ));
    assert_eq!(
        bench.file("web", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
    mirror.resume();
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(
        said["states"],
        json!([{
            "image": "web", "state": "behind", "tag": format!("{host}/mirror/web:latest"),
            "digest": before, "published": bench.published("web"),
        }])
    );

    bench.push_base("1", "three", "three");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        mirror.tag("mirror/web", "latest"),
        Some(bench.published("web"))
    );
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(said["states"], json!([]));
}

#[test]
fn a_lead_registry_that_is_down_stops_its_images_and_nothing_moves() {
    let bench = Bench::new();
    let mut lead = TestRegistry::start(Options::default());
    let push_to = format!(r#""{}/team", "HUB/team""#, lead.host());
    let shop = released(&bench, &push_to, "");
    let before = bench.published("web");
    lead.stop();
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"])
        .exits(2)
        .mentions("web: unreachable:")
        .mentions(&format!("`{}` cannot be reached", lead.host()));
    assert_eq!(bench.published("web"), before);
    lead.resume();
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(lead.tag("team/web", "latest"), Some(bench.published("web")));
    assert_ne!(bench.published("web"), before);
}

#[test]
fn an_image_without_moving_tags_is_built_by_name_only() {
    let bench = Bench::new();
    let shop = released(
        &bench,
        r#""HUB/team""#,
        "tags = []\nunique-tags = [\"{{.Run.Commit}}\"]",
    );
    let commit = shop.git(&["rev-parse", "HEAD"]);
    assert_eq!(tag_of(&bench, &commit), None);
    shop.refit(&["build", "web", "--push"]).exits(0);
    let unique = tag_of(&bench, &commit);
    assert!(unique.is_some());
    shop.refit(&["build", "web", "--push"]).exits(0);
    assert_eq!(tag_of(&bench, &commit), unique);
    bench.push_base("1", "two", "two");
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&said["states"], "state"), ["no-moving-tag"]);
}
