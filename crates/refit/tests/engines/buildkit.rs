//! The engine `buildkit` on the whole path: a release and a patch, with no Docker Engine in reach.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{bench::Bench, hub::Hub};

#[test]
fn needs_engine_docker26_buildkitd_releases_and_patches_without_docker_engine() {
    releases_and_patches(&Bench::with_buildkitd());
}

#[test]
fn needs_engine_docker26_buildkitd_elsewhere_releases_and_patches() {
    let bench = Bench::with_buildkitd_apart();
    releases_and_patches(&bench);
    let told = "linux/amd64, bases and results go by the session of each build";
    bench.refit(&["doctor"]).mentions(told);
}

fn releases_and_patches(bench: &Bench) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let host = hub.host();
    bench.write(&[
        (
            ".config/refit.toml",
            &format!(
                "version = 1\npush-to = [\"{host}/team\"]\n\
                 [[image]]\nname = \"app\"\nengine = \"buildkit\"\nnetwork = \"none\"\n\
                 cache-to = [\"local\"]\ncache-from = [\"local\"]\n\
                 platforms = [\"linux/amd64\", \"linux/arm64\"]\n"
            ),
        ),
        (
            "Dockerfile",
            &format!(
                "FROM {host}/base/os:1\nRUN uname -m > /machine && echo says $(cat /machine)\n"
            ),
        ),
    ]);
    bench.commit("an image");
    let built = bench.refit(&["-v", "build", "--push"]).exits(0);
    built
        .mentions("cache-to: refit.local/cache/app:layers-linux-amd64 is written")
        .mentions("says x86_64")
        .mentions("says aarch64");
    let manifests = hub.manifests("team/app:latest");
    for (platform, machine) in [("amd64", "x86_64\n"), ("arm64", "aarch64\n")] {
        let file = hub.file("team/app", &manifests[platform], "machine");
        assert_eq!(file.as_deref(), Some(machine));
    }
    let records = || {
        let notes = ["notes", "--ref=refit-records", "show", "HEAD:Dockerfile"];
        bench.git(&notes).exits(0).stdout
    };
    let of_buildkit = |text: &str| text.matches("\"engine\":\"buildkit\"").count();
    assert_eq!(of_buildkit(&records()), 2, "{}", records());
    bench.refit(&["logs"]).exits(0).mentions("says aarch64");

    // On one platform alone.
    hub.push_base("2", "1");
    bench
        .refit(&["sweep", "--dry-run", "--explain"])
        .exits(0)
        .mentions("app@linux/amd64: rebuild by buildkit, as `engine` says")
        .mentions("no rebase: line 2 executes on the base")
        .mentions("no native: `engine = \"buildkit\"` is configured");
    bench.refit(&["sweep"]).exits(0);
    assert_ne!(hub.manifests("team/app:latest"), manifests);
    assert_eq!(of_buildkit(&records()), 3, "{}", records());
    bench.refit(&["sweep"]).exits(0).mentions("nothing to do");
    assert_eq!(bench.left_in_engine(), (Vec::new(), 0));
}

/// What the index of an image holds of attestations: by the manifest that each is about.
pub(crate) fn attestations(hub: &Hub, image: &str) -> BTreeMap<String, Value> {
    let index = hub.json(&format!("team/{image}:latest"));
    let entries = index["manifests"].as_array().unwrap().iter();
    let entries = entries.filter(|entry| entry["platform"]["os"] == "unknown");
    entries
        .map(|entry| {
            assert_eq!(
                entry["annotations"]["vnd.docker.reference.type"],
                "attestation-manifest"
            );
            let about = entry["annotations"]["vnd.docker.reference.digest"]
                .as_str()
                .unwrap();
            let digest = entry["digest"].as_str().unwrap();
            (
                about.to_owned(),
                hub.json(&format!("team/{image}@{digest}")),
            )
        })
        .collect()
}

#[test]
fn needs_engine_docker26_buildkitd_attestations_stay_in_the_index_with_what_they_are_about() {
    attestations_stay_in_the_index(&Bench::with_buildkitd());
}

#[test]
fn needs_engine_docker26_buildkitd_elsewhere_attestations_stay_in_the_index() {
    attestations_stay_in_the_index(&Bench::with_buildkitd_apart());
}

