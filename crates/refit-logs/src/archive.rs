//! The archive's folder: `runs/<id>/` for what happened, `logs/sha256/<hex>.zst` for what was printed.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use refit_oci::Digest;
use sha2::{Digest as _, Sha256};

use crate::{
    LogError, LogReader, Outcome, Removal, Run, RunId, RunKind, RunRecord, RunSettings, journal,
    reader::Extent,
};

/// All runs and logs of a repository.
#[derive(Clone, Debug)]
pub struct Archive {
    dir: PathBuf,
}

impl Archive {
    /// The archive in `dir` (`refit` under the git directory that worktrees share); created when it is first written to.
    pub fn open(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Begins a run.
    pub fn start(&self, id: RunId, kind: RunKind, settings: RunSettings) -> Result<Run, LogError> {
        for dir in [self.dir.join("runs"), self.dir.join("logs/sha256")] {
            fs::create_dir_all(&dir).map_err(LogError::io("create", &dir))?;
        }
        Run::start(&self.dir, id, kind, settings)
    }

    /// Every run, newest first, and the records that cannot be read.
    pub fn runs(&self) -> Result<(Vec<RunRecord>, Vec<LogError>), LogError> {
        let dir = self.dir.join("runs");
        let entries = match fs::read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            other => other.map_err(LogError::io("list", &dir))?,
        };
        let (mut runs, mut problems) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.map_err(LogError::io("list", &dir))?;
            // What is not named like a run is not ours.
            let Some(id) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            match self.run(id) {
                Ok(run) => runs.extend(run),
                Err(problem) => problems.push(problem),
            }
        }
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        Ok((runs, problems))
    }

    /// One run; none if there is no such run.
    pub fn run(&self, id: RunId) -> Result<Option<RunRecord>, LogError> {
        let dir = self.run_dir(id);
        let record = journal::read(&dir)?;
        if !record.as_ref().is_some_and(is_running) || is_alive(&dir)? {
            return Ok(record);
        }
        // Read again: it may have ended in the ordinary way since.
        Ok(journal::read(&dir)?.map(|mut record| {
            if is_running(&record) {
                record.interrupt();
            }
            record
        }))
    }

    /// A finished log; none if the archive does not have it.
    pub fn log(&self, digest: &Digest) -> Result<Option<LogReader>, LogError> {
        read(&log_path(&self.dir, digest), Extent::Finished)
    }

    /// What a target of a run has printed, finished or not; none if it has no log.
    pub fn target_log(&self, run: &RunRecord, target: &str) -> Result<Option<LogReader>, LogError> {
        let Some(entry) = run.targets.iter().find(|t| t.target == target) else {
            return Ok(None);
        };
        if let Some(digest) = &entry.log {
            return self.log(digest);
        }
        match entry.part.as_deref().filter(|part| is_file_name(part)) {
            Some(part) => read(&self.run_dir(run.id).join(part), Extent::Part),
            None => Ok(None),
        }
    }

    /// Reads a whole log and compares it with its digest.
    pub fn verify(&self, digest: &Digest) -> Result<bool, LogError> {
        let Some(mut reader) = self.log(digest)? else {
            return Ok(false);
        };
        let path = log_path(&self.dir, digest);
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader
                .read(&mut buffer)
                .map_err(LogError::io("read", &path))?
            {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        if Digest::from_sha256(&hasher.finalize().into()) == *digest {
            Ok(true)
        } else {
            Err(LogError::Damaged(digest.clone()))
        }
    }

    /// Deletes what was planned; what is gone already is fine.
    pub fn remove(&self, removal: &Removal) -> Result<(), LogError> {
        for id in &removal.runs {
            let dir = self.run_dir(*id);
            // The record first: a deletion that is cut short leaves no run that has lost its log.
            gone(journal::remove(&dir), &dir)?;
            gone(fs::remove_dir_all(&dir), &dir)?;
        }
        for log in &removal.logs {
            let path = log_path(&self.dir, log);
            gone(fs::remove_file(&path), &path)?;
        }
        Ok(())
    }

    fn run_dir(&self, id: RunId) -> PathBuf {
        self.dir.join("runs").join(id.to_string())
    }
}

/// Where a finished log is.
pub(crate) fn log_path(archive: &Path, digest: &Digest) -> PathBuf {
    archive
        .join("logs")
        .join(digest.algorithm())
        .join(format!("{}.zst", digest.hex()))
}

fn read(path: &Path, extent: Extent) -> Result<Option<LogReader>, LogError> {
    match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other
            .and_then(|file| LogReader::new(file, extent))
            .map(Some)
            .map_err(LogError::io("read", path)),
    }
}

/// Whether the process that started the run still holds its lock.
fn is_alive(run_dir: &Path) -> Result<bool, LogError> {
    let path = run_dir.join("lock");
    let lock = match File::open(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(LogError::io("read", &path))?,
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(LogError::io("lock", &path)(e)),
    }
}

fn gone(removed: io::Result<()>, path: &Path) -> Result<(), LogError> {
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(LogError::io("remove", path)),
    }
}

fn is_running(record: &RunRecord) -> bool {
    record.outcome == Outcome::Running
}

/// The name comes from a file: it must not lead out of the run's folder.
fn is_file_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|n| n == name)
}
