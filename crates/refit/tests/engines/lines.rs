//! Two lines of one repository, each with its own tags, swept in one go.

use refit_testkit::engines::Version;
use serde_json::json;

use crate::{
    bench::Bench,
    hub::{Hub, text},
};

#[test]
fn needs_engine_docker20_every_line_is_patched_from_its_own_release() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(Version::V20);
    let host = hub.host();
    let config = format!(
        "version = 1\npush-to = [\"{host}/team\"]\n\n[sweep]\nbranches = [\"main\", \"stable\"]\n\n[defaults]\nnetwork = \"none\"\n\
         tags = [\"{{{{.Line}}}}\"]\nunique-tags = [\"{{{{.Run.Commit}}}}\"]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\n\
         [[image]]\nname = \"web\"\ncontext = \"web\"\ntarget = \"runtime\"\nbuild-args = {{ GREETING = \"hello\" }}\nlabels = {{ team = \"web\" }}\n"
    );
    let dockerfile = |from: &str| {
        format!(
            "FROM {host}/base/os:1 AS runtime\nARG GREETING=nothing\nARG TARGETPLATFORM\n\
             RUN echo \"$GREETING from {from} on $TARGETPLATFORM\" > /greeting\n\nFROM runtime AS debug\nRUN false\n"
        )
    };
    bench.write(&[
        (".config/refit.toml", &config),
        ("web/Dockerfile", &dockerfile("stable")),
    ]);
    let stable = bench.commit("what both lines begin with");
    bench.git(&["branch", "stable"]).exits(0);
    bench.write(&[("web/Dockerfile", &dockerfile("main"))]);
    let main = bench.commit("main goes on");
    bench.refit(&["build", "--push"]).exits(0);
    bench.git(&["checkout", "--quiet", "stable"]).exits(0);
    bench.refit(&["build", "--push"]).exits(0);
    bench.git(&["checkout", "--quiet", "main"]).exits(0);

    let said = |tag: &str| {
        let manifests = hub.manifests(&format!("team/web:{tag}"));
        let read = |manifest: &String, path: &str| hub.file("team/web", manifest, path).unwrap();
        let read = |architecture: &str| {
            [
                read(&manifests[architecture], "greeting"),
                read(&manifests[architecture], "etc/os-patch"),
            ]
            .concat()
        };
        [read("amd64"), read("arm64")]
    };
    let greeting = |line: &str, patch: &str| {
        ["amd64", "arm64"].map(|a| format!("hello from {line} on linux/{a}\n{patch}"))
    };
    for (line, commit) in [("main", &main), ("stable", &stable)] {
        assert_eq!(said(line), greeting(line, "1"));
        assert_eq!(
            hub.digest(&format!("team/web:{line}")),
            hub.digest(&format!("team/web:{commit}"))
        );
        assert_eq!(
            hub.config(&format!("team/web:{line}"), "arm64")["config"]["Labels"]["team"],
            "web"
        );
    }
    let unique = [&main, &stable].map(|commit| hub.digest(&format!("team/web:{commit}")));

    hub.push_base("2", "2");
    let plan = bench
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    let steps: Vec<_> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (text(&s["line"]), text(&s["commit"]), text(&s["target"])))
        .collect();
    let step = |line: &str, commit: &str, platform: &str| {
        (
            line.to_owned(),
            commit.to_owned(),
            format!("web@linux/{platform}"),
        )
    };
    let expected = [
        step("main", &main, "amd64"),
        step("main", &main, "arm64"),
        step("stable", &stable, "amd64"),
        step("stable", &stable, "arm64"),
    ];
    assert_eq!(steps, expected);
    let ran = bench.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!((&ran["failed"], &ran["states"]), (&json!([]), &json!([])));
    for line in ["main", "stable"] {
        assert_eq!(said(line), greeting(line, "2"));
    }
    let now = [&main, &stable].map(|commit| hub.digest(&format!("team/web:{commit}")));
    assert_eq!(now, unique, "a patch never touches a unique tag");
    bench.refit(&["sweep"]).exits(0).mentions("nothing to do");
    for (line, commit) in [("main", &main), ("stable", &stable)] {
        let notes = bench
            .git(&["log", "-1", "--notes=refit", commit])
            .exits(0)
            .stdout;
        assert!(
            notes.contains("sweep ") && notes.contains("web rebuilt"),
            "{line}: {notes}"
        );
    }
}
