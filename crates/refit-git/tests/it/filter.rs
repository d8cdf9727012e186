//! Checkout bytes and clean ids, beside what git writes and hashes.

use std::fs;

use refit_git::{FilterError, Mode};

use crate::fixture::{Fixture, git, id, open};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

/// Compares every file of HEAD with what `git worktree add` writes.
fn checkout_agrees(fixture: &Fixture) {
    let repo = fixture.repo();
    let head = fixture.id("HEAD");
    let checkout = fixture.beside("checkout");
    fixture.git(&[
        "worktree",
        "add",
        "--quiet",
        "--detach",
        checkout.to_str().unwrap(),
        "HEAD",
    ]);
    for entry in repo.tree(&head).unwrap() {
        if entry.mode == Mode::Symlink {
            continue;
        }
        let ours = repo.checkout_bytes(&head, &entry.path, &entry.id).unwrap();
        let theirs = fs::read(checkout.join(&entry.path)).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&ours),
            String::from_utf8_lossy(&theirs),
            "{}",
            entry.path
        );
    }
}

#[test]
fn a_checkout_is_what_git_checks_out() {
    let fixture = Fixture::with(
        "//- .gitattributes\n*.txt text eol=crlf\n*.id ident\n*.up filter=upper\n*.bin -text\n\
         //- a.txt\nline\nline\n//- plain\nline\n//- b.id\n$Id$\n//- c.up\nshout\n//- d.bin\nline\n\
         //- sub/.gitattributes\n*.txt eol=lf\n//- sub/a.txt\nline\n//- macro/.gitattributes\n* text=auto\n//- macro/a\nline\n",
    );
    fixture.git(&["config", "filter.upper.smudge", "tr a-z A-Z"]);
    checkout_agrees(&fixture);
    fixture.git(&["worktree", "remove", "--force", "../checkout"]);
    fixture.git(&["config", "core.autocrlf", "true"]);
    checkout_agrees(&fixture);
}

#[test]
fn files_in_other_encodings_are_encoded_as_git_does() {
    for encoding in [
        "UTF-16",
        "UTF-16LE",
        "UTF-16LE-BOM",
        "UTF-16BE",
        "ISO-8859-1",
        "no-such-encoding",
    ] {
        let fixture = Fixture::with("//- sub/a.txt\nüber\n");
        fixture.write(&format!(
            "//- .gitattributes\n*.txt working-tree-encoding={encoding}\n"
        ));
        fixture.git(&["add", ".gitattributes"]);
        fixture.git(&["commit", "--quiet", "--message=encoded"]);
        checkout_agrees(&fixture);
        let checkout = fixture.beside("checkout/sub/a.txt");
        let ours = fixture.repo().hash_object(&checkout, "sub/a.txt").unwrap();
        assert_eq!(ours, fixture.id("HEAD:sub/a.txt"), "{encoding}");
    }
}

#[test]
fn the_attributes_of_the_commit_count_not_those_of_the_checkout() {
    let fixture = Fixture::with("//- .gitattributes\n*.txt text eol=crlf\n//- a.txt\nline\n");
    let old = fixture.id("HEAD");
    let blob = fixture.id("HEAD:a.txt");
    let new = fixture.commit("//- .gitattributes\n*.txt -text\n");
    let bare = fixture.beside("bare.git");
    fixture.git(&["clone", "--quiet", "--bare", ".", "../bare.git"]);
    for dir in [fixture.path(), bare] {
        let repo = open(&dir);
        for _ in 0..2 {
            assert_eq!(
                repo.checkout_bytes(&old, "a.txt", &blob).unwrap(),
                b"line\r\n"
            );
            assert_eq!(
                repo.checkout_bytes(&new, "a.txt", &blob).unwrap(),
                b"line\n"
            );
        }
    }
}

