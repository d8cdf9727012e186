//! Without `push-to`: everything lies in the embedded store, which skopeo reads.

use std::collections::BTreeMap;

use refit_testkit::engines::Version;
use serde_json::Value;

use crate::{
    bench::Bench,
    hub::{Hub, skopeo, text},
};

#[test]
fn needs_engine_docker20_the_embedded_store_holds_what_is_built_published_and_patched() {
    embedded(Version::V20);
}

#[test]
fn needs_engine_docker26_the_embedded_store_holds_what_is_built_published_and_patched() {
    embedded(Version::V26);
}

fn embedded(version: Version) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(version);
    let host = hub.host();
    bench.write(&[
        (".config/refit.toml", "version = 1\n\n[defaults]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\nnetwork = \"none\"\n\n\
            [[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\nrepository = \"example.com/team/{dir}\"\n"),
        ("base/Dockerfile", &format!("FROM {host}/base/os:1\nRUN uname -m > /etc/built-on\n")),
        ("web/Dockerfile", "FROM example.com/team/base\nCOPY page /page\nRUN cat /page /etc/built-on > /both\n"),
        ("web/page", "hello\n"),
    ]);
    bench.commit("two images");
    let store = bench.repository().join(".git/refit/store");
    let inspect = |name: &str| {
        skopeo(&[
            "inspect",
            "--raw",
            &format!("oci:{}:{name}", store.display()),
        ])
    };

    // Built for this machine alone: no tag is written.
    bench.refit(&["build"]).exits(0);
    assert_ne!(inspect("refit.local/web:latest").code, Some(0));
    bench.refit(&["status"]).exits(0).mentions("unpublished");
    let log = bench.git(&["log", "-1", "--notes=refit"]).exits(0);
    assert!(!log.stdout.contains("Notes"), "{log}");

    let manifests = |index: &Value| -> BTreeMap<String, String> {
        let manifests = index["manifests"].as_array().unwrap().iter();
        manifests
            .map(|m| (text(&m["platform"]["architecture"]), text(&m["digest"])))
            .collect()
    };
    let ran = bench
        .refit(&["build", "--push", "--format", "json"])
        .exits(0)
        .json();
    let targets = ran["images"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|i| i["targets"].as_array().unwrap());
    assert!(
        targets.clone().count() == 4 && targets.clone().all(|t| t["action"] == "publish"),
        "built once: {ran}"
    );
    let released = inspect("refit.local/web:latest").exits(0).json();
    assert_eq!(released["annotations"]["dev.refit.image"], "web");

    hub.push_base("1", "2");
    bench
        .refit(&["status", "--exit-code"])
        .exits(1)
        .mentions("2 of 4 targets are stale");
    bench.refit(&["sweep"]).exits(0);
    let patched = inspect("refit.local/web:latest").exits(0).json();
    let (released, patched) = (manifests(&released), manifests(&patched));
    assert_eq!(released["amd64"], patched["amd64"]);
    assert_ne!(released["arm64"], patched["arm64"]);
    bench.refit(&["sweep"]).exits(0).mentions("nothing to do");

    // It leaves as a plain image: with skopeo, to any registry.
    let to = format!("docker://{host}/elsewhere/web:1");
    let from = format!("oci:{}:refit.local/web:latest", store.display());
    skopeo(&[
        "copy",
        "--quiet",
        "--all",
        "--preserve-digests",
        "--dest-tls-verify=false",
        &from,
        &to,
    ])
    .exits(0);
    assert_eq!(hub.manifests("elsewhere/web:1"), patched);
    assert_eq!(
        hub.file("elsewhere/web", &patched["arm64"], "both")
            .as_deref(),
        Some("hello\naarch64\n")
    );
    assert_eq!(bench.left_in_engine(), (Vec::new(), 0));
}

/// Two images, one of which needs the newer frontend.
fn with_heredoc(version: Version) -> (Hub, Bench) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(version);
    let host = hub.host();
    bench.write(&[
        (".config/refit.toml", "version = 1\n\n[defaults]\nnetwork = \"none\"\n\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\n"),
        ("new/Dockerfile", &format!("FROM {host}/base/os:1\n\nRUN <<END\necho from a heredoc > /heredoc\nEND\n")),
        ("old/Dockerfile", &format!("FROM {host}/base/os:1\nRUN echo plain > /plain\n")),
    ]);
    bench.commit("two images");
    (hub, bench)
}

#[test]
fn needs_engine_docker20_a_heredoc_is_refused_with_its_line_and_other_images_go_on() {
    let (_hub, bench) = with_heredoc(Version::V20);
    let said = bench.refit(&["build", "--push"]).exits(1);
    said.mentions("new/Dockerfile:3:1")
        .mentions("RUN <<END")
        .mentions("hint:");
    let store = bench.repository().join(".git/refit/store");
    let inspect = |name: &str| {
        skopeo(&[
            "inspect",
            "--raw",
            &format!("oci:{}:{name}", store.display()),
        ])
    };
    inspect("refit.local/old:latest").exits(0);
    assert_ne!(inspect("refit.local/new:latest").code, Some(0));
}

#[test]
fn needs_engine_docker26_a_heredoc_is_built() {
    let (_hub, bench) = with_heredoc(Version::V26);
    let ran = bench
        .refit(&["build", "--push", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(ran["images"].as_array().unwrap().len(), 2);
}
