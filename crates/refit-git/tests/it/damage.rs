//! Notes that are damaged: each is named, and stops nothing else.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use refit_git::notes::{Damage, Fault, NotesError, RECORDS, Verified};
use refit_oci::ObjectId;

use crate::{
    fixture::{Fixture, git_with, open},
    notes::records,
};

fn object(fixture: &Fixture, id: &ObjectId) -> PathBuf {
    let (folder, name) = id.as_str().split_at(2);
    fixture.path().join(".git/objects").join(folder).join(name)
}

fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The note on an object.
fn note(fixture: &Fixture, on: &ObjectId) -> ObjectId {
    let list = ["notes", "--ref=refit-records", "list", on.as_str()];
    fixture.git(&list).parse().unwrap()
}

fn verified(fixture: &Fixture) -> Verified {
    let mut lines = 0;
    let count = |_: &ObjectId, _: &ObjectId, _: &str| lines += 1;
    open(&fixture.path()).notes_verify(RECORDS, count).unwrap()
}

fn all(fixture: &Fixture) -> Vec<(ObjectId, Vec<String>)> {
    open(&fixture.path()).notes_all(RECORDS).unwrap()
}

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(ToString::to_string).collect()
}

type Break = fn(&std::path::Path, &[u8]);

#[test]
fn a_note_that_cannot_be_read_is_named_and_stops_nothing_else() {
    let ways: [(&str, Break); 4] = [
        ("missing", |path, _| fs::remove_file(path).unwrap()),
        ("truncated", |path, whole| {
            overwrite(path, &whole[..whole.len() / 2]);
        }),
        ("empty", |path, _| overwrite(path, b"")),
        ("garbage", |path, _| overwrite(path, b"no zlib stream")),
    ];
    for (way, damage) in ways {
        let fixture = Fixture::with("//- a\n1//- b\n2");
        let (a, b) = (fixture.id("HEAD:a"), fixture.id("HEAD:b"));
        let long = "x".repeat(500) + &"y".repeat(300);
        let repo = fixture.repo();
        repo.notes_append(&records(&[(&a, &["kept"]), (&b, &[&long])]))
            .unwrap();
        let damaged = note(&fixture, &b);
        let file = object(&fixture, &damaged);
        let whole = fs::read(&file).unwrap();
        damage(&file, &whole);

        let repo = open(&fixture.path());
        let notes = repo.notes(RECORDS).unwrap();
        assert_eq!(notes.lines().collect::<Vec<_>>(), ["kept"], "{way}");
        let [found] = notes.damaged() else {
            panic!("{way}: {:?}", notes.damaged());
        };
        let named = (found.annotated.as_ref(), &found.object);
        assert_eq!(named, (Some(&b), &damaged), "{way}");
        assert!(found.fault.is_loss(), "{way}: {found}");
        let report = verified(&fixture);
        assert_eq!(report.n_notes, 2, "{way}");
        assert!(
            report
                .damaged
                .iter()
                .any(|d| d.object == damaged && d.fault.is_loss())
        );
        assert!(
            report.damaged.iter().all(|d| d.object == damaged),
            "{report:?}"
        );

        // Both are written to: the damaged note itself stays as it is.
        let more = records(&[(&a, &["more of a"]), (&b, &["more of b"])]);
        repo.notes_append(&more).unwrap();
        assert_eq!(note(&fixture, &b), damaged, "{way}");
        repo.notes_append(&records(&[(&b, &["and more"])])).unwrap();
        let mut want = vec![
            (a.clone(), lines(&["kept", "more of a"])),
            (damaged.clone(), lines(&["and more", "more of b"])),
        ];
        want.sort();
        assert_eq!(all(&fixture), want, "{way}");

        // Once the object is back, nothing is missing, whatever was cached meanwhile.
        if file.exists() {
            overwrite(&file, &whole);
        } else {
            fs::write(&file, &whole).unwrap();
        }
        want.push((b.clone(), vec![long.clone()]));
        want.sort();
        assert_eq!(all(&fixture), want, "{way}");
        assert_eq!(verified(&fixture).damaged, [], "{way}");
        assert_eq!(open(&fixture.path()).notes(RECORDS).unwrap().damaged(), []);
    }
}

