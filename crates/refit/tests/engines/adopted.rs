//! Images that the real buildx published, with its provenance: explained, adopted, patched.

use refit_testkit::engines::Version;
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    hub::{Hub, text},
};

/// Two images on one base, pushed by buildx as a workflow does it.
fn published(hub: &Hub, bench: &Bench) -> String {
    let host = hub.host();
    let config = format!(
        "version = 1\npush-to = [\"{host}/team\"]\n\n[defaults]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\
         network = \"none\"\n\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{{dir}}\"\n\n\
         [[image]]\nname = \"tools\"\nplatforms = [\"linux/amd64\"]\n"
    );
    let dockerfile = format!("FROM {host}/base/os:1\nCOPY page /srv/\nRUN cat /srv/page > /copy\n");
    bench.write(&[
        (".config/refit.toml", &config),
        ("web/Dockerfile", &dockerfile),
        ("web/page", "hello\n"),
        ("tools/Dockerfile", &dockerfile),
        ("tools/page", "hello\n"),
    ]);
    let commit = bench.commit("two images");
    for (image, mode, platforms) in [
        ("web", "min", "linux/amd64,linux/arm64"),
        ("tools", "max", "linux/amd64"),
    ] {
        let output = format!("type=image,name={host}/team/{image}:latest,push=true");
        let provenance = format!("--provenance=mode={mode}");
        let build = [
            "build",
            "--quiet",
            "--network=none",
            &provenance,
            "--platform",
            platforms,
            "--output",
            &output,
            image,
        ];
        bench.buildx(&build).exits(0);
    }
    commit
}

fn states(document: &Value) -> Vec<(String, String)> {
    let states = document["states"].as_array().unwrap().iter();
    let of = |state: &Value| (text(&state["state"]), text(&state["how"]));
    states.map(of).collect()
}

#[test]
fn needs_engine_docker26_what_buildx_published_is_adopted_by_its_provenance_and_patched() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(Version::V26Containerd);
    let commit = published(&hub, &bench);
    let json = ["status", "--format", "json"];
    let status = bench.refit(&json).exits(0).json();
    assert_eq!(status["stale"], 0, "{status}");
    let adoptable = ("adoptable".to_owned(), "provenance".to_owned());
    assert_eq!(states(&status), vec![adoptable; 3]);

    hub.push_base("1", "2");
    let status = bench.refit(&json).exits(0).json();
    let targets = status["targets"].as_array().unwrap().iter();
    let targets: Vec<_> = targets
        .map(|t| (text(&t["target"]), text(&t["status"])))
        .collect();
    let expected = [
        ("tools@linux/amd64", "fresh"),
        ("web@linux/amd64", "fresh"),
        ("web@linux/arm64", "stale"),
    ];
    assert_eq!(targets, expected.map(|(t, s)| (t.to_owned(), s.to_owned())));
    let before = (hub.json("team/web:latest"), hub.digest("team/web:latest"));
    bench.refit(&["sweep"]).exits(0).mentions("adoptable");
    assert_eq!(hub.digest("team/web:latest"), before.1);

    let adopted = bench.refit(&["adopt", "--format", "json"]).exits(0).json();
    for adoption in adopted["adoptions"].as_array().unwrap() {
        assert_eq!(adoption["commit"], commit);
        for platform in adoption["platforms"].as_array().unwrap() {
            assert_eq!(platform["how"], "provenance");
            assert_eq!(platform["pins"].as_array().unwrap().len(), 1);
            assert_eq!(platform["assumed"], json!([]));
        }
    }
    bench.refit(&["sweep"]).exits(0);
    let after = hub.json("team/web:latest");
    let kept = |index: &Value| {
        let all = index["manifests"].as_array().unwrap();
        let amd64 = all
            .iter()
            .find(|m| m["platform"]["architecture"] == "amd64");
        let digest = text(&amd64.unwrap()["digest"]);
        let about = |m: &&Value| m["annotations"]["vnd.docker.reference.digest"] == digest;
        (digest.clone(), all.iter().find(about).cloned())
    };
    assert_eq!(kept(&after), kept(&before.0), "kept with its provenance");
    assert!(kept(&after).1.is_some());
    assert_eq!(
        after["annotations"]["dev.refit.replaces"],
        before.1.to_string()
    );
    let arm64 = &hub.manifests("team/web:latest")["arm64"];
    let patch = hub.file("team/web", arm64, "etc/os-patch");
    assert_eq!(patch.as_deref(), Some("2"));
    assert_eq!(
        hub.file("team/web", arm64, "copy").as_deref(),
        Some("hello\n")
    );

    let now = hub.digest("team/web:latest");
    bench
        .refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 3 targets are");
    assert_eq!(hub.digest("team/web:latest"), now);
    assert_eq!(bench.left_in_engine().1, 0);
}
