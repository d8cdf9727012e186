//! What registries say: tags, documents and configs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use refit_deps::{
    image::EMBEDDED_HOST,
    observe::{Answer, Failure, FailureKind},
};
use refit_oci::{Descriptor, Digest, Document, ImageConfig, Reference, Repository, media_type};
use refit_registry::{DOCUMENT_LIMIT, Head, Registries, RegistryError};

use super::Observer;
use crate::{error::chain, project::Project};

impl Observer<'_> {
    pub(super) async fn tag(&self, tag: &Reference) -> Answer<Digest> {
        let host = tag.repository().registry();
        let registry = self.registries.registry(host);
        match self.ask(host, registry.head(tag)).await {
            Answer::Found(Head::Found {
                media_type: Some(media_type),
                ..
            }) if media_type::is_schema1(&media_type) => Answer::Failed(Failure {
                kind: FailureKind::Schema1,
                message: format!("`{tag}` is in Docker's schema 1"),
            }),
            Answer::Found(Head::Found { digest, .. }) => Answer::Found(digest),
            Answer::Found(Head::Missing) | Answer::Missing => Answer::Missing,
            Answer::Failed(failure) => Answer::Failed(failure),
        }
    }

    /// A document by digest, from the cache where it is there: what a digest names never changes.
    pub(super) async fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Answer<Arc<Document>> {
        if let Some(document) = recalled_document(self.project, repository, digest) {
            return Answer::Found(Arc::new(document));
        }
        if self.is_known_to_be_gone(repository, digest) {
            return Answer::Missing;
        }
        let fetched = fetched_document(self.project, &self.registries, repository, digest);
        match self.ask(repository.registry(), fetched).await {
            Answer::Found(document) => Answer::Found(Arc::new(document)),
            Answer::Missing => {
                self.note_gone(repository, digest);
                Answer::Missing
            }
            Answer::Failed(failure) => Answer::Failed(failure),
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
                    return Answer::Failed(format!("`{repository}@{manifest}` is an index").into());
                }
            },
            Answer::Missing => return Answer::Missing,
            Answer::Failed(failure) => return Answer::Failed(failure),
        };
        match self
            .small_blob(repository, &descriptor, DOCUMENT_LIMIT)
            .await
        {
            Answer::Found(bytes) => match serde_json::from_slice(&bytes) {
                Ok(config) => Answer::Found(Arc::new(config)),
                Err(error) => {
                    let what = format!("the config of `{repository}@{manifest}` is malformed");
                    Answer::Failed(format!("{what}: {error}").into())
                }
            },
            Answer::Missing => Answer::Missing,
            Answer::Failed(failure) => Answer::Failed(failure),
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
        let cached = cached(self.project, "blobs", &descriptor.digest);
        if host != EMBEDDED_HOST
            && let Some(bytes) = recall(&cached, &descriptor.digest, limit)
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
        if let Some(failure) = known {
            return Answer::Failed(failure);
        }
        match request.await {
            Ok(found) => Answer::Found(found),
            Err(RegistryError::Missing { .. }) => Answer::Missing,
            Err(error) => {
                let failure = self.failure(&error);
                if error.is_offline() || matches!(error, RegistryError::RateLimited { .. }) {
                    self.offline().insert(host.to_owned(), failure.clone());
                }
                Answer::Failed(failure)
            }
        }
    }

    fn failure(&self, error: &RegistryError) -> Failure {
        let kind = match error {
            RegistryError::Unauthorized { asked_as, .. }
            | RegistryError::Denied { asked_as, .. } => FailureKind::Unauthorized {
                credentials: asked_as.clone(),
            },
            RegistryError::RateLimited { retry_after, .. } => FailureKind::RateLimited {
                until: retry_after.and_then(|wait| self.until(wait)),
            },
            error if error.is_schema1() => FailureKind::Schema1,
            _ => FailureKind::Other,
        };
        let message = match error {
            // The time is told instead.
            RegistryError::RateLimited { host, .. } => {
                format!("`{host}` limits how often it may be asked")
            }
            error => chain(error),
        };
        Failure { kind, message }
    }

    /// When a wait is over, to the second.
    fn until(&self, wait: Duration) -> Option<Timestamp> {
        let wait = SignedDuration::try_from(wait).ok()?;
        let until = self.project.environment.now().checked_add(wait).ok()?;
        Timestamp::from_second(until.as_second()).ok()
    }

    fn offline(&self) -> MutexGuard<'_, BTreeMap<String, Failure>> {
        self.offline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A document by digest, from the cache where it is there: what a digest names never changes.
pub(crate) async fn cached_document(
    project: &Project,
    registries: &Registries,
    repository: &Repository,
    digest: &Digest,
) -> Result<Document, RegistryError> {
    match recalled_document(project, repository, digest) {
        Some(document) => Ok(document),
        None => fetched_document(project, registries, repository, digest).await,
    }
}

fn recalled_document(
    project: &Project,
    repository: &Repository,
    digest: &Digest,
) -> Option<Document> {
    if repository.registry() == EMBEDDED_HOST {
        return None;
    }
    let bytes = recall(
        &cached(project, "documents", digest),
        digest,
        DOCUMENT_LIMIT,
    )?;
    Document::decode(None, bytes).ok()
}

/// The registry's answer, remembered.
async fn fetched_document(
    project: &Project,
    registries: &Registries,
    repository: &Repository,
    digest: &Digest,
) -> Result<Document, RegistryError> {
    let host = repository.registry();
    let registry = registries.registry(host);
    let document = registry.document(repository, digest).await?;
    if host != EMBEDDED_HOST {
        remember(&cached(project, "documents", digest), document.bytes());
    }
    Ok(document)
}

fn cached(project: &Project, what: &str, digest: &Digest) -> PathBuf {
    project.own_dir().join(what).join(digest.hex())
}

/// What the cache has under a digest, if it is that.
fn recall(path: &Path, digest: &Digest, limit: u64) -> Option<Vec<u8>> {
    let size = std::fs::metadata(path).ok()?.len();
    let bytes = (size <= limit).then(|| std::fs::read(path).ok())??;
    digest.verifies(&bytes).then_some(bytes)
}

/// A cache write that fails costs a request some day, and nothing now.
pub(super) fn remember(path: &Path, bytes: &[u8]) {
    let Some(folder) = path.parent() else { return };
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(folder))
        .and_then(|mut file| std::io::Write::write_all(&mut file, bytes).map(|()| file));
    if let Ok(file) = written {
        let _ = file.persist(path);
    }
}
