//! A place for an engine to push to: blobs known beforehand, blobs received, documents over them.

use std::{collections::BTreeMap, sync::Arc};

use refit_oci::{Descriptor, Digest, Document};
use tempfile::TempDir;

use super::Pushed;
use crate::spool::Received;

/// What was pushed so far.
pub(super) struct Output {
    known: BTreeMap<Digest, u64>,
    received: BTreeMap<Digest, Received>,
    documents: BTreeMap<Digest, Document>,
    tagged: Option<Digest>,
}

impl Output {
    pub(super) fn new(known: Vec<Descriptor>) -> Self {
        Self {
            known: known.into_iter().map(|d| (d.digest, d.size)).collect(),
            received: BTreeMap::new(),
            documents: BTreeMap::new(),
            tagged: None,
        }
    }

    /// The size of a blob that need not be sent.
    pub(super) fn size_of(&self, digest: &Digest) -> Option<u64> {
        let received = self.received.get(digest).map(|blob| blob.size);
        received.or_else(|| self.known.get(digest).copied())
    }

    pub(super) fn received(&self, digest: &Digest) -> Option<&Received> {
        self.received.get(digest)
    }

    pub(super) fn receive(&mut self, digest: Digest, blob: Received) {
        self.received.insert(digest, blob);
    }

    /// A blob of a planned base need not be sent either, once the engine has asked to mount it.
    pub(super) fn mount(&mut self, blob: Descriptor) {
        self.known.insert(blob.digest, blob.size);
    }

    pub(super) fn document(&self, digest: Option<&Digest>) -> Option<&Document> {
        self.documents.get(digest.or(self.tagged.as_ref())?)
    }

    /// Takes a document whose parts are all here; else names the first that is not.
    pub(super) fn push(&mut self, document: Document, tagged: bool) -> Result<(), Digest> {
        match &document {
            Document::Manifest(manifest) => {
                let layers = manifest.value.layers.iter();
                let layers = layers.filter(|layer| layer.urls.is_empty());
                let mut parts = std::iter::once(&manifest.value.config).chain(layers);
                if let Some(part) = parts.find(|part| self.size_of(&part.digest).is_none()) {
                    return Err(part.digest.clone());
                }
            }
            Document::Index(index) => {
                let mut parts = index.value.manifests.iter();
                if let Some(part) = parts.find(|p| !self.documents.contains_key(&p.digest)) {
                    return Err(part.digest.clone());
                }
            }
        }
        let digest = document.digest().clone();
        self.documents.insert(digest.clone(), document);
        if tagged {
            self.tagged = Some(digest);
        }
        Ok(())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.tagged.is_some()
    }

    pub(super) fn finish(mut self, spool: Arc<TempDir>) -> Option<Pushed> {
        let manifest = self.documents.remove(&self.tagged?)?;
        let blobs = self.received.into_iter();
        let blobs = blobs.map(|(digest, blob)| (digest, blob.path)).collect();
        Some(Pushed::new(manifest, self.documents, blobs, spool))
    }
}
