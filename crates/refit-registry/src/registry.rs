//! What every store of images can do, whether it is a registry over HTTP or an OCI layout on disk.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use refit_oci::{Descriptor, Digest, Document, Exact, Manifest, Reference, Repository};
use tempfile::TempPath;

use crate::{RegistryError, error::io_error, referrers};

/// Manifests and indexes above this many bytes are refused, as the distribution specification suggests.
pub const DOCUMENT_LIMIT: u64 = 4 << 20;

/// One endpoint: a registry host, or an OCI layout that stands for one or more hosts.
///
/// Everything that is read is verified against its digest and bounded before it is handed out.
#[async_trait]
pub trait Registry: Send + Sync {
    /// What a reference resolves to now; its digest wins over its tag. A HEAD does not count against pull limits.
    async fn head(&self, reference: &Reference) -> Result<Head, RegistryError>;

    /// A manifest or index by digest, at most [`DOCUMENT_LIMIT`] bytes.
    async fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Document, RegistryError>;

    /// A blob as a file that must not be changed: a temporary one, or the layout's own.
    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<BlobFile, RegistryError>;

    /// A small blob (a config) in memory; more than `limit` bytes are refused before anything is read.
    async fn blob_bytes(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        if descriptor.size > limit {
            return Err(RegistryError::TooLarge {
                what: format!("{repository}@{}", descriptor.digest),
                limit,
            });
        }
        let file = self.blob(repository, descriptor).await?;
        let read = tokio::fs::read(file.path()).await;
        read.map_err(|source| io_error(file.path(), source))
    }

    /// Whether the repository has the blob.
    async fn has_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError>;

    /// Links a blob of the repository `from` into `repository`; false if the registry would rather have it uploaded.
    async fn mount_blob(
        &self,
        repository: &Repository,
        from: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError>;

    /// Sends a blob unless the repository has it.
    async fn push_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: BlobSource,
    ) -> Result<Uploaded, RegistryError>;

    /// The same for a blob that the repository hardly has, as one that was made this moment: it need not be asked first.
    async fn push_new_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: BlobSource,
    ) -> Result<(), RegistryError> {
        let pushed = self.push_blob(repository, descriptor, source).await;
        pushed.map(drop)
    }

    /// Stores a document's exact bytes, under a tag or by digest alone.
    async fn push_document(
        &self,
        repository: &Repository,
        document: &Document,
        tag: Option<&str>,
    ) -> Result<Digest, RegistryError>;

    /// Stores a manifest that is about another document, its `subject`, and sees to it that [`Registry::referrers`] finds
    /// it. Its blobs are there already.
    async fn push_referrer(
        &self,
        repository: &Repository,
        manifest: &Exact<Manifest>,
    ) -> Result<Digest, RegistryError> {
        let document = Document::Manifest(manifest.clone());
        let digest = self.push_document(repository, &document, None).await?;
        if let Some(subject) = &manifest.value.subject {
            referrers::list(self, repository, &subject.digest, manifest).await?;
        }
        Ok(digest)
    }

    /// The manifests about a document, of whatever kind.
    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        referrers::listed(self, repository, subject).await
    }

    /// The repository's tags, sorted; none for a repository that does not exist.
    async fn tags(&self, repository: &Repository) -> Result<Vec<String>, RegistryError>;

    /// Removes one tag; what it points at stays. Some registries cannot ([`Deleted::Unsupported`]).
    async fn delete_tag(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> Result<Deleted, RegistryError>;

    /// Removes a manifest or index, with all tags of the repository that point at it. What it refers to stays.
    async fn delete_document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Deleted, RegistryError>;

    /// Removes blobs that nothing leads to, where that is not the registry's own business; none where it is.
    async fn collect_garbage(&self, _settings: &Collect) -> Result<Option<Garbage>, RegistryError> {
        Ok(None)
    }
}

/// Which blobs are garbage.
#[derive(Clone, Debug)]
pub struct Collect {
    /// Blobs that somebody wrote or asked for since then stay: a push may be under way.
    pub before: SystemTime,
    /// Documents that count as removed.
    pub without: BTreeSet<Digest>,
    /// They are counted, and stay.
    pub dry_run: bool,
}

/// How much nothing leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Blobs.
    pub n_blobs: usize,
    /// Their sizes.
    pub bytes: u64,
}

/// What a reference resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A manifest or index.
    Found {
        /// Its digest; the registry's word until the document is read.
        digest: Digest,
        /// Its media type, if the registry says.
        media_type: Option<String>,
        /// Its length in bytes, if the registry says.
        size: Option<u64>,
    },
    /// No such repository, tag or digest.
    Missing,
}

impl Head {
    /// The digest, if there is one.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Found { digest, .. } => Some(digest),
            Self::Missing => None,
        }
    }
}

/// A verified blob on disk; a temporary file lives as long as any clone of this.
#[derive(Clone, Debug)]
pub struct BlobFile {
    path: PathBuf,
    _keep: Option<Arc<TempPath>>,
}

impl BlobFile {
    /// A file that stays: a layout's.
    pub(crate) fn kept(path: PathBuf) -> Self {
        Self { path, _keep: None }
    }

    /// A file that goes with its last user.
    pub(crate) fn temporary(file: Arc<TempPath>) -> Self {
        Self {
            path: file.to_path_buf(),
            _keep: Some(file),
        }
    }

    /// Where the bytes are.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Where a blob that is pushed comes from.
#[derive(Clone, Debug)]
pub enum BlobSource {
    /// A file, streamed.
    Path(PathBuf),
    /// Memory.
    Bytes(Bytes),
}

impl From<Vec<u8>> for BlobSource {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&Path> for BlobSource {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

/// How what was pushed got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// The repository had it.
    Existed,
    /// It was sent.
    Uploaded,
}

/// What became of what was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Deleted,
    /// It was not there.
    Missing,
    /// The registry removes no such thing, or nothing at all.
    Unsupported,
}
