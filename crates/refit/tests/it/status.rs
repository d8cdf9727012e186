//! `refit status`, `runs` and `logs` where nothing was built yet, and on what is there.

use refit_testkit::registry::{Image, Options, TestRegistry};

use crate::{assert_snapshot, sandbox::Sandbox};

#[test]
fn a_repository_that_published_nothing_says_so_and_what_to_do() {
    let sandbox =
        Sandbox::with("//- web/Dockerfile\nFROM debian:12\n//- tools/Dockerfile\nFROM scratch\n");
    assert_snapshot!("status-unpublished", sandbox.refit(&["status"]).all());
    let json = sandbox
        .refit(&["status", "--format", "json", "--exit-code"])
        .json();
    assert_eq!(
        (&json["format_version"], &json["stale"], &json["total"]),
        (&1.into(), &0.into(), &2.into())
    );
    assert!(
        !sandbox.root().join(".git/refs/notes").exists(),
        "a reading verb wrote notes"
    );
}

#[test]
fn a_registry_that_is_away_is_a_state_and_not_a_failure() {
    let mut registry = TestRegistry::start(Options::default());
    registry.put_image("debian", "12", &Image::new("linux/amd64", &[&[("a", "b")]]));
    let host = registry.host();
    let sandbox = Sandbox::with(&format!(
        "//- .config/refit.toml\npush-to = [\"{host}/team\"]\n[[image]]\nname = \"web\"\n\
         //- Dockerfile\nFROM {host}/debian:12\n"
    ));
    registry.stop();
    let ran = sandbox.refit(&["status"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.starts_with("unreachable  web  linux/amd64"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_folder_without_commits_has_a_status() {
    let sandbox = Sandbox::new();
    sandbox.write("web/Dockerfile", "FROM debian:12\n");
    assert_snapshot!("status-no-commits", sandbox.refit(&["status"]).all());
    assert_snapshot!("status-empty", Sandbox::new().refit(&["status"]).all());
}

#[test]
fn nothing_was_run_yet() {
    let sandbox = Sandbox::new();
    assert_snapshot!("runs-none", sandbox.refit(&["runs"]).all());
    assert_snapshot!("logs-none", sandbox.refit(&["logs"]).all());
    assert_eq!(
        sandbox.refit(&["runs", "--format", "json"]).json()["runs"],
        serde_json::json!([])
    );
}

mod archive {
    use jiff::Timestamp;
    use refit_logs::{Archive, Outcome, RunId, RunKind, RunSettings, Secrets, TargetRecord};
    use std::io::Write as _;

    use super::*;

    fn clock() -> Timestamp {
        Timestamp::from_second(1_795_338_000).unwrap()
    }

    /// Two runs: the older one failed for one target.
    fn runs(sandbox: &Sandbox) {
        let archive = Archive::open(&sandbox.root().join(".git/refit"));
        for (n, failed) in [(1_u8, true), (2, false)] {
            let id = RunId::new(clock(), [n; 10]);
            let settings = RunSettings {
                clock,
                secrets: Secrets::default(),
            };
            let run = archive.start(id, RunKind::Sweep, settings).unwrap();
            for (target, failed) in [("web@linux/amd64", false), ("web@linux/arm64", failed)] {
                let mut recorder = run.recorder(target, "rebuild").unwrap();
                writeln!(recorder, "building {target} in run {n}\ndone").unwrap();
                let log = recorder.finish().unwrap();
                let outcome = if failed {
                    Outcome::Failed
                } else {
                    Outcome::Succeeded
                };
                run.record(TargetRecord {
                    target: target.to_owned(),
                    action: "rebuild".to_owned(),
                    outcome,
                    log: Some(log),
                    manifest: None,
                    message: failed.then(|| "RUN make failed".to_owned()),
                    part: None,
                    node: None,
                })
                .unwrap();
            }
            run.finish(if failed {
                Outcome::Failed
            } else {
                Outcome::Succeeded
            })
            .unwrap();
        }
    }

    #[test]
    fn runs_and_their_logs_are_found_by_id_image_and_target() {
        let sandbox = Sandbox::new();
        runs(&sandbox);
        assert_snapshot!("runs", sandbox.refit(&["runs"]).all());
        assert_snapshot!(
            "runs-json",
            sandbox.refit(&["runs", "--format", "json", "-n", "1"]).ok()
        );
        assert_snapshot!("logs-newest", sandbox.refit(&["logs"]).all());
        let older = RunId::new(clock(), [1; 10]).to_string();
        assert_snapshot!(
            "logs-run",
            sandbox.refit(&["logs", &older, "--timestamps"]).all()
        );
        assert_snapshot!(
            "logs-target",
            sandbox
                .refit(&["logs", "web@linux/arm64", "--tail", "1"])
                .all()
        );
        assert_eq!(
            sandbox.refit(&["logs", "web"]).ok(),
            sandbox.refit(&["logs"]).ok()
        );
        assert_snapshot!("logs-unknown", sandbox.refit(&["logs", "api"]).all());
        // Both begin at the same moment: the start of their ids is the same.
        assert_snapshot!(
            "logs-ambiguous",
            sandbox.refit(&["logs", &older[..8]]).all()
        );
        assert_snapshot!(
            "logs-json",
            sandbox.refit(&["logs", "web", "--format", "json"]).ok()
        );
    }
}

#[test]
fn every_clone_knows_when_the_last_sweep_was() {
    let shop = crate::shop::stale();
    let at = |minutes: u64, args: &[&str]| {
        let time = (1_780_000_000 + minutes * 60).to_string();
        shop.refit_with(args, "", &[("SOURCE_DATE_EPOCH", &time)])
    };
    let records = || shop.git(&["rev-parse", "refs/notes/refit-records"]);
    let said = at(0, &["status"]).ok();
    assert!(!said.contains("last sweep"), "{said}");

    at(0, &["sweep"]).ok();
    let said = at(180, &["status"]).ok();
    assert!(said.ends_with("\nlast sweep 3 hours ago\n"), "{said}");

    // One that finds nothing to do is recorded once an hour, and one of some images only is none.
    let before = records();
    at(59, &["sweep"]).ok();
    at(90, &["sweep", "web"]).ok();
    assert_eq!(records(), before);
    at(120, &["sweep"]).ok();
    let said = at(180, &["status"]).ok();
    assert!(said.ends_with("\nlast sweep 1 hour ago\n"), "{said}");

    let clone = shop.path("clone");
    let clone = clone.to_str().unwrap();
    shop.git(&["clone", "-q", ".", clone]);
    shop.refit(&["-C", clone, "notes", "fetch"]).ok();
    shop.git(&["-C", clone, "checkout", "-q", "-b", "topic"]);
    let said = at(180, &["-C", clone, "status", "--summary", "../status.md"]).ok();
    assert!(
        said.ends_with("\nlast sweep of `main` 1 hour ago\n"),
        "{said}"
    );
    let json = at(180, &["-C", clone, "status", "--format", "json"]).json();
    let swept = serde_json::json!({ "main": "2026-05-28T22:26:40Z" });
    assert_eq!(json["last_sweeps"], swept);
    let summary = shop.read("../status.md");
    let row = "**Last sweeps**\n\n| Line | When |\n|---|---|\n| `main` | 2026-05-28 22:26 UTC |\n";
    assert!(summary.contains(row), "{summary}");
}
