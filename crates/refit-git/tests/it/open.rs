//! Finding and refusing repositories.

use std::{fs, path::Path};

use refit_git::{Environment, OpenError, Repo};

use crate::fixture::{Fixture, open, succeeds};

#[test]
fn a_repository_is_found_from_a_folder_inside() {
    let fixture = Fixture::with("//- web/src/main.rs\n");
    let repo = open(&fixture.path().join("web/src"));
    assert_eq!(repo.work_dir(), Some(fixture.path().as_path()));
    assert_eq!(repo.git_dir(), fixture.path().join(".git"));
    assert_eq!(repo.common_dir(), fixture.path().join(".git"));
    assert!(!repo.is_bare() && !repo.is_shallow());
}

#[test]
fn a_folder_outside_of_any_repository_is_named() {
    let dir = tempfile::tempdir().unwrap();
    match Repo::discover_with(dir.path(), Environment::Isolated) {
        Err(error @ OpenError::NotARepository { .. }) => {
            let want = format!("`{}` is not in a git repository", dir.path().display());
            assert_eq!(error.to_string(), want);
        }
        other => panic!("{other:?}"),
    }
    let absent = dir.path().join("absent");
    assert!(Repo::discover_with(&absent, Environment::Isolated).is_err());
}

#[test]
fn bare_repositories_have_no_checkout() {
    let fixture = Fixture::init(&["--bare"]);
    let repo = fixture.repo();
    assert!(repo.is_bare());
    assert_eq!(repo.work_dir(), None);
    assert_eq!(repo.worktree_changes().unwrap(), []);
}

#[test]
fn a_linked_worktree_shares_the_common_folder() {
    let fixture = Fixture::with("//- a\n");
    fixture.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    let repo = open(&fixture.beside("linked"));
    assert_eq!(repo.work_dir(), Some(fixture.beside("linked").as_path()));
    assert_eq!(repo.common_dir(), fixture.path().join(".git"));
    assert_ne!(repo.git_dir(), repo.common_dir());
}

#[test]
fn a_shallow_clone_says_so() {
    let fixture = Fixture::with("//- a\n1");
    fixture.commit("//- a\n2");
    let shallow = fixture.shallow_clone(1);
    assert!(open(&shallow).is_shallow());
}

#[test]
fn reftable_is_refused_before_anything_is_written() {
    let fixture = Fixture::empty();
    let supported = succeeds(
        fixture.path().parent().unwrap(),
        &["init", "--quiet", "--ref-format=reftable", "tables"],
    );
    if supported {
        refused_untouched(&fixture.beside("tables"), "reftable");
    }
    // The same as git before 2.45 sees it, made by hand.
    let config = "[core]\n\trepositoryformatversion = 1\n[extensions]\n\trefStorage = reftable\n";
    fs::write(fixture.path().join(".git/config"), config).unwrap();
    refused_untouched(&fixture.path(), "reftable");
}

fn refused_untouched(dir: &Path, want: &str) {
    let before = files(&dir.join(".git"));
    match Repo::discover_with(dir, Environment::Isolated) {
        Err(OpenError::Reftable { path, format }) => {
            assert_eq!((path, format.as_str()), (dir.join(".git"), want));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(files(&dir.join(".git")), before);
}

fn files(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn an_extension_that_git_would_refuse_is_refused() {
    let fixture = Fixture::empty();
    fixture.git(&["config", "core.repositoryFormatVersion", "1"]);
    fixture.git(&["config", "extensions.noop", "true"]);
    fixture.repo();
    fixture.git(&["config", "extensions.futureThing", "true"]);
    assert!(!succeeds(&fixture.path(), &["status"]), "git's own opinion");
    match Repo::discover_with(&fixture.path(), Environment::Isolated) {
        Err(OpenError::Extension { extension, .. }) => assert_eq!(extension, "futurething"),
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)]
#[test]
fn a_repository_of_another_user_is_refused_with_the_command_that_trusts_it() {
    let fixture = Fixture::with("//- a\n");
    let chown = |path: &Path| std::os::unix::fs::chown(path, Some(54_321), None);
    if let Err(error) = chown(&fixture.path()) {
        // Only root can give files away.
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        return;
    }
    chown(&fixture.path().join(".git")).unwrap();
    assert!(!succeeds(&fixture.path(), &["status"]), "git's own opinion");
    match Repo::discover_with(&fixture.path(), Environment::Isolated) {
        Err(error @ OpenError::Unsafe { .. }) => {
            let command = format!(
                "git config --global --add safe.directory {}",
                fixture.path().display()
            );
            assert!(error.to_string().contains(&command), "{error}");
        }
        other => panic!("{other:?}"),
    }
}
