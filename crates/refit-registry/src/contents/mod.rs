//! Blobs by digest, for an engine that does not reach the [loopback](crate::loopback) registry: it asks, and writes, on a
//! connection that it has with refit anyway.
//!
//! What it may have is planned, as there: of each base one manifest, its config and its layers, fetched when it asks. What
//! it writes is verified. How it speaks is not decided here.

mod intake;

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use refit_oci::{Descriptor, Digest, Repository};
use tempfile::TempDir;
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};

use self::intake::Intake;
pub use self::intake::{Unwritten, Writing};
use crate::{
    BlobFile, Registry, RegistryError, blocks::blocks, error::io_error, lock, planned::Planned,
    pushed::Pushed, words::words,
};

/// The stores of one build, by the names that an engine has for them.
pub struct Contents {
    spool: Arc<TempDir>,
    stores: Mutex<BTreeMap<String, Arc<Store>>>,
    failed: Failures,
}

/// What went wrong; in the same words as the engine was told, who may make do without it.
#[derive(Debug)]
pub enum Failure {
    /// Something planned could not be read.
    Unread {
        /// Where it was to come from.
        repository: Repository,
        /// What the registry said.
        source: RegistryError,
    },
    /// The engine wrote something else than it had announced.
    Forged(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread { source, .. } => f.write_str(&words(source)),
            Self::Forged(why) => f.write_str(why),
        }
    }
}

type Failures = Arc<Mutex<Vec<Failure>>>;

/// One store: an engine reads what is planned, or writes.
pub struct Store {
    planned: Mutex<Vec<Arc<Planned>>>,
    intake: Option<Intake>,
    failed: Failures,
}

/// The bytes of a blob.
pub enum Content {
    /// A manifest or index.
    Document(Vec<u8>),
    /// Anything else.
    File(BlobFile),
}

impl Contents {
    /// No stores; what is written is spooled in a folder of its own below `spool_dir`.
    pub fn new(spool_dir: &Path) -> Result<Self, RegistryError> {
        let spool = tempfile::Builder::new()
            .prefix("contents-")
            .tempdir_in(spool_dir);
        let spool = spool.map_err(|source| io_error(spool_dir, source))?;
        Ok(Self {
            spool: Arc::new(spool),
            stores: Mutex::default(),
            failed: Failures::default(),
        })
    }

    /// Lets the engine read one platform's manifest, with its config and layers, of `repository` of `upstream` from a
    /// store. A store may have several.
    pub fn allow(
        &self,
        store: &str,
        upstream: Arc<dyn Registry>,
        repository: Repository,
        manifest: Digest,
    ) {
        let planned = Arc::new(Planned::new(upstream, repository, manifest));
        let mut stores = lock(&self.stores);
        let store = stores
            .entry(store.to_owned())
            .or_insert_with(|| Arc::new(Store::new(None, &self.failed)));
        lock(&store.planned).push(planned);
    }

    /// Makes a store for the engine to write to. It is told that the `known` blobs are there already, so that it does not
    /// send them.
    pub fn output(&self, store: &str, known: Vec<Descriptor>) {
        let intake = Intake::new(known, Arc::clone(&self.spool), Arc::clone(&self.failed));
        let output = Arc::new(Store::new(Some(intake), &self.failed));
        lock(&self.stores).insert(store.to_owned(), output);
    }

    /// A store by its name.
    pub fn store(&self, name: &str) -> Option<Arc<Store>> {
        lock(&self.stores).get(name).cloned()
    }

    /// What was written to an output, once; none until the engine has written anything. Engines write what refers to all
    /// else last.
    pub fn take(&self, store: &str) -> Result<Option<Pushed>, RegistryError> {
        let output = self.store(store);
        let intake = output.as_ref().and_then(|store| store.intake.as_ref());
        intake.map_or(Ok(None), |intake| intake.take(store))
    }

    /// What went wrong since this was asked last.
    pub fn failures(&self) -> Vec<Failure> {
        std::mem::take(&mut lock(&self.failed))
    }
}

impl Store {
    fn new(intake: Option<Intake>, failed: &Failures) -> Self {
        Self {
            planned: Mutex::default(),
            intake,
            failed: Arc::clone(failed),
        }
    }

    /// The size of a blob; nothing is fetched for it but manifests. An error is in words for the engine.
    pub async fn size_of(&self, digest: &Digest) -> Result<Option<u64>, String> {
        if let Some(size) = self.intake.as_ref().and_then(|i| i.size_of(digest)) {
            return Ok(Some(size));
        }
        for planned in self.planned() {
            let found = async {
                if let Some(document) = planned.document(digest).await? {
                    return Ok(Some(document.bytes().len() as u64));
                }
                let descriptor = planned.find(digest).await?;
                Ok(descriptor.map(|descriptor| descriptor.size))
            };
            if let Some(size) = found.await.map_err(|e| self.unread(&planned, e))? {
                return Ok(Some(size));
            }
        }
        Ok(None)
    }

    /// A blob, fetched if it is not at hand.
    pub async fn open(&self, digest: &Digest) -> Result<Option<Content>, String> {
        if let Some(path) = self.intake.as_ref().and_then(|i| i.received(digest)) {
            return Ok(Some(Content::File(BlobFile::kept(path))));
        }
        for planned in self.planned() {
            let found = async {
                if let Some(document) = planned.document(digest).await? {
                    return Ok(Some(Content::Document(document.bytes().to_vec())));
                }
                let Some(descriptor) = planned.find(digest).await? else {
                    return Ok(None);
                };
                planned.blob(&descriptor).await.map(Content::File).map(Some)
            };
            let found = found.await.map_err(|e| self.unread(&planned, e))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Begins to write what the engine calls `reference` until it is there.
    pub async fn write(self: &Arc<Self>, reference: &str) -> Result<Writing, Unwritten> {
        Writing::begin(Arc::clone(self), reference).await
    }

    /// Gives up what is written under that name, if anything is.
    pub fn abort(&self, reference: &str) -> bool {
        let intake = self.intake.as_ref();
        intake.is_some_and(|intake| intake.abort(reference))
    }

    /// How much of what is written under that name is here, if anything is.
    pub fn progress(&self, reference: &str) -> Option<u64> {
        self.intake.as_ref()?.progress(reference)
    }

    fn planned(&self) -> Vec<Arc<Planned>> {
        lock(&self.planned).clone()
    }

    fn unread(&self, planned: &Planned, source: RegistryError) -> String {
        let told = words(&source);
        let repository = planned.repository().clone();
        lock(&self.failed).push(Failure::Unread { repository, source });
        told
    }
}

impl Content {
    /// At most `size` bytes from `offset` on, in pieces.
    pub async fn read(
        self,
        offset: u64,
        size: u64,
    ) -> std::io::Result<impl Stream<Item = std::io::Result<Bytes>> + Send + 'static> {
        Ok(match self {
            Self::Document(bytes) => {
                let bytes = Bytes::from(bytes);
                let at = |n: u64| usize::try_from(n).map_or(bytes.len(), |n| n.min(bytes.len()));
                let piece = bytes.slice(at(offset)..at(offset.saturating_add(size)));
                let pieces = (!piece.is_empty()).then_some(Ok(piece));
                stream::iter(pieces).left_stream()
            }
            Self::File(blob) => {
                let mut file = File::open(blob.path()).await?;
                file.seek(std::io::SeekFrom::Start(offset)).await?;
                // The file stays as long as it is read.
                let kept = move |_| {
                    let _ = &blob;
                };
                blocks(file.take(size), kept).right_stream()
            }
        })
    }
}
