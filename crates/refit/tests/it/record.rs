//! `deps record`, and notes between clones.

use refit_testkit::registry::{Fault, Image, Options, TestRegistry};
use std::time::Duration;

use crate::{assert_snapshot, sandbox::Sandbox};

const BOTH: &str = "[defaults]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n";

fn images() -> [Image; 2] {
    ["linux/amd64", "linux/arm64"]
        .map(|platform| Image::new(platform, &[&[("etc/os-release", platform)]]))
}

#[test]
fn digests_of_the_index_and_of_each_platform_are_recorded() {
    let registry = TestRegistry::start(Options::default());
    let [amd, arm] = images();
    let index = registry.put_index("library/debian", "12", &[amd.clone(), arm.clone()]);
    let sandbox = Sandbox::with(&format!(
        "//- .config/refit.toml\n{BOTH}\n[[image]]\nname = \"web\"\n//- Dockerfile\nFROM {}/library/debian:12\n",
        registry.host()
    ));
    let told = sandbox.refit(&["deps", "record"]).ok();
    let line = format!(
        "web: {}/library/debian:12 {} (linux/amd64, linux/arm64)\n",
        registry.host(),
        index.short()
    );
    assert_eq!(told, line);
    assert_eq!(sandbox.git(&["notes", "--ref=refit", "show", "HEAD"]), line);
    let records = sandbox.git(&["notes", "--ref=refit-records", "show", "HEAD:Dockerfile"]);
    let records: Vec<serde_json::Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 2);
    for (record, image) in records.iter().zip([&amd, &arm]) {
        assert_eq!(record["v"], 1);
        assert_eq!(record["type"], "deps");
        assert_eq!(record["commit"], sandbox.git(&["rev-parse", "HEAD"]).trim());
        assert_eq!(record["at"], "2026-11-22T10:00:00Z");
        assert_eq!(record["deps"][0]["index"], index.as_str());
        assert_eq!(record["deps"][0]["manifest"], image.digest().as_str());
        assert_eq!(record["deps"][0]["platform"], image.platform.to_string());
    }
    // One HEAD for the tag, one GET for the index.
    assert_eq!(
        (
            registry.count("HEAD", "/manifests/"),
            registry.count("GET", "/manifests/")
        ),
        (1, 1)
    );
    let before = sandbox.git(&["rev-parse", "refs/notes/refit-records", "refs/notes/refit"]);
    sandbox.refit(&["deps", "record"]).ok();
    assert_eq!(
        sandbox.git(&["rev-parse", "refs/notes/refit-records", "refs/notes/refit"]),
        before
    );
}

#[test]
fn what_does_not_answer_is_recorded_without_digests_and_completed_later() {
    let registry = TestRegistry::start(Options::default());
    registry.put_index("debian", "12", &images());
    let sandbox = Sandbox::with(&format!(
        "//- web/Dockerfile\nFROM {}/debian:12\n",
        registry.host()
    ));
    registry.fail(
        "HEAD",
        "/manifests/",
        1,
        Fault::Slow(Duration::from_secs(20)),
    );
    let ran = sandbox.refit(&["deps", "record", "--budget", "200"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.stdout
            .ends_with("debian:12 not resolved (linux/amd64)\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr
            .contains("is recorded without a digest: its registry did not answer in time"),
        "{}",
        ran.stderr
    );
    let completed = sandbox.refit(&["deps", "record"]).ok();
    assert!(
        !completed.contains("not resolved") && !completed.is_empty(),
        "{completed}"
    );
    assert_eq!(sandbox.refit(&["deps", "record"]).ok(), "");
}

#[test]
fn in_repo_parents_are_named_and_not_looked_up() {
    let sandbox = Sandbox::with(
        "//- .config/refit.toml\npush-to = [\"registry.example.com/team\"]\n[[images]]\nfiles = \"*/Dockerfile\"\n\
         name = \"{dir}\"\n//- base/Dockerfile\nFROM scratch\n\
         //- web/Dockerfile\nFROM registry.example.com/team/base\n",
    );
    assert_snapshot!("record-in-repo", sandbox.refit(&["deps", "record"]).all());
    let records = sandbox.git(&[
        "notes",
        "--ref=refit-records",
        "show",
        "HEAD:web/Dockerfile",
    ]);
    let record: serde_json::Value = serde_json::from_str(&records).unwrap();
    assert_eq!(record["deps"][0]["index"], serde_json::Value::Null);
}

#[test]
fn an_earlier_commit_and_all_images_can_be_recorded() {
    let sandbox =
        Sandbox::with("//- web/Dockerfile\nFROM scratch\n//- api/Dockerfile\nFROM scratch\n");
    sandbox.write("web/Dockerfile", "FROM scratch\nLABEL a=b\n");
    sandbox.commit("Label it");
    assert_eq!(
        sandbox.refit(&["deps", "record", "--dry-run"]).ok(),
        "web: scratch\n"
    );
    assert_eq!(
        sandbox
            .refit(&["deps", "record", "--commit", "HEAD~1"])
            .ok(),
        "api: scratch\nweb: scratch\n"
    );
    assert_eq!(
        sandbox.refit(&["deps", "record", "--all"]).ok(),
        "api: scratch\nweb: scratch\n"
    );
    assert_eq!(
        sandbox
            .git(&["notes", "--ref=refit", "list"])
            .lines()
            .count(),
        2
    );
}

#[test]
fn what_is_recorded_already_is_said() {
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM scratch\n");
    let record = || {
        let said = sandbox.refit(&["deps", "record"]).stderr;
        let said = said.split_once("commit ").unwrap();
        format!(
            "{}{}",
            said.0,
            said.1.split_once(' ').map_or("", |(_, rest)| rest)
        )
    };
    sandbox.refit(&["deps", "record"]).ok();
    assert_eq!(record(), "1 image of is recorded already\n");
    sandbox.write("README.md", "Shop\n");
    sandbox.commit("no image");
    assert_eq!(record(), "touches no image\n");
}

#[test]
fn notes_travel_between_clones() {
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM scratch\n");
    let remote = sandbox.path("remote.git");
    sandbox.git(&["init", "-q", "--bare", remote.to_str().unwrap()]);
    assert_snapshot!("notes-no-remote", sandbox.refit(&["notes", "push"]).all());
    sandbox.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    sandbox.git(&["push", "-q", "origin", "main"]);
    sandbox.refit(&["deps", "record"]).ok();
    assert_eq!(
        sandbox.refit(&["notes", "push", "--dry-run"]).stderr,
        "`origin` would take our records\n"
    );
    assert_eq!(
        sandbox.refit(&["notes", "push"]).stderr,
        "records and sentences are pushed to `origin`\n"
    );
    assert_eq!(
        sandbox.refit(&["notes", "push"]).stderr,
        "`origin` has everything\n"
    );
    let clone = sandbox.path("clone");
    sandbox.git(&[
        "clone",
        "-q",
        remote.to_str().unwrap(),
        clone.to_str().unwrap(),
    ]);
    let in_clone =
        |args: &[&str]| sandbox.refit(&[&["-C", clone.to_str().unwrap()], args].concat());
    assert_eq!(
        in_clone(&["notes", "fetch"]).stderr,
        "records and sentences of `origin` are united with ours\n"
    );
    assert_eq!(
        in_clone(&["notes", "fetch"]).stderr,
        "`origin` has nothing new\n"
    );
    assert_eq!(in_clone(&["notes", "fetch", "upstrem"]).code, 2);
}
