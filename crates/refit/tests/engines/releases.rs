//! Releases and patches of a source that moves on.

use refit_testkit::engines::Version;
use serde_json::json;

use crate::{hub::text, lineage};

#[test]
fn needs_engine_docker26_a_patch_ships_nothing_that_was_not_released() {
    let (hub, bench) = lineage::released(Version::V26);
    let released = bench.git(&["rev-parse", "HEAD"]).line();
    bench.write(&[("web/page", "a draft\n")]);
    let draft = bench.commit("a draft");
    bench.refit(&["status"]).exits(0).mentions("unreleased");

    hub.push_base("2", "1");
    bench.refit(&["sweep"]).exits(0);
    let greeting = |architecture: &str| {
        let manifest = hub.manifests("team/web:latest")[architecture].clone();
        hub.file("team/web", &manifest, "site/greeting").unwrap()
    };
    assert_eq!(greeting("amd64"), "web says hello on x86_64\n");
    let revision =
        || text(&hub.json("team/web:latest")["annotations"]["org.opencontainers.image.revision"]);
    assert_eq!(revision(), released);

    // A release takes the draft, on both platforms, and leaves the child for the next sweep.
    let said = bench.refit(&["build", "web", "--push"]).exits(0);
    said.mentions("shop").mentions("refit sweep");
    assert_eq!(
        (greeting("amd64"), greeting("arm64")),
        (
            "web says a draft on x86_64\n".to_owned(),
            "web says a draft on aarch64\n".to_owned()
        )
    );
    assert_eq!(revision(), draft);
    let plan = bench
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    let targets: Vec<_> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| text(&s["target"]))
        .collect();
    assert_eq!(targets, ["shop@linux/amd64", "shop@linux/arm64"]);

    // An older commit moves nothing.
    bench.git(&["checkout", "--quiet", &released]).exits(0);
    let before = hub.digest("team/web:latest");
    let said = bench.refit(&["build", "web", "--push", "--line", "main"]);
    said.mentions("newer-is-published");
    assert_eq!(hub.digest("team/web:latest"), before);
}

