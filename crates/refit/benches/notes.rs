//! 100,000 records on 1,000 objects: read from packs, read from what is cached, and 1,000 written at once; each beside
//! git on the same repository. Prints one JSON object a line.

#![expect(clippy::unwrap_used, reason = "a benchmark that can't be set up fails")]
#![expect(clippy::print_stdout, reason = "its output is its result")]

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use recorded::{KEYS, Recorded};
use refit_deps::record::Records;
use refit_git::{
    Environment, Repo,
    notes::{Batch, RECORDS},
};
use refit_oci::{Digest, ObjectId};

#[path = "../src/recorded.rs"]
mod recorded;

const N_NOTES: usize = 1_000;
const N_RECORDS: usize = 100_000;
/// The best of so many counts, as others use the machine as well.
const TIMES: usize = 3;

fn git(dir: &Path, args: &[&str], stdin: &[u8]) -> Vec<u8> {
    let mut child = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || to.write_all(stdin).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "git {args:?}");
    output.stdout
}

fn on(n: usize) -> ObjectId {
    Digest::sha256(&n.to_le_bytes()).hex()[..40]
        .parse()
        .unwrap()
}

fn digest(n: usize, salt: usize) -> String {
    Digest::sha256(&(n * 10 + salt).to_le_bytes()).to_string()
}

/// A record as builds leave them.
fn record(n: usize) -> String {
    let digest = |salt| digest(n, salt);
    format!(
        "{{\"v\":1,\"type\":\"build\",\"image\":\"images/{}\",\"platform\":\"linux/amd64\",\"line\":\"main\",\
         \"source\":\"s1:{}\",\"commit\":\"{}\",\"deps\":[{{\"kind\":\"base\",\
         \"reference\":\"docker.io/library/debian:12-slim\",\"platform\":\"linux/amd64\",\"index\":\"{}\",\
         \"manifest\":\"{}\"}}],\"base_diff_ids\":[\"{}\"],\"manifest\":\"{}\",\"how\":\"rebuild\",\
         \"engine\":\"docker\",\"run\":\"01J{n:023}\",\"log\":\"{}\",\"at\":\"2026-11-22T10:00:00Z\"}}",
        n % N_NOTES,
        &digest(0)[7..],
        on(n),
        digest(1),
        digest(2),
        digest(3),
        digest(4),
        digest(5)
    )
}

fn best(mut measured: impl FnMut() -> Duration) -> f64 {
    let best = (0..TIMES).map(|_| measured()).min().unwrap();
    best.as_secs_f64() * 1e3
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

fn told(what: &str, ms: f64, peer: &str, peer_ms: f64) {
    println!("{{\"what\":\"{what}\",\"ms\":{ms:.1},\"peer\":\"{peer}\",\"peer_ms\":{peer_ms:.1}}}");
}

/// The same, with the size of the notes' text.
fn told_with_size(what: &str, ms: f64, (peer, peer_ms): (&str, f64), bytes: usize) {
    println!(
        "{{\"what\":\"{what}\",\"ms\":{ms:.1},\"peer\":\"{peer}\",\"peer_ms\":{peer_ms:.1},\"bytes\":{bytes}}}"
    );
}

fn load(dir: &Path) -> Records {
    let repo = Repo::discover_with(dir, Environment::Isolated).unwrap();
    let notes = repo.notes_by(RECORDS, KEYS).unwrap();
    Records::over(Arc::new(Recorded(notes)), true)
}

/// As a verb about one image asks.
fn ask(records: &Records) {
    let n = 54_321;
    let manifest = digest(n, 4).parse().unwrap();
    let image = format!("images/{}", n % N_NOTES);
    assert_eq!(records.builds_of(&image, &manifest).count(), 1);
    let lead = "registry.example.com/x:latest".parse().unwrap();
    assert!(records.heads(&image, &lead).is_empty());
}

/// A stream that writes so many notes with their texts onto a ref.
fn stream(
    reference: &str,
    from: Option<&str>,
    notes: impl Iterator<Item = (ObjectId, String)>,
) -> Vec<u8> {
    let mut blobs = String::new();
    let mut tree = String::new();
    for (mark, (on, text)) in (1..).zip(notes) {
        let _ = write!(blobs, "blob\nmark :{mark}\ndata {}\n{text}\n", text.len());
        let on = on.as_str();
        let _ = writeln!(tree, "M 100644 :{mark} {}/{}", &on[..2], &on[2..]);
    }
    let from = from.map_or(String::new(), |from| format!("from {from}\n"));
    format!(
        "{blobs}commit {reference}\ncommitter a <a@b> 1700000000 +0000\ndata 1\nx\n{from}{tree}"
    )
    .into_bytes()
}

/// A record more on every object.
fn append(dir: &Path, time: usize) -> Duration {
    let mut batch = Batch {
        message: "refit".to_owned(),
        ..Batch::default()
    };
    for n in 0..N_NOTES {
        let line = record(N_RECORDS * time + n);
        batch.records.insert(on(n), [line].into());
    }
    timed(|| {
        let repo = Repo::discover_with(dir, Environment::Isolated).unwrap();
        repo.notes_append(&batch).unwrap()
    })
}

fn main() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    git(dir, &["init", "--quiet"], b"");
    let all = (0..N_NOTES).map(|n| {
        let mut lines: Vec<String> = (n..N_RECORDS).step_by(N_NOTES).map(record).collect();
        lines.sort();
        (on(n), lines.iter().flat_map(|line| [line, "\n"]).collect())
    });
    git(
        dir,
        &["fast-import", "--quiet"],
        &stream(RECORDS, None, all),
    );
    let cache = dir.join(".git/refit/notes-cache");

    let list = String::from_utf8(git(dir, &["notes", "--ref=refit-records", "list"], b"")).unwrap();
    let blobs: Vec<&str> = list.lines().map(|line| &line[..40]).collect();
    let blobs = blobs.join("\n") + "\n";
    let cold = best(|| {
        let _ = fs::remove_dir_all(&cache);
        timed(|| ask(&load(dir)))
    });
    let peer = best(|| timed(|| git(dir, &["cat-file", "--batch"], blobs.as_bytes())));
    told("records-100k-cold", cold, "git cat-file --batch", peer);

    let all = best(|| timed(|| assert_eq!(load(dir).builds().count(), N_RECORDS)));
    told("records-100k-all", all, "git cat-file --batch", peer);

    let cached = best(|| timed(|| ask(&load(dir))));
    let peer = best(|| timed(|| git(dir, &["notes", "--ref=refit-records", "list"], b"")));
    told("records-100k-cached", cached, "git notes list", peer);

    let mut time = 0;
    let commit = best(|| {
        time += 1;
        append(dir, time)
    });
    git(dir, &["update-ref", "refs/notes/peer", RECORDS], b"");
    let peer = best(|| {
        let new = (0..N_NOTES).map(|n| (on(n), record(N_RECORDS * 9 + n)));
        let stream = stream("refs/notes/peer", Some("refs/notes/peer^0"), new);
        timed(|| git(dir, &["fast-import", "--quiet"], &stream))
    });
    let name = "git fast-import, without reading what is there";
    let bytes = N_RECORDS * (record(N_RECORDS).len() + 1);
    told_with_size("records-commit-1000-more", commit, (name, peer), bytes);

    let first = best(|| {
        time += 1;
        git(dir, &["update-ref", "-d", RECORDS], b"");
        append(dir, time)
    });
    let bytes = N_NOTES * (record(N_RECORDS).len() + 1);
    told_with_size("records-commit-1000", first, (name, peer), bytes);
    git(dir, &["fsck", "--strict", "--no-dangling"], b"");
}
