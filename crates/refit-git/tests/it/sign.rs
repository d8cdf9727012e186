//! Signed notes: the real `ssh-keygen` signs them and checks them, called by the real `git`.

use std::process::Command;

use refit_git::{
    Repo,
    notes::{NotesError, RECORDS, SENTENCES},
};

use crate::{
    fixture::{Fixture, git, git_with, open},
    notes::{records, sentences},
};

/// A repository whose notes are signed by a key that its configuration vouches for.
fn signing() -> (Fixture, Repo) {
    let fixture = Fixture::with("//- a\n1\n//- b\n2");
    let key = fixture.beside("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&key)
        .status()
        .expect("`ssh-keygen`, of OpenSSH's client, is there");
    assert!(made.success());
    let public = std::fs::read_to_string(fixture.beside("key.pub")).unwrap();
    let vouched = fixture.beside("allowed");
    std::fs::write(&vouched, format!("* {public}")).unwrap();
    for (name, value) in [
        ("gpg.format", "ssh"),
        ("user.signingKey", key.to_str().unwrap()),
        ("gpg.ssh.allowedSignersFile", vouched.to_str().unwrap()),
    ] {
        fixture.git(&["config", name, value]);
    }
    let mut repo = fixture.repo();
    repo.sign_notes(true);
    (fixture, repo)
}

#[test]
fn whatever_writes_notes_signs_their_commits() {
    let (fixture, signing) = signing();
    let (a, b) = (fixture.id("HEAD:a"), fixture.id("HEAD:b"));
    // From before the setting, and not signed.
    fixture
        .repo()
        .notes_append(&records(&[(&a, &["before"])]))
        .unwrap();
    signing.notes_append(&records(&[(&a, &["one"])])).unwrap();
    signing
        .notes_append(&sentences(&[(&fixture.id("HEAD"), &["said"])]))
        .unwrap();
    // Another clone goes its own way, and what both have is united.
    let theirs = fixture.beside("theirs");
    fixture.git(&["clone", "--quiet", "--bare", ".", theirs.to_str().unwrap()]);
    fixture.git(&["push", "--quiet", theirs.to_str().unwrap(), RECORDS]);
    fixture.git(&["remote", "add", "origin", theirs.to_str().unwrap()]);
    let key = fixture.git(&["config", "user.signingKey"]);
    for (name, value) in [("gpg.format", "ssh"), ("user.signingKey", &key)] {
        git(&theirs, &["config", name, value]);
    }
    let mut other = open(&theirs);
    other.sign_notes(true);
    other.notes_append(&records(&[(&b, &["theirs"])])).unwrap();
    signing.notes_append(&records(&[(&b, &["ours"])])).unwrap();
    signing.notes_push("origin").unwrap();
    assert_eq!(signing.notes_of(RECORDS, &b).unwrap(), ["ours", "theirs"]);

    for (reference, n_good, n_before) in [(RECORDS, 4, 1), (SENTENCES, 1, 0)] {
        let found = signing.notes_signatures(reference).unwrap();
        assert_eq!(
            (found.n_good, found.n_before),
            (n_good, n_before),
            "{found:?}"
        );
        assert_eq!(found.not_good, []);
        fixture.git(&["verify-commit", reference]);
    }
    let merge = fixture.git(&["log", "-1", "--format=%P %s %an", RECORDS]);
    assert_eq!(merge.split(' ').count(), 7 + 1, "{merge}");
    assert!(
        merge.ends_with(" Unite the notes of origin refit"),
        "{merge}"
    );
    assert_eq!(fixture.git(&["fsck", "--strict", "--no-dangling"]), "");
}

#[test]
fn a_commit_without_a_good_signature_is_named() {
    let (fixture, signing) = signing();
    let a = fixture.id("HEAD:a");
    signing.notes_append(&records(&[(&a, &["one"])])).unwrap();
    let signed = fixture.id(RECORDS);
    fixture
        .repo()
        .notes_append(&records(&[(&a, &["two"])]))
        .unwrap();
    let unsigned = fixture.id(RECORDS);
    signing.notes_append(&records(&[(&a, &["three"])])).unwrap();
    // Somebody else's words under a signature of ours.
    let commit = fixture.git(&["cat-file", "commit", RECORDS]);
    let forged = commit.replace("Notes by refit", "Notes by a forger");
    let write = ["hash-object", "-t", "commit", "-w", "--stdin"];
    let forged = git_with(&fixture.path(), &write, (forged + "\n").as_bytes());
    fixture.git(&["update-ref", RECORDS, &forged]);

    let found = signing.notes_signatures(RECORDS).unwrap();
    let named: Vec<(&str, bool)> = found
        .not_good
        .iter()
        .map(|found| (found.commit.as_str(), found.is_there))
        .collect();
    assert_eq!(named, [(forged.as_str(), true), (unsigned.as_str(), false)]);
    assert!(
        found.not_good[0].said.contains("incorrect signature"),
        "{found:?}"
    );
    assert_eq!(found.not_good[1].said, "it has no signature");
    assert_eq!((found.n_good, found.n_before), (1, 0));

    // A key that nobody vouches for, and nobody who could.
    std::fs::write(fixture.beside("allowed"), "").unwrap();
    let found = signing.notes_signatures(RECORDS).unwrap();
    let of_signed = |found: &refit_git::notes::Signatures| {
        let mut all = found.not_good.iter();
        all.find(|found| found.commit == signed)
            .unwrap()
            .said
            .clone()
    };
    assert!(
        of_signed(&found).contains("No principal matched"),
        "{found:?}"
    );
    fixture.git(&["config", "--unset", "gpg.ssh.allowedSignersFile"]);
    let found = open(&fixture.path()).notes_signatures(RECORDS).unwrap();
    assert!(
        of_signed(&found).contains("allowedSignersFile"),
        "{found:?}"
    );
}

#[test]
fn what_cannot_be_signed_is_not_written() {
    let (fixture, signing) = signing();
    let a = fixture.id("HEAD:a");
    signing.notes_append(&records(&[(&a, &["one"])])).unwrap();
    let before = fixture.id(RECORDS);
    std::fs::remove_file(fixture.beside("key")).unwrap();
    let mut batch = records(&[(&a, &["two"])]);
    batch.sentences = sentences(&[(&fixture.id("HEAD"), &["said"])]).sentences;
    let refused = signing.notes_append(&batch);
    assert!(
        matches!(&refused, Err(NotesError::Unsigned(git)) if git.to_string().contains("key")),
        "{refused:?}"
    );
    assert_eq!(fixture.id(RECORDS), before);
    assert!(signing.notes_absent(SENTENCES).unwrap());
}
