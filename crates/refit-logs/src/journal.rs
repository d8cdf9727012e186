//! How the record of a run is kept while it lasts: `run.json` has what is known at its beginning and its end, and between
//! them each change of a target is a line of `targets.jsonl`. So a run of many targets writes each of them a few times, and
//! not all of them with every change.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{LogError, Outcome, RunRecord, TargetRecord};

const RECORD: &str = "run.json";
const JOURNAL: &str = "targets.jsonl";

/// The changes since the run began.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// An empty one in a run's folder.
    pub(crate) fn create(dir: &Path) -> Result<Self, LogError> {
        let path = dir.join(JOURNAL);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(LogError::io("create", &path))?;
        Ok(Self { file, path })
    }

    /// Adds a target as it is now.
    pub(crate) fn append(&mut self, target: &TargetRecord) -> Result<(), LogError> {
        let line = serde_json::to_vec(target).map_err(io::Error::from);
        let written = line.and_then(|mut line| {
            line.push(b'\n');
            // At once: whoever is killed has written all of it or nothing.
            self.file.write_all(&line)
        });
        written.map_err(LogError::io("write", &self.path))
    }

    /// The record has all of it.
    pub(crate) fn remove(self) -> Result<(), LogError> {
        fs::remove_file(&self.path).map_err(LogError::io("remove", &self.path))
    }
}

/// Writes the whole record in the place of the one before.
pub(crate) fn write(dir: &Path, record: &RunRecord) -> Result<(), LogError> {
    let path = dir.join(RECORD);
    let write = || -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(record)?;
        text.push(b'\n');
        let mut file = NamedTempFile::new_in(dir)?;
        file.write_all(&text)?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(LogError::io("write", &path))
}

/// The record as it is now; none if there is no such run.
pub(crate) fn read(dir: &Path) -> Result<Option<RunRecord>, LogError> {
    // The changes first: should the run end in between, its record has them all.
    let changes = bytes_of(&dir.join(JOURNAL))?.unwrap_or_default();
    let path = dir.join(RECORD);
    let Some(bytes) = bytes_of(&path)? else {
        return Ok(None);
    };
    let record = serde_json::from_slice(&bytes);
    let mut record: RunRecord = record.map_err(|source| LogError::Record { path, source })?;
    if record.outcome == Outcome::Running {
        apply(&mut record, &changes);
    }
    Ok(Some(record))
}

/// Removes the record, and with it the run for whoever looks for it.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    fs::remove_file(dir.join(RECORD))
}

/// A line that a crash cut short says nothing: what was known before holds.
fn apply(record: &mut RunRecord, changes: &[u8]) {
    let targets = record.targets.iter().map(|t| t.target.clone());
    let mut by_target: HashMap<String, usize> = targets.zip(0..).collect();
    for line in changes.split(|byte| *byte == b'\n') {
        let Ok(target) = serde_json::from_slice::<TargetRecord>(line) else {
            continue;
        };
        if let Some(at) = by_target.get(&target.target) {
            record.targets[*at] = target;
        } else {
            by_target.insert(target.target.clone(), record.targets.len());
            record.targets.push(target);
        }
    }
}

fn bytes_of(path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(LogError::io("read", path)),
    }
}
