//! Notes of several clones that meet in one remote.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, thread};

use refit_git::{
    Repo,
    notes::{NotesError, Pushed, RECORDS, SENTENCES, United, tracking_ref},
};
use refit_oci::ObjectId;

use crate::{
    fixture::{Fixture, git, id, open},
    notes::{records, sentences},
};

/// A bare remote beside the fixture, and clones of it.
struct Meeting {
    fixture: Fixture,
    blob: ObjectId,
    head: ObjectId,
}

impl Meeting {
    fn new() -> Self {
        let fixture = Fixture::with("//- a\n1");
        fixture.git(&["clone", "--quiet", "--bare", ".", "../remote.git"]);
        Self {
            blob: fixture.id("HEAD:a"),
            head: fixture.id("HEAD"),
            fixture,
        }
    }

    fn remote(&self) -> PathBuf {
        self.fixture.beside("remote.git")
    }

    fn clone(&self, name: &str) -> Repo {
        let dir = self.fixture.beside(name);
        git(
            &self.fixture.path(),
            &["clone", "--quiet", "../remote.git", dir.to_str().unwrap()],
        );
        open(&dir)
    }

    fn append(&self, repo: &Repo, line: &str) {
        let mut batch = records(&[(&self.blob, &[line])]);
        batch.sentences = sentences(&[(&self.head, &[line])]).sentences;
        repo.notes_append(&batch).unwrap();
    }

    fn lines(&self, repo: &Repo) -> Vec<String> {
        let lines = repo.notes_of(RECORDS, &self.blob).unwrap();
        let mut sentences = repo.notes_of(SENTENCES, &self.head).unwrap();
        sentences.sort();
        assert_eq!(sentences, lines);
        lines
    }
}

#[test]
fn two_clones_meet_and_nothing_is_lost() {
    let meeting = Meeting::new();
    let (one, two) = (meeting.clone("one"), meeting.clone("two"));
    meeting.append(&one, "by one");
    meeting.append(&two, "by two");
    let pushed = one.notes_push("origin").unwrap();
    assert_eq!(pushed.records, Some(id(&meeting.remote(), RECORDS)));
    assert_eq!(pushed.sentences, Some(id(&meeting.remote(), SENTENCES)));
    assert_eq!(
        one.notes_push("origin").unwrap(),
        Pushed::default(),
        "it has everything"
    );
    two.notes_push("origin").unwrap();
    assert_eq!(meeting.lines(&two), ["by one", "by two"]);
    assert_eq!(
        meeting.lines(&open(&meeting.remote())),
        ["by one", "by two"]
    );
    let parents = git(
        &meeting.remote(),
        &["rev-list", "--parents", "--max-count=1", RECORDS],
    );
    assert_eq!(parents.split(' ').count(), 3, "both histories are kept");

    // One had nothing new since: it only follows.
    one.notes_fetch("origin").unwrap();
    let united = one.notes_unite("origin").unwrap();
    assert_eq!(united.records, Some(id(&meeting.remote(), RECORDS)));
    assert_eq!(meeting.lines(&one), ["by one", "by two"]);
    assert_eq!(one.notes_unite("origin").unwrap(), United::default());
    assert_eq!(
        git(&meeting.remote(), &["fsck", "--strict", "--no-dangling"]),
        ""
    );
}

#[test]
fn the_same_lines_in_two_histories_still_meet() {
    let meeting = Meeting::new();
    let (one, two) = (meeting.clone("one"), meeting.clone("two"));
    meeting.append(&one, "same");
    meeting.append(&two, "same");
    // Another message makes another commit of the same tree.
    git(
        two.git_dir(),
        &["update-ref", RECORDS, &{
            let tree = git(
                two.git_dir(),
                &["rev-parse", &format!("{RECORDS}^{{tree}}")],
            );
            git(two.git_dir(), &["commit-tree", "-m", "other", &tree])
        }],
    );
    one.notes_push("origin").unwrap();
    two.notes_push("origin").unwrap();
    one.notes_push("origin").unwrap();
    assert_eq!(id(one.git_dir(), RECORDS), id(two.git_dir(), RECORDS));
    assert_eq!(meeting.lines(&one), ["same"]);
}

