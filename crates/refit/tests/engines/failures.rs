//! What goes wrong: other images go on, no tag moves wrongly, nothing recorded is lost.

use refit_testkit::engines::Version;
use serde_json::json;

use crate::{
    bench::Bench,
    hub::{Hub, text},
    lineage,
};

#[test]
fn needs_engine_docker20_a_failed_run_stops_its_children_alone() {
    a_failed_run(Version::V20);
}

#[test]
fn needs_engine_docker26_a_failed_run_stops_its_children_alone() {
    a_failed_run(Version::V26);
}

fn a_failed_run(version: Version) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(version);
    lineage::write(&bench, &hub);
    let host = hub.host();
    let web = format!(
        "FROM {host}/team/base\n# why not\nRUN echo about to fail && \\\n    cat /no/such/file\n"
    );
    bench.write(&[
        ("web/Dockerfile", &web),
        (
            "lone/Dockerfile",
            &format!("FROM {host}/base/os:1\nRUN true\n"),
        ),
    ]);
    bench.commit("web is broken");

    let said = bench.refit(&["build", "--push"]).exits(1);
    said.mentions("web/Dockerfile:3:1")
        .mentions("RUN echo about to fail")
        .mentions("`refit logs web`");
    said.mentions("shop@linux/amd64: skipped");
    assert_eq!(hub.manifests("team/base:latest").len(), 2);
    assert_eq!(hub.manifests("team/lone:latest").len(), 2);
    for image in ["web", "shop"] {
        hub.is_missing(&format!("team/{image}:latest"));
    }
    let logs = bench.refit(&["logs", "web@linux/arm64"]).exits(0);
    logs.mentions("about to fail")
        .mentions("/no/such/file")
        .mentions("failed");
    bench.refit(&["runs"]).exits(0).mentions("failed");
    bench
        .git(&["log", "-1", "--notes=refit"])
        .mentions("base, lone built");
    assert_eq!(bench.left_in_engine(), (Vec::new(), 0));

    // Mended: what is built stays as it is.
    let before = hub.digest("team/base:latest");
    lineage::write(&bench, &hub);
    bench.commit("web is mended");
    let ran = bench
        .refit(&["build", "--push", "--format", "json"])
        .exits(0)
        .json();
    let names: Vec<_> = ran["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| text(&i["name"]))
        .collect();
    assert_eq!(names, ["web", "shop"]);
    assert_eq!(hub.digest("team/base:latest"), before);
}

#[test]
fn needs_engine_docker26_a_patch_that_fails_on_one_platform_keeps_its_old_manifest() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(Version::V26);
    lineage::write(&bench, &hub);
    let base = format!(
        "FROM {}/base/os:1\nRUN ! grep -q broken /etc/os-patch\n",
        hub.host()
    );
    bench.write(&[("base/Dockerfile", &base)]);
    bench.commit("three images");
    bench.refit(&["build", "--push"]).exits(0);
    let images = ["base", "web", "shop"];
    let manifests = || images.map(|image| hub.manifests(&format!("team/{image}:latest")));
    let before = manifests();

    hub.push_base("2", "broken");
    let ran = bench.refit(&["sweep", "--format", "json"]).exits(1).json();
    let failed: Vec<_> = ran["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (text(&f["target"]), text(&f["kind"])))
        .collect();
    let expected = [("base", "failed"), ("web", "skipped"), ("shop", "skipped")];
    assert_eq!(
        failed,
        expected.map(|(image, kind)| (format!("{image}@linux/arm64"), kind.to_owned()))
    );
    let after = manifests();
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(before["amd64"], after["amd64"]);
        assert_eq!(before["arm64"], after["arm64"]);
    }

    // The next sweep has nothing to do, and tries the failed platform where it is named.
    bench.refit(&["sweep"]).exits(1).mentions("deferred until");
    let named = ["sweep", "base", "web", "shop"];
    let plan = bench
        .refit(&[&named[..], &["--dry-run", "--format", "json"]].concat())
        .exits(0)
        .json();
    let targets: Vec<_> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| text(&s["target"]))
        .collect();
    assert_eq!(targets, images.map(|image| format!("{image}@linux/arm64")));
    bench.refit(&named).exits(1);
    assert_eq!(manifests(), after);
    hub.push_base("2", "3");
    bench.refit(&["sweep"]).exits(0);
    let mended = manifests();
    for (after, mended) in after.iter().zip(&mended) {
        assert_eq!(after["amd64"], mended["amd64"]);
        assert_ne!(after["arm64"], mended["arm64"]);
    }
}

