//! What an image is explained by: bases that are gone, triggers of bases, one image used twice.

use refit_oci::{Config, Digest};
use refit_testkit::registry::Image;

use super::{Made, asked, made::base_manifest};
use crate::{
    bench::{Bench, texts},
    fixtures::SINGLE,
};

const REVISION: &str = "org.opencontainers.image.revision";
const DAY: u64 = 24 * 60 * 60;

/// A registry that has collected what an image was built on says so once a day, not in each run.
#[test]
fn what_a_registry_does_not_have_any_more_is_asked_for_once_a_day() {
    let bench = Bench::new();
    bench.push_base("1", "two", "two");
    let shop = bench.repository(SINGLE);
    let commit = shop.git(&["rev-parse", "HEAD"]);
    let name = format!("{}/base/os:1", bench.hub.host());
    let old = base_manifest("one");
    Made::on("one").push_attested(&bench.hub, "web", (&name, &old, &commit));
    let status = |now: u64| {
        bench.hub.forget_requests();
        let now = now.to_string();
        let said = shop.refit_with(
            &[("SOURCE_DATE_EPOCH", &now)],
            &["status", "--format", "json"],
        );
        let targets = said.exits(0).json()["targets"].clone();
        (texts(&targets, "status").join(""), asked(&bench.hub, "GET"))
    };
    let now = 1_795_341_600;
    let (word, first) = status(now);
    assert_eq!((word.as_str(), first > 0), ("stale", true));
    assert_eq!(status(now + DAY - 1), ("stale".to_owned(), 0));
    assert_eq!(status(now + DAY), ("stale".to_owned(), 1));
    assert_eq!(status(now + DAY + 1), ("stale".to_owned(), 0));
    // Once the tag holds it again nobody waits for the day to be over.
    bench.push_base("1", "one", "one");
    let (word, n) = status(now + DAY + 2);
    assert_eq!((word.as_str(), n > 0), ("fresh", true));
}

#[test]
fn what_a_trigger_of_its_base_copies_from_is_adopted_with_the_rest() {
    let bench = Bench::new();
    let host = bench.hub.host();
    let base: &[(&str, &str)] = &[("etc/patch", "one")];
    let config = Config {
        on_build: vec![format!("COPY --from={host}/base/tool:1 etc/patch /tool")],
        ..Config::default()
    };
    let base = Image::with_config("linux/amd64", &[base], config);
    bench.hub.put_index("base/os", "1", &[base]);
    let tool = |patch: &str| {
        let tool = crate::bench::os("linux/amd64", patch);
        bench.hub.put_index("base/tool", "1", &[tool])
    };
    tool("one");
    let shop = bench.repository(SINGLE);
    let commit = shop.git(&["rev-parse", "HEAD"]);
    Made::on("one")
        .labelled(REVISION, &commit)
        .push(&bench.hub, "web");
    let adopted = shop.refit(&["adopt", "--format", "json"]).exits(0).json();
    let platform = &adopted["adoptions"][0]["platforms"][0];
    let of = |key: &str| texts(&platform[key], "reference");
    assert_eq!(of("pins"), [format!("{host}/base/os:1")]);
    assert_eq!(of("assumed"), [format!("{host}/base/tool:1")]);
    let word = || {
        let status = shop.refit(&["status", "--format", "json"]).exits(0).json();
        let targets = &status["targets"];
        (
            texts(targets, "status").join(""),
            targets[0]["reasons"].clone(),
        )
    };
    assert_eq!(word().0, "fresh");
    // Nothing of it has changed: no release is due.
    let release = ["build", "--push", "--dry-run", "--format", "json"];
    let release = shop.refit(&release).exits(0).json();
    assert_eq!(release["steps"], serde_json::json!([]));
    tool("two");
    let (word, reasons) = word();
    assert_eq!(word, "stale");
    assert_eq!(
        texts(&reasons, "reference"),
        [format!("{host}/base/tool:1")]
    );
}

#[test]
fn an_image_that_is_used_twice_is_told_once() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\n[[images]]\nfiles = \"*/Dockerfile\"\n\
         name = \"{dir}\"\n//- web/Dockerfile\nFROM HUB/base/os:1 AS a\nFROM HUB/base/os:1\nCOPY --from=a etc/patch /p\n\
         COPY --from=HUB/base/os:1 etc/patch /q\n",
    );
    let commit = shop.git(&["rev-parse", "HEAD"]);
    let name = format!("{}/base/os:1", bench.hub.host());
    let base: Digest = bench.hub.tag("base/os", "1").unwrap();
    Made::on("one").push_attested(&bench.hub, "web", (&name, &base, &commit));
    let said = shop.refit(&["adopt"]).exits(0);
    assert_eq!(said.stdout.matches(&name).count(), 1, "{said}");
    shop.refit(&["status"])
        .exits(0)
        .mentions("none of 1 target is stale");
}
