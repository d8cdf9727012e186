//! Early cutoff: a build that came to the content of what is published changes nothing, and what is built on it is
//! fresh.

use refit_deps::{content, key::Key, plan::Step};
use refit_oci::{Descriptor, Digest, Document, ImageConfig, Repository, annotations};
use refit_registry::Registry;
use tokio::task;

use super::{Failed, Site, content::of_layer};
use crate::engine::{Built, BuiltLayer, LayerSource};

/// How large a config may be: far above any real one.
const CONFIG_LIMIT: u64 = 8 << 20;

/// How much the compressed layers of one content may differ in size: other times and another order compress to a little
/// more or less. Beyond it a layer is not fetched to be compared.
const SIZE_TOLERANCE: u64 = 16;
const SIZE_MARGIN: u64 = 64 << 10;

/// The published manifest that a build came to, which from now on lies under the build's staging tag as well. Equal are
/// the layers (their diff ids, else what is in them, read only as long as nothing differs), and all that a user can see
/// of the config; the times in either are not content. What was made from another source names that in its annotations,
/// and is no result of this one.
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
    let Some(config) = config.filter(|config| content::is_alike(config, &built.image)) else {
        return Ok(None);
    };
    let old = Old {
        registry: registry.as_ref(),
        repository: &step.repository,
        layers: &manifest.value.layers,
        diff_ids: &config.rootfs.diff_ids,
    };
    if !holds_the_same(&old, built).await {
        return Ok(None);
    }
    let tag = key.tag();
    let tagged = registry.push_document(&step.repository, &document, Some(&tag));
    tagged.await.map_err(|e| Failed::of(&e))?;
    Ok(Some(published.clone()))
}

/// The layers of what is published.
struct Old<'a> {
    registry: &'a dyn Registry,
    repository: &'a Repository,
    layers: &'a [Descriptor],
    diff_ids: &'a [Digest],
}

/// A layer that may hold the same as another one.
struct Pair<'a> {
    old: (&'a Descriptor, &'a Digest),
    new: (&'a BuiltLayer, &'a Digest),
}

/// Whether all layers hold the same. Those of the base must be the same.
async fn holds_the_same(old: &Old<'_>, built: &Built) -> bool {
    let diff_ids = &built.image.rootfs.diff_ids;
    let n = diff_ids.len();
    if n == 0 || [old.diff_ids.len(), old.layers.len(), built.layers.len()] != [n; 3] {
        return false;
    }
    let olds = old.layers.iter().zip(old.diff_ids);
    let pairs = olds.zip(built.layers.iter().zip(diff_ids));
    let pairs = pairs.map(|(old, new)| Pair { old, new });
    let mut unlike: Vec<Pair<'_>> = pairs.filter(|pair| pair.old.1 != pair.new.1).collect();
    let may_be_same = |pair: &Pair<'_>| {
        let (old, new) = (pair.old.0.size, pair.new.0.descriptor.size);
        let is_own = matches!(pair.new.0.source, LayerSource::File(_));
        is_own && old.abs_diff(new) <= old / SIZE_TOLERANCE + SIZE_MARGIN
    };
    if !unlike.is_empty() && built.image.os != "linux" || !unlike.iter().all(may_be_same) {
        return false;
    }
    // The cheapest one to tell apart first.
    unlike.sort_by_key(|pair| pair.old.0.size);
    for pair in unlike {
        if !is_same(old, &pair).await {
            return false;
        }
    }
    true
}

/// Reads both layers. One that cannot be read is not the same.
async fn is_same(old: &Old<'_>, pair: &Pair<'_>) -> bool {
    let (new, new_diff_id) = pair.new;
    let LayerSource::File(path) = &new.source else {
        return false;
    };
    let (descriptor, diff_id) = pair.old;
    let Ok(blob) = old.registry.blob(old.repository, descriptor).await else {
        return false;
    };
    let (path, new_type) = (path.clone(), new.descriptor.media_type.clone());
    let (old_type, diff_ids) = (
        descriptor.media_type.clone(),
        [diff_id.clone(), new_diff_id.clone()],
    );
    let compared = task::spawn_blocking(move || {
        let old = of_layer(blob.path(), &old_type, &diff_ids[0]).ok()?;
        let new = of_layer(&path, &new_type, &diff_ids[1]).ok()?;
        Some(old == new)
    });
    compared.await.ok().flatten().unwrap_or_default()
}
