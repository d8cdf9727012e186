//! Writers at the same time, and what killed ones leave behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use refit_git::notes::{RECORDS, SENTENCES};

use crate::{
    fixture::{Fixture, git, id, open},
    notes::{records, sentences},
};

const WRITERS: usize = 8;
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

/// Half of the writers are threads, half are processes: this test started again with a name to write under.
#[test]
fn writers_at_the_same_time_lose_nothing() {
    const WRITER: &str = "REFIT_TEST_WRITER";
    const DIR: &str = "REFIT_TEST_DIR";
    if let (Ok(writer), Some(dir)) = (std::env::var(WRITER), std::env::var_os(DIR)) {
        write_lines(Path::new(&dir), &writer);
        return;
    }
    let fixture = Fixture::with("//- a\n1");
    let dir = fixture.path();
    let exe = std::env::current_exe().unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (dir, exe) = (&dir, &exe);
            scope.spawn(move || {
                let name = format!("writer {writer}");
                if writer % 2 == 0 {
                    return write_lines(dir, &name);
                }
                let output = Command::new(exe)
                    .args([
                        "--exact",
                        "concurrent::writers_at_the_same_time_lose_nothing",
                    ])
                    .env(WRITER, name)
                    .env(DIR, dir)
                    .output()
                    .unwrap();
                assert!(
                    output.status.success(),
                    "{}",
                    String::from_utf8_lossy(&output.stdout)
                );
            });
        }
    });
    let mut want: Vec<String> = (0..WRITERS)
        .flat_map(|writer| (0..LINES).map(move |line| format!("writer {writer} {line}")))
        .collect();
    want.sort();
    let repo = fixture.repo();
    assert_eq!(repo.notes_of(RECORDS, &fixture.id("HEAD:a")).unwrap(), want);
    let mut written = repo.notes_of(SENTENCES, &fixture.id("HEAD")).unwrap();
    written.sort();
    assert_eq!(written, want);
    let commits = git(&dir, &["rev-list", "--count", RECORDS]);
    assert_eq!(
        commits,
        (WRITERS * LINES).to_string(),
        "one commit per batch"
    );
    assert_eq!(fixture.git(&["fsck", "--strict", "--no-dangling"]), "");
}

/// A killed process keeps no lock: this test started again writes until it is killed.
#[test]
fn a_killed_writer_stops_nobody() {
    const DIR: &str = "REFIT_TEST_WRITE_FOREVER";
    if let Some(dir) = std::env::var_os(DIR) {
        loop {
            write_lines(Path::new(&dir), &format!("{:?}", SystemTime::now()));
        }
    }
    let fixture = Fixture::with("//- a\n1");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "concurrent::a_killed_writer_stops_nobody"])
        .env(DIR, fixture.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let repo = fixture.repo();
    while repo.notes_absent(SENTENCES).unwrap() {
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let blob = fixture.id("HEAD:a");
    let before = repo.notes_of(RECORDS, &blob).unwrap();
    repo.notes_append(&records(&[(&blob, &["~last"])])).unwrap();
    let mut want = before;
    want.push("~last".to_owned());
    assert_eq!(repo.notes_of(RECORDS, &blob).unwrap(), want);
    assert_eq!(fixture.git(&["fsck", "--strict", "--no-dangling"]), "");
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
