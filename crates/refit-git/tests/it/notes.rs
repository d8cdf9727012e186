//! Notes that git reads as its own.

use std::collections::BTreeMap;

use refit_git::{
    Repo,
    notes::{Batch, NotesError, RECORDS, SENTENCES},
};
use refit_oci::ObjectId;

use crate::fixture::{Fixture, git, git_with, open};

pub(crate) fn records(lines: &[(&ObjectId, &[&str])]) -> Batch {
    let mut batch = Batch {
        message: "Notes by refit".to_owned(),
        ..Batch::default()
    };
    for (id, lines) in lines {
        let note = batch.records.entry((*id).clone()).or_default();
        note.extend(lines.iter().map(ToString::to_string));
    }
    batch
}

pub(crate) fn sentences(lines: &[(&ObjectId, &[&str])]) -> Batch {
    let mut batch = Batch {
        message: "Notes by refit".to_owned(),
        ..Batch::default()
    };
    for (id, lines) in lines {
        let note = batch.sentences.entry((*id).clone()).or_default();
        note.extend(lines.iter().map(ToString::to_string));
    }
    batch
}

/// What git lists, with every note's text as git shows it.
fn by_git(fixture: &Fixture, reference: &str) -> BTreeMap<String, String> {
    let flag = format!("--ref={reference}");
    let list = fixture.git(&["notes", &flag, "list"]);
    list.lines()
        .map(|line| {
            let (note, annotated) = line.split_once(' ').unwrap();
            let text = String::from_utf8(crate::fixture::run(
                &fixture.path(),
                &["cat-file", "blob", note],
                b"",
            ))
            .unwrap();
            (annotated.to_owned(), text)
        })
        .collect()
}

fn by_us(repo: &Repo, reference: &str) -> BTreeMap<String, String> {
    let all = repo.notes_all(reference).unwrap();
    all.into_iter()
        .map(|(id, lines)| {
            (
                id.to_string(),
                lines.iter().flat_map(|line| [line, "\n"]).collect(),
            )
        })
        .collect()
}

fn agrees(fixture: &Fixture) {
    for reference in [RECORDS, SENTENCES] {
        assert_eq!(
            by_us(&fixture.repo(), reference),
            by_git(fixture, reference)
        );
    }
    let fsck = fixture.git(&["fsck", "--strict", "--no-dangling"]);
    assert_eq!(fsck, "");
}

#[test]
fn a_person_reads_records_and_sentences_with_git() {
    for flags in [&[][..], &["--object-format=sha256"]] {
        let fixture = Fixture::init(flags);
        fixture.commit("//- web/Dockerfile\nFROM debian:12-slim\n");
        let repo = fixture.repo();
        let (head, blob) = (fixture.id("HEAD"), fixture.id("HEAD:web/Dockerfile"));
        assert!(repo.notes_absent(RECORDS).unwrap());
        assert_eq!(repo.notes_all(RECORDS).unwrap(), []);
        let mut batch = records(&[(&blob, &["{\"b\":1}", "{\"a\":1}"])]);
        batch.sentences =
            sentences(&[(&head, &["web: debian:12-slim 1f3c09aa71c2 (linux/amd64)"])]).sentences;
        let appended = repo.notes_append(&batch).unwrap();
        assert_eq!(appended.records, Some(fixture.id(RECORDS)));
        assert_eq!(appended.sentences, Some(fixture.id(SENTENCES)));
        assert!(!repo.notes_absent(RECORDS).unwrap());
        let shown = fixture.git(&[
            "notes",
            "--ref=refit-records",
            "show",
            "HEAD:web/Dockerfile",
        ]);
        assert_eq!(shown, "{\"a\":1}\n{\"b\":1}");
        let log = fixture.git(&["log", "--notes=refit"]);
        assert!(log.ends_with("\n\n    change\n\nNotes (refit):\n    web: debian:12-slim 1f3c09aa71c2 (linux/amd64)"), "{log}");
        assert_eq!(
            repo.notes_of(RECORDS, &blob).unwrap(),
            ["{\"a\":1}", "{\"b\":1}"]
        );
        assert_eq!(repo.notes_of(RECORDS, &head).unwrap(), [""; 0]);
        let message = fixture.git(&["log", "--format=%B%an <%ae>", RECORDS]);
        assert_eq!(message, "Notes by refit\nrefit <refit@localhost>");
        agrees(&fixture);
    }
}

