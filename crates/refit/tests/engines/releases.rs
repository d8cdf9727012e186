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
