//! 100,000 records in git notes: loaded from packs, from what is cached, and 1,000 written at once.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;

use super::{Figure, Peer, site::Site};
use crate::shell::{Failure, Outcome, cargo, output};

/// What the benchmark told: it measures all rows on one repository.
static TOLD: Mutex<Option<Vec<Value>>> = Mutex::new(None);

/// Every note read from git, and cached.
pub(super) fn cold(_: &Site) -> Outcome<Figure> {
    figure("records-100k-cold", "git cat-file --batch")
}

/// Every note as it is cached, and what an image is asked for.
pub(super) fn cached(_: &Site) -> Outcome<Figure> {
    figure("records-100k-cached", "git notes list")
}

/// The same, with every record read.
pub(super) fn all(_: &Site) -> Outcome<Figure> {
    figure("records-100k-all", "git cat-file --batch")
}

/// A first record on each of 1,000 objects, in one commit.
pub(super) fn first(_: &Site) -> Outcome<Figure> {
    figure("records-commit-1000", "git fast-import")
}

/// A record more on each of 1,000 notes of a hundred, in one commit: each note is read and written whole. Git reads
/// nothing of what is there.
pub(super) fn more(_: &Site) -> Outcome<Figure> {
    figure("records-commit-1000-more", "git fast-import")
}

fn figure(what: &str, peer: &'static str) -> Outcome<Figure> {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.is_none() {
        let package = ["--quiet", "--package=refit", "--bench=notes"];
        let printed = output(cargo(&["bench"]).args(package))?;
        let lines = printed.lines();
        let lines = lines.filter_map(|line| serde_json::from_str(line).ok());
        *told = Some(lines.collect());
    }
    let line = told.iter().flatten().find(|line| line["what"] == what);
    let missing = || Failure(format!("the benchmark of notes did not tell `{what}`"));
    let line = line.ok_or_else(missing)?;
    let ms = |name: &str| {
        let ms = line[name].as_f64().ok_or_else(missing)?;
        Ok(Duration::from_secs_f64(ms / 1e3))
    };
    Ok(Figure {
        wall: ms("ms")?,
        peer: Some(Peer {
            name: peer,
            wall: ms("peer_ms")?,
        }),
        detail: match line["bytes"].as_u64() {
            Some(bytes) => format!("{:.1} MB of records on 1,000 objects", mega(bytes)),
            None => "100,000 records on 1,000 objects".to_owned(),
        },
    })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