#[test]
fn needs_engine_docker20_a_registry_that_is_gone_is_named_and_nothing_is_lost() {
    let (hub, bench) = lineage::released(Version::V20);
    let host = hub.host();
    let notes = || bench.git(&["for-each-ref", "refs/notes"]).exits(0).line();
    let before = notes();
    drop(hub);
    let said = bench.refit(&["sweep", "--format", "json"]).exits(2);
    let document = said.json();
    let states = document["states"].as_array().unwrap();
    let unreachable = states
        .iter()
        .filter(|s| s["state"] == "unreachable" && s["reference"].to_string().contains(&host));
    assert_eq!(unreachable.count(), 3, "{document}");
    bench
        .refit(&["build", "--push"])
        .exits(2)
        .mentions("unreachable")
        .mentions(&host);
    bench.refit(&["status"]).mentions("unreachable");
    assert_eq!(notes(), before);
}

#[test]
fn needs_engine_docker26_a_base_registry_that_is_down_holds_up_its_own_images_alone() {
    let (theirs, ours) = (Hub::start(), Hub::start());
    theirs.push_base("1", "1");
    ours.push_base("1", "1");
    let bench = Bench::with_engine(Version::V26);
    let host = ours.host();
    bench.write(&[
        (".config/refit.toml", &format!("version = 1\npush-to = [\"{host}/team\"]\n\n[defaults]\nnetwork = \"none\"\n\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{{dir}}\"\n")),
        ("down/Dockerfile", &format!("FROM {}/base/os:1\nRUN true\n", theirs.host())),
        ("child/Dockerfile", &format!("FROM {host}/team/down\nRUN true\n")),
        ("up/Dockerfile", &format!("FROM {host}/base/os:1\nRUN true\n")),
    ]);
    bench.commit("three images on two registries");
    bench.refit(&["build", "--push"]).exits(0);
    let latest = |image: &str| ours.digest(&format!("team/{image}:latest"));
    let before = ["down", "child", "up"].map(latest);
    drop(theirs);
    ours.push_base("2", "1");
    let ran = bench.refit(&["sweep", "--format", "json"]).exits(2).json();
    let states: Vec<_> = ran["states"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| json!([s["image"], s["state"]]))
        .collect();
    assert_eq!(states, [json!(["down", "unreachable"])]);
    let after = ["down", "child", "up"].map(latest);
    assert_eq!(before[..2], after[..2]);
    assert_ne!(before[2], after[2]);
}

#[test]
fn needs_docker_registry_a_missing_engine_is_said_and_what_needs_none_goes_on() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::without_engine();
    let host = hub.host();
    bench.write(&[
        (".config/refit.toml", &format!("version = 1\npush-to = [\"{host}/team\"]\n\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{{dir}}\"\n")),
        ("plain/Dockerfile", &format!("FROM {host}/base/os:1\nCOPY file /\n")),
        ("plain/file", "text\n"),
        ("runs/Dockerfile", &format!("FROM {host}/base/os:1\nRUN true\n")),
        ("child/Dockerfile", &format!("FROM {host}/team/runs\nCOPY Dockerfile /\n")),
    ]);
    bench.commit("an image that runs something, and one that doesn't");
    let said = bench
        .refit(&["build", "--push", "--format", "json"])
        .exits(1);
    said.mentions("no-engine.sock").mentions("DOCKER_HOST");
    let failed = said.json()["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| json!([f["target"], f["kind"]]))
        .collect::<Vec<_>>();
    assert_eq!(
        failed,
        [
            json!(["runs@linux/amd64", "failed"]),
            json!(["child@linux/amd64", "skipped"])
        ]
    );
    assert_eq!(hub.manifests("team/plain:latest").len(), 1);
    hub.is_missing("team/runs:latest");
    hub.is_missing("team/child:latest");
}

#[test]
fn a_registry_that_is_down_is_not_waited_for_by_every_image() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let bench = Bench::without_engine();
    let config = format!(
        "version = 1\npush-to = [\"{closed}/team\"]\n\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{{dir}}\"\n"
    );
    bench.write(&[(".config/refit.toml", &config)]);
    for n in 0..48 {
        bench.write(&[(
            &format!("image{n}/Dockerfile"),
            "FROM scratch\nCOPY Dockerfile /\n",
        )]);
    }
    bench.commit("many images");
    let status = bench.refit(&["status", "--format", "json"]).json();
    let unreachable = status["targets"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|t| t["status"] == "unreachable");
    assert_eq!(unreachable.count(), 48, "{status}");
    let asked = status["requests"]["head"].as_u64().unwrap();
    assert!(
        asked <= 32,
        "two attempts of those that were under way at first, not {asked}"
    );
}
