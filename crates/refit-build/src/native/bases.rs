//! The images that a build starts from and copies from: configs and layer tables, read only when needed.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use refit_oci::{Descriptor, Digest, Document, ImageConfig, Manifest, Repository, media_type};
use refit_registry::{BlobFile, Registry, RegistryError};
use tokio::runtime::Handle;

use super::{
    file_table::{FileTable, TreeError},
    layer_entries::LayerReadError,
    layer_tables::{LayerTable, LayerTables, read_table},
};
use crate::engine::PinnedBase;

/// An image config above this many bytes is refused.
const MAX_CONFIG: u64 = 8 << 20;

/// How many layers are fetched at once.
const FETCHES: usize = 4;

/// A pinned image without its files.
#[derive(Clone, Debug)]
pub(crate) struct BaseImage {
    /// As the registry has it.
    pub(crate) config: ImageConfig,
    /// The layers' descriptors, one for each diff id.
    pub(crate) layers: Vec<Descriptor>,
}

/// A layer's file, kept as long as this.
pub(crate) struct LayerFile {
    file: BlobFile,
    media_type: String,
}

impl LayerFile {
    pub(crate) fn path(&self) -> &std::path::Path {
        self.file.path()
    }

    pub(crate) fn media_type(&self) -> &str {
        &self.media_type
    }
}

/// Why a base is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BaseError {
    #[error("nothing is pinned for the reference `{0}`")]
    Unpinned(String),
    #[error("cannot read the base `{repository}`")]
    Registry {
        repository: Repository,
        source: RegistryError,
    },
    #[error("the base `{repository}@{digest}` {what}")]
    Malformed {
        repository: Repository,
        digest: Digest,
        what: String,
    },
    #[error("a layer of the base `{repository}` cannot be used")]
    Layer {
        repository: Repository,
        source: LayerReadError,
    },
    #[error("the layers of the base `{repository}` do not fit together")]
    Tree {
        repository: Repository,
        source: TreeError,
    },
}

/// Reads pinned images. Its methods block, and so must not be called on a thread that drives `handle`.
pub(crate) struct Bases {
    handle: Handle,
    tables: LayerTables,
    pins: BTreeMap<usize, PinnedBase>,
    images: BTreeMap<usize, Arc<BaseImage>>,
    /// Where each layer of the images that were read can be had.
    layers: BTreeMap<Digest, Place>,
    files: BTreeMap<Digest, Arc<LayerFile>>,
}

#[derive(Clone)]
struct Place {
    registry: Arc<dyn Registry>,
    repository: Repository,
    descriptor: Descriptor,
}