fn attestations_stay_in_the_index(bench: &Bench) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let host = hub.host();
    let config = format!(
        "version = 1\npush-to = [\"{host}/team\"]\n\
         [[image]]\nname = \"app\"\ncontext = \"app\"\nengine = \"buildkit\"\nnetwork = \"none\"\n\
         platforms = [\"linux/amd64\", \"linux/arm64\"]\n\
         attest = [\"provenance=mode=max\"]\n\
         [[image]]\nname = \"files\"\ncontext = \"files\"\nengine = \"buildkit\"\n\
         platforms = [\"linux/amd64\", \"linux/arm64\"]\nattest = [\"provenance\"]\n"
    );
    bench.write(&[
        (".config/refit.toml", &config),
        (
            "app/Dockerfile",
            &format!("FROM {host}/base/os:1\nRUN echo made > /made\n"),
        ),
        (
            "files/Dockerfile",
            &format!("FROM {host}/base/os:1\nCOPY file /\n"),
        ),
        ("files/file", "file"),
    ]);
    bench.commit("images");
    bench.refit(&["build", "--push"]).exits(0);

    let images = |image: &str| {
        let mut manifests = hub.manifests(&format!("team/{image}:latest"));
        manifests.remove("unknown");
        manifests
    };
    let released = (images("app"), attestations(&hub, "app"));
    let about: Vec<&String> = released.0.values().collect();
    assert_eq!(about.len(), 2);
    for manifest in about {
        let layers = released.1[manifest]["layers"].as_array().unwrap();
        let statement: Value = serde_json::from_slice(&hub.blob("team/app", &layers[0])).unwrap();
        let subject = &statement["subject"][0];
        assert_eq!(subject["name"], format!("{host}/team/app"));
        let digest = subject["digest"]["sha256"].as_str().unwrap();
        assert_eq!(format!("sha256:{digest}"), *manifest);
        let kind = statement["predicateType"].as_str().unwrap();
        assert!(kind.starts_with("https://slsa.dev/provenance/"), "{kind}");
        let bases = statement["predicate"]["materials"].to_string();
        assert!(bases.contains("/base/os@1?platform=linux%2Fa"), "{bases}");
        // Nothing tells of the registry that bases came through.
        let sources = statement["predicate"].to_string();
        assert!(
            sources.contains(&format!("docker-image://{host}/base/os:1@sha256:")),
            "{sources}"
        );
        assert!(!sources.contains("/base-0"), "{sources}");
        assert_eq!(layers.len(), 1);
    }
    bench.refit(&["status", "--exit-code"]).exits(0);
    bench.refit(&["verify"]).exits(0);

    // One platform is built anew, and put on the new base: the other's attestation stays, that of the old one goes.
    let files = images("files");
    hub.push_base("2", "1");
    bench.refit(&["sweep", "app", "files"]).exits(0);
    let patched = (images("app"), attestations(&hub, "app"));
    assert_eq!(patched.0["arm64"], released.0["arm64"]);
    assert_ne!(patched.0["amd64"], released.0["amd64"]);
    let about: Vec<&String> = patched.1.keys().collect();
    let mut expect: Vec<&String> = patched.0.values().collect();
    expect.sort();
    assert_eq!(about, expect);
    assert_eq!(
        patched.1[&patched.0["arm64"]],
        released.1[&released.0["arm64"]]
    );
    let rebased = images("files");
    assert_ne!(rebased["amd64"], files["amd64"]);
    let about: Vec<String> = attestations(&hub, "files").into_keys().collect();
    assert_eq!(about, [rebased["arm64"].clone()]);
    bench.refit(&["verify"]).exits(0);
    assert_eq!(bench.left_in_engine(), (Vec::new(), 0));
}

#[test]
fn buildkit_that_is_nowhere_is_said_with_where_it_may_be() {
    let bench = Bench::without_engine();
    bench.write(&[
        (
            ".config/refit.toml",
            "version = 1\n[defaults]\nengine = \"buildkit\"\n[[image]]\nname = \"app\"\n",
        ),
        ("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"),
    ]);
    bench.commit("an image");
    let at = |address: &str| {
        let mut command = bench.refit_command(&bench.repository(), &["build"]);
        crate::said::Said::by(command.env("BUILDKIT_HOST", address)).exits(2)
    };
    at("unix:///nonexistent/buildkitd.sock")
        .mentions("no engine answers at `unix:///nonexistent/buildkitd.sock`")
        .mentions("BUILDKIT_HOST=");
    at("docker-container://builder").mentions("`docker-container://builder` is no engine");
}
