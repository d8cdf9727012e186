//! Ancestry and changed paths, beside git's own answers.

use refit_git::{FetchError, GitError, Repo};
use refit_oci::ObjectId;

use crate::fixture::{Fixture, command, git, id, open, succeeds};

/// A history with a merge, a root of its own, and a clock that went backwards.
fn branchy() -> Fixture {
    let fixture = Fixture::with("//- a\n1//- old/x\n//- old/y\n");
    fixture.commit("//- a\n2");
    fixture.git(&["checkout", "--quiet", "-b", "topic", "HEAD~1"]);
    fixture.write("//- b\n1");
    fixture.git(&["add", "--all"]);
    let skewed = command(&fixture.path(), &["commit", "--quiet", "--message=skewed"])
        .env("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")
        .status()
        .unwrap();
    assert!(skewed.success());
    fixture.git(&["checkout", "--quiet", "main"]);
    fixture.git(&["merge", "--quiet", "--no-edit", "topic"]);
    fixture.git(&["mv", "old", "new"]);
    fixture.commit("//- old\na folder became a file");
    fixture
}

fn all_commits(dir: &std::path::Path) -> Vec<ObjectId> {
    git(dir, &["rev-list", "--all"])
        .lines()
        .map(|line| line.parse().unwrap())
        .collect()
}

fn ancestry_agrees(dir: &std::path::Path, repo: &Repo) {
    let commits = all_commits(dir);
    for a in &commits {
        for b in &commits {
            let want = succeeds(
                dir,
                &["merge-base", "--is-ancestor", a.as_str(), b.as_str()],
            );
            assert_eq!(repo.is_ancestor(a, b).unwrap(), want, "{a} {b}");
        }
    }
}

#[test]
fn ancestry_is_as_git_has_it() {
    let fixture = branchy();
    fixture.git(&["checkout", "--quiet", "--orphan", "other-root"]);
    fixture.git(&["commit", "--quiet", "--message=other root"]);
    ancestry_agrees(&fixture.path(), &fixture.repo());
}

#[test]
fn changed_paths_are_as_git_has_them() {
    let fixture = branchy();
    let repo = fixture.repo();
    for commit in all_commits(&fixture.path()) {
        let parents = git(
            &fixture.path(),
            &["rev-list", "--parents", "--max-count=1", commit.as_str()],
        );
        let parents: Vec<&str> = parents.split(' ').skip(1).collect();
        let want = match parents.first() {
            Some(parent) => fixture.git(&[
                "diff",
                "--name-only",
                "--no-renames",
                parent,
                commit.as_str(),
            ]),
            None => fixture.git(&["ls-tree", "-r", "--name-only", commit.as_str()]),
        };
        let mut want: Vec<_> = want.lines().map(str::to_owned).collect();
        want.sort();
        assert_eq!(repo.changed_paths(&commit).unwrap(), want, "{commit}");
        let ours: Vec<_> = repo
            .commit_parents(&commit)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(ours, parents);
        let time = fixture.git(&["show", "--no-patch", "--format=%ct", commit.as_str()]);
        assert_eq!(repo.commit_time(&commit).unwrap().to_string(), time);
    }
}

#[test]
fn a_shallow_clone_ends_where_git_ends_it() {
    let fixture = branchy();
    let shallow = fixture.shallow_clone(2);
    let repo = open(&shallow);
    ancestry_agrees(&shallow, &repo);
    let boundary = id(&shallow, "HEAD~1");
    assert_eq!(repo.commit_parents(&boundary).unwrap(), []);
    assert_eq!(
        repo.changed_paths(&boundary).unwrap().len(),
        repo.tree(&boundary).unwrap().len()
    );
    let beyond = fixture.id("topic");
    let missing = repo.is_ancestor(&beyond, &boundary);
    assert!(
        matches!(missing, Err(GitError::Missing { kind: "commit", .. })),
        "{missing:?}"
    );
}

#[test]
fn a_shallow_clone_gets_its_history_to_tell_ancestry() {
    let fixture = branchy();
    let shallow = fixture.shallow_clone(1);
    let repo = open(&shallow);
    let refs = git(&shallow, &["for-each-ref"]);
    let (old, head) = (fixture.id("HEAD~2"), fixture.id("HEAD"));
    repo.fetch_commit("origin", &old).unwrap();
    assert!(!repo.is_ancestor(&old, &head).unwrap(), "cut off");
    assert!(repo.unshallow("origin").unwrap());
    assert!(repo.is_ancestor(&old, &head).unwrap());
    assert!(!repo.unshallow("origin").unwrap(), "it is whole now");
    assert_eq!(git(&shallow, &["for-each-ref"]), refs);
}

#[test]
fn a_commit_that_a_shallow_clone_lacks_is_fetched() {
    let fixture = branchy();
    let shallow = fixture.shallow_clone(1);
    let repo = open(&shallow);
    let refs = git(&shallow, &["for-each-ref"]);
    let lacking = fixture.id("HEAD~2");
    assert!(repo.tree(&lacking).is_err());
    assert!(repo.fetch_commit("origin", &lacking).unwrap());
    assert_eq!(
        repo.tree(&lacking).unwrap(),
        fixture.repo().tree(&lacking).unwrap()
    );
    assert!(
        !repo.fetch_commit("origin", &lacking).unwrap(),
        "it is here now"
    );
    assert_eq!(git(&shallow, &["for-each-ref"]), refs);
    assert_eq!(repo.commit_parents(&id(&shallow, "HEAD")).unwrap(), []);

    let absent: ObjectId = "1234567890123456789012345678901234567890".parse().unwrap();
    let gone = repo.fetch_commit("origin", &absent);
    assert!(matches!(gone, Err(FetchError::Gone { .. })), "{gone:?}");
    let unknown = repo.fetch_commit("--upload-pack=touch x", &absent);
    assert!(
        matches!(unknown, Err(FetchError::UnknownRemote(_))),
        "{unknown:?}"
    );
}
