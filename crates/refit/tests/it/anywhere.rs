//! Records are found wherever git takes a repository, and whatever it does to its history.

use serde_json::Value;

use crate::{sandbox::Sandbox, shop::unpublished};

/// The builds that records know, as a clone at `dir` tells them.
fn known(sandbox: &Sandbox, dir: &str) -> Vec<String> {
    let asked = [
        "-C", dir, "deps", "users", "debian", "--at", "HEAD", "--format", "json",
    ];
    let told = sandbox.refit(&asked).json();
    let all = told["uses"].as_array().unwrap().iter();
    let built = all.filter(|of| of["manifest"] != Value::Null);
    let mut known: Vec<String> = built
        .map(|of| format!("{} {} {}", of["target"], of["digest"], of["manifest"]))
        .collect();
    known.sort();
    known
}

/// A shop that is published.
fn published() -> (Sandbox, Vec<String>) {
    let sandbox = unpublished();
    sandbox.refit(&["build", "--push"]).ok();
    let known = known(&sandbox, ".");
    assert_eq!(known.len(), 6, "three images on two platforms: {known:?}");
    (sandbox, known)
}

/// Nothing is stale, and a sweep has nothing to do.
fn is_fresh(sandbox: &Sandbox, after: &str) {
    let status = sandbox.refit(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"], 0, "{after}: {status:#}");
    assert_eq!(status["states"], serde_json::json!([]), "{after}");
    let plan = sandbox.refit(&["sweep", "--dry-run", "--format", "json"]);
    assert_eq!(plan.json()["steps"], serde_json::json!([]), "{after}");
}

#[test]
fn rewritten_history_keeps_the_records() {
    let (sandbox, records) = published();
    // What `git filter-repo` does: every ref is written out, changed, and read in again.
    let rewritten = "alias.rewritten=!git fast-export --all --signed-tags=strip | \
        sed 's/^\\(author\\|committer\\) .*> /\\1 Someone <someone@example.com> /' | git fast-import --quiet --force";
    let ways: [(&str, &[&[&str]]); 8] = [
        (
            "amend",
            &[&["commit", "-q", "--amend", "-m", "other words"]],
        ),
        (
            "rebase",
            &[
                &["checkout", "-q", "--orphan", "before"],
                &["rm", "-rfq", "."],
                &["commit", "-q", "--allow-empty", "-m", "before"],
                &["rebase", "-q", "--root", "--onto", "before", "main"],
            ],
        ),
        (
            "squash",
            &[
                &["checkout", "-q", "-b", "squashed", "before"],
                &["merge", "-q", "--squash", "main"],
                &["commit", "-q", "-m", "squashed"],
                &["branch", "-qf", "main"],
                &["checkout", "-q", "main"],
            ],
        ),
        (
            "cherry-pick",
            &[
                &["checkout", "-q", "-b", "picked", "before"],
                &["cherry-pick", "squashed"],
                &["branch", "-qf", "main"],
                &["checkout", "-q", "main"],
            ],
        ),
        (
            "filter-branch",
            &[&["filter-branch", "-f", "--msg-filter", "tr a-z A-Z", "main"]],
        ),
        ("fast-export", &[&["-c", rewritten, "rewritten"]]),
        ("detached", &[&["checkout", "-q", "--detach"]]),
        (
            "replaced",
            &[&["checkout", "-q", "main"], &["replace", "--graft", "HEAD"]],
        ),
    ];
    for (way, steps) in ways {
        for step in steps {
            let mut command = vec!["-c", "advice.detachedHead=false"];
            command.extend(*step);
            sandbox.git(&command);
        }
        if way == "fast-export" {
            assert!(
                sandbox
                    .git(&["log", "--format=%ae", "-1"])
                    .starts_with("someone@")
            );
            assert!(
                sandbox
                    .git(&["log", "--format=%ae", "-1", "refs/notes/refit-records"])
                    .starts_with("someone@")
            );
        }
        assert_eq!(known(&sandbox, "."), records, "{way}");
        if way != "detached" {
            is_fresh(&sandbox, way);
        }
    }
    // Even where the commits that were built are gone for good.
    sandbox.git(&["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(&["update-ref", "-d", "refs/original/refs/heads/main"]);
    sandbox.git(&["gc", "-q", "--prune=now"]);
    assert_eq!(known(&sandbox, "."), records);
    assert_eq!(sandbox.refit(&["notes", "verify"]).code, 0);
}

/// `git filter-repo` leaves `OLD NEW` a line in `.git/filter-repo/commit-map`, below a header.
#[test]
fn sentences_follow_a_map_of_rewritten_commits() {
    let sandbox = Sandbox::bare();
    sandbox.git(&["init", "-q", "-b", "main"]);
    sandbox.write_all("//- web/Dockerfile\nFROM scratch\n");
    sandbox.commit("web");
    sandbox.refit(&["deps", "record"]).ok();
    let old = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["commit", "-q", "--amend", "-m", "rewritten"]);
    let new = sandbox.git(&["rev-parse", "HEAD"]);
    let said = || sandbox.git(&["log", "-1", "--format=%N", "--notes=refit"]);
    assert_eq!(said().trim(), "");
    let map = format!("{:40} {}\n{} {}\n", "old", "new", old.trim(), new.trim());
    let hook = ["hook", "post-rewrite", "rebase"];
    sandbox.refit_with(&hook, &map, &[]).ok();
    assert_eq!(said().trim(), "web: scratch");
    sandbox.refit_with(&hook, &map, &[]).ok();
    assert_eq!(said().trim(), "web: scratch", "once");
}

#[test]
fn every_kind_of_clone_finds_the_records() {
    let (sandbox, records) = published();
    let origin = sandbox.root();
    let url = format!("file://{}", origin.display());
    sandbox.git(&["config", "uploadpack.allowFilter", "true"]);
    let fetch = [
        "fetch",
        "-q",
        "origin",
        "refs/notes/refit-records:refs/notes/refit-records",
    ];
    let kinds: [(&str, &[&str]); 6] = [
        ("full", &[]),
        ("depth-1", &["--depth=1"]),
        ("partial", &["--filter=blob:none"]),
        ("bare", &["--bare"]),
        ("mirror", &["--mirror"]),
        ("single", &["--single-branch", "--no-tags"]),
    ];
    for (kind, flags) in kinds {
        let dir = sandbox.path(kind);
        let dir = dir.to_str().unwrap();
        sandbox.git(&[&["clone", "-q"], flags, &[url.as_str(), dir]].concat());
        if kind != "mirror" {
            sandbox.git(&[&["-C", dir], &fetch[..]].concat());
        }
        assert_eq!(known(&sandbox, dir), records, "{kind}");
        assert_eq!(
            sandbox.refit(&["-C", dir, "notes", "verify"]).code,
            0,
            "{kind}"
        );
    }

    let shared = sandbox.path("shared");
    let shared = shared.to_str().unwrap();
    sandbox.git(&["clone", "-q", "--shared", ".", shared]);
    sandbox.git(&[&["-C", shared], &fetch[..]].concat());
    assert_eq!(known(&sandbox, shared), records, "alternates");

    let worktree = sandbox.path("worktree");
    let worktree = worktree.to_str().unwrap();
    sandbox.git(&["worktree", "add", "-q", "-b", "other", worktree]);
    assert_eq!(known(&sandbox, worktree), records, "worktree");
    sandbox
        .refit(&["-C", worktree, "deps", "record", "--all"])
        .ok();
    let by_git = [
        "notes",
        "--ref=refit-records",
        "show",
        "HEAD:web/Dockerfile",
    ];
    let shown = sandbox.git(&by_git);
    assert!(
        shown.contains("\"type\":\"deps\""),
        "written for all: {shown}"
    );

    let whole = sandbox.path("whole");
    let whole = whole.to_str().unwrap();
    sandbox.git(&["init", "-q", whole]);
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        &url,
        "shop",
    ];
    sandbox.git(&[&["-C", whole], &add[..]].concat());
    let module = format!("{whole}/shop");
    sandbox.git(&[&["-C", &module], &fetch[..]].concat());
    assert_eq!(known(&sandbox, &module), known(&sandbox, "."), "submodule");
}

#[test]
fn a_sha256_repository_keeps_records_and_folds_them() {
    let sandbox = Sandbox::bare();
    sandbox.git(&["init", "-q", "-b", "main", "--object-format=sha256"]);
    sandbox.write_all("//- web/Dockerfile\nFROM scratch\n");
    sandbox.commit("web");
    sandbox.refit(&["deps", "record"]).ok();
    sandbox.write_all("//- web/Dockerfile\nFROM scratch\nLABEL a=b\n");
    sandbox.commit("label");
    sandbox.refit(&["deps", "record"]).ok();
    let shown = sandbox.git(&[
        "notes",
        "--ref=refit-records",
        "show",
        "HEAD:web/Dockerfile",
    ]);
    assert!(shown.contains("\"type\":\"deps\""), "{shown}");
    assert_eq!(sandbox.refit(&["notes", "verify"]).code, 0);
    sandbox.refit(&["notes", "compact"]).ok();
}

#[cfg(unix)]
#[test]
fn a_repository_of_another_user_is_used_once_it_is_trusted() {
    let (sandbox, records) = published();
    let chown = |path: &std::path::Path| std::os::unix::fs::chown(path, Some(54_321), None);
    if let Err(error) = chown(&sandbox.root()) {
        // Only root can give files away.
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        return;
    }
    chown(&sandbox.root().join(".git")).unwrap();
    let by_git = sandbox.try_git(&["status"]);
    assert!(
        by_git.stderr.contains("dubious ownership"),
        "{}",
        by_git.stderr
    );
    let refused = sandbox.refit(&["status"]);
    assert_eq!(refused.code, 2, "{}", refused.all());
    let root = sandbox.root().display().to_string();
    let command = "git config --global --add safe.directory SANDBOX/repo";
    assert!(refused.stderr.contains(command), "{}", refused.stderr);
    let trusting = sandbox.path("trusting");
    std::fs::write(&trusting, format!("[safe]\n\tdirectory = {root}\n")).unwrap();
    let global = format!("GIT_CONFIG_GLOBAL={}", trusting.display());
    let trusted = |args: &[&str]| {
        let mut command = std::process::Command::new("env");
        command
            .arg(&global)
            .arg(env!("CARGO_BIN_EXE_refit"))
            .args(args);
        sandbox.run(command, "").ok()
    };
    trusted(&["notes", "verify"]);
    trusted(&["deps", "record", "--all"]);
    let told = trusted(&[
        "deps", "users", "debian", "--at", "HEAD", "--format", "json",
    ]);
    assert_eq!(
        told.matches("\"manifest\": \"").count(),
        records.len(),
        "{told}"
    );
}
