//! HEAD, revisions, lines and the default branch.

use refit_git::{Head, RevError};

use crate::fixture::{Fixture, git, open};

#[test]
fn head_is_unborn_then_a_branch_then_detached() {
    let fixture = Fixture::empty();
    let repo = fixture.repo();
    let branch = Some("main".to_owned());
    assert_eq!(
        repo.head().unwrap(),
        Head::Unborn {
            branch: branch.clone()
        }
    );
    let id = fixture.commit("//- a\n");
    assert_eq!(
        repo.head().unwrap(),
        Head::Commit {
            id: id.clone(),
            branch
        }
    );
    fixture.git(&["checkout", "--quiet", "--detach"]);
    assert_eq!(repo.head().unwrap(), Head::Commit { id, branch: None });
}

#[test]
fn revisions_resolve_to_the_commits_that_git_resolves_them_to() {
    let fixture = Fixture::with("//- a\n1");
    fixture.git(&["tag", "--annotate", "--message=x", "v1"]);
    fixture.commit("//- a\n2");
    fixture.git(&["branch", "release/1.x", "HEAD~1"]);
    let repo = fixture.repo();
    let full = fixture.id("HEAD").to_string();
    for rev in [
        "HEAD",
        "main",
        "v1",
        "HEAD~1",
        "HEAD^",
        "@",
        "release/1.x",
        "refs/heads/main",
        &full,
        &full[..8],
    ] {
        let want = fixture.id(&format!("{rev}^{{commit}}"));
        assert_eq!(repo.resolve(rev).unwrap(), want, "{rev}");
    }
    for rev in ["", "--all", "-n1", "absent", "HEAD~9", "v1..HEAD"] {
        assert!(
            matches!(repo.resolve(rev), Err(RevError::Unknown { .. })),
            "{rev}"
        );
    }
    for rev in ["HEAD:a", "HEAD^{tree}"] {
        assert!(
            matches!(repo.resolve(rev), Err(RevError::NotACommit { .. })),
            "{rev}"
        );
    }
}

#[test]
fn nonsense_is_no_revision() {
    let repo = Fixture::with("//- a\n1").repo();
    for rev in [
        "^",
        "~",
        "@{",
        "@{-1}",
        "@{99999999999999999999}",
        "HEAD@{upstream}",
        ":",
        ":/",
        ":/x",
        ":9:a",
        "HEAD^{",
        "HEAD^{/",
        "HEAD^99999999999999999999",
        "HEAD~99999999999999999999",
        "..",
        "...",
        "\0",
        "é\u{301}",
        "refs/",
        "HEAD:",
        "HEAD^{blob}",
        "v1-0-gdeadbeef",
        "@{yesterday}",
        "HEAD@{",
        "HEAD@{}",
        "a b",
        "//",
        "-",
        "^HEAD",
    ] {
        assert!(repo.resolve(rev).is_err(), "{rev}");
    }
}

#[test]
fn lines_follow_the_remote_where_there_is_one() {
    let fixture = Fixture::with("//- a\n1");
    let pushed = fixture.id("HEAD");
    fixture.git(&["tag", "v1"]);
    git(
        fixture.path().parent().unwrap(),
        &["clone", "--quiet", "repo", "clone"],
    );
    let clone = fixture.beside("clone");
    git(
        &clone,
        &["commit", "--quiet", "--allow-empty", "--message=local"],
    );
    git(&clone, &["branch", "local-only"]);
    let repo = open(&clone);
    assert_eq!(repo.default_remote().as_deref(), Some("origin"));
    assert_eq!(repo.branch_tip("main").unwrap(), Some(pushed.clone()));
    assert_eq!(repo.branch_tip("v1").unwrap(), Some(pushed));
    assert_ne!(repo.branch_tip("local-only").unwrap(), None);
    assert_eq!(repo.branch_tip("absent").unwrap(), None);
    assert_eq!(repo.branch_tip("no such..name").unwrap(), None);

    fixture.git(&["branch", "release/1"]);
    fixture.git(&["tag", "--annotate", "--message=x", "v2"]);
    fixture.git(&["tag", "blob", "HEAD:a"]);
    git(&clone, &["fetch", "--quiet", "--tags"]);
    git(&clone, &["pack-refs", "--all"]);
    let names = |refs: Vec<(String, _)>| refs.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(repo.branches().unwrap()), ["main", "release/1"]);
    assert_eq!(names(repo.tags().unwrap()), ["v1", "v2"]);
    assert_eq!(repo.tags().unwrap()[1].1, fixture.id("v2^{commit}"));

    let alone = fixture.repo();
    assert_eq!(names(alone.branches().unwrap()), ["main", "release/1"]);
    assert_eq!(alone.default_remote(), None);
    assert_eq!(alone.branch_tip("main").unwrap(), Some(fixture.id("main")));
}

#[test]
fn the_default_branch_is_the_remotes_head() {
    let fixture = Fixture::with("//- a\n1");
    fixture.git(&["branch", "--move", "main", "trunk/x"]);
    git(
        fixture.path().parent().unwrap(),
        &["clone", "--quiet", "repo", "clone"],
    );
    let clone = fixture.beside("clone");
    git(&clone, &["checkout", "--quiet", "-b", "topic"]);
    let default = || open(&clone).default_branch().unwrap();
    assert_eq!(default().as_deref(), Some("trunk/x"));
    git(&clone, &["remote", "set-head", "origin", "--delete"]);
    assert_eq!(default().as_deref(), Some("topic"));
    assert_eq!(open(&clone).remote_head("origin").unwrap(), None);
    let asked = open(&clone).ask_remote_head("origin").unwrap();
    assert_eq!(asked, Some(("trunk/x".to_owned(), fixture.id("trunk/x"))));
    git(&clone, &["checkout", "--quiet", "--detach"]);
    assert_eq!(default(), None);
}

#[test]
fn an_empty_remote_has_no_head_branch() {
    let fixture = Fixture::with("//- a\n1");
    let parent = fixture.path().parent().unwrap().to_owned();
    git(&parent, &["init", "--quiet", "--bare", "empty.git"]);
    fixture.git(&["remote", "add", "origin", "../empty.git"]);
    assert_eq!(fixture.repo().ask_remote_head("origin").unwrap(), None);
    let gone = fixture.repo().ask_remote_head("elsewhere").unwrap_err();
    assert_eq!(gone.to_string(), "there is no remote `elsewhere`");
}

#[test]
fn among_many_remotes_origin_leads_else_the_branchs() {
    let fixture = Fixture::with("//- a\n1");
    let remote = || fixture.repo().default_remote();
    fixture.git(&["remote", "add", "fork", "../fork"]);
    assert_eq!(remote().as_deref(), Some("fork"));
    fixture.git(&["remote", "add", "upstream", "../upstream"]);
    assert_eq!(remote(), None);
    fixture.git(&["config", "branch.main.remote", "upstream"]);
    assert_eq!(remote().as_deref(), Some("upstream"));
    fixture.git(&["remote", "add", "origin", "../origin"]);
    assert_eq!(remote().as_deref(), Some("origin"));
}
