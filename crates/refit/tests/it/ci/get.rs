//! How CI gets refit where it is not installed.

use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::sandbox::{Ran, Sandbox};

const PROGRAM: &str = "#!/bin/sh\necho \"the one from the release: $*\"\n";

/// The step of a workflow that `init` writes.
fn of_workflow(sandbox: &Sandbox) -> String {
    sandbox.refit(&["init", "--ci", "github"]).ok();
    let text = sandbox.read(".github/workflows/refit-sweep.yml");
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let steps = file["jobs"]["sweep"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "Get refit");
    step.unwrap()["run"].as_str().unwrap().to_owned()
}

/// This repository's own action.
fn action() -> Value {
    serde_saphyr::from_str(include_str!("../../../../../action.yml")).unwrap()
}

/// Runs a step, with a release in a folder that has this file of sums.
fn get(script: &str, sandbox: &Sandbox, sums: Option<&str>, sum: &str) -> Ran {
    let version = env!("CARGO_PKG_VERSION");
    let name = name();
    sandbox.write(&format!("../releases/v{version}/{name}"), PROGRAM);
    if let Some(sums) = sums {
        sandbox.write(&format!("../releases/v{version}/SHA256SUMS"), sums);
    }
    let mut command = Command::new("/bin/bash");
    command
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
        .env("PATH", "/usr/bin:/bin")
        .env("REFIT_VERSION", version)
        .env("REFIT_SHA256", sum)
        .env(
            "REFIT_RELEASES",
            format!("file://{}", sandbox.path("releases").display()),
        )
        .env("GITHUB_PATH", sandbox.path("github-path"));
    sandbox.run(command, "")
}

fn name() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "refit-{version}-{}-unknown-linux-musl",
        std::env::consts::ARCH
    )
}

fn sum(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The steps of the workflow and of the action.
fn scripts(sandbox: &Sandbox) -> [String; 2] {
    let action = action();
    let step = action["runs"]["steps"][0]["run"].as_str().unwrap();
    [of_workflow(sandbox), step.to_owned()]
}

#[test]
fn a_release_is_taken_if_its_sum_is_right() {
    let sums = format!("{}  other\n{}  {}\n", sum("other"), sum(PROGRAM), name());
    for at in 0..2 {
        let sandbox = Sandbox::with(super::SETTINGS);
        let ran = get(&scripts(&sandbox)[at], &sandbox, Some(&sums), "");
        assert!(
            ran.stdout
                .ends_with("the one from the release: --version\n")
                && ran.code == 0,
            "{}{}",
            ran.stdout,
            ran.stderr
        );
        let bin = sandbox.path("home/.local/bin");
        assert!(bin.join("refit").is_file());
        let path = format!("{}\n", bin.display());
        assert_eq!(sandbox.read("../github-path"), path);
    }
}

#[test]
fn a_release_with_another_sum_or_none_is_not_run() {
    let wrong = format!("{}  {}\n", sum("something else"), name());
    let longer = format!("{}  {}.sig\n", sum(PROGRAM), name());
    for sums in [Some(wrong.as_str()), Some(&longer), Some(""), None] {
        for at in 0..2 {
            let sandbox = Sandbox::with(super::SETTINGS);
            let ran = get(&scripts(&sandbox)[at], &sandbox, sums, "");
            assert_ne!(ran.code, 0, "{sums:?}");
            assert!(!ran.stdout.contains("the one from the release"), "{sums:?}");
            assert!(!sandbox.path("home/.local/bin/refit").exists(), "{sums:?}");
        }
    }
}

#[test]
fn the_action_takes_a_sum_and_its_version_is_this_one() {
    let action = action();
    assert_eq!(
        action["inputs"]["version"]["default"],
        env!("CARGO_PKG_VERSION")
    );
    let script = action["runs"]["steps"][0]["run"].as_str().unwrap();
    for (sum, is_right) in [(sum(PROGRAM), true), (sum("something else"), false)] {
        let sandbox = Sandbox::with(super::SETTINGS);
        let ran = get(script, &sandbox, None, &sum);
        assert_eq!(ran.code == 0, is_right, "{}", ran.stderr);
        assert_eq!(sandbox.path("home/.local/bin/refit").exists(), is_right);
    }
}
