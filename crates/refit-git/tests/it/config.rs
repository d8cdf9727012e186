//! Configuration and the hooks folder.

use crate::fixture::{Fixture, git, open};

#[test]
fn an_addition_changes_nothing_the_second_time() {
    let fixture = Fixture::with("//- a\n");
    let repo = fixture.repo();
    assert_eq!(repo.config_string("notes.displayRef"), None);
    for (value, changed) in [
        ("refs/notes/refit", true),
        ("-x #;\"quoted\"", true),
        ("refs/notes/refit", false),
    ] {
        assert_eq!(
            repo.add_config_value("notes.displayRef", value).unwrap(),
            changed,
            "{value}"
        );
    }
    let want = ["refs/notes/refit", "-x #;\"quoted\""];
    assert_eq!(repo.config_strings("notes.displayRef"), want);
    assert_eq!(
        fixture.git(&["config", "--get-all", "notes.displayRef"]),
        want.join("\n")
    );
    assert_eq!(
        repo.config_string("notes.displayRef").as_deref(),
        Some(want[1]),
        "the last one counts"
    );
}

#[test]
fn what_the_user_set_stays() {
    let fixture = Fixture::with("//- a\n");
    fixture.git(&["config", "core.hooksPath", "mine"]);
    let repo = fixture.repo();
    assert!(!repo.set_config_if_absent("core.hooksPath", "ours").unwrap());
    assert!(
        repo.set_config_if_absent("remote.my.remote.url", "ours")
            .unwrap()
    );
    assert_eq!(fixture.git(&["config", "core.hooksPath"]), "mine");
    assert_eq!(
        repo.config_string("remote.my.remote.url").as_deref(),
        Some("ours")
    );
}

#[test]
fn a_key_cannot_become_an_option() {
    let repo = Fixture::empty().repo();
    for key in ["--unset.x", "nodot", "", "a.b\nc"] {
        let error = repo.add_config_value(key, "x").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{key}` is no configuration key")
        );
    }
}

#[test]
fn hooks_are_where_git_runs_them() {
    let fixture = Fixture::with("//- a\n");
    fixture.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    fixture.git(&["clone", "--quiet", "--bare", ".", "../bare.git"]);
    for path in [None, Some(".githooks"), Some("/srv/hooks")] {
        for name in ["repo", "linked", "bare.git"] {
            let dir = fixture.beside(name);
            if let Some(path) = path {
                git(&dir, &["config", "core.hooksPath", path]);
            }
            // Relative to the folder that hooks run in, which is the one git was started in here.
            let want = dir.join(git(&dir, &["rev-parse", "--git-path", "hooks"]));
            assert_eq!(open(&dir).hooks_dir(), want, "{name} {path:?}");
        }
    }
}
