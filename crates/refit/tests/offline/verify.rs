//! `refit verify`, and patches that come to what is published.

use refit_oci::{Document, Exact, media_type};
use refit_testkit::registry::Fault;
use serde_json::Value;

use crate::{
    bench::{Bench, texts},
    checkout::Checkout,
    fixtures::LINEAGE,
};

fn released(bench: &Bench) -> Checkout<'_> {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    shop
}

#[track_caller]
fn findings(shop: &Checkout<'_>, exits: i32) -> Vec<String> {
    let found: Value = shop
        .refit(&["verify", "--format", "json"])
        .exits(exits)
        .json();
    assert_eq!(found["format_version"], 1);
    let mut names = texts(&found["findings"], "finding");
    names.dedup();
    names
}

#[test]
fn what_was_released_and_patched_agrees() {
    let bench = Bench::new();
    let shop = released(&bench);
    bench.hub.forget_requests();
    shop.refit(&["verify"])
        .exits(0)
        .mentions("3 images looked at: what is published agrees with git and the registry");
    assert_eq!(bench.writes(), 0);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(findings(&shop, 0), [""; 0]);
}

#[test]
fn a_tag_that_somebody_moved_and_a_base_that_is_gone_are_found() {
    let bench = Bench::new();
    let shop = released(&bench);
    let first = bench.published("web");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    bench.retag("web", &first);
    assert_eq!(findings(&shop, 1), ["moved-elsewhere"]);
    shop.refit(&["verify", "web"])
        .exits(1)
        .mentions("its tag does not hold what was published last")
        .mentions("1 finding in what is published");
    shop.refit(&["verify", "base"]).exits(0);
    shop.refit(&["verify", "wbe"])
        .exits(2)
        .mentions("did you mean `web`?");
    for manifest in bench
        .index_at("base/os", &bench.hub.tag("base/os", "1").unwrap())
        .manifests
    {
        let path = format!("/v2/base/os/manifests/{}", manifest.digest);
        bench
            .hub
            .fail("HEAD", &path, usize::MAX, Fault::Status(404));
    }
    let found = shop.refit(&["verify", "base"]).exits(1);
    found.mentions("base-gone");
}

#[test]
fn a_manifest_that_lies_about_its_source_is_found() {
    let bench = Bench::new();
    let shop = released(&bench);
    // An index of refit's form, with manifests that name another source and other pins.
    let mut index = bench.index("base");
    for entry in &mut index.manifests {
        let bytes = bench.hub.document("team/base", &entry.digest).unwrap();
        let Document::Manifest(mut manifest) = Document::decode(None, bytes).unwrap() else {
            panic!("an index in an index");
        };
        let source = format!("s1:{}", "0".repeat(64));
        let said = [("dev.refit.source".to_owned(), source)];
        manifest.value.annotations.extend(said);
        let manifest = Exact::encode(media_type::OCI_MANIFEST, manifest.value);
        entry.digest = manifest.digest.clone();
        entry.size = manifest.bytes.len() as u64;
        bench
            .hub
            .put_document("team/base", "forged", &Document::Manifest(manifest));
    }
    let replaced = bench.published("base").to_string();
    index
        .annotations
        .insert("dev.refit.replaces".to_owned(), replaced);
    let index = Exact::encode(media_type::OCI_INDEX, index);
    bench
        .hub
        .put_document("team/base", "latest", &Document::Index(index));
    shop.refit(&["verify", "base"])
        .exits(1)
        .mentions("source-differs");
}

#[test]
fn a_patch_that_comes_to_what_is_published_moves_nothing() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let tools = |patch: &str| {
        let files: [&[(&str, &str)]; 1] = [&[("usr/bin/tool", "tool"), ("etc/patch", patch)]];
        let images = ["linux/amd64", "linux/arm64"]
            .map(|platform| refit_testkit::registry::Image::new(platform, &files));
        bench.hub.put_index("base/tools", "1", &images);
    };
    tools("one");
    let shop = bench.repository(&format!(
        "{LINEAGE}//- base/Dockerfile\nFROM HUB/base/tools:1 AS tools\nFROM HUB/base/os:1\n\
         COPY --from=tools /usr/bin/tool /usr/bin/\n"
    ));
    shop.refit(&["build", "--push"]).exits(0);
    let images = ["base", "web", "shop"];
    let before = bench.all_published(&images);

    tools("two");
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(
        swept["images"][0]["targets"][0]["action"], "keep",
        "{swept}"
    );
    assert_eq!(bench.all_published(&images), before);
    // It is known to be fresh from now on, here and from the staging tag.
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets");
    shop.refit(&["verify"]).exits(0);
    shop.git(&["update-ref", "-d", "refs/notes/refit-records"]);
    bench.hub.forget_requests();
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets");
    assert_eq!(bench.writes(), 0);
    assert_eq!(bench.all_published(&images), before);

    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
        "two"
    );
}