#[test]
fn lines_that_are_there_are_not_written_again() {
    let fixture = Fixture::with("//- a\n1//- b\n2");
    let repo = fixture.repo();
    let (a, b) = (fixture.id("HEAD:a"), fixture.id("HEAD:b"));
    repo.notes_append(&records(&[(&a, &["1", "3"])])).unwrap();
    let tip = fixture.id(RECORDS);
    let again = repo.notes_append(&records(&[(&a, &["3"])])).unwrap();
    assert_eq!(again.records, None);
    assert_eq!(fixture.id(RECORDS), tip);
    let third = repo
        .notes_append(&records(&[(&a, &["2"]), (&b, &["x"])]))
        .unwrap();
    assert_eq!(third.records, Some(fixture.id(RECORDS)));
    assert_eq!(
        fixture.id(&format!("{RECORDS}^")),
        tip,
        "one commit for the whole batch"
    );
    assert_eq!(repo.notes_of(RECORDS, &a).unwrap(), ["1", "2", "3"]);
    assert_eq!(
        repo.notes_append(&Batch::default()).unwrap(),
        refit_git::notes::Appended::default()
    );
    agrees(&fixture);
}

#[test]
fn notes_by_hand_and_foreign_files_survive() {
    let fixture = Fixture::with("//- a\n1");
    let head = fixture.id("HEAD");
    fixture.git(&[
        "notes",
        "--ref=refit",
        "add",
        "--message=by hand\n\nsecond paragraph",
    ]);
    let blob = git_with(&fixture.path(), &["hash-object", "-w", "--stdin"], b"kept");
    let note = fixture.git(&["notes", "--ref=refit", "list", "HEAD"]);
    let tree = format!("100644 blob {note}\t{head}\n100644 blob {blob}\tREADME\n");
    let tree = git_with(&fixture.path(), &["mktree"], tree.as_bytes());
    let commit = fixture.git(&["commit-tree", "-m", "with a file", &tree]);
    fixture.git(&["update-ref", SENTENCES, &commit]);
    let repo = fixture.repo();
    repo.notes_append(&sentences(&[(&head, &["ours"])]))
        .unwrap();
    let shown = fixture.git(&["notes", "--ref=refit", "show"]);
    assert_eq!(shown, "by hand\n\nsecond paragraph\nours");
    assert_eq!(
        fixture.git(&["cat-file", "blob", &format!("{SENTENCES}:README")]),
        "kept"
    );
    assert_eq!(
        repo.notes_of(SENTENCES, &head).unwrap(),
        ["by hand", "second paragraph", "ours"]
    );
}

#[test]
fn git_and_we_agree_on_many_notes_in_turn() {
    let fixture = Fixture::with("//- a\n");
    let repo = fixture.repo();
    let id_of = |number: usize| -> ObjectId {
        let text = format!("blob {number}");
        let id = git_with(
            &fixture.path(),
            &["hash-object", "-w", "--stdin"],
            text.as_bytes(),
        );
        id.parse().unwrap()
    };
    let ids: Vec<ObjectId> = (0..300).map(id_of).collect();
    repo.notes_append(&records(&[(&ids[0], &["first"])]))
        .unwrap();
    agrees(&fixture);
    let all: Vec<(&ObjectId, &[&str])> = ids.iter().map(|id| (id, &["line"][..])).collect();
    repo.notes_append(&records(&all)).unwrap();
    assert_eq!(repo.notes_all(RECORDS).unwrap().len(), 300);
    assert!(
        fixture.git(&["ls-tree", RECORDS]).contains(" tree "),
        "fanned out by now"
    );
    agrees(&fixture);
    let flag = "--ref=refit-records";
    fixture.git(&[
        "notes",
        flag,
        "append",
        "--no-separator",
        "--message=by git",
        ids[7].as_str(),
    ]);
    fixture.git(&["notes", flag, "remove", ids[8].as_str()]);
    repo.notes_append(&records(&[(&ids[7], &["again"]), (&ids[8], &["back"])]))
        .unwrap();
    assert_eq!(
        repo.notes_of(RECORDS, &ids[7]).unwrap(),
        ["again", "by git", "line"]
    );
    assert_eq!(repo.notes_of(RECORDS, &ids[8]).unwrap(), ["back"]);
    agrees(&fixture);
    // Git writes the same tree for the same notes.
    let ours = fixture.git(&["rev-parse", &format!("{RECORDS}^{{tree}}")]);
    fixture.git(&[
        "notes",
        flag,
        "append",
        "--no-separator",
        "--message=x",
        ids[9].as_str(),
    ]);
    fixture.git(&[
        "notes",
        flag,
        "add",
        "--force",
        "--message=line",
        ids[9].as_str(),
    ]);
    assert_eq!(
        fixture.git(&["rev-parse", &format!("{RECORDS}^{{tree}}")]),
        ours
    );
}

