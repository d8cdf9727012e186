//! The index and dirty working trees.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use refit_git::{ChangeKind, GitError, Mode, Repo};

use crate::fixture::{Fixture, git, open, succeeds};

use ChangeKind::{Added, Deleted, Modified, Untracked};

fn check(fixture: &Fixture, want: &[(&str, ChangeKind)]) {
    let changes = fixture.repo().worktree_changes().unwrap();
    let changes: Vec<_> = changes
        .iter()
        .map(|change| (change.path.as_str(), change.kind))
        .collect();
    assert_eq!(changes, want);
    let git_says = fixture.git(&["status", "--porcelain", "--untracked-files=all"]);
    assert_eq!(git_says.is_empty(), want.is_empty(), "{git_says}");
}

fn base() -> Fixture {
    Fixture::with("//- .gitignore\n*.log\n//- a\n1//- b\n1//- web/c\n1")
}

#[test]
fn a_fresh_checkout_is_clean() {
    check(&base(), &[]);
    let empty = Fixture::empty();
    check(&empty, &[]);
    empty.write("//- a\n");
    check(&empty, &[("a", Untracked)]);
    empty.git(&["add", "a"]);
    check(&empty, &[("a", Added)]);
}

#[test]
fn edits_deletions_and_untracked_files_show_and_ignored_ones_do_not() {
    let fixture = base();
    fixture.write("//- a\n2//- new/deep/file\n//- x.log\n");
    fs::remove_file(fixture.path().join("web/c")).unwrap();
    check(
        &fixture,
        &[
            ("a", Modified),
            ("new/deep/file", Untracked),
            ("web/c", Deleted),
        ],
    );
}

#[test]
fn a_touched_file_with_the_same_bytes_is_clean() {
    let fixture = base();
    fixture.write("//- a\n1");
    check(&fixture, &[]);
}

#[test]
fn staged_changes_count_even_if_the_checkout_went_back() {
    let fixture = base();
    fixture.write("//- a\n2//- n\n1");
    fixture.git(&["add", "a", "n"]);
    fixture.git(&["rm", "--quiet", "--cached", "b"]);
    check(&fixture, &[("a", Modified), ("b", Modified), ("n", Added)]);
    fixture.write("//- a\n1//- n\n2");
    fs::remove_file(fixture.path().join("b")).unwrap();
    check(&fixture, &[("a", Modified), ("b", Deleted), ("n", Added)]);
}