/// What unpacks to other bytes is read by git's own `cat-file` as well; whoever writes to it or verifies it looks closer.
#[test]
fn a_note_whose_bytes_have_changed_is_named_and_not_written_over() {
    let fixture = Fixture::with("//- a\n1");
    let on = fixture.id("HEAD:a");
    let repo = fixture.repo();
    repo.notes_append(&records(&[(&on, &["one"])])).unwrap();
    let damaged = note(&fixture, &on);
    let other = blob(&fixture, b"two\n");
    overwrite(
        &object(&fixture, &damaged),
        &fs::read(object(&fixture, &other)).unwrap(),
    );
    let faults: Vec<Fault> = verified(&fixture)
        .damaged
        .into_iter()
        .map(|d| d.fault)
        .collect();
    assert_eq!(faults, [Fault::OtherBytes]);
    open(&fixture.path())
        .notes_append(&records(&[(&on, &["new"])]))
        .unwrap();
    assert_eq!(note(&fixture, &on), damaged);
    let want: ObjectId = damaged;
    assert!(all(&fixture).contains(&(want, lines(&["new"]))));
}

/// Sets the tree of our notes to one that `git mktree` makes.
fn set_tree(fixture: &Fixture, entries: &str) -> ObjectId {
    let tree = git_with(
        &fixture.path(),
        &["mktree", "--missing"],
        entries.as_bytes(),
    );
    let commit = fixture.git(&["commit-tree", "-m", "by hand", &tree]);
    fixture.git(&["update-ref", RECORDS, &commit]);
    tree.parse().unwrap()
}

fn blob(fixture: &Fixture, text: &[u8]) -> ObjectId {
    let made = git_with(&fixture.path(), &["hash-object", "-w", "--stdin"], text);
    made.parse().unwrap()
}

#[test]
fn what_git_passes_over_and_what_is_out_of_order_is_named_and_nothing_is_lost() {
    let fixture = Fixture::with("//- a\n1//- b\n2//- c\n3");
    let ids = ["HEAD:a", "HEAD:b", "HEAD:c"].map(|rev| fixture.id(rev));
    let [a, b, c] = &ids;
    let gone: ObjectId = "1".repeat(40).parse().unwrap();
    let unsorted = blob(&fixture, b"b\na\n\na\n");
    let latin = blob(&fixture, b"fine\n\xfcber\n");
    let readme = blob(&fixture, b"read me");
    let tree = fixture
        .git(&["rev-parse", "HEAD^{tree}"])
        .parse::<ObjectId>()
        .unwrap();
    let root = set_tree(
        &fixture,
        &format!(
            "100644 blob {unsorted}\t{a}\n100644 blob {latin}\t{b}\n100644 blob {readme}\t{gone}\n\
             100644 blob {readme}\tREADME\n040000 tree {tree}\tdocs\n100644 blob {tree}\t{c}\n"
        )
        .replace(
            &format!("100644 blob {tree}"),
            &format!("100644 blob {readme}"),
        ),
    );
    let on = |annotated: &ObjectId, object: &ObjectId, fault| Damage {
        annotated: Some(annotated.clone()),
        object: object.clone(),
        fault,
    };
    let in_root = |name: &str| Damage {
        annotated: None,
        object: root.clone(),
        fault: Fault::NoNote(name.to_owned()),
    };
    let report = verified(&fixture);
    assert_eq!(report.n_notes, 4);
    let mut want = vec![
        on(a, &unsorted, Fault::Unsorted(2)),
        on(a, &unsorted, Fault::Repeated(4)),
        on(b, &latin, Fault::NotUtf8(2)),
        on(&gone, &readme, Fault::Orphaned),
        in_root("README"),
        in_root("docs"),
    ];
    let by_text = |d: &Damage| d.to_string();
    let mut found = report.damaged;
    want.sort_by_key(by_text);
    found.sort_by_key(by_text);
    assert_eq!(found, want);
    // A line that is not UTF-8 loses its own text only, and is kept as it is.
    open(&fixture.path())
        .notes_append(&records(&[(b, &["new"])]))
        .unwrap();
    let kept = crate::fixture::run(
        &fixture.path(),
        &["cat-file", "blob", note(&fixture, b).as_str()],
        b"",
    );
    assert_eq!(kept, b"fine\nnew\n\xfcber\n");
}