#[test]
fn many_clones_push_at_the_same_time() {
    let meeting = Meeting::new();
    let names = [
        "one", "two", "three", "four", "five", "six", "seven", "eight",
    ];
    let clones: Vec<Repo> = names.iter().map(|name| meeting.clone(name)).collect();
    thread::scope(|scope| {
        for (repo, name) in clones.iter().zip(names) {
            let meeting = &meeting;
            scope.spawn(move || {
                meeting.append(repo, name);
                repo.notes_push("origin").unwrap();
            });
        }
    });
    let mut want = names.map(str::to_owned);
    want.sort();
    let remote = meeting.remote();
    assert_eq!(meeting.lines(&open(&remote)), want);
    assert_eq!(git(&remote, &["fsck", "--strict", "--no-dangling"]), "");
    for dir in names.map(|name| meeting.fixture.beside(name).join(".git")) {
        assert_eq!(locks(&dir), [""; 0], "{}", dir.display());
    }
    assert_eq!(locks(&remote), [""; 0]);
}

/// The locks of refs that are held or were left.
pub(crate) fn locks(git_dir: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![git_dir.join("refs")];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|end| end == "lock") {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn fetching_never_touches_our_notes() {
    let meeting = Meeting::new();
    let (one, two) = (meeting.clone("one"), meeting.clone("two"));
    // A refspec that people do configure, and that would erase what isn't pushed.
    git(
        one.git_dir(),
        &[
            "config",
            "--add",
            "remote.origin.fetch",
            "+refs/notes/*:refs/notes/*",
        ],
    );
    meeting.append(&one, "unpushed");
    meeting.append(&two, "theirs");
    two.notes_push("origin").unwrap();
    one.notes_fetch("origin").unwrap();
    assert_eq!(meeting.lines(&one), ["unpushed"]);
    assert_eq!(
        one.notes_of(&tracking_ref("origin", RECORDS), &meeting.blob)
            .unwrap(),
        ["theirs"]
    );
    // The remote's notes vanish: so does what we remember of them, not ours.
    git(&meeting.remote(), &["update-ref", "-d", RECORDS]);
    one.notes_fetch("origin").unwrap();
    assert!(one.notes_absent(&tracking_ref("origin", RECORDS)).unwrap());
    one.notes_push("origin").unwrap();
    assert_eq!(
        open(&meeting.remote())
            .notes_of(RECORDS, &meeting.blob)
            .unwrap(),
        ["unpushed"]
    );
}

#[test]
fn a_remote_without_notes_is_fetched_and_pushed_to() {
    let meeting = Meeting::new();
    let repo = meeting.clone("one");
    repo.notes_fetch("origin").unwrap();
    assert_eq!(repo.notes_unite("origin").unwrap(), United::default());
    assert_eq!(
        repo.notes_push("origin").unwrap(),
        Pushed::default(),
        "nothing to say"
    );
    assert!(open(&meeting.remote()).notes_absent(RECORDS).unwrap());
}

#[test]
fn a_shallow_clone_and_a_mirror_exchange_notes() {
    let meeting = Meeting::new();
    let url = format!("file://{}", meeting.remote().display());
    meeting.append(&open(&meeting.remote()), "theirs");
    for (name, flag) in [("shallow", "--depth=1"), ("mirror", "--mirror")] {
        let dir = meeting.fixture.beside(name);
        git(
            &meeting.fixture.path(),
            &["clone", "--quiet", flag, &url, dir.to_str().unwrap()],
        );
        let repo = open(&dir);
        meeting.append(&repo, name);
        repo.notes_push("origin").unwrap();
    }
    let lines = meeting.lines(&open(&meeting.remote()));
    assert_eq!(lines, ["mirror", "shallow", "theirs"]);
    assert!(
        id(&meeting.remote(), "refs/heads/main") == meeting.head,
        "nothing else was pushed"
    );
}

#[test]
fn a_remote_without_atomic_pushes_gets_records_first() {
    let meeting = Meeting::new();
    git(
        &meeting.remote(),
        &["config", "receive.advertiseAtomic", "false"],
    );
    let repo = meeting.clone("one");
    meeting.append(&repo, "x");
    repo.notes_push("origin").unwrap();
    assert_eq!(meeting.lines(&open(&meeting.remote())), ["x"]);
}

#[test]
fn a_remote_that_declines_says_why() {
    let meeting = Meeting::new();
    let hook = meeting.remote().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(
        &hook,
        "#!/bin/sh\necho 'notes are not welcome' >&2\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let repo = meeting.clone("one");
    meeting.append(&repo, "x");
    let error = repo.notes_push("origin").unwrap_err().to_string();
    for said in [
        "git",
        "push",
        "notes are not welcome",
        "pre-receive hook declined",
    ] {
        assert!(error.contains(said), "{error}");
    }
    assert!(open(&meeting.remote()).notes_absent(RECORDS).unwrap());
}

#[test]
fn the_repositorys_own_hooks_do_not_run() {
    let meeting = Meeting::new();
    let repo = meeting.clone("one");
    for name in ["pre-push", "reference-transaction", "post-merge"] {
        let hook = repo.git_dir().join("hooks").join(name);
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    }
    meeting.append(&repo, "x");
    repo.notes_push("origin").unwrap();
    repo.add_config_value("notes.displayRef", "refs/notes/refit")
        .unwrap();
}

#[test]
fn the_right_to_push_is_probed_without_pushing() {
    let meeting = Meeting::new();
    let repo = meeting.clone("one");
    repo.notes_probe_push("origin").unwrap();
    meeting.append(&repo, "x");
    repo.notes_probe_push("origin").unwrap();
    assert!(open(&meeting.remote()).notes_absent(RECORDS).unwrap());
    git(
        repo.git_dir(),
        &["config", "remote.origin.url", "../no-such-remote"],
    );
    assert!(matches!(
        repo.notes_probe_push("origin"),
        Err(NotesError::Git(_))
    ));
    open(&Fixture::empty().path())
        .notes_probe_push("origin")
        .unwrap_err();
}

#[test]
fn an_unknown_remote_is_named_and_never_an_option_or_a_helper() {
    let meeting = Meeting::new();
    let repo = meeting.clone("one");
    meeting.append(&repo, "x");
    for remote in [
        "absent",
        "--receive-pack=touch",
        "../remote.git",
        "ext::sh -c true",
    ] {
        for result in [
            repo.notes_fetch(remote),
            repo.notes_push(remote).map(drop),
            repo.notes_probe_push(remote),
        ] {
            assert!(matches!(result, Err(NotesError::UnknownRemote(name)) if name == remote));
        }
    }
    git(
        repo.git_dir(),
        &["config", "remote.evil.url", "ext::sh -c 'touch x'"],
    );
    git(repo.git_dir(), &["config", "protocol.ext.allow", "always"]);
    let error = repo.notes_fetch("evil").unwrap_err().to_string();
    assert!(error.contains("transport 'ext' not allowed"), "{error}");
}

#[test]
fn a_decision_that_the_remote_refuses_is_taken_back() {
    let meeting = Meeting::new();
    let (one, two) = (meeting.clone("one"), meeting.clone("two"));
    let decision = |line: &str| {
        let mut batch = records(&[(&meeting.blob, &[line])]);
        batch.sentences = sentences(&[(&meeting.head, &[line])]).sentences;
        batch
    };
    let hook = meeting.remote().join("hooks/pre-receive");
    let refuse = |refuses: bool| {
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::write(&hook, format!("#!/bin/sh\nexit {}\n", i32::from(refuses))).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    };
    refuse(true);
    // With no notes at all before, the refs are gone again.
    let refused = |by: &Repo| {
        let error = by.notes_decide(&decision("refused"), "origin").unwrap_err();
        assert!(matches!(error, NotesError::Git(_)), "{error}");
    };
    refused(&one);
    let tips = || {
        git(
            &meeting.fixture.beside("one"),
            &["for-each-ref", "refs/notes"],
        )
    };
    assert_eq!(tips(), "");
    refuse(false);
    meeting.append(&one, "mine");
    let before = tips();
    two.notes_decide(&decision("theirs"), "origin").unwrap();
    refuse(true);
    // What others pushed was united on top of it: both are taken back, and theirs comes with the next fetch.
    refused(&one);
    assert_eq!(tips(), before);
    refuse(false);
    one.notes_push("origin").unwrap();
    assert_eq!(meeting.lines(&one), ["mine", "theirs"]);
}

#[test]
fn a_decision_that_another_process_went_on_from_stays() {
    let meeting = Meeting::new();
    let one = meeting.clone("one");
    let hook = meeting.remote().join("hooks/pre-receive");
    // The hook stands for the other process: it appends to the clone's notes while the push is under way.
    let clone = meeting.fixture.beside("one");
    let script = format!(
        "#!/bin/sh\nunset GIT_DIR GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
         cd '{}' && git -c user.name=a -c user.email=a@b notes --ref=refit-records append -m other HEAD\nexit 1\n",
        clone.display()
    );
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = one.notes_decide(&records(&[(&meeting.blob, &["decision"])]), "origin");
    assert!(matches!(refused, Err(NotesError::Kept(_))), "{refused:?}");
    assert_eq!(one.notes_of(RECORDS, &meeting.blob).unwrap(), ["decision"]);
}
