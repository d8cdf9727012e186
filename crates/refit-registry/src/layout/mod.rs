//! An OCI image layout as a registry: one folder, many repositories, readable by skopeo and friends.
//!
//! Entries of `index.json` carry the full reference as `org.opencontainers.image.ref.name`
//! (`docker.io/library/debian:12`), so `skopeo inspect oci:PATH:docker.io/library/debian:12` works. Documents without a
//! tag are entries without a name: nothing that was pushed is garbage to a collector. Blobs are shared by all
//! repositories, so every mount succeeds.

mod files;
mod garbage;
mod index;
mod store;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use refit_oci::{Descriptor, Digest, Document, Reference, Repository};

use crate::{
    BlobFile, BlobSource, Collect, Deleted, Garbage, Head, Registry, RegistryError, Uploaded,
};
use store::{Absence, Store};

/// An OCI layout on disk; clones share what they have verified.
#[derive(Clone, Debug)]
pub struct Layout {
    store: Arc<Store>,
}

impl Layout {
    /// A layout that must exist.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RegistryError> {
        let layout = Self::deferred(path.into(), Absence::Error);
        layout.store.check()?;
        Ok(layout)
    }

    /// A layout that is made if it is not there.
    pub fn open_or_create(path: impl Into<PathBuf>) -> Result<Self, RegistryError> {
        let layout = Self::deferred(path.into(), Absence::Empty);
        layout.store.create()?;
        Ok(layout)
    }

    /// A layout that must exist when it is first used.
    pub(crate) fn expected(path: PathBuf) -> Self {
        Self::deferred(path, Absence::Error)
    }

    /// A layout that is empty until the first push makes it.
    pub(crate) fn made_on_demand(path: PathBuf) -> Self {
        Self::deferred(path, Absence::Empty)
    }

    /// A layout that cannot be: every use is an error that names the host.
    pub(crate) fn nowhere(host: &str) -> Self {
        Self::deferred(PathBuf::new(), Absence::Nowhere(host.to_owned()))
    }

    fn deferred(path: PathBuf, absence: Absence) -> Self {
        Self {
            store: Arc::new(Store::new(path, absence)),
        }
    }

    /// Runs file work where it may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.expect("file work is not cancelled and does not panic")
    }
}

#[async_trait]
impl Registry for Layout {
    async fn head(&self, reference: &Reference) -> Result<Head, RegistryError> {
        let reference = reference.clone();
        self.run(move |store| {
            let index = store.index()?;
            if let Some(digest) = reference.digest() {
                return match store.document(reference.repository(), digest) {
                    Ok(document) => Ok(found(&index::descriptor_of(&document))),
                    Err(RegistryError::Missing { .. } | RegistryError::Document { .. }) => {
                        Ok(Head::Missing)
                    }
                    Err(error) => Err(error),
                };
            }
            Ok(index::find(&index, &reference).map_or(Head::Missing, found))
        })
        .await
    }

    async fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Document, RegistryError> {
        let (repository, digest) = (repository.clone(), digest.clone());
        self.run(move |store| store.document(&repository, &digest))
            .await
    }

    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<BlobFile, RegistryError> {
        let (repository, descriptor) = (repository.clone(), descriptor.clone());
        self.run(move |store| store.blob(&repository, &descriptor))
            .await
            .map(BlobFile::kept)
    }

    async fn has_blob(
        &self,
        _repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let digest = digest.clone();
        self.run(move |store| store.has_fresh(&digest)).await
    }

    async fn mount_blob(
        &self,
        repository: &Repository,
        _from: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        self.has_blob(repository, digest).await
    }

    async fn push_blob(
        &self,
        _repository: &Repository,
        descriptor: &Descriptor,
        source: BlobSource,
    ) -> Result<Uploaded, RegistryError> {
        let descriptor = descriptor.clone();
        self.run(move |store| store.put_blob(&descriptor, &source))
            .await
    }

    async fn push_document(
        &self,
        repository: &Repository,
        document: &Document,
        tag: Option<&str>,
    ) -> Result<Digest, RegistryError> {
        let name = tag.map(|tag| repository.tagged(tag)).transpose()?;
        let name = name.map(|reference| reference.to_string());
        let (repository, document) = (repository.clone(), document.clone());
        self.run(move |store| {
            store.put_document(&repository, &document)?;
            let descriptor = index::descriptor_of(&document);
            store.update(|index| {
                // Under the lock: what was garbage until now may have been removed.
                store.has_parts(&repository, &document)?;
                index::insert(index, &descriptor, name.as_deref());
                Ok::<(), RegistryError>(())
            })??;
            Ok(descriptor.digest)
        })
        .await
    }

    async fn tags(&self, repository: &Repository) -> Result<Vec<String>, RegistryError> {
        let repository = repository.clone();
        self.run(move |store| Ok(index::tags(&store.index()?, &repository)))
            .await
    }

    async fn delete_tag(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> Result<Deleted, RegistryError> {
        let name = repository.tagged(tag)?.to_string();
        self.run(move |store| {
            if !index::has_name(&store.index()?, &name) {
                return Ok(Deleted::Missing);
            }
            store.update(|index| index::unname(index, &name))
        })
        .await
    }

    async fn delete_document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Deleted, RegistryError> {
        let (repository, digest) = (repository.clone(), digest.clone());
        self.run(move |store| {
            if !store.has(&digest)? {
                return Ok(Deleted::Missing);
            }
            store.update(|index| index::remove(index, &repository, &digest))
        })
        .await
    }

    async fn collect_garbage(&self, settings: &Collect) -> Result<Option<Garbage>, RegistryError> {
        let settings = settings.clone();
        self.run(move |store| store.collect(&settings).map(Some))
            .await
    }
}

fn found(descriptor: &Descriptor) -> Head {
    Head::Found {
        digest: descriptor.digest.clone(),
        media_type: Some(descriptor.media_type.clone()),
        size: Some(descriptor.size),
    }
}
