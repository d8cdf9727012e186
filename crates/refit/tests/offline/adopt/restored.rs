//! Records that are lost of an index of ours in which another tool's manifest was kept.

use refit_oci::annotations;

use super::{SHOP, made::Made};
use crate::bench::Bench;

#[test]
fn what_a_kept_manifest_was_built_on_is_restored_from_its_provenance() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let base = bench.hub.tag("base/os", "1").unwrap();
    let shop = bench.repository(SHOP);
    let commit = shop.git(&["rev-parse", "HEAD"]);
    let name = format!("{}/base/os:1", bench.hub.host());
    let ours = |image: &str| {
        Made::on("one")
            .indexed(annotations::IMAGE, image)
            .indexed(annotations::REVISION, &commit)
            .indexed(annotations::CREATED, "2026-03-01T00:00:00Z")
    };
    ours("attested").push_attested(&bench.hub, "attested", (&name, &base, &commit));
    // Its provenance is about another base, so nothing is known of this one.
    let other = format!("{}/base/other:1", bench.hub.host());
    ours("annotated").push_attested(&bench.hub, "annotated", (&other, &base, &commit));
    bench.push_base("1", "two", "two");

    let restore = ["notes", "restore", "--from-registry"];
    shop.refit(&restore)
        .exits(0)
        .mentions("2 publications and 1 build are recorded");
    let records = shop.records();
    let builds = records
        .lines()
        .filter(|line| line.contains("\"type\":\"build\""));
    let [build] = builds.collect::<Vec<_>>()[..] else {
        panic!("{records}");
    };
    let build: serde_json::Value = serde_json::from_str(build).unwrap();
    assert_eq!(build["image"], "attested");
    assert_eq!(build["how"], "restored");
    assert_eq!(build["commit"], commit.as_str());
    assert_eq!(build["at"], "2026-03-01T00:00:00Z");
    assert_eq!(build["deps"][0]["reference"], name.as_str());
    assert_eq!(build["deps"][0]["index"], base.as_str());
    let status = shop.refit(&["status", "--format", "json"]).exits(0).json();
    let targets = status["targets"].as_array().unwrap();
    let attested = targets.iter().find(|of| of["image"] == "attested").unwrap();
    assert_eq!(attested["status"], "stale", "{status:#}");
    shop.refit(&restore)
        .exits(0)
        .mentions("no record is missing that a registry has");
}
