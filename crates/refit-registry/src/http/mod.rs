//! A registry over HTTP, as of the OCI distribution specification 1.1, and what real registries make of it.

mod answer;
mod auth;
mod backoff;
mod challenge;
mod client;
mod download;
mod endpoint;
mod pull;
mod push;
mod scopes;
mod tags;
mod token;
mod trust;
mod wire;

use async_trait::async_trait;
use refit_oci::{Descriptor, Digest, Document, Exact, Manifest, Reference, Repository};

pub(crate) use client::Clients;
pub use download::{Downloads, file_name};
pub(crate) use endpoint::{Endpoint, Shared};

use crate::{BlobFile, BlobSource, Deleted, Head, Registry, RegistryError, Uploaded, referrers};

#[async_trait]
impl Registry for Endpoint {
    async fn head(&self, reference: &Reference) -> Result<Head, RegistryError> {
        self.head_manifest(reference).await
    }

    async fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Document, RegistryError> {
        self.get_document(repository, digest).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<BlobFile, RegistryError> {
        self.get_blob(repository, descriptor).await
    }

    async fn has_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        self.head_blob(repository, digest).await
    }

    async fn mount_blob(
        &self,
        repository: &Repository,
        from: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        if repository.registry() != from.registry() {
            return Ok(false);
        }
        self.mount(repository, from, digest).await
    }

    async fn push_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: BlobSource,
    ) -> Result<Uploaded, RegistryError> {
        self.put_blob(repository, descriptor, &source).await
    }

    async fn push_new_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: BlobSource,
    ) -> Result<(), RegistryError> {
        self.put_new_blob(repository, descriptor, &source).await
    }

    async fn push_document(
        &self,
        repository: &Repository,
        document: &Document,
        tag: Option<&str>,
    ) -> Result<Digest, RegistryError> {
        Ok(self.put_document(repository, document, tag).await?.digest)
    }

    async fn push_referrer(
        &self,
        repository: &Repository,
        manifest: &Exact<Manifest>,
    ) -> Result<Digest, RegistryError> {
        let document = Document::Manifest(manifest.clone());
        let stored = self.put_document(repository, &document, None).await?;
        match &manifest.value.subject {
            Some(subject) if !stored.lists_subject => {
                referrers::list(self, repository, &subject.digest, manifest).await?;
            }
            _ => {}
        }
        Ok(stored.digest)
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        match self.list_referrers(repository, subject).await? {
            Some(listed) => Ok(listed),
            None => referrers::listed(self, repository, subject).await,
        }
    }

    async fn tags(&self, repository: &Repository) -> Result<Vec<String>, RegistryError> {
        self.list_tags(repository).await
    }

    async fn delete_tag(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> Result<Deleted, RegistryError> {
        self.remove(repository, &repository.tagged(tag)?).await
    }

    async fn delete_document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Deleted, RegistryError> {
        self.remove(repository, &repository.at(digest)).await
    }
}
