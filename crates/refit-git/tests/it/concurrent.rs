//! Writers at the same time, and what killed ones leave behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use refit_git::notes::{Batch, RECORDS, SENTENCES, Step};
use refit_oci::ObjectId;

use crate::{
    exchange::locks,
    fixture::{Fixture, git, git_with, id, open},
    notes::{records, sentences},
};

/// How many processes write at once, and what each writes: so many batches of so many records.
const WRITERS: usize = 16;
const BATCHES: usize = 5;
const RECORDS_EACH: usize = 100;
const LINES: usize = 6;

fn write_lines(dir: &Path, writer: &str) {
    let repo = open(dir);
    let (blob, head) = (id(dir, "HEAD:a"), id(dir, "HEAD"));
    for line in 0..LINES {
        let text = format!("{writer} {line}");
        let mut batch = records(&[(&blob, &[&text])]);
        batch.sentences = sentences(&[(&head, &[&text])]).sentences;
        repo.notes_append(&batch).unwrap();
    }
}

/// The batches of one writer: half of its records are on objects that all write to, half on its own.
fn batches(writer: usize, head: &ObjectId) -> impl Iterator<Item = Batch> {
    (0..BATCHES).map(move |number| {
        let mut batch = Batch {
            message: "Notes by refit".to_owned(),
            ..Batch::default()
        };
        for record in 0..RECORDS_EACH {
            let on = match record % 2 {
                0 => record,
                _ => 1000 * (writer + 1) + record,
            };
            let note = batch.records.entry(made_up(on)).or_default();
            note.insert(format!("{writer} {number} {record}"));
        }
        let said = vec![format!("{writer} {number}")];
        batch.sentences.insert(head.clone(), said);
        batch
    })
}

/// The id of no object.
fn made_up(n: usize) -> ObjectId {
    let spread = u64::try_from(n)
        .unwrap()
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{spread:016x}{spread:016x}{n:08x}")
        .parse()
        .unwrap()
}

/// This test started again is one of the writers.
#[test]
fn writers_at_the_same_time_lose_nothing() {
    const WRITER: &str = "REFIT_TEST_WRITER";
    const DIR: &str = "REFIT_TEST_DIR";
    if let (Ok(writer), Some(dir)) = (std::env::var(WRITER), std::env::var_os(DIR)) {
        let dir = Path::new(&dir);
        let (repo, head) = (open(dir), id(dir, "HEAD"));
        for batch in batches(writer.parse().unwrap(), &head) {
            repo.notes_append(&batch).unwrap();
        }
        return;
    }
    let fixture = Fixture::with("//- a\n1");
    let dir = fixture.path();
    let name = "concurrent::writers_at_the_same_time_lose_nothing";
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command
                .args(["--exact", name])
                .env(WRITER, writer.to_string());
            command
                .env(DIR, &dir)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
    }
    let head = fixture.id("HEAD");
    let mut want: BTreeMap<ObjectId, BTreeSet<String>> = BTreeMap::new();
    for batch in (0..WRITERS).flat_map(|writer| batches(writer, &head)) {
        for (on, lines) in batch.records {
            want.entry(on).or_default().extend(lines);
        }
    }
    let repo = fixture.repo();
    let all = repo.notes_all(RECORDS).unwrap();
    let want: Vec<(ObjectId, Vec<String>)> = want
        .into_iter()
        .map(|(on, lines)| (on, lines.into_iter().collect()))
        .collect();
    assert_eq!(all, want, "each record once, and in order");
    let mut said = repo.notes_of(SENTENCES, &head).unwrap();
    said.sort();
    said.dedup();
    assert_eq!(said.len(), WRITERS * BATCHES);
    let commits = git(&dir, &["rev-list", "--count", RECORDS]);
    assert_eq!(
        commits,
        (WRITERS * BATCHES).to_string(),
        "one commit per batch"
    );
    let listed = git(&dir, &["notes", "--ref=refit-records", "list"]);
    assert_eq!(listed.lines().count(), want.len());
    assert_eq!(fixture.git(&["fsck", "--strict", "--no-dangling"]), "");
    assert_eq!(locks(&dir.join(".git")), [""; 0]);
}

