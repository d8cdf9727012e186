//! What the hooks do once they are installed.

use crate::{assert_snapshot, sandbox::Sandbox};

fn hooked(files: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_all(files);
    sandbox.refit(&["init", "--hooks"]).ok();
    sandbox.commit("Add images");
    sandbox
}

#[test]
fn a_commit_that_breaks_a_dockerfile_is_refused_with_its_line() {
    let sandbox =
        hooked("//- web/Dockerfile\nFROM debian:12\n//- api/Dockerfile\nFROM debian:12\n");
    sandbox.write("web/Dockerfile", "FROM debian:12\nCOPPY . /\n");
    sandbox.git(&["add", "-A"]);
    let ran = sandbox.try_git(&["commit", "-q", "-m", "Break it"]);
    assert_snapshot!("hook-pre-commit", ran.all());
    // What is staged counts, not what lies in the folder.
    sandbox.write("web/Dockerfile", "FROM debian:12\n");
    assert_eq!(sandbox.try_git(&["commit", "-q", "-m", "Break it"]).code, 1);
    sandbox.git(&["commit", "-q", "--no-verify", "-m", "Break it anyway"]);
    sandbox.git(&["checkout", "-q", "--", "web/Dockerfile"]);
    // It was broken before: other work goes on.
    sandbox.write("api/Dockerfile", "FROM debian:13\n");
    sandbox.commit("Move on");
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_too() {
    let sandbox = hooked("//- web/Dockerfile\nFROM debian:12\n");
    sandbox.write(
        ".config/refit.toml",
        "version = 1\n[[image]]\nname = \"web\"\ncontxt = \"web\"\n",
    );
    sandbox.git(&["add", "-A"]);
    assert_snapshot!(
        "hook-pre-commit-config",
        sandbox.try_git(&["commit", "-q", "-m", "Typo"]).all()
    );
}

#[test]
fn each_image_that_a_commit_touches_gets_a_line() {
    let sandbox = hooked(
        "//- web/Dockerfile\nFROM debian:12\nCOPY src /src\n//- web/src/a\na\n//- web/README\nx\n\
         //- api/Dockerfile\nFROM debian:12\n//- README\nhello\n",
    );
    let lines = |sandbox: &Sandbox| {
        sandbox
            .try_git(&["notes", "--ref=refit", "show", "HEAD"])
            .stdout
    };
    assert_eq!(lines(&sandbox).lines().count(), 2);
    sandbox.write("README", "hello again\n");
    sandbox.commit("Say hello");
    assert_eq!(lines(&sandbox), "");
    sandbox.write("web/README", "no build sees this\n");
    sandbox.commit("Explain");
    assert_eq!(lines(&sandbox), "");
    sandbox.write("web/src/a", "b\n");
    sandbox.commit("Change web");
    assert_eq!(
        lines(&sandbox),
        "web: debian:12 not resolved (linux/amd64)\n"
    );
    let config = sandbox
        .read(".config/refit.toml")
        .replace("context = \"api\"\n", "context = \"api\"\ntarget = \"x\"\n");
    sandbox.write(".config/refit.toml", &config);
    sandbox.write("api/Dockerfile", "FROM debian:12 AS x\n");
    sandbox.commit("Name a stage");
    assert_eq!(
        lines(&sandbox),
        "api: debian:12 not resolved (linux/amd64)\n"
    );
}

#[test]
fn sentences_follow_a_rebase() {
    let sandbox = hooked("//- web/Dockerfile\nFROM debian:12\n");
    sandbox.git(&["checkout", "-q", "-b", "work"]);
    sandbox.write("web/Dockerfile", "FROM debian:13\n");
    sandbox.commit("Take the next base");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("README", "hello\n");
    sandbox.commit("Say hello");
    sandbox.git(&["rebase", "-q", "main", "work"]);
    let note = sandbox.git(&["notes", "--ref=refit", "show", "HEAD"]);
    assert_eq!(note, "web: debian:13 not resolved (linux/amd64)\n");
}

#[test]
fn the_hook_never_stops_a_commit() {
    let sandbox = hooked("//- web/Dockerfile\nFROM debian:12\n");
    // Somebody else holds the notes, and a file stands where a folder is needed.
    std::fs::remove_dir_all(sandbox.root().join(".git/refit")).unwrap_or_default();
    sandbox.write(".git/refit", "in the way");
    sandbox.write("web/Dockerfile", "FROM debian:13\n");
    sandbox.git(&["add", "-A"]);
    let ran = sandbox.try_git(&["commit", "-q", "-m", "Go on"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.stderr
            .starts_with("warning: refit's post-commit hook: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn notes_are_pushed_with_a_push_only_if_that_is_configured() {
    let sandbox = hooked("//- web/Dockerfile\nFROM debian:12\n");
    let remote = sandbox.path("remote.git");
    sandbox.git(&["init", "-q", "--bare", remote.to_str().unwrap()]);
    sandbox.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    sandbox.git(&["push", "-q", "origin", "main"]);
    assert_eq!(sandbox.git(&["ls-remote", "origin", "refs/notes/*"]), "");
    sandbox.git(&["config", "refit.pushNotes", "true"]);
    sandbox.git(&["push", "-q", "origin", "main:other"]);
    assert_eq!(
        sandbox
            .git(&["ls-remote", "origin", "refs/notes/*"])
            .lines()
            .count(),
        2
    );
}

#[test]
fn hooks_work_in_linked_worktrees() {
    let sandbox = hooked("//- web/Dockerfile\nFROM debian:12\n");
    let linked = sandbox.path("linked");
    let linked = linked.to_str().unwrap();
    sandbox.git(&["worktree", "add", "-q", "-b", "other", linked]);
    std::fs::write(sandbox.path("linked/web/Dockerfile"), "FROM debian:13\n").unwrap();
    sandbox.git(&["-C", linked, "commit", "-qam", "Take the next base"]);
    let note = sandbox.git(&["notes", "--ref=refit", "show", "other"]);
    assert_eq!(note, "web: debian:13 not resolved (linux/amd64)\n");
    std::fs::write(sandbox.path("linked/web/Dockerfile"), "FORM debian:13\n").unwrap();
    let ran = sandbox.try_git(&["-C", linked, "commit", "-qam", "Break it"]);
    assert!(
        ran.stderr.starts_with("error: web/Dockerfile:1:1: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_was_remembered_of_the_images_never_hides_one() {
    let sandbox = hooked("//- web/Dockerfile\nFROM debian:12\n//- README\nhello\n");
    let notes = |sandbox: &Sandbox| {
        sandbox
            .try_git(&["notes", "--ref=refit", "show", "HEAD"])
            .stdout
    };
    let commit = |path: &str, text: &str| {
        sandbox.write(path, text);
        sandbox.git(&["add", "-A"]);
        let ran = sandbox.try_git(&["commit", "-q", "-m", "Change"]);
        (ran.code, notes(&sandbox))
    };
    let debian = |tag: &str| format!("web: debian:{tag} not resolved (linux/amd64)\n");
    for remembered in ["as it is", "", "{}", "[1", "{\"version\":2}"] {
        let outline = sandbox.root().join(".git/refit/outline");
        if remembered == "as it is" {
            assert!(outline.is_file());
        } else {
            std::fs::write(&outline, remembered).unwrap();
        }
        assert_eq!(commit("README", remembered), (0, String::new()));
        let text = format!("FROM debian:12\nLABEL a={remembered:?}\n");
        assert_eq!(commit("web/Dockerfile", &text), (0, debian("12")));
        assert_eq!(commit("web/file", remembered), (0, String::new()));
        assert_eq!(commit("web/Dockerfile", "FORM debian\n").0, 1);
        sandbox.git(&["checkout", "-q", "HEAD", "web/Dockerfile"]);
    }
    // Another branch has other images; so has the branch before, when it is checked out again.
    sandbox.git(&["checkout", "-q", "-b", "other"]);
    sandbox.git(&["rm", "-q", "web/Dockerfile"]);
    sandbox.git(&["commit", "-q", "--no-verify", "-m", "Remove"]);
    assert_eq!(commit("web/file", "not an image's").0, 0);
    sandbox.git(&["checkout", "-q", "main"]);
    assert_eq!(
        commit("web/Dockerfile", "FROM debian:13\n"),
        (0, debian("13"))
    );
    // A commit that was taken back and collected is no commit to compare with.
    sandbox.git(&["checkout", "-q", "-b", "gone"]);
    assert_eq!(
        commit("web/Dockerfile", "FROM debian:14\n"),
        (0, debian("14"))
    );
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.git(&["branch", "-qD", "gone"]);
    sandbox.git(&["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(&["gc", "-q", "--prune=now"]);
    assert_eq!(commit("README", "bye\n"), (0, String::new()));
    assert_eq!(
        commit("web/Dockerfile", "FROM debian:15\n"),
        (0, debian("15"))
    );
}

#[test]
fn a_new_dockerfile_of_any_name_that_a_glob_lists_is_looked_at() {
    let sandbox = hooked(
        "//- .config/refit.toml\n[[images]]\nfiles = \"docker/*.build\"\nname = \"{suffix}\"\ncontext = \"src\"\n\
         //- docker/web.build\nFROM debian:12\n//- src/a\na\n",
    );
    sandbox.write("docker/api.build", "FORM debian:12\n");
    sandbox.git(&["add", "-A"]);
    let ran = sandbox.try_git(&["commit", "-q", "-m", "Add another"]);
    assert!(
        ran.stderr.starts_with("error: docker/api.build:1:1: "),
        "{}",
        ran.all()
    );
    sandbox.write("docker/api.build", "FROM debian:13\n");
    sandbox.commit("Add another");
    let note = sandbox.git(&["notes", "--ref=refit", "show", "HEAD"]);
    assert!(note.contains("debian:13 not resolved"), "{note}");
}

/// The README's lines for other managers of hooks.
#[test]
fn a_hook_manager_needs_one_line_each() {
    const README: &str = include_str!("../../../../README.md");
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM debian:12\n");
    for name in ["pre-commit", "post-commit"] {
        let start = format!("! command -v refit >/dev/null || refit hook {name}");
        let line = README
            .lines()
            .find(|line| line.starts_with(&start))
            .unwrap();
        let hook = sandbox.root().join(".git/hooks").join(name);
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, format!("#!/bin/sh\n{line}\n")).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&hook, executable).unwrap();
    }
    sandbox.write("web/Dockerfile", "FORM debian:12\n");
    sandbox.git(&["add", "-A"]);
    assert_eq!(sandbox.try_git(&["commit", "-q", "-m", "Break it"]).code, 1);
    // Where refit cannot tell, or is not there, nothing is stopped.
    let commit = ["-c", "core.hooksPath=.git/hooks", "commit", "-q", "-m", "x"];
    let without = std::process::Command::new("git")
        .current_dir(sandbox.root())
        .args(["-c", "user.name=a", "-c", "user.email=a@b.c"])
        .args(commit)
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    assert!(without.status.success(), "{without:?}");
    sandbox.write("web/Dockerfile", "FROM debian:13\n");
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-q", "-m", "Mend it"]);
    let note = sandbox.git(&["notes", "--ref=refit", "show", "HEAD"]);
    assert_eq!(note, "web: debian:13 not resolved (linux/amd64)\n");
}
