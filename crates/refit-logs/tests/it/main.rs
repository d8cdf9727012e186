//! The archive on a real disk, with real processes and the real zstd.

#![expect(
    clippy::unwrap_used,
    reason = "a test says by stopping what it did not expect"
)]

mod archive;
mod killed;
mod logs;
mod secrets;

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use refit_logs::{Archive, Run, RunId, RunKind, RunSettings, Secrets};
use tempfile::TempDir;

/// A clock that goes on by a second whenever it is asked.
fn clock() -> Timestamp {
    static SECONDS: AtomicI64 = AtomicI64::new(1_700_000_000);
    Timestamp::from_second(SECONDS.fetch_add(1, Ordering::Relaxed)).unwrap()
}

/// The same time for ever.
fn stopped_clock() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn id(number: u8) -> RunId {
    let at = Timestamp::from_millisecond(1_700_000_000_000 + i64::from(number)).unwrap();
    RunId::new(at, [number; 10])
}

fn archive() -> (TempDir, Archive) {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(&dir.path().join("refit"));
    (dir, archive)
}

fn start(archive: &Archive, number: u8, secrets: &[&str]) -> Run {
    let settings = RunSettings {
        clock: stopped_clock,
        secrets: Secrets::new(secrets),
    };
    archive.start(id(number), RunKind::Build, settings).unwrap()
}
