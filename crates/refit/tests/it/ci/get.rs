//! How CI gets refit where it is not installed.

use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::sandbox::{Ran, Sandbox};

const PROGRAM: &str = "#!/bin/sh\necho \"the one from the release: $*\"\n";

/// Runs the step, with a release in a folder that has this file of sums.
fn get(sums: Option<&str>) -> (Sandbox, Ran) {
    let sandbox = Sandbox::with(super::SETTINGS);
    sandbox.refit(&["init", "--ci", "github"]).ok();
    let file: Value =
        serde_saphyr::from_str(&sandbox.read(".github/workflows/refit-sweep.yml")).unwrap();
    let steps = file["jobs"]["sweep"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "Get refit");
    let script = step.unwrap()["run"].as_str().unwrap();
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
        .env(
            "REFIT_RELEASES",
            format!("file://{}", sandbox.path("releases").display()),
        )
        .env("GITHUB_PATH", sandbox.path("github-path"));
    let ran = sandbox.run(command, "");
    (sandbox, ran)
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

#[test]
fn a_release_is_taken_if_its_sum_is_right() {
    let sums = format!("{}  other\n{}  {}\n", sum("other"), sum(PROGRAM), name());
    let (sandbox, ran) = get(Some(&sums));
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
    assert_eq!(
        sandbox.read("../github-path"),
        format!("{}\n", bin.display())
    );
}

#[test]
fn a_release_with_another_sum_or_none_is_not_run() {
    let wrong = format!("{}  {}\n", sum("something else"), name());
    let longer = format!("{}  {}.sig\n", sum(PROGRAM), name());
    for sums in [Some(wrong.as_str()), Some(&longer), Some(""), None] {
        let (sandbox, ran) = get(sums);
        assert_ne!(ran.code, 0, "{sums:?}");
        assert!(!ran.stdout.contains("the one from the release"), "{sums:?}");
        assert!(!sandbox.path("home/.local/bin/refit").exists(), "{sums:?}");
    }
}