#[test]
fn a_large_batch_is_packed_and_reads_the_same() {
    for flags in [&[][..], &["--object-format=sha256"]] {
        let fixture = Fixture::init(flags);
        fixture.commit("//- a\n");
        let width = fixture.id("HEAD").as_str().len();
        let ids: Vec<ObjectId> = (0..600)
            .map(|number| format!("{:0>width$x}", number * 7_919).parse().unwrap())
            .collect();
        let lines: Vec<String> = (0..600).map(|number| format!("line {number}")).collect();
        let texts: Vec<[&str; 1]> = lines.iter().map(|line| [line.as_str()]).collect();
        let notes: Vec<_> = ids
            .iter()
            .zip(&texts)
            .map(|(id, text)| (id, &text[..]))
            .collect();
        fixture.repo().notes_append(&records(&notes)).unwrap();
        agrees(&fixture);
        let more: Vec<_> = ids.iter().map(|id| (id, &["more"][..])).collect();
        fixture.repo().notes_append(&records(&more)).unwrap();
        agrees(&fixture);
        let packs = fixture.path().join(".git/objects/pack");
        let packs = std::fs::read_dir(packs)
            .unwrap()
            .map(|file| file.unwrap().path());
        let (packs, rest): (Vec<_>, Vec<_>) =
            packs.partition(|path| path.extension().is_some_and(|e| e == "pack"));
        assert_eq!((packs.len(), rest.len()), (2, 2), "{rest:?}");
        let pack = |path: &std::path::Path| {
            fixture.git(&["verify-pack", "--verbose", path.to_str().unwrap()])
        };
        let listed = packs.iter().map(|path| pack(path)).collect::<String>();
        for (kind, n) in [("blob", 1_200), ("commit", 2)] {
            assert_eq!(listed.matches(&format!(" {kind} ")).count(), n, "{listed}");
        }
    }
}

#[test]
fn a_worktree_and_a_bare_repository_take_notes() {
    let fixture = Fixture::with("//- a\n1");
    let blob = fixture.id("HEAD:a");
    fixture.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    fixture.git(&["clone", "--quiet", "--bare", ".", "../bare.git"]);
    open(&fixture.beside("linked"))
        .notes_append(&records(&[(&blob, &["x"])]))
        .unwrap();
    assert_eq!(fixture.repo().notes_of(RECORDS, &blob).unwrap(), ["x"]);
    assert!(
        fixture.path().join(".git/refit/notes.lock").exists(),
        "one lock for all worktrees"
    );
    let bare = fixture.beside("bare.git");
    open(&bare)
        .notes_append(&records(&[(&blob, &["y"])]))
        .unwrap();
    assert_eq!(
        git(&bare, &["notes", "--ref=refit-records", "show", "HEAD:a"]),
        "y"
    );
}

#[test]
fn notes_stay_within_the_repositorys_means() {
    let fixture = Fixture::with("//- a\n1");
    let repo = fixture.repo();
    let blob = fixture.id("HEAD:a");
    for line in ["", "two\nlines"] {
        let refused = repo.notes_append(&records(&[(&blob, &[line])]));
        assert!(
            matches!(refused, Err(NotesError::Line { .. })),
            "{refused:?}"
        );
        let refused = repo.notes_append(&sentences(&[(&blob, &[line])]));
        assert!(
            matches!(refused, Err(NotesError::Line { .. })),
            "{refused:?}"
        );
    }
    let other_hash: ObjectId = "12345678".repeat(8).parse().unwrap();
    let refused = repo.notes_append(&records(&[(&other_hash, &["x"])]));
    assert!(
        matches!(refused, Err(NotesError::HashKind { .. })),
        "{refused:?}"
    );
    assert!(matches!(
        repo.notes_of(RECORDS, &other_hash),
        Err(NotesError::HashKind { .. })
    ));
    assert!(repo.notes_absent(RECORDS).unwrap(), "nothing was written");
}

#[test]
fn the_users_identity_signs_notes_where_there_is_one() {
    let fixture = Fixture::with("//- a\n1");
    fixture.git(&["config", "user.name", "Someone"]);
    fixture.git(&["config", "user.email", "someone@example.com"]);
    let repo = fixture.repo();
    repo.notes_append(&records(&[(&fixture.id("HEAD:a"), &["x"])]))
        .unwrap();
    let people = fixture.git(&["log", "--format=%an <%ae> %cn <%ce>", RECORDS]);
    assert_eq!(
        people,
        "Someone <someone@example.com> Someone <someone@example.com>"
    );
}

