//! What linters and the published schemas say of the files that `init --ci` writes, and of this repository's action.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

use super::{ALL, FILES, SETTINGS, shards};
use crate::sandbox::{Ran, Sandbox};

const ACTION: &str = include_str!("../../../../../action.yml");

/// A repository with the files of all systems, and the action.
fn written() -> Sandbox {
    let sandbox = Sandbox::with(SETTINGS);
    sandbox.refit(&ALL).ok();
    sandbox.write("action.yml", ACTION);
    sandbox
}

/// The same where sweeps are spread over jobs.
fn sharded() -> Sandbox {
    let sandbox = shards::repository();
    sandbox.refit(&ALL).ok();
    sandbox.write("action.yml", ACTION);
    sandbox
}

/// A linter of the engines' folder.
fn linter(sandbox: &Sandbox, name: &str, args: &[&str]) -> Ran {
    let folder = refit_testkit::engines::folder();
    let mut command = Command::new(folder.join("linters/bin").join(name));
    command.args(args);
    sandbox.run(command, "")
}

/// Checks files of one system against its published schema.
fn schema(sandbox: &Sandbox, paths: &[&str]) -> Ran {
    // The schema of Azure has patterns that are none in Unicode mode.
    let args: &[&str] = match paths[0] {
        path if path.contains("azure") => &[
            "--regex-variant=nonunicode",
            "--builtin-schema=vendor.azure-pipelines",
            "--data-transform=azure-pipelines",
        ],
        path if path.contains("gitlab") => &[
            "--builtin-schema=vendor.gitlab-ci",
            "--data-transform=gitlab-ci",
        ],
        "action.yml" => &["--builtin-schema=vendor.github-actions"],
        _ => &["--builtin-schema=vendor.github-workflows"],
    };
    linter(sandbox, "check-jsonschema", &[args, paths].concat())
}

#[test]
fn needs_linters_every_file_fits_its_published_schema() {
    let sandbox = written();
    let spread = sharded();
    let pipeline = include_str!("../../../../../snapshots/cli/sweep-jobs-gitlab.snap");
    let (_, pipeline) = pipeline.split_once("---\ninclude").unwrap();
    sandbox.write(".gitlab/pipeline.yml", &format!("include{pipeline}"));
    for (path, copy) in [
        (FILES[1].1, ".github/workflows/sharded.yml"),
        (FILES[2].1, ".gitlab/sharded.yml"),
        (FILES[4].1, ".azure/sharded.yml"),
    ] {
        sandbox.write(copy, &spread.read(path));
    }
    for paths in [
        &[FILES[0].1, FILES[1].1, ".github/workflows/sharded.yml"][..],
        &[
            FILES[2].1,
            FILES[3].1,
            ".gitlab/sharded.yml",
            ".gitlab/pipeline.yml",
        ],
        &[FILES[4].1, ".azure/sharded.yml"],
        &["action.yml"],
    ] {
        let ran = schema(&sandbox, paths);
        assert_eq!(ran.code, 0, "{paths:?}: {}{}", ran.stdout, ran.stderr);
    }
    // The schemas tell what is wrong.
    for (path, right, wrong) in [
        (FILES[0].1, "runs-on:", "runs-at:"),
        (FILES[2].1, "stage: test", "stage: 7"),
        (FILES[4].1, "displayName: Sweep", "name: Sweep"),
        ("action.yml", "using: composite", "using: bash"),
    ] {
        let text = sandbox.read(path);
        assert!(text.contains(right), "{path}");
        sandbox.write(path, &text.replace(right, wrong));
        assert_eq!(schema(&sandbox, &[path]).code, 1, "{path}: {wrong}");
    }
}

#[test]
fn needs_linters_zizmor_finds_nothing_in_the_workflows_and_the_action() {
    let sandbox = written();
    let zizmor =
        |sandbox: &Sandbox| linter(sandbox, "zizmor", &["--offline", "--no-progress", "."]);
    for sandbox in [&sandbox, &sharded()] {
        let ran = zizmor(sandbox);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    }
    let path = FILES[0].1;
    let text = sandbox
        .read(path)
        .replace("  pull_request:", "  pull_request_target:");
    sandbox.write(path, &text);
    let ran = zizmor(&sandbox);
    assert!(
        ran.code != 0 && ran.stdout.contains("dangerous-triggers"),
        "{}",
        ran.stdout
    );
}

/// Every text in a document under one of these keys.
fn scripts<'v>(value: &'v Value, keys: &[&str], found: &mut Vec<&'v str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if keys.contains(&key.as_str()) {
                    found.extend(value.as_str());
                    let lines = value.as_array().into_iter().flatten();
                    found.extend(lines.filter_map(Value::as_str));
                }
                scripts(value, keys, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| scripts(item, keys, found)),
        _ => {}
    }
}

#[test]
fn needs_shellcheck_every_shell_step_is_sound() {
    let mut checked = BTreeSet::new();
    for sandbox in [written(), sharded()] {
        are_sound(&sandbox, &mut checked);
    }
}

/// Checks the steps that were not checked before: most are in several jobs.
fn are_sound(sandbox: &Sandbox, checked: &mut BTreeSet<(String, String)>) {
    let shellcheck = |shell: &str, script: &str| {
        let mut command = Command::new("shellcheck");
        // GitLab's helper for credentials is quoted on purpose: git runs it.
        command.args(["--exclude=SC2016", "--shell", shell, "-"]);
        sandbox.run(command, script)
    };
    let mut n = 0;
    for (path, shell, keys) in [
        (FILES[0].1, "bash", &["run"][..]),
        (FILES[1].1, "bash", &["run"]),
        (
            FILES[2].1,
            "sh",
            &["before_script", "script", "after_script"],
        ),
        (FILES[4].1, "bash", &["bash"]),
        ("action.yml", "bash", &["run"]),
    ] {
        let file: Value = serde_saphyr::from_str(&sandbox.read(path)).unwrap();
        let mut found = Vec::new();
        scripts(&file, keys, &mut found);
        assert!(!found.is_empty(), "{path} has no shell step");
        n += found.len();
        for script in found {
            if checked.insert((shell.to_owned(), script.to_owned())) {
                let ran = shellcheck(shell, script);
                assert_eq!(ran.code, 0, "{path}: {}", ran.stdout);
            }
        }
    }
    assert!(n > 30, "{n} steps");
    assert_eq!(shellcheck("sh", "rm -r $1\n").code, 1);
}
