//! A run while it lasts: its folder, its record, its recorders.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use jiff::Timestamp;
use refit_oci::Digest;
use tempfile::NamedTempFile;

use crate::{
    LogError, Outcome, Recorder, RunId, RunKind, RunRecord, Secrets, TargetRecord,
    archive::log_path, frames,
};

/// What a run needs besides its name.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Stamps lines, and the record.
    pub clock: fn() -> Timestamp,
    /// What must not be stored.
    pub secrets: Secrets,
}

/// A run that goes on. Dropped without [`Run::finish`], it is listed as interrupted.
#[derive(Debug)]
pub struct Run {
    shared: Arc<Shared>,
}

/// What a run's recorders need of it; they may be on other threads.
#[derive(Debug)]
pub(crate) struct Shared {
    archive: PathBuf,
    dir: PathBuf,
    settings: RunSettings,
    record: Mutex<RunRecord>,
    n_recorders: AtomicUsize,
    /// Held as long as the process lives: the system releases it whatever kills us.
    _alive: File,
}

impl Run {
    pub(crate) fn start(
        archive: &Path,
        id: RunId,
        kind: RunKind,
        settings: RunSettings,
    ) -> Result<Self, LogError> {
        let dir = archive.join("runs").join(id.to_string());
        match fs::create_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(LogError::Exists(id));
            }
            other => other.map_err(LogError::io("create", &dir))?,
        }
        // Locked before there is a record: nobody sees a record whose lock is free, but of a dead run.
        let lock = dir.join("lock");
        let alive = File::create(&lock).map_err(LogError::io("create", &lock))?;
        alive.lock().map_err(LogError::io("lock", &lock))?;
        let record = RunRecord {
            v: 1,
            id,
            kind,
            started: (settings.clock)(),
            finished: None,
            outcome: Outcome::Running,
            targets: Vec::new(),
        };
        let shared = Shared {
            archive: archive.to_owned(),
            dir,
            settings,
            record: Mutex::new(record),
            n_recorders: AtomicUsize::new(0),
            _alive: alive,
        };
        shared.update(|_| {})?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Names the run.
    pub fn id(&self) -> RunId {
        self.shared
            .record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .id
    }

    /// The run's folder: engines may keep their scratch files there.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The values that no log of this run may contain.
    pub fn secrets(&self) -> &Secrets {
        &self.shared.settings.secrets
    }

    /// Begins the log of a target; `action` is the step's verb.
    pub fn recorder(&self, target: &str, action: &str) -> Result<Recorder, LogError> {
        let part = part_name(
            self.shared.n_recorders.fetch_add(1, Ordering::Relaxed),
            target,
        );
        self.shared.update(|record| {
            upsert(
                &mut record.targets,
                TargetRecord {
                    target: target.to_owned(),
                    action: action.to_owned(),
                    outcome: Outcome::Running,
                    log: None,
                    manifest: None,
                    message: None,
                    part: Some(part.clone()),
                    node: None,
                },
            );
        })?;
        Recorder::create(Arc::clone(&self.shared), target, &part)
    }

    /// Writes down what became of a target; its log, if it has one, stays.
    pub fn record(&self, target: TargetRecord) -> Result<(), LogError> {
        self.shared
            .update(|record| upsert(&mut record.targets, target))?;
        Ok(())
    }

    /// Writes down which node builds a target.
    pub fn placed(&self, target: &str, node: &str) -> Result<(), LogError> {
        self.shared.update(|record| {
            let mut targets = record.targets.iter_mut();
            if let Some(record) = targets.find(|record| record.target == target) {
                record.node = Some(node.to_owned());
            }
        })?;
        Ok(())
    }

    /// Ends the run; targets still running count as interrupted.
    pub fn finish(self, outcome: Outcome) -> Result<RunRecord, LogError> {
        let finished = (self.shared.settings.clock)();
        self.shared.update(|record| {
            record.finished = Some(finished);
            record.outcome = outcome;
            record.interrupt();
        })
    }
}

impl Shared {
    pub(crate) fn settings(&self) -> &RunSettings {
        &self.settings
    }

    pub(crate) fn part_path(&self, part: &str) -> PathBuf {
        self.dir.join(part)
    }

    /// Stores a part that has its end where its digest leads; a crash in between loses neither log nor record.
    pub(crate) fn store(&self, target: &str, part: &str) -> Result<Digest, LogError> {
        let path = self.part_path(part);
        let folder = self.archive.join("logs/sha256");
        let compress = || -> io::Result<Digest> {
            let plain = zstd::stream::read::Decoder::new(File::open(&path)?)?;
            let mut file = NamedTempFile::new_in(&folder)?;
            let digest = frames::compress(plain, &mut file)?;
            file.as_file().sync_all()?;
            file.persist(log_path(&self.archive, &digest))?;
            Ok(digest)
        };
        let digest = compress().map_err(LogError::io("store", &path))?;
        self.update(|record| {
            if let Some(entry) = record.targets.iter_mut().find(|t| t.target == target) {
                entry.log = Some(digest.clone());
                entry.part = None;
            }
        })?;
        fs::remove_file(&path).map_err(LogError::io("remove", &path))?;
        Ok(digest)
    }

    /// Changes the record, in memory and on disk.
    fn update(&self, change: impl FnOnce(&mut RunRecord)) -> Result<RunRecord, LogError> {
        // A thread that panicked in `change` has left a whole record: each assigns or pushes, no more.
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut record);
        let path = self.dir.join("run.json");
        let write = || -> io::Result<()> {
            let mut file = NamedTempFile::new_in(&self.dir)?;
            serde_json::to_writer_pretty(&mut file, &*record)?;
            file.write_all(b"\n")?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(LogError::io("write", &path))?;
        Ok(record.clone())
    }
}

/// `000-web-linux-arm64.log.zst`: the number makes it unique, the rest is for people.
fn part_name(number: usize, target: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            c
        } else {
            '-'
        }
    };
    let slug: String = target.chars().take(80).map(plain).collect();
    format!("{number:03}-{slug}.log.zst")
}

/// One entry a target: a later one replaces it, but a log once stored stays, and where it was built.
fn upsert(targets: &mut Vec<TargetRecord>, new: TargetRecord) {
    match targets.iter_mut().find(|t| t.target == new.target) {
        Some(old) => {
            let (log, part, node) = (old.log.take(), old.part.take(), old.node.take());
            *old = new;
            old.node = old.node.take().or(node);
            old.log = old.log.take().or(log);
            old.part = old.part.take().or(part);
        }
        None => targets.push(new),
    }
}