impl Bases {
    pub(crate) fn new(handle: Handle, tables: LayerTables, pins: &[PinnedBase]) -> Self {
        Self {
            handle,
            tables,
            pins: pins
                .iter()
                .map(|pin| (pin.found_index, pin.clone()))
                .collect(),
            images: BTreeMap::new(),
            layers: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    /// The image that a found reference is pinned to; `written` names it in messages.
    pub(crate) fn image(
        &mut self,
        found: usize,
        written: &str,
    ) -> Result<Arc<BaseImage>, BaseError> {
        if let Some(image) = self.images.get(&found) {
            return Ok(Arc::clone(image));
        }
        let unpinned = || BaseError::Unpinned(written.to_owned());
        let pin = self.pins.get(&found).ok_or_else(unpinned)?.clone();
        let image = Arc::new(self.handle.block_on(read_image(&pin))?);
        self.know(found, &pin, &image);
        Ok(image)
    }

    /// The same knowing one of the images, which was read before.
    pub(crate) fn knowing(mut self, pin: &PinnedBase, image: &Arc<BaseImage>) -> Self {
        self.know(pin.found_index, pin, image);
        self
    }

    fn know(&mut self, found: usize, pin: &PinnedBase, image: &Arc<BaseImage>) {
        for (diff_id, descriptor) in image.config.rootfs.diff_ids.iter().zip(&image.layers) {
            let place = || Place {
                registry: Arc::clone(&pin.registry),
                repository: pin.repository.clone(),
                descriptor: descriptor.clone(),
            };
            self.layers.entry(diff_id.clone()).or_insert_with(place);
        }
        self.images.insert(found, Arc::clone(image));
    }

    /// The tree of an image.
    pub(crate) fn tree(&mut self, found: usize, written: &str) -> Result<FileTable, BaseError> {
        let image = self.image(found, written)?;
        let diff_ids = &image.config.rootfs.diff_ids;
        self.fetch(
            diff_ids
                .iter()
                .filter(|diff_id| self.tables.get(diff_id).is_none())
                .cloned()
                .collect(),
        )?;
        let mut tree = FileTable::default();
        for diff_id in diff_ids {
            let table = self.table(diff_id)?;
            tree.apply_layer_of(&image.config.os, diff_id, &table.entries)
                .map_err(|source| BaseError::Tree {
                    repository: self.place(diff_id).repository.clone(),
                    source,
                })?;
        }
        Ok(tree)
    }

    /// The file of a layer of one of the images that were read.
    pub(crate) fn layer_file(&mut self, diff_id: &Digest) -> Result<Arc<LayerFile>, BaseError> {
        self.fetch(vec![diff_id.clone()])?;
        let file = self.files.get(diff_id).expect("it was fetched just now");
        Ok(Arc::clone(file))
    }

    /// The table of a layer of one of the images that were read.
    pub(crate) fn table(&mut self, diff_id: &Digest) -> Result<Arc<LayerTable>, BaseError> {
        if let Some(table) = self.tables.get(diff_id) {
            return Ok(table);
        }
        let file = self.layer_file(diff_id)?;
        let table = read_table(file.path(), file.media_type(), diff_id);
        let table = Arc::new(table.map_err(|source| BaseError::Layer {
            repository: self.place(diff_id).repository.clone(),
            source,
        })?);
        self.tables.insert(diff_id, Arc::clone(&table));
        Ok(table)
    }

    fn fetch(&mut self, diff_ids: Vec<Digest>) -> Result<(), BaseError> {
        let mut missing: Vec<(Digest, Place)> = Vec::new();
        for diff_id in diff_ids {
            // Two layers of an image may be the same.
            let known =
                self.files.contains_key(&diff_id) || missing.iter().any(|(id, _)| *id == diff_id);
            if !known {
                let place = self.place(&diff_id).clone();
                missing.push((diff_id, place));
            }
        }
        let downloads = stream::iter(missing).map(|(diff_id, place)| async move {
            let file = place
                .registry
                .blob(&place.repository, &place.descriptor)
                .await;
            let file = file.map_err(|source| BaseError::Registry {
                repository: place.repository,
                source,
            })?;
            let media_type = place.descriptor.media_type;
            Ok((diff_id, Arc::new(LayerFile { file, media_type })))
        });
        let fetched: Vec<_> = self
            .handle
            .block_on(downloads.buffered(FETCHES).try_collect())?;
        self.files.extend(fetched);
        Ok(())
    }

    fn place(&self, diff_id: &Digest) -> &Place {
        self.layers
            .get(diff_id)
            .expect("only layers of images that were read are asked for")
    }
}

/// The config of a pinned image, and its layers' descriptors.
pub(crate) async fn read_image(pin: &PinnedBase) -> Result<BaseImage, BaseError> {
    let malformed = |what: String| BaseError::Malformed {
        repository: pin.repository.clone(),
        digest: pin.manifest.clone(),
        what,
    };
    let manifest = read_manifest(pin).await?;
    let bytes = pin
        .registry
        .blob_bytes(&pin.repository, &manifest.config, MAX_CONFIG)
        .await;
    let bytes = bytes.map_err(|source| registry_error(pin, source))?;
    let config: ImageConfig = serde_json::from_slice(&bytes)
        .map_err(|error| malformed(format!("has a config that is none: {error}")))?;
    let (n_layers, n_diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if n_layers != n_diff_ids {
        let what =
            format!("names {n_layers} layers in its manifest and {n_diff_ids} in its config");
        return Err(malformed(what));
    }
    let oci = |layer: Descriptor| Descriptor {
        media_type: media_type::oci_layer(&layer.media_type).to_owned(),
        ..layer
    };
    let layers = manifest.layers.into_iter().map(oci).collect();
    Ok(BaseImage { config, layers })
}

async fn read_manifest(pin: &PinnedBase) -> Result<Manifest, BaseError> {
    let document = pin.registry.document(&pin.repository, &pin.manifest).await;
    match document.map_err(|source| registry_error(pin, source))? {
        Document::Manifest(manifest) => Ok(manifest.value),
        Document::Index(_) => Err(BaseError::Malformed {
            repository: pin.repository.clone(),
            digest: pin.manifest.clone(),
            what: "is an index, and a platform's manifest was meant".to_owned(),
        }),
    }
}

fn registry_error(pin: &PinnedBase, source: RegistryError) -> BaseError {
    BaseError::Registry {
        repository: pin.repository.clone(),
        source,
    }
}
