//! Listings, blobs, and trees that nobody should check out.

use refit_git::{Entry, GitError, Mode, Repo};
use refit_oci::ObjectId;

use crate::fixture::{Fixture, git_with, open};

/// A listing as `git ls-tree -r` prints it.
fn as_git(entries: &[Entry]) -> String {
    let line = |entry: &Entry| {
        let (mode, kind) = match entry.mode {
            Mode::File => ("100644", "blob"),
            Mode::Executable => ("100755", "blob"),
            Mode::Symlink => ("120000", "blob"),
            Mode::Submodule => ("160000", "commit"),
        };
        format!("{mode} {kind} {}\t{}", entry.id, entry.path)
    };
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(unix)]
fn tricky(flags: &[&str]) -> Fixture {
    let fixture = Fixture::init(flags);
    fixture.write("//- a/b\n1//- a.b\n2//- a-b\n3//- a0\n4//- web/Dockerfile\nFROM scratch\n//- web/sub/x\n//- für dich/ä\n5");
    std::os::unix::fs::symlink("web/Dockerfile", fixture.path().join("link")).unwrap();
    fixture.git(&["add", "--all"]);
    fixture.git(&["update-index", "--chmod=+x", "a0"]);
    let blob = fixture.git(&["hash-object", "a.b"]);
    fixture.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{blob},vendored"),
    ]);
    fixture.git(&["commit", "--quiet", "--message=tricky"]);
    fixture
}

#[cfg(unix)]
#[test]
fn a_listing_is_what_git_lists() {
    for flags in [&[][..], &["--object-format=sha256"]] {
        let fixture = tricky(flags);
        let repo = fixture.repo();
        let head = fixture.id("HEAD");
        let want = fixture.git(&[
            "-c",
            "core.quotePath=off",
            "ls-tree",
            "-r",
            "--full-tree",
            "HEAD",
        ]);
        assert_eq!(as_git(&repo.tree(&head).unwrap()), want);
        let want = fixture.git(&["ls-tree", "-r", "HEAD:web"]);
        for folder in ["web", "web/", "./web", "web//."] {
            assert_eq!(
                as_git(&repo.tree_under(&head, folder).unwrap()),
                want,
                "{folder}"
            );
        }
        assert_eq!(
            repo.tree_under(&head, ".").unwrap(),
            repo.tree(&head).unwrap()
        );
        assert_eq!(repo.tree_under(&head, "absent/folder").unwrap(), []);
        assert_eq!(
            repo.tree_under(&head, "web/Dockerfile").unwrap(),
            [],
            "a file is no folder"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_blob_is_found_by_path() {
    let fixture = tricky(&[]);
    let repo = fixture.repo();
    let head = fixture.id("HEAD");
    let (id, bytes) = repo.blob_at(&head, "web/Dockerfile").unwrap().unwrap();
    assert_eq!(id, fixture.id("HEAD:web/Dockerfile"));
    assert_eq!(bytes, b"FROM scratch\n");
    assert_eq!(repo.blob(&id).unwrap(), bytes);
    let (_, target) = repo.blob_at(&head, "link").unwrap().unwrap();
    assert_eq!(target, b"web/Dockerfile");
    for none in [
        "web",
        "vendored",
        "absent",
        "web/Dockerfile/x",
        "",
        "../repo/a.b",
    ] {
        assert_eq!(repo.blob_at(&head, none).unwrap(), None, "{none}");
    }
}

#[test]
fn absent_and_mistaken_objects_are_told_apart() {
    let fixture = Fixture::with("//- a\n");
    let repo = fixture.repo();
    let absent: ObjectId = "1234567890123456789012345678901234567890".parse().unwrap();
    let other_hash: ObjectId = "12345678".repeat(8).parse().unwrap();
    for id in [&absent, &other_hash] {
        assert!(matches!(
            repo.tree(id),
            Err(GitError::Missing { kind: "commit", .. })
        ));
        assert!(matches!(
            repo.blob(id),
            Err(GitError::Missing { kind: "blob", .. })
        ));
    }
    let blob = fixture.id("HEAD:a");
    assert!(matches!(
        repo.tree(&blob),
        Err(GitError::WrongKind { kind: "commit", .. })
    ));
    assert!(matches!(
        repo.blob(&fixture.id("HEAD")),
        Err(GitError::WrongKind { kind: "blob", .. })
    ));
}

#[test]
fn objects_written_after_opening_are_found() {
    let fixture = Fixture::with("//- a\n1");
    let repo = fixture.repo();
    assert_eq!(repo.tree(&fixture.id("HEAD")).unwrap().len(), 1);
    let next = fixture.commit("//- b\n2");
    fixture.git(&["gc", "--quiet"]);
    assert_eq!(repo.tree(&next).unwrap().len(), 2);
}

/// The listing of a commit whose tree was made by hand from `mktree` lines.
fn listing_of(lines: &[u8]) -> Result<Vec<Entry>, GitError> {
    let fixture = Fixture::with("//- a\n");
    let tree = git_with(&fixture.path(), &["mktree", "-z", "--missing"], lines);
    let commit = fixture.git(&["commit-tree", "-m", "crafted", &tree]);
    let repo: Repo = open(&fixture.path());
    repo.tree(&commit.parse().unwrap())
}

#[test]
fn paths_that_leave_the_tree_are_refused() {
    let id = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
    for name in ["..", ".", ".git", ".GIT"] {
        match listing_of(format!("100644 blob {id}\t{name}\0").as_bytes()) {
            Err(GitError::UnsafePath(path)) => assert_eq!(path, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(
        listing_of(format!("100644 blob {id}\t..a\0").as_bytes())
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_path_that_is_not_utf8_is_named() {
    let mut line = b"100644 blob e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\tcaf".to_vec();
    line.extend(b"\xe9\0");
    match listing_of(&line) {
        Err(error @ GitError::NotUtf8(_)) => {
            assert_eq!(error.to_string(), "path `caf\u{fffd}` is not UTF-8");
        }
        other => panic!("{other:?}"),
    }
}
