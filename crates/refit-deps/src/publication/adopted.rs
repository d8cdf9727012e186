//! What another tool published, read as if it were ours.

use std::collections::BTreeMap;

use refit_oci::{Digest, Document, Platform};

use super::Published;
use crate::{
    image::Image,
    observe::{Absent, Answer, Lookup},
};

/// What a tag holds, as if it were ours; `Some(None)` if it is no image. Of equal platforms the first counts, as for
/// everybody who pulls it.
pub(super) fn adopted(
    lookup: &Lookup<'_>,
    image: &Image,
    digest: &Digest,
) -> Option<Result<Published, Absent>> {
    let repository = image.destination();
    let Answer::Found(document) = lookup.document(repository, digest)? else {
        return Some(Err(Absent));
    };
    let mut platforms: BTreeMap<Platform, Digest> = BTreeMap::new();
    match document.as_ref() {
        Document::Index(index) => {
            for (platform, descriptor) in index.value.platforms() {
                let entry = platforms.entry(platform.clone());
                entry.or_insert_with(|| descriptor.digest.clone());
            }
            let mut images = index.value.manifests.iter().filter(|d| !d.is_attestation());
            if let (Some(only), None) = (images.next(), images.next())
                && only.platform.is_none()
            {
                let platform = platform_of(lookup, image, &only.digest)?;
                platforms.extend(
                    platform
                        .ok()
                        .map(|platform| (platform, only.digest.clone())),
                );
            }
        }
        Document::Manifest(_) => {
            let platform = platform_of(lookup, image, digest)?;
            platforms.extend(platform.ok().map(|platform| (platform, digest.clone())));
        }
    }
    let published = Published {
        index: digest.clone(),
        platforms,
        commit: None,
        record: None,
        adopted: true,
    };
    if published.platforms.is_empty() {
        return Some(Err(Absent));
    }
    Some(Ok(published))
}

/// What a manifest is for, by its config: with none there is no image. Old configs leave it out, and then it is what
/// the image is configured for.
fn platform_of(
    lookup: &Lookup<'_>,
    image: &Image,
    manifest: &Digest,
) -> Option<Result<Platform, Absent>> {
    let Answer::Found(config) = lookup.config(image.destination(), manifest)? else {
        return Some(Err(Absent));
    };
    if config.os.is_empty() || config.architecture.is_empty() {
        return Some(image.platforms.first().cloned().ok_or(Absent));
    }
    let platform = config.platform();
    let configured = |wanted: &&Platform| crate::pin::fits(config, wanted);
    Some(Ok(
        match image.platforms.iter().find(|wanted| **wanted == platform) {
            Some(platform) => platform.clone(),
            // An older image of arm/v6 says no variant.
            None if config.variant.is_none() => image
                .platforms
                .iter()
                .filter(|wanted| wanted.architecture == platform.architecture)
                .find(configured)
                .cloned()
                .unwrap_or(platform),
            None => platform,
        },
    ))
}