/// A killed process keeps no lock and leaves no half: this test started again writes until it is killed.
#[test]
fn a_killed_writer_stops_nobody() {
    const DIR: &str = "REFIT_TEST_WRITE_FOREVER";
    if let Some(dir) = std::env::var_os(DIR) {
        loop {
            write_lines(Path::new(&dir), &format!("{:?}", SystemTime::now()));
        }
    }
    let fixture = Fixture::with("//- a\n1");
    let (blob, head) = (fixture.id("HEAD:a"), fixture.id("HEAD"));
    let repo = fixture.repo();
    let lines = |reference, on| {
        let lines = repo.notes_of(reference, on).unwrap();
        lines.into_iter().collect::<BTreeSet<String>>()
    };
    for round in 0..10 {
        let before = lines(RECORDS, &blob);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "concurrent::a_killed_writer_stops_nobody"])
            .env(DIR, fixture.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // A few writes in, and each round at another moment of the one that is under way.
        while lines(RECORDS, &blob).len() < before.len() + 2 {
            thread::yield_now();
        }
        for _ in 0..round * 200 {
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let (recorded, said) = (lines(RECORDS, &blob), lines(SENTENCES, &head));
        assert!(recorded.is_superset(&before), "what was there stays");
        assert!(recorded.is_superset(&said), "records are first");
        assert!(recorded.len() <= said.len() + 1, "one batch was under way");
        for lock in locks(&fixture.path().join(".git")) {
            let file = fs::File::options().write(true).open(lock).unwrap();
            let long_ago = SystemTime::now() - Duration::from_mins(1);
            file.set_modified(long_ago).unwrap();
        }
        // Whoever repeats the batch completes what it left out, and clears what it left.
        let mut recorded = recorded;
        recorded.insert(format!("round {round}"));
        let mut batch = Batch::default();
        batch.records.insert(blob.clone(), recorded.clone());
        batch
            .sentences
            .insert(head.clone(), recorded.iter().cloned().collect());
        repo.notes_append(&batch).unwrap();
        assert_eq!(lines(RECORDS, &blob), recorded);
        assert_eq!(lines(SENTENCES, &head), recorded);
        assert_eq!(locks(&fixture.path().join(".git")), [""; 0]);
    }
    assert_eq!(fixture.git(&["fsck", "--strict", "--no-dangling"]), "");
}