#[test]
fn content_that_git_lfs_keeps_elsewhere_is_refused_by_name() {
    let fixture = Fixture::with(&format!(
        "//- .gitattributes\n*.bin filter=lfs\n//- big/a.bin\n{POINTER}//- a.txt\n{POINTER}"
    ));
    let head = fixture.id("HEAD");
    let smudged = |path: &str| {
        let id = fixture.id(&format!("HEAD:{path}"));
        fixture.repo().checkout_bytes(&head, path, &id)
    };
    match smudged("big/a.bin") {
        Err(error @ FilterError::Lfs { .. }) => {
            let want = "`big/a.bin` is kept by git-lfs and its content is not here; run `git lfs install` and `git lfs fetch`";
            assert_eq!(error.to_string(), want);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        smudged("a.txt").unwrap(),
        POINTER.as_bytes(),
        "a text about pointers is a text"
    );
    fixture.git(&["config", "filter.lfs.smudge", "cat"]);
    assert!(
        matches!(smudged("big/a.bin"), Err(FilterError::Lfs { .. })),
        "told to skip"
    );
    fixture.git(&["config", "filter.lfs.smudge", "printf content"]);
    assert_eq!(smudged("big/a.bin").unwrap(), b"content");
}

#[test]
fn a_required_filter_that_fails_is_named() {
    let fixture = Fixture::with("//- .gitattributes\n*.x filter=crypt\n//- a.x\nsecret");
    let head = fixture.id("HEAD");
    let blob = fixture.id("HEAD:a.x");
    fixture.git(&["config", "filter.crypt.smudge", "false"]);
    assert_eq!(
        fixture.repo().checkout_bytes(&head, "a.x", &blob).unwrap(),
        b"secret",
        "as git: not required"
    );
    fixture.git(&["config", "filter.crypt.required", "true"]);
    for command in ["false", "no-such-command-here"] {
        fixture.git(&["config", "filter.crypt.smudge", command]);
        let error = fixture
            .repo()
            .checkout_bytes(&head, "a.x", &blob)
            .unwrap_err();
        assert_eq!(error.to_string(), "git's filter for `a.x` failed");
    }
}

#[test]
fn a_working_file_gets_the_id_that_git_gives_it() {
    let fixture = Fixture::with(
        "//- .gitattributes\n*.txt text\n*.up filter=lower\n*.id ident\n//- a.txt\nline\n",
    );
    fixture.git(&["config", "filter.lower.clean", "tr A-Z a-z"]);
    fixture.write("//- a.txt\nline\r\n//- b\nline\r\n//- c.up\nSHOUT\n//- d.id\n$Id: 12345 $\n//- sub/e.txt\nx\r\n");
    let repo = fixture.repo();
    for path in ["a.txt", "b", "c.up", "d.id", "sub/e.txt"] {
        let want = fixture.git(&["hash-object", "--path", path, path]);
        let ours = repo.hash_object(&fixture.path().join(path), path).unwrap();
        assert_eq!(ours.as_str(), want, "{path}");
    }
    assert_eq!(
        repo.hash_object(&fixture.path().join("a.txt"), "a.txt")
            .unwrap(),
        fixture.id("HEAD:a.txt")
    );
    let before = git(&fixture.path(), &["count-objects"]);
    fixture.write("//- fresh\nnever seen");
    repo.hash_object(&fixture.path().join("fresh"), "fresh")
        .unwrap();
    assert_eq!(
        git(&fixture.path(), &["count-objects"]),
        before,
        "nothing is written"
    );
}

#[cfg(unix)]
#[test]
fn a_symlink_is_hashed_by_its_target() {
    let fixture = Fixture::empty();
    std::os::unix::fs::symlink("no/such/target", fixture.path().join("link")).unwrap();
    fixture.commit("");
    let ours = fixture
        .repo()
        .hash_object(&fixture.path().join("link"), "link")
        .unwrap();
    assert_eq!(ours, id(&fixture.path(), "HEAD:link"));
}
