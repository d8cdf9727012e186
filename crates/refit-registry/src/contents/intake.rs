//! What an engine writes to a store: verified blobs, and which of them came last.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use refit_oci::{Descriptor, Digest, Document, media_type};
use tempfile::TempDir;

use super::{Failure, Failures, Store};
use crate::{
    DOCUMENT_LIMIT, RegistryError,
    error::io_error,
    lock,
    pushed::Pushed,
    spool::{Received, Spooled, Unspooled},
    words::words,
};

/// One store's incoming side.
pub(super) struct Intake {
    known: BTreeMap<Digest, u64>,
    spool: Arc<TempDir>,
    failed: Failures,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    received: BTreeMap<Digest, Received>,
    last: Option<Digest>,
    writing: BTreeMap<String, Arc<Progress>>,
}

/// What others may know of a blob that is being written.
#[derive(Default)]
struct Progress {
    size: AtomicU64,
    aborted: AtomicBool,
}

/// A blob that is being written; dropped before it is committed, nothing of it stays.
pub struct Writing {
    store: Arc<Store>,
    reference: String,
    progress: Arc<Progress>,
    spooled: Spooled,
    committed: bool,
}

/// Why something was not written.
#[derive(Debug)]
pub enum Unwritten {
    /// Nothing is written to this store.
    ReadOnly,
    /// Another is writing under this name.
    Busy,
    /// It was given up meanwhile.
    Aborted,
    /// More bytes than any blob has.
    TooLarge,
    /// It is not what was announced.
    Mismatch(String),
    /// The spool.
    Spool(RegistryError),
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadOnly => f.write_str("nothing is written here"),
            Self::Busy => f.write_str("it is being written already"),
            Self::Aborted => f.write_str("it was given up"),
            Self::TooLarge => f.write_str("the blob is too large"),
            Self::Mismatch(why) => f.write_str(why),
            Self::Spool(error) => f.write_str(&words(error)),
        }
    }
}

impl From<Unspooled> for Unwritten {
    fn from(why: Unspooled) -> Self {
        match why {
            Unspooled::TooLarge => Self::TooLarge,
            Unspooled::Spool(error) => Self::Spool(error),
        }
    }
}

impl Intake {
    pub(super) fn new(known: Vec<Descriptor>, spool: Arc<TempDir>, failed: Failures) -> Self {
        Self {
            known: known.into_iter().map(|d| (d.digest, d.size)).collect(),
            spool,
            failed,
            state: Mutex::default(),
        }
    }

    /// The size of a blob that need not be sent.
    pub(super) fn size_of(&self, digest: &Digest) -> Option<u64> {
        let received = lock(&self.state).received.get(digest).map(|blob| blob.size);
        received.or_else(|| self.known.get(digest).copied())
    }

    pub(super) fn received(&self, digest: &Digest) -> Option<PathBuf> {
        let state = lock(&self.state);
        state.received.get(digest).map(|blob| blob.path.clone())
    }

    pub(super) fn abort(&self, reference: &str) -> bool {
        let writing = lock(&self.state).writing.remove(reference);
        let aborted = writing.map(|progress| progress.aborted.store(true, Ordering::Relaxed));
        aborted.is_some()
    }

    pub(super) fn progress(&self, reference: &str) -> Option<u64> {
        let state = lock(&self.state);
        let writing = state.writing.get(reference);
        writing.map(|progress| progress.size.load(Ordering::Relaxed))
    }

    /// What came last, with what it refers to.
    pub(super) fn take(&self, name: &str) -> Result<Option<Pushed>, RegistryError> {
        let (last, mut received) = {
            let mut state = lock(&self.state);
            (state.last.take(), std::mem::take(&mut state.received))
        };
        let Some(last) = last else {
            return Ok(None);
        };
        let Some(manifest) = document(&mut received, name, &last)? else {
            return Ok(None);
        };
        let mut children = BTreeMap::new();
        if let Document::Index(index) = &manifest {
            let documents = index.value.manifests.iter();
            let documents = documents.filter(|child| {
                media_type::is_manifest(&child.media_type)
                    || media_type::is_index(&child.media_type)
            });
            for child in documents {
                // One that was not sent is missed by whoever wants it.
                if let Some(document) = document(&mut received, name, &child.digest)? {
                    children.insert(child.digest.clone(), document);
                }
            }
        }
        let blobs = received.into_iter();
        let blobs = blobs.map(|(digest, blob)| (digest, blob.path)).collect();
        let spool = Arc::clone(&self.spool);
        Ok(Some(Pushed::new(manifest, children, blobs, spool)))
    }
}