/// The file that saves reading notes again.
fn cache(fixture: &Fixture) -> std::path::PathBuf {
    let folder = fixture.repo().common_dir().join("refit/notes-cache");
    folder.join("refs+notes+refit-records")
}

type Damaging = fn(&[u8]) -> Vec<u8>;

/// The files that hold the lines' texts.
fn texts(fixture: &Fixture) -> Vec<std::path::PathBuf> {
    let table = cache(fixture);
    let files = std::fs::read_dir(table.parent().unwrap()).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let is_texts = |path: &std::path::PathBuf| path.with_extension("") == table && *path != table;
    files.filter(is_texts).collect()
}

/// What is cached is what the next reader goes by, and nothing is left of what was there before.
fn made_again(fixture: &Fixture, expected: &[(ObjectId, Vec<String>)]) {
    let read = || assert!(fixture.repo().notes_all(RECORDS).unwrap() == expected);
    read();
    read();
    let made = std::fs::read(cache(fixture)).unwrap();
    read();
    assert!(std::fs::read(cache(fixture)).unwrap() == made, "made once");
    assert_eq!(texts(fixture).len(), 1);
}

#[test]
fn what_is_cached_of_notes_follows_every_change_and_is_no_loss() {
    let fixture = Fixture::with("//- a\n");
    let repo = fixture.repo();
    let id_of = |n: usize| -> ObjectId {
        let text = format!("{n}");
        let blob = ["hash-object", "-w", "--stdin"];
        git_with(&fixture.path(), &blob, text.as_bytes())
            .parse()
            .unwrap()
    };
    let ids: Vec<ObjectId> = (0..300).map(id_of).collect();
    let all: Vec<(&ObjectId, &[&str])> = ids.iter().map(|id| (id, &["line"][..])).collect();
    repo.notes_append(&records(&all)).unwrap();
    agrees(&fixture); // made
    let first = std::fs::read(cache(&fixture)).unwrap();
    agrees(&fixture); // read
    repo.notes_append(&records(&[(&ids[7], &["more"])]))
        .unwrap();
    agrees(&fixture); // brought up to date
    let second = std::fs::read(cache(&fixture)).unwrap();
    assert!(first != second);
    fixture.git(&["notes", "--ref=refit-records", "remove", ids[9].as_str()]);
    agrees(&fixture); // without what is gone
    let whole = std::fs::read(cache(&fixture)).unwrap();
    let expected = repo.notes_all(RECORDS).unwrap();
    for damaged in [
        Vec::new(),
        whole[..whole.len() / 2].to_vec(),
        [&whole[..], b"x"].concat(),
        whole.iter().rev().copied().collect(),
        first, // of another tree
    ] {
        std::fs::write(cache(&fixture), damaged).unwrap();
        made_again(&fixture, &expected);
    }
    let damaged: [Damaging; 5] = [
        |_| Vec::new(),
        |texts| texts[..texts.len() / 2].to_vec(),
        |texts| [texts, b"x"].concat(),
        |texts| texts.iter().map(|byte| byte ^ 1).collect(),
        |texts| texts.iter().map(|byte| byte | 0x80).collect(),
    ];
    for damaged in damaged {
        let path = &texts(&fixture)[0];
        let damaged = damaged(&std::fs::read(path).unwrap());
        std::fs::write(path, damaged).unwrap();
        made_again(&fixture, &expected);
    }
    std::fs::remove_file(&texts(&fixture)[0]).unwrap();
    made_again(&fixture, &expected);
    std::fs::remove_dir_all(cache(&fixture).parent().unwrap()).unwrap();
    agrees(&fixture);
    let folder = std::fs::read_dir(cache(&fixture).parent().unwrap()).unwrap();
    let left = folder.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".new")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_note_that_is_cached_is_not_read_from_git() {
    let fixture = Fixture::with("//- a\n");
    let repo = fixture.repo();
    let on: ObjectId = git_with(&fixture.path(), &["hash-object", "-w", "--stdin"], b"x")
        .parse()
        .unwrap();
    repo.notes_append(&records(&[(&on, &["line"])])).unwrap();
    let expected = repo.notes_all(RECORDS).unwrap();
    let list = fixture.git(&["notes", "--ref=refit-records", "list"]);
    let blob = list.split(' ').next().unwrap();
    let object = repo
        .common_dir()
        .join("objects")
        .join(&blob[..2])
        .join(&blob[2..]);
    std::fs::remove_file(object).unwrap();
    assert_eq!(open(&fixture.path()).notes_all(RECORDS).unwrap(), expected);
}