/// At each step of a writer: this test started again is killed there.
#[test]
fn a_writer_that_is_killed_at_any_step_leaves_old_or_new_and_records_first() {
    const DIR: &str = "REFIT_TEST_KILLED_IN";
    const AT: &str = "REFIT_TEST_KILLED_AT";
    let steps = [
        Step::Locked,
        Step::Written(RECORDS),
        Step::Moved(RECORDS),
        Step::Written(SENTENCES),
        Step::Moved(SENTENCES),
    ];
    let batch = |dir: &Path| {
        let (blob, head) = (id(dir, "HEAD:a"), id(dir, "HEAD"));
        let mut batch = records(&[(&blob, &["new"])]);
        batch.sentences = sentences(&[(&head, &["new"])]).sentences;
        batch
    };
    if let (Some(dir), Ok(at)) = (std::env::var_os(DIR), std::env::var(AT)) {
        let (dir, at) = (Path::new(&dir), steps[at.parse::<usize>().unwrap()]);
        let kill = |step| {
            if step == at {
                let own = std::process::id().to_string();
                Command::new("kill").args(["-9", &own]).status().unwrap();
                panic!("it went on after its death");
            }
        };
        open(dir)
            .notes_append_told(&batch(dir), &mut { kill })
            .unwrap();
        panic!("it was not killed");
    }
    let name =
        "concurrent::a_writer_that_is_killed_at_any_step_leaves_old_or_new_and_records_first";
    for (at, step) in steps.iter().enumerate() {
        let fixture = Fixture::with("//- a\n1");
        let dir = fixture.path();
        let (blob, head) = (fixture.id("HEAD:a"), fixture.id("HEAD"));
        let repo = fixture.repo();
        let mut old = records(&[(&blob, &["old"])]);
        old.sentences = sentences(&[(&head, &["old"])]).sentences;
        repo.notes_append(&old).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(DIR, &dir)
            .env(AT, at.to_string())
            .output()
            .unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(signal, Some(9), "{step:?}: {output:?}");
        let read = || {
            let repo = open(&dir);
            [
                repo.notes_of(RECORDS, &blob).unwrap(),
                repo.notes_of(SENTENCES, &head).unwrap(),
            ]
        };
        let moved = |n_records: usize, n_sentences: usize| {
            [
                &["new", "old"][2 - n_records..],
                &["old", "new"][..n_sentences],
            ]
            .map(|lines| lines.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let want = match step {
            Step::Locked | Step::Written(RECORDS) => moved(1, 1),
            Step::Moved(RECORDS) | Step::Written(_) => moved(2, 1),
            Step::Moved(_) => moved(2, 2),
        };
        assert_eq!(read(), want, "{step:?}");
        // What was written and is led to by nothing harms nobody, and the next writer completes what is missing.
        let done = open(&dir).notes_append(&batch(&dir)).unwrap();
        assert_eq!(done.records.is_some(), want[0].len() < 2, "{step:?}");
        assert_eq!(done.sentences.is_some(), want[1].len() < 2, "{step:?}");
        assert_eq!(read(), moved(2, 2), "{step:?}");
        assert_eq!(locks(&dir.join(".git")), [""; 0]);
        assert_eq!(fixture.git(&["fsck", "--strict", "--no-dangling"]), "");
    }
}

/// Notes that were not written one by one: `n` on objects that are not there, the text of each `line`.
fn imported(n: usize) -> Fixture {
    let fixture = Fixture::with("//- a\n1");
    let mut stream = String::from("blob\nmark :1\ndata 5\nline\n\n");
    for reference in [RECORDS, "refs/notes/other"].into_iter().filter(|_| n > 0) {
        let by = "committer a <a@b> 1700000000 +0000";
        writeln!(stream, "commit {reference}\n{by}\ndata 1\nx").unwrap();
        for on in 0..n {
            let on = made_up(on).to_string();
            let path = if n > 256 {
                format!("{}/{}", &on[..2], &on[2..])
            } else {
                on
            };
            writeln!(stream, "M 100644 :1 {path}").unwrap();
        }
    }
    git_with(
        &fixture.path(),
        &["fast-import", "--quiet"],
        stream.as_bytes(),
    );
    fixture
}

#[test]
fn git_and_we_agree_on_any_number_of_notes() {
    for n in [0, 100, 5_000, 70_000] {
        let fixture = imported(n);
        let repo = fixture.repo();
        let (old, new) = (made_up(n.saturating_sub(1)), fixture.id("HEAD:a"));
        repo.notes_append(&records(&[(&old, &["ours"]), (&new, &["ours"])]))
            .unwrap();
        let flag = "--ref=refit-records";
        let listed = fixture.git(&["notes", flag, "list"]);
        assert_eq!(listed.lines().count(), n.max(1) + 1, "{n}");
        let shown = if n == 0 { "ours" } else { "line\nours" };
        assert_eq!(
            fixture.git(&["notes", flag, "show", old.as_str()]),
            shown,
            "{n}"
        );
        assert_eq!(
            fixture.git(&["notes", flag, "show", new.as_str()]),
            "ours",
            "{n}"
        );
        assert_eq!(
            repo.notes(RECORDS).unwrap().lines().count(),
            if n == 0 { 2 } else { n + 2 }
        );
        // What another clone wrote, united by git and by us.
        let append = [
            "notes",
            "--ref=other",
            "append",
            "--no-separator",
            "-m",
            "theirs",
        ];
        fixture.git(&[&append[..], &[old.as_str()]].concat());
        fixture.git(&[
            "update-ref",
            "refs/refit/remote/x/refit-records",
            "refs/notes/other",
        ]);
        fixture.git(&["update-ref", "refs/notes/by-git", RECORDS]);
        let merge = [
            "notes",
            "--ref=by-git",
            "merge",
            "--quiet",
            "-s",
            "cat_sort_uniq",
            "other",
        ];
        fixture.git(&merge);
        repo.notes_unite("x").unwrap();
        let of = |reference: &str| fixture.git(&["notes", reference, "show", old.as_str()]);
        assert_eq!(of("--ref=by-git"), of(flag), "{n}");
        let list = |reference: &str| {
            let list = fixture.git(&["notes", reference, "list"]);
            let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(list("--ref=by-git"), list(flag), "{n}");
        assert_eq!(
            fixture.git(&["fsck", "--strict", "--no-dangling"]),
            "",
            "{n}"
        );
        assert_eq!(locks(&fixture.path().join(".git")), [""; 0]);
    }
}

/// Git takes no lock of ours: only compare-and-swap stands between it and us.
#[test]
fn a_ref_that_git_moves_meanwhile_is_not_overwritten() {
    let fixture = Fixture::with("//- a\n1//- b\n2");
    let dir = fixture.path();
    thread::scope(|scope| {
        scope.spawn(|| write_lines(&dir, "ours"));
        scope.spawn(|| {
            for _ in 0..20 {
                // A writer that does compare: it adds an empty commit to whatever is there.
                let Some(tip) = open(&dir).resolve(RECORDS).ok() else {
                    continue;
                };
                let tree = git(&dir, &["rev-parse", &format!("{tip}^{{tree}}")]);
                let next = git(
                    &dir,
                    &["commit-tree", "-p", tip.as_str(), "-m", "theirs", &tree],
                );
                let _lost_the_race =
                    crate::fixture::succeeds(&dir, &["update-ref", RECORDS, &next, tip.as_str()]);
            }
        });
    });
    let lines = fixture
        .repo()
        .notes_of(RECORDS, &fixture.id("HEAD:a"))
        .unwrap();
    assert_eq!(lines.len(), LINES);
    let log = fixture.git(&["log", "--format=%s", RECORDS]);
    assert_eq!(
        log.lines()
            .filter(|subject| *subject == "Notes by refit")
            .count(),
        LINES
    );
}

/// A repository whose ref for records is locked, and the lock.
fn with_locked_records() -> (Fixture, PathBuf) {
    let fixture = Fixture::with("//- a\n1");
    let lock = fixture.path().join(format!(".git/{RECORDS}.lock"));
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();
    (fixture, lock)
}

#[test]
fn a_ref_lock_that_a_killed_process_left_does_not_stop_us() {
    let (fixture, lock) = with_locked_records();
    let long_ago = SystemTime::now() - Duration::from_mins(1);
    fs::File::options()
        .write(true)
        .open(&lock)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    fixture
        .repo()
        .notes_append(&records(&[(&fixture.id("HEAD:a"), &["x"])]))
        .unwrap();
    assert_eq!(
        fixture.git(&["notes", "--ref=refit-records", "show", "HEAD:a"]),
        "x"
    );
    assert!(!lock.exists());
}

#[test]
fn a_ref_lock_that_someone_holds_is_waited_for() {
    let (fixture, lock) = with_locked_records();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            fs::remove_file(&lock).unwrap();
        });
        fixture
            .repo()
            .notes_append(&records(&[(&fixture.id("HEAD:a"), &["x"])]))
            .unwrap();
    });
    assert_eq!(
        fixture.git(&["notes", "--ref=refit-records", "show", "HEAD:a"]),
        "x"
    );
}