#[test]
fn an_execute_bit_and_a_kind_are_changes() {
    let fixture = base();
    fs::set_permissions(fixture.path().join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(fixture.path().join("b")).unwrap();
    std::os::unix::fs::symlink("a", fixture.path().join("b")).unwrap();
    check(&fixture, &[("a", Modified), ("b", Modified)]);
    fixture.commit("");
    check(&fixture, &[]);
    fs::remove_file(fixture.path().join("b")).unwrap();
    std::os::unix::fs::symlink("web/c", fixture.path().join("b")).unwrap();
    check(&fixture, &[("b", Modified)]);
}

#[test]
fn line_ends_that_git_would_convert_are_no_change() {
    let fixture = Fixture::with("//- .gitattributes\n*.txt text eol=crlf\n//- a.txt\nline\n");
    fs::remove_file(fixture.path().join("a.txt")).unwrap();
    fixture.git(&["checkout", "--quiet", "--", "a.txt"]);
    assert_eq!(fs::read(fixture.path().join("a.txt")).unwrap(), b"line\r\n");
    fixture.write("//- a.txt\nline\r\n");
    check(&fixture, &[]);
}

#[test]
fn changes_anywhere_show_from_a_folder_inside_and_in_a_linked_worktree() {
    let fixture = base();
    fixture.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    fs::write(fixture.beside("linked/a"), "2").unwrap();
    let changes = open(&fixture.beside("linked/web"))
        .worktree_changes()
        .unwrap();
    assert_eq!(changes.len(), 1);
    check(&fixture, &[]);
}

#[test]
fn a_submodule_at_another_commit_is_a_change() {
    let fixture = base();
    git(
        fixture.path().parent().unwrap(),
        &["clone", "--quiet", "repo", "library"],
    );
    fixture.git(&["submodule", "--quiet", "add", "../library", "vendored"]);
    fixture.commit("");
    check(&fixture, &[]);
    git(
        &fixture.path().join("vendored"),
        &["commit", "--quiet", "--allow-empty", "--message=x"],
    );
    check(&fixture, &[("vendored", Modified)]);
}

#[test]
fn the_index_is_listed_as_it_would_be_committed() {
    let fixture = base();
    fixture.write("//- a\n2//- later\n//- z.sh\n");
    fs::set_permissions(
        fixture.path().join("z.sh"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    fixture.git(&["add", "a", "z.sh"]);
    fixture.git(&["add", "--intent-to-add", "later"]);
    fixture.write("//- a\n3");
    let repo = fixture.repo();
    let staged = repo.staged().unwrap();
    let tree = fixture.git(&["write-tree"]);
    let want = fixture.git(&["ls-tree", "-r", "--format=%(objectname) %(path)", &tree]);
    let ours: Vec<_> = staged
        .iter()
        .map(|entry| format!("{} {}", entry.id, entry.path))
        .collect();
    assert_eq!(ours.join("\n"), want);
    assert_eq!(staged.last().unwrap().mode, Mode::Executable);
    assert_eq!(repo.blob(&staged[1].id).unwrap(), b"2");
}

#[test]
fn a_conflict_in_the_index_is_named() {
    let fixture = base();
    fixture.git(&["checkout", "--quiet", "-b", "other"]);
    fixture.commit("//- a\n2");
    fixture.git(&["checkout", "--quiet", "main"]);
    fixture.commit("//- a\n3");
    assert!(!succeeds(&fixture.path(), &["merge", "--quiet", "other"]));
    match fixture.repo().staged() {
        Err(GitError::Unmerged(path)) => assert_eq!(path, "a"),
        other => panic!("{other:?}"),
    }
    check(&fixture, &[("a", Modified)]);
}

#[test]
fn a_sparse_index_is_unfolded() {
    let fixture = base();
    fixture.git(&[
        "sparse-checkout",
        "set",
        "--cone",
        "--sparse-index",
        "elsewhere",
    ]);
    assert!(
        fixture.git(&["ls-files", "--sparse"]).contains("web/\n")
            || fixture.git(&["ls-files", "--sparse"]).ends_with("web/")
    );
    let staged = fixture.repo().staged().unwrap();
    let paths: Vec<_> = staged.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, [".gitignore", "a", "b", "web/c"]);
}

/// In a hook git names its directory, and often another index than the usual one.
#[test]
fn a_pre_commit_hook_sees_what_will_be_committed() {
    const REPORT: &str = "REFIT_TEST_REPORT";
    if let Some(report) = std::env::var_os(REPORT) {
        let staged = Repo::discover(Path::new(".")).unwrap().staged().unwrap();
        let ids: Vec<_> = staged
            .iter()
            .map(|entry| format!("{} {}\n", entry.path, entry.id))
            .collect();
        fs::write(report, ids.concat()).unwrap();
        return;
    }
    let fixture = base();
    fixture.git(&["worktree", "add", "--quiet", "-b", "linked", "../linked"]);
    let report = fixture.beside("report");
    let hook = fixture.path().join(".git/hooks/pre-commit");
    let exe = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\n{REPORT}='{}' exec '{}' --exact status::a_pre_commit_hook_sees_what_will_be_committed\n",
        report.display(),
        exe.display()
    );
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["repo", "linked"] {
        let dir = fixture.beside(name);
        for flags in [&["--all"][..], &["--", "a"]] {
            let content = format!("{name} {flags:?}");
            fs::write(dir.join("a"), &content).unwrap();
            fs::write(dir.join("b"), &content).unwrap();
            let mut args = vec!["commit", "--quiet", "--message=x"];
            args.extend(flags);
            git(&dir, &args);
            let want = git(
                &dir,
                &["ls-tree", "-r", "--format=%(path) %(objectname)", "HEAD"],
            );
            assert_eq!(
                fs::read_to_string(&report).unwrap(),
                format!("{want}\n"),
                "{content}"
            );
        }
    }
}

/// What is staged, by us and by git.
#[track_caller]
fn staged_is(fixture: &Fixture, want: &[&str]) {
    let git = fixture.git(&["diff", "--cached", "--name-only", "--no-renames"]);
    let git: Vec<&str> = git.lines().collect();
    assert_eq!(git, want, "git");
    assert_eq!(fixture.repo().staged_paths().unwrap(), want);
    head_is_listed_beside_the_index(fixture);
}

/// Where the index is, HEAD need not be listed to be known.
fn head_is_listed_beside_the_index(fixture: &Fixture) {
    let repo = fixture.repo();
    let git = std::process::Command::new("git")
        .current_dir(fixture.path())
        .args(["rev-parse", "--verify", "-q", "HEAD"])
        .output()
        .unwrap();
    if !git.status.success() {
        return; // nothing is committed
    }
    let head = fixture.id("HEAD");
    let (staged, paths) = (repo.staged().unwrap(), repo.staged_paths().unwrap());
    let beside = repo.tree_beside(&staged, &paths, &head).unwrap();
    assert_eq!(beside, repo.tree(&head).unwrap());
}

#[test]
fn the_paths_that_are_staged_are_those_that_git_says() {
    let fixture = base();
    staged_is(&fixture, &[]);
    fixture.write("//- a\n2//- untracked\n1");
    staged_is(&fixture, &[]);
    fixture.git(&["add", "a"]);
    staged_is(&fixture, &["a"]);
    // A folder becomes a file, and a file a folder.
    fs::remove_dir_all(fixture.path().join("web")).unwrap();
    fs::remove_file(fixture.path().join("b")).unwrap();
    fixture.write("//- web\n1//- b/deep/c\n1//- b.d\n1//- new/er/d\n1");
    fixture.git(&["add", "-A"]);
    staged_is(
        &fixture,
        &[
            "a",
            "b",
            "b.d",
            "b/deep/c",
            "new/er/d",
            "untracked",
            "web",
            "web/c",
        ],
    );
    fixture.git(&["reset", "-q", "--hard"]);
    staged_is(&fixture, &[]);
    fixture.git(&["update-index", "--chmod=+x", "web/c"]);
    staged_is(&fixture, &["web/c"]);
    fixture.git(&["rm", "-qf", "--cached", "web/c", "a"]);
    staged_is(&fixture, &["a", "web/c"]);
    // Only the name of a new file is staged: no commit takes it along.
    fixture.write("//- later\n1");
    fixture.git(&["reset", "-q"]);
    fixture.git(&["add", "-N", "later"]);
    staged_is(&fixture, &[]);
}

#[test]
fn before_the_first_commit_everything_is_staged_that_is_in_the_index() {
    let fixture = Fixture::empty();
    staged_is(&fixture, &[]);
    fixture.write("//- a\n1//- b/c\n1");
    fixture.git(&["add", "-A"]);
    assert_eq!(fixture.repo().staged_paths().unwrap(), ["a", "b/c"]);
}

#[test]
fn a_path_in_conflict_is_staged() {
    let fixture = base();
    fixture.git(&["checkout", "-q", "-b", "other"]);
    fixture.commit("//- web/c\n2");
    fixture.git(&["checkout", "-q", "main"]);
    fixture.commit("//- web/c\n3");
    let merge = std::process::Command::new("git")
        .current_dir(fixture.path())
        .args(["-c", "user.name=a", "-c", "user.email=a", "merge", "other"])
        .output()
        .unwrap();
    assert!(!merge.status.success());
    assert_eq!(fixture.repo().staged_paths().unwrap(), ["web/c"]);
}

#[test]
fn a_sparse_index_tells_the_same() {
    let fixture = base();
    fixture.commit("//- in/a\n1//- out/b/c\n1");
    fixture.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    staged_is(&fixture, &[]);
    fixture.write("//- in/a\n2");
    fixture.git(&["add", "in/a"]);
    staged_is(&fixture, &["in/a"]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_staged_git_says_the_same(
        before in proptest::collection::btree_map("[ab](/[ab](/[ab])?)?", "[12]", 0..6),
        after in proptest::collection::btree_map("[ab](/[ab](/[ab])?)?", "[12]", 0..6),
    ) {
        // A path cannot be a file and a folder.
        let lay = |fixture: &Fixture, files: &std::collections::BTreeMap<String, String>| {
            fixture.git(&["rm", "-rq", "--ignore-unmatch", "."]);
            for (path, text) in files {
                let path = fixture.path().join(path);
                if fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.is_dir() {
                    fs::write(path, text).unwrap();
                }
            }
            fixture.git(&["add", "-A"]);
        };
        let fixture = Fixture::empty();
        lay(&fixture, &before);
        fixture.git(&["commit", "-q", "--allow-empty", "-m", "before"]);
        lay(&fixture, &after);
        let git = fixture.git(&["diff", "--cached", "--name-only", "--no-renames"]);
        let git: Vec<String> = git.lines().map(str::to_owned).collect();
        let repo = fixture.repo();
        proptest::prop_assert_eq!(repo.staged_paths().unwrap(), git);
        head_is_listed_beside_the_index(&fixture);
        fixture.git(&["commit", "-q", "--allow-empty", "-m", "after"]);
        let (old, new) = (fixture.id("HEAD~"), fixture.id("HEAD"));
        let paths = repo.paths_between(Some(&old), &new).unwrap();
        let beside = repo.tree_beside(&repo.tree(&new).unwrap(), &paths, &old);
        proptest::prop_assert_eq!(beside.unwrap(), repo.tree(&old).unwrap());
    }
}

/// What is done to a checkout, and where.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Write(&'static str),
    Touch,
    Execute,
    Link,
    Folder,
    Repository,
    Pipe,
    Remove,
    Stage,
    StageName,
    Unstage,
}

fn deed() -> impl proptest::strategy::Strategy<Value = (Deed, String)> {
    use Deed::{
        Execute, Folder, Link, Pipe, Remove, Repository, Stage, StageName, Touch, Unstage, Write,
    };
    let deeds = [
        Write("1"),
        Write("2"),
        Write("*.o\n"),
        Touch,
        Execute,
        Link,
        Folder,
        Repository,
        Pipe,
        Remove,
        Stage,
        StageName,
        Unstage,
    ];
    let path = "(([abx]|a-|a\\.o)/){0,2}([abx]|a-|a\\.o|\\.gitignore)";
    (proptest::sample::select(deeds.to_vec()), path)
}

impl Deed {
    /// Does it, where that is possible.
    fn on(self, fixture: &Fixture, path: &str) {
        let dir = fixture.path();
        let file = dir.join(path);
        let quietly = |args: &[&str]| {
            succeeds(&dir, args);
        };
        let _ = fs::create_dir_all(file.parent().unwrap());
        let is_other = fs::symlink_metadata(&file).is_ok_and(|there| !there.is_file());
        match self {
            // Nobody reads what is written to a pipe.
            Self::Write(_) | Self::Touch if is_other => {}
            Self::Write(text) => drop(fs::write(&file, text)),
            Self::Touch => drop(fs::read(&file).and_then(|bytes| {
                fs::remove_file(&file)?;
                fs::write(&file, bytes)
            })),
            Self::Execute if file.is_file() => {
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            }
            Self::Execute => {}
            Self::Link => drop(std::os::unix::fs::symlink("a", &file)),
            Self::Folder => drop(fs::create_dir(&file)),
            Self::Repository => quietly(&["init", "--quiet", path]),
            // Git waits for whoever writes its rules.
            Self::Pipe if path.ends_with(".gitignore") => {}
            Self::Pipe => drop(std::process::Command::new("mkfifo").arg(&file).output()),
            Self::Remove => drop(fs::remove_dir_all(&file).or_else(|_| fs::remove_file(&file))),
            Self::Stage => quietly(&["add", "--", path]),
            Self::StageName => quietly(&["add", "--intent-to-add", "--", path]),
            Self::Unstage => quietly(&["rm", "-rq", "--cached", "--", path]),
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_done_to_a_checkout_one_look_tells_what_the_library_tells(
        before in proptest::collection::vec(deed(), 0..12),
        after in proptest::collection::vec(deed(), 0..12),
    ) {
        let fixture = Fixture::with("//- .gitignore\nx\n//- a/b\n1//- b\n1//- x/a\n1");
        for (deed, path) in before {
            deed.on(&fixture, &path);
        }
        succeeds(&fixture.path(), &["add", "--all"]);
        fixture.git(&["commit", "--quiet", "--allow-empty", "--message=before"]);
        for (deed, path) in after {
            deed.on(&fixture, &path);
        }
        let looked = fixture.repo().worktree_changes().unwrap();
        let git = fixture.git(&["status", "--porcelain", "--untracked-files=all"]);
        proptest::prop_assert_eq!(looked.is_empty(), git.is_empty(), "{}", git);
        // Names of other spellings may be meant: that is left to the library.
        fixture.git(&["config", "core.precomposeUnicode", "true"]);
        proptest::prop_assert_eq!(looked, fixture.repo().worktree_changes().unwrap(), "{}", git);
    }
}
