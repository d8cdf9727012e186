//! Registries that send what no honest one does, or forget what they were given: nothing is built on it, nothing is
//! lost, and the next sweep does the job.

use std::{collections::BTreeMap, fmt::Write as _, process::Child};

use refit_oci::{Descriptor, Digest, Document, Exact, Index, Platform, media_type};
use refit_testkit::registry::{Fault, Gate, Image};

use crate::{
    bench::{Bench, os},
    checkout::Checkout,
    fixtures::{IMAGES, LINEAGE},
};

const AMD64: &str = "linux/amd64";

/// Released on base `one`.
fn released(bench: &Bench) -> Checkout<'_> {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    shop
}

/// A sweep that stands before a request, and the gate that lets it go on.
#[track_caller]
fn held(bench: &Bench, shop: &Checkout<'_>, method: &str, path: &str) -> (Child, Gate) {
    let gate = Gate::default();
    bench.hub.fail(method, path, 1, Fault::Held(gate.clone()));
    let sweep = shop.start(&["sweep"]);
    assert!(gate.wait());
    (sweep, gate)
}

/// The base becomes what it should be: a sweep patches everything.
#[track_caller]
fn recovers(bench: &Bench, shop: &Checkout<'_>) {
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    for image in IMAGES {
        assert_eq!(bench.file(image, AMD64, "etc/patch").unwrap(), "two");
    }
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
}

/// Puts any index under the base's tag, whether its children are there or not.
fn put_index(bench: &Bench, entries: Vec<Descriptor>) -> Digest {
    let index = Exact::encode(media_type::OCI_INDEX, Index::new(entries, BTreeMap::new()));
    let hub = &bench.hub;
    hub.put_raw(
        "base/os",
        &index.digest,
        media_type::OCI_INDEX,
        &index.bytes,
    );
    hub.tag_raw("base/os", "1", &index.digest);
    index.digest
}

fn entry(document: &Document, platform: &str) -> Descriptor {
    Descriptor {
        platform: Some(platform.parse().unwrap()),
        ..Descriptor::of(document.media_type(), document.bytes())
    }
}

#[test]
fn a_layer_that_climbs_out_of_its_image_is_never_built_on() {
    let bench = Bench::new();
    let shop = released(&bench);
    let before = bench.all_published(&IMAGES);
    let climbing = ["linux/amd64", "linux/arm64"]
        .map(|platform| Image::new(platform, &[&[("../../etc/passwd", "root::0:0:::")]]));
    bench.hub.put_index("base/os", "1", &climbing);
    shop.refit(&["sweep"])
        .exits(1)
        .mentions("the archive's path `../../etc/passwd` does not stay inside its root");
    assert_eq!(bench.all_published(&IMAGES), before);
    recovers(&bench, &shop);
}

#[test]
fn an_index_of_ten_thousand_entries_is_read() {
    let bench = Bench::new();
    let shop = released(&bench);
    let images = [AMD64, "linux/arm64"].map(|platform| os(platform, "many"));
    let mut entries = Vec::new();
    for image in &images {
        bench.hub.put_image("base/os", "", image);
        let document = Document::Manifest(image.manifest.clone());
        entries.push(entry(&document, &image.platform.to_string()));
    }
    entries.extend((0..10_000).map(|i| Descriptor {
        platform: Some(Platform::new("linux", &format!("cpu{i}"), None)),
        ..Descriptor::of(media_type::OCI_MANIFEST, i.to_string().as_bytes())
    }));
    put_index(&bench, entries);
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("shop", AMD64, "etc/patch").unwrap(), "many");
    recovers(&bench, &shop);
}

#[test]
fn an_index_in_an_index_is_no_image_of_a_platform() {
    let bench = Bench::new();
    let shop = released(&bench);
    let before = bench.all_published(&IMAGES);
    // Each names the one before it, so that a reader who followed them would go deep.
    let mut inner = put_index(&bench, Vec::new());
    for _ in 0..50 {
        let bytes = bench.hub.document("base/os", &inner).unwrap();
        let document = Document::decode(Some(media_type::OCI_INDEX), bytes).unwrap();
        let platforms = [AMD64, "linux/arm64"];
        let entries = platforms.map(|platform| entry(&document, platform));
        inner = put_index(&bench, entries.to_vec());
    }
    let said = shop.refit(&["sweep"]);
    assert!(matches!(said.code, Some(1 | 2)), "{said}");
    said.mentions("nested-index");
    assert_eq!(bench.all_published(&IMAGES), before);
    recovers(&bench, &shop);
}

#[test]
fn staging_tags_that_vanish_before_the_tags_move_are_not_needed() {
    let bench = Bench::new();
    let shop = released(&bench);
    bench.push_base("1", "two", "two");
    let (mut sweep, gate) = held(&bench, &shop, "PUT", "/v2/team/base/manifests/latest");
    for image in IMAGES {
        let repository = format!("team/{image}");
        for tag in bench.hub.tags(&repository) {
            if tag.starts_with("refit-") {
                bench.hub.delete_tag(&repository, &tag);
            }
        }
    }
    gate.open();
    assert_eq!(sweep.wait().unwrap().code(), Some(0));
    recovers_at_once(&bench, &shop);
}

/// Everything is patched already.
#[track_caller]
fn recovers_at_once(bench: &Bench, shop: &Checkout<'_>) {
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
    for image in IMAGES {
        assert_eq!(bench.file(image, AMD64, "etc/patch").unwrap(), "two");
    }
}

#[test]
fn a_base_that_moves_between_plan_and_apply_is_built_on_as_planned() {
    let bench = Bench::new();
    let shop = released(&bench);
    bench.push_base("1", "two", "two");
    let (mut sweep, gate) = held(&bench, &shop, "POST", "/v2/team/base/blobs/uploads/");
    bench.push_base("1", "three", "three");
    gate.open();
    assert_eq!(sweep.wait().unwrap().code(), Some(0));
    let mut told = String::new();
    for image in IMAGES {
        let patch = bench.file(image, AMD64, "etc/patch").unwrap();
        write!(told, "{image} {patch} ").unwrap();
    }
    assert_eq!(told, "base two web two shop two ");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("shop", AMD64, "etc/patch").unwrap(), "three");
}
