//! What was put in the place of something of ours, and documents of all shapes.

use refit_oci::{Document, Exact, Index, Manifest, media_type};
use refit_testkit::registry::index;
use serde_json::json;

use super::Made;
use crate::{
    bench::{Bench, os, texts},
    checkout::publishes,
    fixtures::{LINEAGE, SINGLE},
};

const REVISION: &str = "org.opencontainers.image.revision";

#[test]
fn what_another_tool_pushed_after_us_is_taken_only_by_name() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    let commit = shop.git(&["rev-parse", "HEAD"]);
    let ours = publishes(&shop, "web")[0]["id"].clone();
    Made::on("one")
        .labelled(REVISION, &commit)
        .push(&bench.hub, "web");
    bench.push_base("1", "two", "two");
    let states = |args: &[&str], code| {
        let said = shop.refit(&[args, &["--format", "json"]].concat());
        texts(&said.exits(code).json()["states"], "state")
    };
    assert_eq!(states(&["status"], 0), ["foreign"]);
    assert_eq!(states(&["sweep"], 0), ["foreign"]);
    assert_eq!(states(&["sweep", "--dry-run"], 0), ["foreign"]);
    assert_eq!(states(&["adopt"], 1), ["foreign"]);
    assert_eq!(states(&["adopt", "web"], 0), Vec::<String>::new());
    assert!(
        shop.records().contains(&format!("\"after\":{ours}")),
        "{}",
        shop.records()
    );
    shop.refit(&["sweep"]).exits(0);
    let file = |path| bench.file("web", "linux/amd64", path).unwrap();
    assert_eq!(file("etc/patch"), "two");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
}

#[test]
fn a_rollback_by_hand_is_taken_by_name_and_patched_from_its_own_commit() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let released = bench.published("web");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    bench.retag("web", &released);
    shop.refit(&["sweep"]).exits(0).mentions("moved-elsewhere");
    let adopted = shop
        .refit(&["adopt", "web", "--format", "json"])
        .exits(0)
        .json();
    let platforms = adopted["adoptions"][0]["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), 2);
    assert_eq!(
        platforms[0]["assumed"],
        json!([]),
        "our own records say what it was built on"
    );
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("web", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
}

#[test]
fn a_single_manifest_in_dockers_format_is_adopted_and_becomes_an_index() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let commit = shop.git(&["rev-parse", "HEAD"]);
    let single = Made::on("one")
        .labelled(REVISION, &commit)
        .push_single(&bench.hub, "web");
    shop.refit(&["adopt"])
        .exits(0)
        .mentions("1 image was adopted");
    // One more platform: the other is kept, and was never in an index.
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    let platforms = "platforms = [\"linux/amd64\", \"linux/arm64\"]";
    shop.write(&format!("//- .config/refit.toml\n{config}{platforms}\n"));
    shop.commit("One more platform");
    shop.refit(&["sweep"]).exits(0);
    let manifests = bench.manifests("web");
    assert_eq!(manifests["linux/amd64"], single);
    assert_eq!(manifests.len(), 2);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    for platform in ["linux/amd64", "linux/arm64"] {
        assert_eq!(bench.file("web", platform, "etc/patch").unwrap(), "two");
    }
}

#[test]
fn indexes_of_all_shapes_are_read_as_those_who_pull_them_do() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let commit = shop.git(&["rev-parse", "HEAD"]);
    let image = Made::on("one").labelled(REVISION, &commit).image();
    let arm = os("linux/arm64", "one");
    bench
        .hub
        .put_index("team/web", "", &[image.clone(), arm.clone()]);
    let whole = index(&[image.clone(), arm.clone()]);
    let with = |change: &dyn Fn(&mut Index)| {
        let mut value = whole.value.clone();
        change(&mut value);
        Document::Index(Exact::encode(media_type::OCI_INDEX, value))
    };
    let adoptable = |document: &Document| {
        bench.hub.put_document("team/web", "latest", document);
        let status = shop.refit(&["status", "--format", "json"]).exits(0).json();
        texts(&status["states"], "state")
    };
    let entry_without_platform = with(&|index| {
        index.manifests.truncate(1);
        index.manifests[0].platform = None;
    });
    assert_eq!(adoptable(&entry_without_platform), ["adoptable"]);
    let twice = with(&|index| {
        let mut again = index.manifests[1].clone();
        again.platform.clone_from(&index.manifests[0].platform);
        index.manifests.push(again);
    });
    assert_eq!(adoptable(&twice), ["adoptable"]);
    // Its platform is not there: it is added.
    let other_platform = with(&|index| _ = index.manifests.remove(0));
    bench
        .hub
        .put_document("team/web", "latest", &other_platform);
    let status = shop.refit(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(
        texts(&status["states"], "state"),
        ["release-source-unknown"]
    );
    // No image at all.
    let empty = with(&|index| index.manifests.clear());
    assert_eq!(adoptable(&empty), ["foreign"]);
    let config = bench
        .hub
        .put_blob("team/web", "application/vnd.oci.empty.v1+json", b"{}");
    let artifact = Manifest::new(config, Vec::new(), std::collections::BTreeMap::new());
    let artifact = Document::Manifest(Exact::encode(media_type::OCI_MANIFEST, artifact));
    assert_eq!(adoptable(&artifact), ["foreign"]);
}

/// A patch is built from the commit that the index of ours names, so no record is written that says another.
#[test]
fn an_index_of_ours_has_the_commit_that_it_names_and_no_other() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let first = shop.git(&["rev-parse", "HEAD"]);
    shop.refit(&["build", "--push"]).exits(0);
    let released = bench.published("web");
    shop.write("//- web/page\ntwo\n");
    let second = shop.commit("Change the page");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    bench.retag("web", &released);
    let notes = shop.notes();
    let refused = shop.refit(&["adopt", "web", "--source", &second]).exits(1);
    let own = format!(
        "web: release-source-known: its own index says that it was built from commit {}",
        &first[..12]
    );
    refused
        .mentions(&own)
        .mentions("hint: `refit adopt web` takes it as it is; `refit build web --push` releases another commit");
    let dockerfile = format!("{first}:web/Dockerfile");
    shop.refit(&["adopt", "web", "--source", &dockerfile])
        .exits(1)
        .mentions("release-source-known");
    assert_eq!(shop.notes(), notes, "nothing is recorded");
    // Its own commit is what it says itself.
    shop.refit(&["adopt", "web", "--source", &first]).exits(0);
    shop.refit(&["adopt", "web", "--source", &second])
        .exits(1)
        .mentions("release-source-known");
    shop.refit(&["sweep"]).exits(0);
    let file = |path| bench.file("web", "linux/amd64", path).unwrap();
    assert_eq!(
        (file("etc/patch"), file("srv/page")),
        ("two".into(), "one\n".into())
    );
}
