//! Other clones: with the notes of a remote, and with nothing but what the registry holds.

use std::path::Path;

use refit_testkit::engines::Version;
use serde_json::json;

use crate::{bench::Bench, hub::Hub, lineage};

#[test]
fn needs_engine_docker20_a_clone_without_notes_sweeps_by_the_annotations() {
    let (hub, bench) = lineage::released(Version::V20);
    let clone = bench.beside("clone");
    bench
        .git(&["clone", "--quiet", ".", clone.to_str().unwrap()])
        .exits(0);
    bench
        .git_in(&clone, &["remote", "remove", "origin"])
        .exits(0);
    assert_eq!(
        bench.git_in(&clone, &["for-each-ref", "refs/notes"]).line(),
        ""
    );

    let said = bench.refit_in(&clone, &["sweep"]).exits(0);
    said.mentions("nothing to do: 6 targets are built on what the bases are now")
        .mentions("no records");
    assert_eq!(
        bench.git_in(&clone, &["for-each-ref", "refs/notes"]).line(),
        "",
        "a sweep without work writes none"
    );

    let before = hub.manifests("team/shop:latest");
    hub.push_base("1", "2");
    let plan = bench
        .refit_in(&clone, &["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    let targets: Vec<_> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["target"].clone())
        .collect();
    assert_eq!(
        targets,
        ["base@linux/arm64", "web@linux/arm64", "shop@linux/arm64"]
    );
    bench.refit_in(&clone, &["sweep"]).exits(0);
    let after = hub.manifests("team/shop:latest");
    assert_eq!(after["amd64"], before["amd64"]);
    assert_ne!(after["arm64"], before["arm64"]);
    assert_eq!(
        hub.file("team/shop", &after["arm64"], "etc/os-patch")
            .as_deref(),
        Some("2")
    );
    bench
        .refit_in(&clone, &["sweep"])
        .exits(0)
        .mentions("nothing to do");

    // The first repository's notes know nothing of that sweep: its indexes follow from the last recorded ones.
    bench
        .refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are built on what the bases are now");
}

#[test]
fn needs_engine_docker26_notes_travel_through_the_remote() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(Version::V26);
    lineage::write(&bench, &hub);
    bench.commit("three images");
    let origin = bench.beside("origin.git");
    bench
        .git(&["clone", "--quiet", "--bare", ".", origin.to_str().unwrap()])
        .exits(0);
    bench
        .git(&["remote", "add", "origin", origin.to_str().unwrap()])
        .exits(0);
    bench.git(&["fetch", "--quiet", "origin"]).exits(0);
    bench.refit(&["build", "base", "web", "--push"]).exits(0);
    let notes = |folder: &Path| {
        bench
            .git_in(
                folder,
                &[
                    "for-each-ref",
                    "--format=%(refname) %(objectname)",
                    "refs/notes",
                ],
            )
            .exits(0)
            .line()
    };
    assert_eq!(notes(&bench.repository()), notes(&origin));

    // A disposable machine: clone, sweep, gone. A shallow clone has all it needs.
    hub.push_base("2", "1");
    let runner = bench.beside("runner");
    let url = format!("file://{}", origin.display());
    bench
        .git(&[
            "clone",
            "--quiet",
            "--depth=1",
            &url,
            runner.to_str().unwrap(),
        ])
        .exits(0);
    let ran = bench
        .refit_in(&runner, &["sweep", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(ran["failed"], json!([]));
    assert_eq!(notes(&runner), notes(&origin));
    bench
        .refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 4 targets are built on what the bases are now");
    assert_eq!(notes(&bench.repository()), notes(&origin));

    // Notes that can't be reached: rollbacks and holds are unknown, so nothing is done.
    std::fs::rename(&origin, bench.beside("moved.git")).unwrap();
    let before = hub.digest("team/web:latest");
    hub.push_base("3", "1");
    bench
        .refit(&["sweep"])
        .exits(2)
        .mentions("notes of `origin`");
    assert_eq!(hub.digest("team/web:latest"), before);
}

#[test]
fn needs_engine_docker26_records_are_restored_from_what_the_registry_holds() {
    let (hub, bench) = lineage::released(Version::V26);
    hub.push_base("1", "2");
    bench.refit(&["sweep"]).exits(0);
    hub.push_base("2", "2");
    let asked = || {
        let mut status = bench.refit(&["status", "--format", "json"]).exits(0).json();
        status.as_object_mut().unwrap().remove("requests");
        assert!(status["last_sweeps"]["main"].is_string(), "{status}");
        // No image says when it was swept.
        status["last_sweeps"] = serde_json::json!({});
        status
    };
    let before = asked();
    let clone = bench.beside("clone");
    bench
        .git(&["clone", "--quiet", ".", clone.to_str().unwrap()])
        .exits(0);
    bench
        .git_in(&clone, &["remote", "remove", "origin"])
        .exits(0);
    bench
        .refit_in(&clone, &["notes", "restore", "--from-registry"])
        .exits(0)
        .mentions("6 publications and ");
    let mut after = bench
        .refit_in(&clone, &["status", "--format", "json"])
        .exits(0)
        .json();
    after.as_object_mut().unwrap().remove("requests");
    assert_eq!(after, before);
    bench.refit_in(&clone, &["notes", "verify"]).exits(0);
    bench.refit_in(&clone, &["sweep"]).exits(0);
}
