//! What registries say: tags, documents and configs.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, MutexGuard, PoisonError},
};

use refit_deps::{image::EMBEDDED_HOST, observe::Answer};
use refit_oci::{Descriptor, Digest, Document, ImageConfig, Reference, Repository};
use refit_registry::{DOCUMENT_LIMIT, Head, RegistryError};

use super::Observer;
use crate::error::chain;

impl Observer<'_> {
    pub(super) async fn tag(&self, tag: &Reference) -> Answer<Digest> {
        let host = tag.repository().registry();
        let registry = self.registries.registry(host);
        match self.ask(host, registry.head(tag)).await {
            Answer::Found(Head::Found { digest, .. }) => Answer::Found(digest),
            Answer::Found(Head::Missing) | Answer::Missing => Answer::Missing,
            Answer::Failed(message) => Answer::Failed(message),
        }
    }

    /// A document by digest, from the cache where it is there: what a digest names never changes.
    pub(super) async fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Answer<Arc<Document>> {
        let host = repository.registry();
        let cached = self.cached(digest);
        if host != EMBEDDED_HOST
            && let Ok(bytes) = std::fs::read(&cached)
            && digest.verifies(&bytes)
            && let Ok(document) = Document::decode(None, bytes)
        {
            return Answer::Found(Arc::new(document));
        }
        let registry = self.registries.registry(host);
        let answer = self.ask(host, registry.document(repository, digest)).await;
        if let (Answer::Found(document), true) = (&answer, host != EMBEDDED_HOST) {
            remember(&cached, document.bytes());
        }
        match answer {
            Answer::Found(document) => Answer::Found(Arc::new(document)),
            Answer::Missing => Answer::Missing,
            Answer::Failed(message) => Answer::Failed(message),
        }
    }

    /// The config of a manifest.
    pub(super) async fn config(
        &self,
        repository: &Repository,
        manifest: &Digest,
    ) -> Answer<Arc<ImageConfig>> {
        let descriptor = match self.document(repository, manifest).await {
            Answer::Found(document) => match document.as_ref() {
                Document::Manifest(manifest) => manifest.value.config.clone(),
                Document::Index(_) => {
                    return Answer::Failed(format!("`{repository}@{manifest}` is an index"));
                }
            },
            Answer::Missing => return Answer::Missing,
            Answer::Failed(message) => return Answer::Failed(message),
        };
        match self
            .small_blob(repository, &descriptor, DOCUMENT_LIMIT)
            .await
        {
            Answer::Found(bytes) => match serde_json::from_slice(&bytes) {
                Ok(config) => Answer::Found(Arc::new(config)),
                Err(error) => Answer::Failed(format!(
                    "the config of `{repository}@{manifest}` is malformed: {error}"
                )),
            },
            Answer::Missing => Answer::Missing,
            Answer::Failed(message) => Answer::Failed(message),
        }
    }

    /// A blob of at most `limit` bytes, from the cache where it is there.
    pub(super) async fn small_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Answer<Vec<u8>> {
        let host = repository.registry();
        let cached = self.cached(&descriptor.digest);
        if host != EMBEDDED_HOST
            && let Ok(bytes) = std::fs::read(&cached)
            && descriptor.digest.verifies(&bytes)
        {
            return Answer::Found(bytes);
        }
        let registry = self.registries.registry(host);
        let answer = registry.blob_bytes(repository, descriptor, limit);
        let answer = self.ask(host, answer).await;
        if let (Answer::Found(bytes), true) = (&answer, host != EMBEDDED_HOST) {
            remember(&cached, bytes);
        }
        answer
    }

    /// Sends a request, unless its host has been waited for in vain already.
    pub(super) async fn ask<T>(
        &self,
        host: &str,
        request: impl Future<Output = Result<T, RegistryError>>,
    ) -> Answer<T> {
        let known = self.offline().get(host).cloned();
        if let Some(message) = known {
            return Answer::Failed(message);
        }
        match request.await {
            Ok(found) => Answer::Found(found),
            Err(RegistryError::Missing { .. }) => Answer::Missing,
            Err(error) => {
                let message = chain(&error);
                if error.is_offline() {
                    self.offline().insert(host.to_owned(), message.clone());
                }
                Answer::Failed(message)
            }
        }
    }

    fn offline(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.offline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cached(&self, digest: &Digest) -> PathBuf {
        self.project.own_dir().join("documents").join(digest.hex())
    }
}

/// A cache write that fails costs a request some day, and nothing now.
fn remember(path: &std::path::Path, bytes: &[u8]) {
    let Some(folder) = path.parent() else { return };
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(folder))
        .and_then(|mut file| std::io::Write::write_all(&mut file, bytes).map(|()| file));
    if let Ok(file) = written {
        let _ = file.persist(path);
    }
}
