//! Lists of what is in an image, by a scanner that the configuration names.

use std::{collections::BTreeMap, env, fs, process::Command};

use refit_testkit::registry::{Access, Login, Options, TestRegistry, TokenService};
use serde_json::Value;

use crate::{bench::Bench, buildkit::attestations, hub::Hub, said::Said};

/// BuildKit runs a scanner with the network that it has by itself, whatever is asked for.
const BRIDGE: &str = "refit0";

/// Set in the process that has the bridge.
const IS_THERE: &str = "REFIT_TEST_HAS_BRIDGE";

/// Whether this process has a bridge; if not, the test is run in one with a network of its own that does. The machine's
/// network stays as it is.
fn is_on_a_bridge(test: &str) -> bool {
    if env::var_os(IS_THERE).is_some() {
        return true;
    }
    let script = format!(
        "ip link set lo up && ip link add name {BRIDGE} type bridge && \
         ip addr add 10.213.0.1/24 dev {BRIDGE} && ip link set {BRIDGE} up && exec \"$@\""
    );
    let mut there = Command::new("unshare");
    there.args(["--net", "sh", "-c", &script, "sh"]);
    there.arg(env::current_exe().unwrap());
    there
        .args(["--exact", test, "--nocapture"])
        .env(IS_THERE, "1");
    let said = Said::by(&mut there).exits(0);
    said.mentions("1 passed");
    false
}

/// What BuildKit runs over a result: it says how much there is of what it was given, and reads one file.
const SCANNER: &str = r#"#!/bin/busybox sh
set -e
n=$(busybox find "$BUILDKIT_SCAN_SOURCE" -type f | busybox wc -l)
made=$(busybox cat "$BUILDKIT_SCAN_SOURCE/made")
echo scanning $n files
busybox cat > "$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json" <<EOF
{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document",
 "predicate":{"spdxVersion":"SPDX-2.3","name":"files","comment":"$n files, $made"}}
EOF
"#;

#[test]
fn needs_engine_docker26_a_scanner_that_is_named_says_what_is_in_an_image() {
    let this = "scanned::needs_engine_docker26_a_scanner_that_is_named_says_what_is_in_an_image";
    if !is_on_a_bridge(this) {
        return;
    }
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_buildkitd_on(BRIDGE);
    let host = hub.host();
    // BuildKit fetches the scanner itself, by the user's own login.
    let login = Login::new("me", "secret");
    let guarded = TestRegistry::start(Options {
        access: Access::Token(TokenService::private(login.clone())),
        ..Options::default()
    });
    let (docker, private) = (bench.beside("home/.docker"), guarded.host());
    fs::create_dir(&docker).unwrap();
    fs::write(docker.join("config.json"), login.docker_config(&private)).unwrap();
    let config = |attest: &str| {
        format!(
            "version = 1\npush-to = [\"{host}/team\"]\n\
             [[image]]\nname = \"scanner\"\ncontext = \"scanner\"\n\
             [[image]]\nname = \"app\"\ncontext = \"app\"\nengine = \"buildkit\"\nnetwork = \"none\"\n\
             platforms = [\"linux/amd64\", \"linux/arm64\"]\nattest = [{attest}]\n"
        )
    };
    bench.write(&[
        (".config/refit.toml", &config("\"provenance\"")),
        (
            "scanner/Dockerfile",
            &format!("FROM {host}/base/os:1\nCOPY --chmod=755 scan /scan\nCMD [\"/scan\"]\n"),
        ),
        ("scanner/scan", SCANNER),
        (
            "app/Dockerfile",
            &format!("FROM {host}/base/os:1\nRUN echo by $(uname -m) > /made\n"),
        ),
    ]);
    bench.commit("a scanner");
    bench.refit(&["build", "--push", "scanner"]).exits(0);
    hub.copy_to(&private, "team/scanner:latest", &login);

    let attest = format!("\"provenance\", \"sbom=generator={private}/team/scanner:latest\"");
    bench.write(&[(".config/refit.toml", &config(&attest))]);
    bench.commit("a list of what is in it");
    let built = bench.refit(&["-v", "build", "--push", "app"]).exits(0);
    built.mentions("scanning ");
    let manifests = hub.manifests("team/app:latest");
    for (architecture, machine) in [("amd64", "x86_64"), ("arm64", "aarch64")] {
        let manifest = &manifests[architecture];
        let statements = statements(&hub, "app", manifest);
        assert_eq!(statements.len(), 2, "{statements:?}");
        let sbom = &statements["https://spdx.dev/Document"];
        let digest = sbom["subject"][0]["digest"]["sha256"].as_str().unwrap();
        assert_eq!(format!("sha256:{digest}"), *manifest);
        let comment = sbom["predicate"]["comment"].as_str().unwrap();
        let made = format!(" files, by {machine}");
        assert!(comment.ends_with(&made), "{comment}");
    }
    bench.refit(&["verify", "app"]).exits(0);

    // A sweep has what it builds scanned as well.
    hub.push_base("2", "1");
    bench.refit(&["sweep", "app"]).exits(0);
    let patched = hub.manifests("team/app:latest");
    assert_ne!(patched["amd64"], manifests["amd64"]);
    assert_eq!(statements(&hub, "app", &patched["amd64"]).len(), 2);

    // One that is not there is the reason.
    let attest = format!("\"sbom=generator={host}/team/nobody:1\"");
    bench.write(&[
        (".config/refit.toml", &config(&attest)),
        (
            "app/Dockerfile",
            &format!("FROM {host}/base/os:1\nRUN echo > /made\n"),
        ),
    ]);
    bench.commit("another scanner");
    bench
        .refit(&["build", "--push", "app"])
        .exits(1)
        .mentions("/team/nobody:1");
}

/// What is attested of a manifest, by the kind of statement.
fn statements(hub: &Hub, image: &str, manifest: &str) -> BTreeMap<String, Value> {
    let attested = attestations(hub, image);
    let layers = attested[manifest]["layers"].as_array().unwrap().iter();
    let statements = layers.map(|layer| {
        let kind = layer["annotations"]["in-toto.io/predicate-type"].as_str();
        let statement = hub.blob(&format!("team/{image}"), layer);
        let statement = serde_json::from_slice(&statement).unwrap();
        (kind.unwrap().to_owned(), statement)
    });
    statements.collect()
}