#[test]
fn a_note_that_is_a_tree_and_one_in_two_places_are_named() {
    let fixture = Fixture::with("//- a\n1//- b\n2");
    let (a, b) = (fixture.id("HEAD:a"), fixture.id("HEAD:b"));
    let (one, two) = (blob(&fixture, b"one\n"), blob(&fixture, b"two\n"));
    let (folder, rest) = a.as_str().split_at(2);
    let below = format!("100644 blob {two}\t{rest}\n");
    let below = git_with(&fixture.path(), &["mktree"], below.as_bytes());
    let entries = format!("100644 blob {one}\t{a}\n040000 tree {below}\t{folder}\n");
    set_tree(&fixture, &entries);
    let faults: Vec<Fault> = verified(&fixture)
        .damaged
        .into_iter()
        .map(|d| d.fault)
        .collect();
    assert_eq!(faults, [Fault::Split, Fault::Split]);

    // A tree object under a blob's mode: `mktree` refuses it, whoever writes trees otherwise does not.
    let tree = fixture.id("HEAD^{tree}");
    let mut raw = format!("100644 {b}\0").into_bytes();
    raw.extend((0..20).map(|i| u8::from_str_radix(&tree.as_str()[2 * i..2 * i + 2], 16).unwrap()));
    let flags = ["hash-object", "-w", "-t", "tree", "--literally", "--stdin"];
    let root = git_with(&fixture.path(), &flags, &raw);
    let commit = fixture.git(&["commit-tree", "-m", "odd", &root]);
    fixture.git(&["update-ref", RECORDS, &commit]);
    let report = verified(&fixture);
    let faults: Vec<&Fault> = report.damaged.iter().map(|d| &d.fault).collect();
    assert_eq!(faults, [&Fault::WrongKind]);
    let loaded = open(&fixture.path()).notes(RECORDS).unwrap();
    assert_eq!(loaded.damaged(), report.damaged);
}

#[test]
fn a_part_of_the_tree_that_is_gone_takes_only_its_own_notes_along() {
    let fixture = Fixture::with("//- a\n");
    let ids: Vec<ObjectId> = (0..300)
        .map(|n| blob(&fixture, n.to_string().as_bytes()))
        .collect();
    let all_ids: Vec<(&ObjectId, &[&str])> = ids.iter().map(|id| (id, &["line"][..])).collect();
    open(&fixture.path())
        .notes_append(&records(&all_ids))
        .unwrap();
    let folder = &ids[0].as_str()[..2];
    let subtree = fixture.id(&format!("{RECORDS}:{folder}"));
    fs::remove_file(object(&fixture, &subtree)).unwrap();
    let report = verified(&fixture);
    let [damage] = &report.damaged[..] else {
        panic!("{report:?}");
    };
    assert_eq!((&damage.annotated, &damage.object), (&None, &subtree));
    let loaded = open(&fixture.path()).notes(RECORDS).unwrap();
    assert_eq!(loaded.damaged(), report.damaged);
    let left = ids.iter().filter(|id| !id.as_str().starts_with(folder));
    assert_eq!(loaded.iter().count(), left.count());
    let other = ids
        .iter()
        .find(|id| !id.as_str().starts_with(folder))
        .unwrap();
    open(&fixture.path())
        .notes_append(&records(&[(other, &["more"])]))
        .unwrap();
    let before = fixture.id(RECORDS);
    fixture.git(&["remote", "add", "origin", "."]);
    let both = records(&[(&ids[0], &["more"]), (other, &["still more"])]);
    match open(&fixture.path()).notes_append(&both) {
        Err(error @ NotesError::Subtree { .. }) => {
            let said = error.to_string();
            for named in [
                subtree.as_str(),
                ids[0].as_str(),
                "git fetch --refetch origin",
            ] {
                assert!(said.contains(named), "{named}: {said}");
            }
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        fixture.id(RECORDS),
        before,
        "what is there is not written over"
    );
}
