//! From what an engine pushed to a finished image: the base's own layers first, then the new ones.

use std::{
    fs,
    path::{Path, PathBuf},
};

use refit_oci::{
    Descriptor, Digest, Document, History, ImageConfig, Manifest, Platform, annotations, media_type,
};
use refit_platform::satisfies;
use refit_registry::{RegistryError, loopback::Pushed};

use crate::engine::{Attested, Built, BuiltLayer, EngineError, LayerSource, PinnedBase, Recipe};

/// Configs above this many bytes are refused.
const CONFIG_LIMIT: u64 = 4 << 20;

/// A pinned base's manifest, and the diff ids and history of its config.
pub(crate) struct BaseLayers {
    found_index: usize,
    layers: Vec<Descriptor>,
    diff_ids: Vec<Digest>,
    history: Vec<History>,
}

impl BaseLayers {
    /// Reads manifest and config of a pin.
    pub(crate) async fn read(pin: &PinnedBase) -> Result<Self, EngineError> {
        let failed = |source: RegistryError| EngineError::Base {
            repository: pin.repository.clone(),
            source: Box::new(source),
        };
        let document = pin.registry.document(&pin.repository, &pin.manifest).await;
        let Document::Manifest(manifest) = document.map_err(failed)? else {
            return Err(EngineError::BadResult {
                reason: format!("its base `{}@{}` is an index", pin.repository, pin.manifest),
            });
        };
        let Manifest { config, layers, .. } = manifest.value;
        let config = pin
            .registry
            .blob_bytes(&pin.repository, &config, CONFIG_LIMIT)
            .await;
        let config = parse_config(&config.map_err(failed)?)?;
        let layers = layers.into_iter().map(|layer| Descriptor {
            media_type: media_type::oci_layer(&layer.media_type).to_owned(),
            ..layer
        });
        Ok(Self {
            found_index: pin.found_index,
            layers: layers.collect(),
            diff_ids: config.rootfs.diff_ids,
            history: config.history,
        })
    }

    /// Which of the recipe's pins it is.
    pub(crate) fn found_index(&self) -> usize {
        self.found_index
    }

    /// What was done to make it.
    pub(super) fn history(&self) -> &[History] {
        &self.history
    }

    /// The blobs that the engine need not send.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = Descriptor> + '_ {
        self.layers.iter().cloned()
    }
}

/// Puts a pushed image together; its new layers are moved into the recipe's work folder.
///
/// `root` is the pin that the target's own stages begin with: the result must be built on it.
pub(crate) fn assemble(
    recipe: &Recipe,
    pushed: &Pushed,
    bases: &[BaseLayers],
    root: Option<&PinnedBase>,
) -> Result<Built, EngineError> {
    let manifest = image_manifest(pushed)?;
    let config = pushed.blobs.get(&manifest.config.digest);
    let config = config.ok_or_else(|| bad("its config was not sent"))?;
    let config = fs::read(config).map_err(|source| io_error(config, source))?;
    let image = parse_config(&config)?;
    check_platform(&image, &recipe.platform)?;
    let diff_ids = &image.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        return Err(bad(
            "its config and its manifest disagree in the number of layers",
        ));
    }

    let base = root.and_then(|pin| {
        bases
            .iter()
            .find(|base| base.found_index == pin.found_index)
    });
    if let (Some(pin), Some(base)) = (root, base)
        && !(diff_ids.starts_with(&base.diff_ids) && base.layers.len() == base.diff_ids.len())
    {
        return Err(EngineError::WrongBase {
            repository: pin.repository.clone(),
            manifest: pin.manifest.clone(),
        });
    }
    let of_base = base.into_iter().flat_map(|base| {
        base.layers.iter().map(|layer| BuiltLayer {
            descriptor: layer.clone(),
            source: LayerSource::Base(base.found_index),
        })
    });
    let mut layers: Vec<BuiltLayer> = of_base.collect();
    for layer in &manifest.layers[layers.len()..] {
        layers.push(own_layer(recipe, pushed, bases, layer)?);
    }
    Ok(Built {
        config,
        image,
        layers,
        attested: attested(pushed)?,
    })
}