#[test]
fn needs_engine_docker20_a_release_takes_its_dependents_along_where_asked() {
    let (hub, bench) = lineage::released(Version::V20);
    let before = hub.digest("team/base:latest");
    let base = format!("FROM {}/base/os:1\nRUN echo two > /etc/two\n", hub.host());
    bench.write(&[("base/Dockerfile", &base)]);
    bench.commit("another base");
    // What differs from the commit is never published.
    bench.write(&[("web/page", "not committed\n")]);
    bench
        .refit(&["build", "base", "--push"])
        .exits(2)
        .mentions("web/page");
    bench.git(&["checkout", "--quiet", "--", "."]).exits(0);
    assert_eq!(hub.digest("team/base:latest"), before);

    let ran = bench
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
    let names: Vec<_> = ran["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["name"].clone())
        .collect();
    assert_eq!(names, [json!("base"), json!("web"), json!("shop")]);
    let shop = hub.manifests("team/shop:latest");
    assert_eq!(
        hub.file("team/shop", &shop["arm64"], "etc/two").as_deref(),
        Some("two\n")
    );
    bench.refit(&["sweep"]).exits(0).mentions("nothing to do");
    bench.refit(&["status", "--exit-code"]).exits(0);
}

#[test]
fn needs_engine_docker26_a_foreign_image_is_written_over_on_command_alone() {
    let (hub, bench) = lineage::released(Version::V26);
    hub.copy("base/os:1", "team/web:latest");
    let (foreign, base) = (
        hub.digest("team/web:latest"),
        hub.digest("team/base:latest"),
    );
    hub.push_base("2", "1");
    let ran = bench.refit(&["sweep", "--format", "json"]).exits(1).json();
    let states: Vec<_> = ran["states"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| json!([s["image"], s["state"]]))
        .collect();
    assert_eq!(states, [json!(["web", "foreign"])]);
    // Its child is built on what the tag holds, and that has no greeting.
    let failed: Vec<_> = ran["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| text(&f["target"]))
        .collect();
    assert_eq!(failed, ["shop@linux/amd64", "shop@linux/arm64"]);
    assert_ne!(hub.digest("team/base:latest"), base);
    assert_eq!(hub.digest("team/web:latest"), foreign);
    bench
        .refit(&["build", "web", "--push"])
        .exits(1)
        .mentions("foreign");
    assert_eq!(hub.digest("team/web:latest"), foreign);
    bench
        .refit(&["build", "web", "--push", "--take-over"])
        .exits(0);
    bench.refit(&["sweep"]).exits(0);
    bench
        .refit(&["status", "--exit-code"])
        .exits(0)
        .mentions("none of 6 targets is stale");
}

#[test]
fn needs_engine_docker20_a_forced_sweep_keeps_what_differs_in_times_alone() {
    forced_sweep_keeps_what_differs_in_times_alone(Version::V20);
}

#[test]
fn needs_engine_docker26_a_forced_sweep_keeps_what_differs_in_times_alone() {
    forced_sweep_keeps_what_differs_in_times_alone(Version::V26);
}

fn forced_sweep_keeps_what_differs_in_times_alone(version: Version) {
    let (hub, bench) = lineage::released(version);
    let published =
        || ["base", "web", "shop"].map(|image| hub.manifests(&format!("team/{image}:latest")));
    let before = published();
    let ran = bench
        .refit(&["sweep", "base", "--force", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(ran["failed"], json!([]));
    assert_eq!(before, published());
    // What comes from the cache prints nothing: it was built, for both platforms.
    let logs = bench.refit(&["logs", "base"]).exits(0).stdout;
    let executed = logs
        .lines()
        .filter(|line| line.ends_with(" 1") && line.starts_with('#'));
    assert_eq!(executed.count(), 2, "{logs}");
    bench.refit(&["sweep"]).exits(0).mentions("nothing to do");
}

#[test]
fn needs_engine_docker20_a_forced_sweep_that_comes_to_something_else_is_published() {
    let (hub, bench) = lineage::released(Version::V20);
    let host = hub.host();
    let dockerfile =
        format!("FROM {host}/base/os:1\nRUN cat /proc/sys/kernel/random/uuid >/etc/built-on\n");
    bench.write(&[("base/Dockerfile", &dockerfile)]);
    bench.commit("nothing like another build");
    bench.refit(&["build", "base", "--push"]).exits(0);
    let images = ["base", "web", "shop"];
    let manifests = || images.map(|image| hub.manifests(&format!("team/{image}:latest")));
    let before = manifests();
    let ran = bench
        .refit(&["sweep", "base", "--force", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(ran["failed"], json!([]));
    let after = manifests();
    assert!(
        before[0]
            .iter()
            .all(|(platform, manifest)| after[0][platform] != *manifest)
    );
    assert_eq!(before[1..], after[1..], "only what was named");
    bench
        .refit(&["sweep", "base"])
        .exits(0)
        .mentions("nothing to do");
    // Its children are built on it by the next sweep.
    bench.refit(&["sweep"]).exits(0);
    let last = manifests();
    assert_eq!(last[0], after[0]);
    assert_ne!(last[2], after[2]);
    bench.refit(&["sweep"]).exits(0).mentions("nothing to do");
}

#[test]
fn needs_engine_docker26_a_dirty_working_tree_is_built_for_this_machine_alone() {
    let (hub, bench) = lineage::released(Version::V26);
    let tags = || ["base", "web", "shop"].map(|image| hub.tags(&format!("team/{image}")));
    let before = (
        tags(),
        bench.git(&["for-each-ref", "refs/notes/refit"]).line(),
    );
    bench.write(&[("web/page", "not committed\n")]);
    let ran = bench
        .refit(&["build", "shop", "--format", "json"])
        .exits(0)
        .json();
    let images: Vec<_> = ran["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| text(&i["name"]))
        .collect();
    assert_eq!(images.last().map(String::as_str), Some("shop"));
    let reference = text(&ran["images"].as_array().unwrap().last().unwrap()["reference"]);
    assert!(
        reference.starts_with("refit.local/shop@sha256:"),
        "{reference}"
    );
    assert_eq!(
        (
            tags(),
            bench.git(&["for-each-ref", "refs/notes/refit"]).line()
        ),
        before,
        "nothing is published"
    );
    bench
        .refit(&["logs", "web@linux/arm64"])
        .exits(0)
        .mentions("web says not committed on aarch64");
    bench
        .refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are built on what the bases are now");
}
