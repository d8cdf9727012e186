//! Clones that leave blobs, or trees as well, to their remote.

use refit_git::{
    GitError, Repo,
    notes::{RECORDS, SENTENCES},
};

use crate::{
    fixture::{Fixture, git, open},
    notes::{records, sentences},
};

fn partial_clone(filter: &str) -> (Fixture, Repo) {
    let fixture = Fixture::with("//- web/Dockerfile\nFROM a\n//- b\n1");
    fixture.commit("//- web/Dockerfile\nFROM b\n//- b\n2\n//- .gitattributes\n* text eol=crlf\n");
    fixture.git(&["config", "uploadpack.allowFilter", "true"]);
    fixture.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let url = format!("file://{}", fixture.path().display());
    let filter = format!("--filter={filter}");
    let parent = fixture.beside("");
    git(
        &parent,
        &[
            "clone",
            "--quiet",
            "--no-checkout",
            &filter,
            &url,
            "partial",
        ],
    );
    let repo = open(&fixture.beside("partial"));
    (fixture, repo)
}

#[test]
fn what_was_left_to_the_remote_is_fetched_when_it_is_needed() {
    for filter in ["blob:none", "tree:0"] {
        let (fixture, repo) = partial_clone(filter);
        let old = fixture.id("HEAD~1");
        let want = fixture.repo().tree(&old).unwrap();
        assert_eq!(repo.tree(&old).unwrap(), want);
        let (_, bytes) = repo.blob_at(&old, "web/Dockerfile").unwrap().unwrap();
        assert_eq!(bytes, b"FROM a\n");
        let head = fixture.id("HEAD");
        assert_eq!(repo.changed_paths(&head).unwrap().len(), 3);
        let id = fixture.id("HEAD:b");
        assert_eq!(
            repo.checkout_bytes(&fixture.id("HEAD"), "b", &id).unwrap(),
            b"2\r\n"
        );
    }
}

#[test]
fn many_objects_are_fetched_at_once() {
    let (fixture, repo) = partial_clone("blob:none");
    let ids = [fixture.id("HEAD:b"), fixture.id("HEAD~1:b")];
    assert!(repo.fetch_promised(&ids).unwrap());
    assert!(!repo.fetch_promised(&ids).unwrap(), "they are here now");
    std::fs::rename(fixture.path(), fixture.beside("gone")).unwrap();
    assert_eq!(repo.blob(&ids[1]).unwrap(), b"1");
    let other_hash = "e".repeat(64).parse().unwrap();
    assert!(matches!(
        repo.blob(&other_hash),
        Err(GitError::Missing { .. })
    ));
    let unreachable = repo.blob(&"e".repeat(40).parse().unwrap());
    assert!(
        matches!(unreachable, Err(GitError::Promised { .. })),
        "{unreachable:?}"
    );
}

#[test]
fn notes_are_whole_in_a_partial_clone() {
    let (fixture, repo) = partial_clone("blob:none");
    let (blob, head) = (fixture.id("HEAD:b"), fixture.id("HEAD"));
    let mut batch = records(&[(&blob, &["theirs"])]);
    batch.sentences = sentences(&[(&head, &["theirs"])]).sentences;
    fixture.repo().notes_append(&batch).unwrap();
    // Fetched by a person: without the blobs.
    git(
        repo.git_dir(),
        &[
            "fetch",
            "--quiet",
            "origin",
            "refs/notes/refit:refs/notes/refit",
        ],
    );
    assert_eq!(
        repo.notes_all(SENTENCES).unwrap(),
        [(head, vec!["theirs".to_owned()])]
    );
    repo.notes_append(&records(&[(&blob, &["ours"])])).unwrap();
    repo.notes_push("origin").unwrap();
    assert_eq!(
        fixture.repo().notes_of(RECORDS, &blob).unwrap(),
        ["ours", "theirs"]
    );
}

/// The trees of notes are in folders from so many on, and of those a partial clone has none.
#[test]
fn notes_are_written_where_their_trees_were_left_to_the_remote() {
    let (fixture, repo) = partial_clone("tree:0");
    let on = |n: usize| {
        refit_oci::Digest::sha256(&n.to_le_bytes()).hex()[..40]
            .parse()
            .unwrap()
    };
    let all: Vec<refit_oci::ObjectId> = (0..600).map(on).collect();
    let lines: Vec<(_, &[&str])> = all.iter().map(|on| (on, &["theirs"][..])).collect();
    fixture.repo().notes_append(&records(&lines)).unwrap();
    assert!(fixture.git(&["ls-tree", RECORDS]).contains(" tree "));
    let fetch = [
        "fetch",
        "--quiet",
        "origin",
        "refs/notes/refit-records:refs/notes/refit-records",
    ];
    git(repo.git_dir(), &fetch);
    repo.notes_append(&records(&[(&all[7], &["ours"])]))
        .unwrap();
    assert_eq!(repo.notes_of(RECORDS, &all[7]).unwrap(), ["ours", "theirs"]);
    assert_eq!(repo.notes_of(RECORDS, &all[9]).unwrap(), ["theirs"]);
    assert_eq!(repo.notes_all(RECORDS).unwrap().len(), 600);
}
