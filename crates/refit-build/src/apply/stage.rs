//! Pushes a finished target under its staging tag: layers the registry lacks, the config, then the manifest.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use refit_deps::{
    image::Image,
    pin::{self, Pin},
    plan::{Action, Step},
};
use refit_dockerfile::Resolved;
use refit_oci::{Descriptor, Digest, Document, Exact, Manifest, annotations, media_type};
use refit_registry::{BlobSource, Place};

use super::{Failed, Site, attest, pinned};
use crate::engine::{Built, BuiltLayer, LayerSource, PinnedBase};

/// How many layers of a target are on their way at the same time. None is held in memory: files are streamed.
const AT_ONCE: usize = 4;

/// Pushes and tags; returns the manifest's digest.
pub(super) async fn push(
    step: &Step,
    image: &Image,
    (resolved, bases): (&Resolved, &[PinnedBase]),
    built: &Built,
    pins: &[Pin],
    site: &Site<'_>,
) -> Result<Digest, Failed> {
    let registry = site.registries.registry(step.repository.registry());
    // Each once: two pushes of the same would both find it missing.
    let mut known = BTreeSet::new();
    let layers = built.layers.iter();
    let layers = layers.filter(|layer| known.insert(&layer.descriptor.digest));
    let on_their_way = layers.map(|layer| push_layer(step, bases, layer, site));
    stream::iter(on_their_way)
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    let config = Descriptor::of(media_type::OCI_CONFIG, &built.config);
    let pushed = registry
        .push_new_blob(&step.repository, &config, built.config.clone().into())
        .await;
    pushed.map_err(|e| Failed::of(&e))?;
    let layers = built.layers.iter().map(|layer| Descriptor {
        media_type: media_type::oci_layer(&layer.descriptor.media_type).to_owned(),
        ..Descriptor::new("", layer.descriptor.digest.clone(), layer.descriptor.size)
    });
    let manifest = Manifest::new(
        config,
        layers.collect(),
        manifest_annotations(step, image, resolved, pins),
    );
    let manifest = Exact::encode(media_type::OCI_MANIFEST, manifest);
    // Before the staging tag: what lies there is finished.
    attest::push(
        registry.as_ref(),
        &step.repository,
        (&manifest, pins),
        &built.attested,
    )
    .await
    .map_err(|e| Failed::of(&e))?;
    let document = Document::Manifest(manifest);
    let pushed = registry
        .push_document(&step.repository, &document, Some(&step.key(pins).tag()))
        .await;
    pushed.map_err(|e| Failed::of(&e))
}

/// A base's layer is mounted, or copied, as it is; nothing is sent that the registry has.
async fn push_layer(
    step: &Step,
    bases: &[PinnedBase],
    layer: &BuiltLayer,
    site: &Site<'_>,
) -> Result<(), Failed> {
    let registry = site.registries.registry(step.repository.registry());
    let descriptor = &layer.descriptor;
    let source: BlobSource = match &layer.source {
        LayerSource::File(path) => path.as_path().into(),
        LayerSource::There => return Ok(()),
        LayerSource::Base(found_index) => {
            let base = bases.iter().find(|pin| pin.found_index == *found_index);
            let base = base.ok_or_else(|| Failed {
                message: format!(
                    "layer {} comes from a base that was not pinned",
                    descriptor.digest.short()
                ),
                excerpt: None,
                hint: None,
            })?;
            let from = Place {
                registry: base.registry.as_ref(),
                repository: &base.repository,
            };
            let to = Place {
                registry: registry.as_ref(),
                repository: &step.repository,
            };
            let copied = match step.action {
                // What the published image has of it is not sent at all.
                Action::Rebase(_) => refit_registry::copy_new_blob(from, to, descriptor).await,
                _ => refit_registry::copy_blob(from, to, descriptor).await,
            };
            return copied.map_err(|e| Failed::of(&e));
        }
    };
    let pushed = registry
        .push_blob(&step.repository, descriptor, source)
        .await;
    pushed.map(|_| ()).map_err(|e| Failed::of(&e))
}

/// What a manifest says of how it was made: a function of source, pins and platform alone.
fn manifest_annotations(
    step: &Step,
    image: &Image,
    resolved: &Resolved,
    pins: &[Pin],
) -> BTreeMap<String, String> {
    let mut all = image.annotations.clone();
    all.insert(annotations::IMAGE.to_owned(), step.target.image.clone());
    all.insert(annotations::SOURCE.to_owned(), step.source.to_string());
    all.insert(annotations::PINS.to_owned(), pin::annotation(pins));
    let root = pinned::root_base(resolved).and_then(|index| resolved.found.get(index));
    let base = root.and_then(|found| {
        pins.iter()
            .find(|pin| pin.kind == found.kind && pin.platform == found.platform)
    });
    if let Some((pin, manifest)) = base.and_then(|pin| Some((pin, pin.manifest.as_ref()?))) {
        all.insert(annotations::BASE_NAME.to_owned(), pin.reference.to_string());
        all.insert(annotations::BASE_DIGEST.to_owned(), manifest.to_string());
    }
    all
}