/// A document among blobs, which it is no longer then.
fn document(
    received: &mut BTreeMap<Digest, Received>,
    name: &str,
    digest: &Digest,
) -> Result<Option<Document>, RegistryError> {
    let Some(Received { path, size }) = received.remove(digest) else {
        return Ok(None);
    };
    let what = format!("{name}@{digest}");
    if size > DOCUMENT_LIMIT {
        return Err(RegistryError::TooLarge {
            what,
            limit: DOCUMENT_LIMIT,
        });
    }
    let bytes = fs::read(&path).map_err(|source| io_error(&path, source))?;
    let document = Document::decode(None, bytes);
    let document = document.map_err(|source| RegistryError::Document { what, source })?;
    Ok(Some(document))
}

impl Writing {
    pub(super) async fn begin(store: Arc<Store>, reference: &str) -> Result<Self, Unwritten> {
        let intake = store.intake.as_ref().ok_or(Unwritten::ReadOnly)?;
        let spooled = Spooled::begin(intake.spool.path(), &spool_name()).await;
        let writing = Self {
            reference: reference.to_owned(),
            progress: Arc::default(),
            spooled: spooled.map_err(Unwritten::Spool)?,
            store: Arc::clone(&store),
            committed: false,
        };
        let mut state = lock(&intake.state);
        if state.writing.contains_key(reference) {
            drop(state);
            return Err(Unwritten::Busy);
        }
        let progress = Arc::clone(&writing.progress);
        state.writing.insert(reference.to_owned(), progress);
        Ok(writing)
    }

    /// How many bytes are here.
    pub fn size(&self) -> u64 {
        self.spooled.size()
    }

    /// Takes more bytes.
    pub async fn append(&mut self, bytes: &[u8]) -> Result<(), Unwritten> {
        self.is_wanted()?;
        self.spooled.append(bytes).await?;
        self.progress.size.store(self.size(), Ordering::Relaxed);
        Ok(())
    }

    /// Forgets what is here.
    pub async fn restart(&mut self) -> Result<(), Unwritten> {
        self.is_wanted()?;
        let intake = self.store.intake.as_ref().ok_or(Unwritten::ReadOnly)?;
        let again = Spooled::begin(intake.spool.path(), &spool_name()).await;
        let old = std::mem::replace(&mut self.spooled, again.map_err(Unwritten::Spool)?);
        // The whole spool goes with the build anyway.
        let _ = fs::remove_file(old.path());
        self.progress.size.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Keeps the blob if it is what is expected, and returns its digest.
    pub async fn commit(
        mut self,
        size: Option<u64>,
        digest: Option<&Digest>,
    ) -> Result<Digest, Unwritten> {
        self.is_wanted()?;
        let finished = self.spooled.finish().await.map_err(Unwritten::Spool)?;
        let (actual, blob) = finished;
        let mismatch = match (size, digest) {
            (Some(size), _) if size != blob.size => {
                Some(format!("{} bytes came instead of {size}", blob.size))
            }
            (_, Some(digest)) if *digest != actual => {
                Some(format!("`{actual}` came instead of `{digest}`"))
            }
            _ => None,
        };
        let intake = self.store.intake.as_ref().ok_or(Unwritten::ReadOnly)?;
        if let Some(why) = mismatch {
            lock(&intake.failed).push(Failure::Forged(why.clone()));
            return Err(Unwritten::Mismatch(why));
        }
        {
            let mut state = lock(&intake.state);
            if !state.received.contains_key(&actual) {
                state.received.insert(actual.clone(), blob);
                self.committed = true;
            }
            state.last = Some(actual.clone());
        }
        Ok(actual)
    }

    fn is_wanted(&self) -> Result<(), Unwritten> {
        if self.progress.aborted.load(Ordering::Relaxed) {
            return Err(Unwritten::Aborted);
        }
        Ok(())
    }
}

fn spool_name() -> String {
    format!("{:032x}", rand::random::<u128>())
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(intake) = &self.store.intake {
            let mut state = lock(&intake.state);
            let of = state.writing.get(&self.reference);
            if of.is_some_and(|progress| Arc::ptr_eq(progress, &self.progress)) {
                state.writing.remove(&self.reference);
            }
        }
        if !self.committed {
            let _ = fs::remove_file(self.spooled.path());
        }
    }
}
