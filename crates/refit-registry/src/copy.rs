//! Whole images copied from one repository to another, digests unchanged.

use std::{future::Future, pin::Pin};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use refit_oci::{Descriptor, Digest, Document, Reference, Repository};

use crate::{BlobSource, Head, Registry, RegistryError, Uploaded};

/// Blobs of one manifest on their way at the same time.
const PARALLEL: usize = 4;

/// A repository and the endpoint that serves it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The endpoint.
    pub registry: &'a dyn Registry,
    /// The repository.
    pub repository: &'a Repository,
}

/// Copies a manifest with its config and layers, or an index with all its children, attestations included; returns the
/// document. Within one registry blobs are mounted where it allows that. Tags are the caller's: push the document again
/// under one.
pub async fn copy_image(
    from: Place<'_>,
    to: Place<'_>,
    digest: &Digest,
) -> Result<Document, RegistryError> {
    let document = from.registry.document(from.repository, digest).await?;
    let there: Reference = to.repository.at(digest);
    // A registry takes a manifest only after what it refers to: if it is there, so is the rest.
    if let Head::Found { .. } = to.registry.head(&there).await? {
        return Ok(document);
    }
    match &document {
        Document::Index(index) => {
            for child in &index.value.manifests {
                boxed_copy(from, to, &child.digest).await?;
            }
        }
        Document::Manifest(manifest) => {
            let layers = manifest.value.layers.iter();
            // Layers with URLs are not in registries.
            let layers = layers.filter(|layer| layer.urls.is_empty());
            let blobs = std::iter::once(&manifest.value.config).chain(layers);
            let mut blobs: Vec<Descriptor> = blobs.cloned().collect();
            blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
            blobs.dedup_by(|a, b| a.digest == b.digest);
            stream::iter(blobs)
                .map(|blob| async move { copy_blob(from, to, &blob).await })
                .buffer_unordered(PARALLEL)
                .try_collect::<Vec<()>>()
                .await?;
        }
    }
    let push = to.registry.push_document(to.repository, &document, None);
    push.await?;
    Ok(document)
}

/// Copies an image to where a tag keeps it from being collected. The tag is looked at first: what it holds already costs
/// one HEAD there, and the origin is not asked for anything.
pub async fn copy_once(
    from: Place<'_>,
    to: Place<'_>,
    digest: &Digest,
    tag: &str,
) -> Result<Uploaded, RegistryError> {
    let tagged = to.repository.tagged(tag)?;
    if to.registry.head(&tagged).await?.digest() == Some(digest) {
        return Ok(Uploaded::Existed);
    }
    let document = copy_image(from, to, digest).await?;
    let push = to
        .registry
        .push_document(to.repository, &document, Some(tag));
    push.await?;
    Ok(Uploaded::Uploaded)
}

/// Makes one blob of `from` available in `to`: kept, mounted, or sent.
pub async fn copy_blob(
    from: Place<'_>,
    to: Place<'_>,
    blob: &Descriptor,
) -> Result<(), RegistryError> {
    let done = to.registry.has_blob(to.repository, &blob.digest).await?
        || mount_blob(from, to, &blob.digest).await?;
    if done {
        Ok(())
    } else {
        send_blob(from, to, blob).await
    }
}

/// The same for a blob that `to` will hardly have: a mount is one request, and says as much of a blob that is there.
pub async fn copy_new_blob(
    from: Place<'_>,
    to: Place<'_>,
    blob: &Descriptor,
) -> Result<(), RegistryError> {
    let done = mount_blob(from, to, &blob.digest).await?
        || to.registry.has_blob(to.repository, &blob.digest).await?;
    if done {
        Ok(())
    } else {
        send_blob(from, to, blob).await
    }
}

/// Whether `to` has the blob of `from` now; never where they are two registries.
async fn mount_blob(
    from: Place<'_>,
    to: Place<'_>,
    digest: &Digest,
) -> Result<bool, RegistryError> {
    if from.repository.registry() != to.repository.registry() {
        return Ok(false);
    }
    let mount = to
        .registry
        .mount_blob(to.repository, from.repository, digest);
    mount.await
}

async fn send_blob(from: Place<'_>, to: Place<'_>, blob: &Descriptor) -> Result<(), RegistryError> {
    let file = from.registry.blob(from.repository, blob).await?;
    let source = BlobSource::from(file.path());
    let push = to.registry.push_blob(to.repository, blob, source);
    push.await.map(|_| ())
}

/// An index may hold an index: the recursion needs a box.
fn boxed_copy<'a>(
    from: Place<'a>,
    to: Place<'a>,
    digest: &'a Digest,
) -> Pin<Box<dyn Future<Output = Result<Document, RegistryError>> + Send + 'a>> {
    Box::pin(copy_image(from, to, digest))
}