/// What was pushed beside the image, in the manifests of attestations that its index holds.
fn attested(pushed: &Pushed) -> Result<Vec<Attested>, EngineError> {
    let Document::Index(index) = &pushed.manifest else {
        return Ok(Vec::new());
    };
    let mut attested = Vec::new();
    for held in index.value.manifests.iter().filter(|d| d.is_attestation()) {
        let Some(Document::Manifest(manifest)) = pushed.children.get(&held.digest) else {
            return Err(bad("its index refers to no attestation"));
        };
        let layers = manifest.value.layers.iter();
        for layer in layers.filter(|layer| layer.media_type == media_type::IN_TOTO) {
            let sent = pushed.blobs.get(&layer.digest);
            let sent = sent.ok_or_else(|| bad("an attestation was not sent"))?;
            attested.push(Attested {
                predicate_type: layer
                    .annotations
                    .get(annotations::PREDICATE_TYPE)
                    .cloned()
                    .unwrap_or_default(),
                statement: fs::read(sent).map_err(|source| io_error(sent, source))?,
            });
        }
    }
    Ok(attested)
}

/// The layers of a pushed image.
pub(crate) fn layers(pushed: &Pushed) -> Result<Vec<Descriptor>, EngineError> {
    image_manifest(pushed).map(|manifest| manifest.layers.clone())
}

/// A layer that is not the root base's: sent by the engine, or known from another base.
fn own_layer(
    recipe: &Recipe,
    pushed: &Pushed,
    bases: &[BaseLayers],
    layer: &Descriptor,
) -> Result<BuiltLayer, EngineError> {
    let media_type = media_type::oci_layer(&layer.media_type);
    let descriptor = Descriptor::new(media_type, layer.digest.clone(), layer.size);
    if let Some(sent) = pushed.blobs.get(&layer.digest) {
        let path = keep(sent, &recipe.work_dir, &layer.digest)?;
        return Ok(BuiltLayer {
            descriptor,
            source: LayerSource::File(path),
        });
    }
    let known = bases
        .iter()
        .find(|base| base.layers.iter().any(|l| l.digest == layer.digest));
    match known {
        Some(base) => Ok(BuiltLayer {
            descriptor,
            source: LayerSource::Base(base.found_index),
        }),
        None => Err(bad("one of its layers was not sent")),
    }
}

/// Moves a spooled blob to where it outlives the registry that took it.
pub(crate) fn keep(sent: &Path, work_dir: &Path, digest: &Digest) -> Result<PathBuf, EngineError> {
    let path = work_dir.join(format!("layer-{}", digest.hex()));
    // The same layer may be there twice; and the spool may be on another file system.
    if !path.exists() && fs::rename(sent, &path).is_err() {
        fs::copy(sent, &path).map_err(|source| io_error(&path, source))?;
    }
    Ok(path)
}

fn image_manifest(pushed: &Pushed) -> Result<&Manifest, EngineError> {
    match &pushed.manifest {
        Document::Manifest(manifest) => Ok(&manifest.value),
        Document::Index(index) => {
            // Newer image stores wrap even one platform; attestations are not asked for, and never count.
            let mut images = index.value.manifests.iter().filter(|d| !d.is_attestation());
            let (Some(image), None) = (images.next(), images.next()) else {
                return Err(bad("it is an index of several images"));
            };
            match pushed.children.get(&image.digest) {
                Some(Document::Manifest(manifest)) => Ok(&manifest.value),
                _ => Err(bad("its index refers to no manifest")),
            }
        }
    }
}

fn check_platform(image: &ImageConfig, want: &Platform) -> Result<(), EngineError> {
    let got = image.platform();
    // An amd64 engine executes 386, but an image for it is another one.
    if got.architecture == want.architecture && satisfies(&got, want) {
        return Ok(());
    }
    Err(EngineError::WrongPlatform {
        want: Box::new(want.clone()),
        got: Box::new(got),
    })
}

fn parse_config(bytes: &[u8]) -> Result<ImageConfig, EngineError> {
    serde_json::from_slice(bytes).map_err(|error| bad(&format!("a config does not parse: {error}")))
}

fn bad(reason: &str) -> EngineError {
    EngineError::BadResult {
        reason: reason.to_owned(),
    }
}

fn io_error(path: &Path, source: std::io::Error) -> EngineError {
    EngineError::Io {
        path: path.to_owned(),
        source,
    }
}
