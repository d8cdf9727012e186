//! Early cutoff: a build that came to the content of what is published changes nothing, and what is built on it is
//! fresh.

use refit_deps::{
    content::{self, Contents},
    key::Key,
    plan::Step,
};
use refit_dockerfile::Kind;
use refit_oci::{Digest, Document, ImageConfig, annotations};

use super::{Failed, Site};
use crate::engine::Built;

/// How large a config may be: far above any real one.
const CONFIG_LIMIT: u64 = 8 << 20;

/// The published manifest that a build came to, which from now on lies under the build's staging tag as well. Equal are
/// the layers before compression, in their order, and all that a user can see of the config; the times in it are not
/// content. What was made from another source names that in its annotations, and is no result of this one.
pub(super) async fn kept(
    step: &Step,
    built: &Built,
    key: &Key<'_>,
    site: &Site<'_>,
) -> Result<Option<Digest>, Failed> {
    let Some(published) = &step.replaces else {
        return Ok(None);
    };
    let registry = site.registries.registry(step.repository.registry());
    // Whatever is wrong with what is published, what was built takes its place.
    let Ok(document) = registry.document(&step.repository, published).await else {
        return Ok(None);
    };
    let Document::Manifest(manifest) = &document else {
        return Ok(None);
    };
    let source = manifest.value.annotations.get(annotations::SOURCE);
    if source != Some(&step.source.to_string()) {
        return Ok(None);
    }
    let config = &manifest.value.config;
    let config = registry
        .blob_bytes(&step.repository, config, CONFIG_LIMIT)
        .await;
    let config = config
        .ok()
        .and_then(|bytes| serde_json::from_slice::<ImageConfig>(&bytes).ok());
    let is_same = config.is_some_and(|config| {
        content::compare(&config, &built.image, Kind::Base) == Contents::Same
    });
    if !is_same {
        return Ok(None);
    }
    let tag = key.tag();
    let tagged = registry.push_document(&step.repository, &document, Some(&tag));
    tagged.await.map_err(|e| Failed::of(&e))?;
    Ok(Some(published.clone()))
}
