//! A run while it lasts: its folder, its record, its recorders.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
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
    archive::log_path,
    frames,
    journal::{self, Journal},
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
    state: Mutex<State>,
    n_recorders: AtomicUsize,
    /// Held as long as the process lives: the system releases it whatever kills us.
    _alive: File,
}

/// What is known so far, and written down.
#[derive(Debug)]
struct State {
    record: RunRecord,
    /// Where in it each target is.
    by_target: HashMap<String, usize>,
    /// None: the run has ended, and its record has all.
    journal: Option<Journal>,
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
        journal::write(&dir, &record)?;
        let state = State {
            record,
            by_target: HashMap::new(),
            journal: Some(Journal::create(&dir)?),
        };
        let shared = Shared {
            archive: archive.to_owned(),
            dir,
            settings,
            state: Mutex::new(state),
            n_recorders: AtomicUsize::new(0),
            _alive: alive,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Names the run.
    pub fn id(&self) -> RunId {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).record.id
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
        self.record(TargetRecord {
            target: target.to_owned(),
            action: action.to_owned(),
            outcome: Outcome::Running,
            log: None,
            manifest: None,
            message: None,
            part: Some(part.clone()),
            node: None,
        })?;
        Recorder::create(Arc::clone(&self.shared), target, &part)
    }

    /// Writes down what became of a target; its log, if it has one, stays.
    pub fn record(&self, target: TargetRecord) -> Result<(), LogError> {
        let name = target.target.clone();
        self.shared.update(&name, |known| match known {
            Some(before) => *before = target.after(before),
            None => *known = Some(target),
        })
    }

    /// Writes down which node builds a target.
    pub fn placed(&self, target: &str, node: &str) -> Result<(), LogError> {
        self.shared.update(target, |known| {
            if let Some(entry) = known {
                entry.node = Some(node.to_owned());
            }
        })
    }

    /// Ends the run; targets still running count as interrupted.
    pub fn finish(self, outcome: Outcome) -> Result<RunRecord, LogError> {
        let mut state = { self.shared.state.lock() }.unwrap_or_else(PoisonError::into_inner);
        let State {
            record, journal, ..
        } = &mut *state;
        record.finished = Some((self.shared.settings.clock)());
        record.outcome = outcome;
        record.interrupt();
        journal::write(&self.shared.dir, record)?;
        if let Some(journal) = journal.take() {
            journal.remove()?;
        }
        Ok(record.clone())
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
        self.update(target, |known| {
            if let Some(entry) = known {
                entry.log = Some(digest.clone());
                entry.part = None;
            }
        })?;
        fs::remove_file(&path).map_err(LogError::io("remove", &path))?;
        Ok(digest)
    }

    /// Changes the entry of a target, in memory and on disk; none: it has none yet.
    fn update(
        &self,
        target: &str,
        change: impl FnOnce(&mut Option<TargetRecord>),
    ) -> Result<(), LogError> {
        // A thread that panicked in `change` has left whole entries: each assigns or pushes, no more.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State {
            record,
            by_target,
            journal,
        } = &mut *state;
        let at = by_target.get(target).copied();
        let mut entry = at.map(|at| record.targets[at].clone());
        change(&mut entry);
        let Some(entry) = entry else { return Ok(()) };
        let written = journal.as_mut().map(|journal| journal.append(&entry));
        if let Some(at) = at {
            record.targets[at] = entry;
        } else {
            by_target.insert(target.to_owned(), record.targets.len());
            record.targets.push(entry);
        }
        // A log that ends behind its run's end.
        written.unwrap_or_else(|| journal::write(&self.dir, record))
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
