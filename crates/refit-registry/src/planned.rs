//! What an engine may have of a planned base, or of a layer cache: fetched from upstream when it asks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use refit_oci::{Descriptor, Digest, Document, Repository, media_type};
use tokio::sync::OnceCell;

use crate::{BlobFile, Registry, RegistryError, lock};

/// One platform's manifest and what it refers to.
pub(crate) struct Planned {
    upstream: Arc<dyn Registry>,
    repository: Repository,
    manifest: Digest,
    document: OnceCell<Document>,
    blobs: Mutex<BTreeMap<Digest, Arc<OnceCell<BlobFile>>>>,
}

impl Planned {
    pub(crate) fn new(
        upstream: Arc<dyn Registry>,
        repository: Repository,
        manifest: Digest,
    ) -> Self {
        Self {
            upstream,
            repository,
            manifest,
            document: OnceCell::new(),
            blobs: Mutex::default(),
        }
    }

    /// Where it comes from.
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The manifest, if `digest` is the planned one.
    pub(crate) async fn document(
        &self,
        digest: &Digest,
    ) -> Result<Option<&Document>, RegistryError> {
        if *digest != self.manifest {
            return Ok(None);
        }
        self.planned().await.map(Some)
    }

    /// The descriptor of a blob that the manifest refers to.
    pub(crate) async fn find(&self, digest: &Digest) -> Result<Option<Descriptor>, RegistryError> {
        let manifest = match self.planned().await? {
            Document::Manifest(manifest) => manifest,
            // An image's index has no blobs of its own; one that is a layer cache of BuildKit's lists nothing else.
            Document::Index(index) => {
                let mut blobs = index.value.manifests.iter();
                let is_it = |blob: &&Descriptor| {
                    blob.digest == *digest && !media_type::is_manifest(&blob.media_type)
                };
                return Ok(blobs.find(is_it).cloned());
            }
        };
        let mut blobs = std::iter::once(&manifest.value.config).chain(manifest.value.layers.iter());
        Ok(blobs.find(|blob| blob.digest == *digest).cloned())
    }

    /// A blob's file, fetched once however often the engine asks.
    pub(crate) async fn blob(&self, descriptor: &Descriptor) -> Result<BlobFile, RegistryError> {
        let cell = {
            let mut blobs = lock(&self.blobs);
            Arc::clone(blobs.entry(descriptor.digest.clone()).or_default())
        };
        let fetch = || self.upstream.blob(&self.repository, descriptor);
        cell.get_or_try_init(fetch).await.cloned()
    }

    async fn planned(&self) -> Result<&Document, RegistryError> {
        let fetch = || self.upstream.document(&self.repository, &self.manifest);
        self.document.get_or_try_init(fetch).await
    }
}
