//! Documents about documents: a manifest with a `subject`, found by whoever knows that.
//!
//! Registries that know the OCI distribution specification 1.1 keep the list themselves. For all others, and for layouts,
//! the specification has a tag that holds it.

use std::collections::BTreeMap;

use refit_oci::{Descriptor, Digest, Document, Exact, Index, Manifest, Repository, media_type};

use crate::{Registry, RegistryError};

/// The tag of the list of all that refers to a document: the specification's referrers tag schema.
pub fn referrers_tag(subject: &Digest) -> String {
    let part = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    format!(
        "{}-{}",
        part(subject.algorithm(), 32),
        part(subject.hex(), 64)
    )
}

/// What the tag lists.
pub(crate) async fn listed<R: Registry + ?Sized>(
    registry: &R,
    repository: &Repository,
    subject: &Digest,
) -> Result<Vec<Descriptor>, RegistryError> {
    let reference = repository.tagged(&referrers_tag(subject))?;
    let head = registry.head(&reference).await?;
    let Some(digest) = head.digest() else {
        return Ok(Vec::new());
    };
    Ok(match registry.document(repository, digest).await? {
        Document::Index(index) => index.value.manifests,
        Document::Manifest(_) => Vec::new(),
    })
}

/// Puts a manifest into the list. Of two writers at the same time the later wins, as the specification has no better.
pub(crate) async fn list<R: Registry + ?Sized>(
    registry: &R,
    repository: &Repository,
    subject: &Digest,
    manifest: &Exact<Manifest>,
) -> Result<(), RegistryError> {
    let mut entries = listed(registry, repository, subject).await?;
    if entries.iter().any(|entry| entry.digest == manifest.digest) {
        return Ok(());
    }
    let value = &manifest.value;
    entries.push(Descriptor {
        artifact_type: value
            .artifact_type
            .clone()
            .or_else(|| Some(value.config.media_type.clone())),
        annotations: value.annotations.clone(),
        ..manifest.descriptor()
    });
    let index = Exact::encode(media_type::OCI_INDEX, Index::new(entries, BTreeMap::new()));
    let tag = referrers_tag(subject);
    registry
        .push_document(repository, &Document::Index(index), Some(&tag))
        .await?;
    Ok(())
}
