//! Layer caches that outlive the engine: read and written through refit's registry on loopback, so that BuildKit needs
//! no credentials for where they are kept; or through the session, where BuildKit takes them for its own `local` ones.
//!
//! Such a `local` cache is an OCI layout that the client serves; refit's embedded store is one, and stands for it.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    sync::Arc,
};

use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptions, CacheOptionsEntry};
use refit_oci::{Descriptor, Digest, Document, Platform, media_type};
use refit_platform::satisfies;
use refit_registry::{Place, RegistryError, copy_blob, loopback::Pushed};

use super::{
    carried::Carried,
    names::Names,
    output::{self, BaseLayers},
    request::{self, Counter},
};
use crate::engine::{CachePlace, Caches, EngineError, Recipe};

/// By what caches get to BuildKit, and from it.
pub(super) enum Way<'a> {
    Registry(&'a Counter),
    Session(&'a Carried),
}

impl Way<'_> {
    fn bases(&self) -> &[BaseLayers] {
        match self {
            Self::Registry(counter) => &counter.layers,
            Self::Session(carried) => &carried.layers,
        }
    }

    /// Has a cache read; returns how it is asked for, and what BuildKit calls it.
    fn read(
        &self,
        name: &str,
        place: &CachePlace,
        digest: Digest,
    ) -> Result<(CacheOptionsEntry, String), EngineError> {
        let (registry, repository) = (
            Arc::clone(&place.registry),
            place.reference.repository().clone(),
        );
        match self {
            Self::Registry(counter) => {
                let loopback = &counter.loopback;
                let allowed = loopback.allow_base(name, registry, repository, digest);
                let allowed = allowed.map_err(request::failed)?.to_string();
                Ok((entry("registry", &[("ref", &allowed)]), allowed))
            }
            Self::Session(carried) => {
                let asked = entry("local", &[("src", name), ("digest", digest.as_str())]);
                let contents = &carried.contents;
                contents.allow(&store(name), registry, repository, digest);
                Ok((asked, name.to_owned()))
            }
        }
    }

    /// Makes a place for a cache to be written; returns the same. Blobs that are `known` need not be sent.
    fn write(
        &self,
        name: &str,
        known: Vec<Descriptor>,
    ) -> Result<(CacheOptionsEntry, String), EngineError> {
        let attributes = [
            ("mode", "max"),
            ("image-manifest", "true"),
            ("oci-mediatypes", "true"),
            // What is built is built, whatever becomes of its cache.
            ("ignore-error", "true"),
        ];
        let (kind, key, at) = match self {
            Self::Registry(counter) => {
                let output = counter.loopback.output(name, known);
                let output = output.map_err(request::failed)?;
                ("registry", "ref", output.to_string())
            }
            Self::Session(carried) => {
                carried.contents.output(&store(name), known);
                ("local", "dest", name.to_owned())
            }
        };
        let mut asked = entry(kind, &attributes);
        asked.attrs.insert(key.to_owned(), at.clone());
        Ok((asked, at))
    }

    fn take(&self, name: &str) -> Result<Option<Pushed>, RegistryError> {
        match self {
            Self::Registry(counter) => Ok(counter.loopback.take(name)),
            Self::Session(carried) => carried.contents.take(&store(name)),
        }
    }
}

/// The store of a `local` cache in the session.
fn store(name: &str) -> String {
    format!("local:{name}")
}

/// The caches of one build.
#[derive(Default)]
pub(super) struct Opened {
    options: CacheOptions,
    /// What is written, by its name in the registry on loopback.
    written: BTreeMap<String, CachePlace>,
    /// Addresses on loopback, and what is there.
    names: Vec<(String, String)>,
    /// Where blobs can be had that BuildKit has not sent.
    known: Vec<Known>,
}

struct Known {
    is_cache: bool,
    blobs: Vec<Descriptor>,
    place: CachePlace,
}

impl Opened {
    /// Finds what is read, and makes places for what is written. A cache that can't be read is told of and left out.
    pub(super) async fn open(
        recipe: &Recipe,
        way: &Way<'_>,
        log: &mut (dyn Write + Send),
    ) -> Result<Self, EngineError> {
        let Caches { from, to, inline } = &recipe.caches;
        let mut opened = Self::default();
        let from = if recipe.no_cache {
            &[]
        } else {
            from.as_slice()
        };
        for (number, places) in from.iter().enumerate() {
            match first(places, &recipe.platform).await {
                Ok(Some((place, document))) => {
                    let name = format!("cache-from-{number}");
                    let (asked, at) = way.read(&name, place, document.digest().clone())?;
                    opened.names.push((at, place.reference.to_string()));
                    opened.options.imports.push(asked);
                    opened.known.push(Known {
                        is_cache: true,
                        blobs: blobs(&document),
                        place: place.clone(),
                    });
                }
                Ok(None) => {
                    if let Some(place) = places.first() {
                        say(
                            log,
                            &format!("cache-from: {} is not there yet", place.reference),
                        );
                    }
                }
                Err((place, error)) => {
                    let reference = &place.reference;
                    say(
                        log,
                        &format!("cache-from: {reference} can't be read: {error}"),
                    );
                }
            }
        }
        if *inline {
            opened.options.exports.push(CacheOptionsEntry {
                r#type: "inline".to_owned(),
                attrs: HashMap::new(),
            });
        }
        for (number, place) in to.iter().enumerate() {
            let name = format!("cache-to-{number}");
            // Blobs of the bases need not be sent here either.
            let known = way.bases().iter().flat_map(BaseLayers::blobs).collect();
            let (asked, at) = way.write(&name, known)?;
            opened.names.push((at, place.reference.to_string()));
            opened.options.exports.push(asked);
            opened.written.insert(name, place.clone());
        }
        for base in way.bases() {
            let Some(pin) = recipe.pin(base.found_index()) else {
                continue;
            };
            let reference = pin.repository.at(&pin.manifest);
            opened.known.push(Known {
                is_cache: false,
                blobs: base.blobs().collect(),
                place: CachePlace {
                    registry: pin.registry.clone(),
                    reference,
                },
            });
        }
        Ok(opened)
    }

    /// What is asked of BuildKit; none if nothing is.
    pub(super) fn options(&self) -> Option<CacheOptions> {
        let is_empty = self.options.imports.is_empty() && self.options.exports.is_empty();
        (!is_empty).then(|| self.options.clone())
    }

    /// The layers of caches that are read, which BuildKit need not send: they are got from there.
    pub(super) fn layers(&self) -> Vec<Descriptor> {
        let caches = self.known.iter().filter(|known| known.is_cache);
        let blobs = caches.flat_map(|known| &known.blobs);
        let is_layer = |blob: &&Descriptor| {
            media_type::oci_layer(&blob.media_type).starts_with(media_type::OCI_LAYER)
        };
        let layers = blobs.filter(is_layer);
        layers.cloned().collect()
    }

    /// What the addresses of caches are called in the log.
    pub(super) fn names(&self) -> Names {
        Names::known(self.names.clone())
    }

    /// Gets the layers that come out of a cache, which BuildKit does not send: it was told that they are there.
    pub(super) async fn complete(
        &self,
        recipe: &Recipe,
        pushed: &mut Pushed,
    ) -> Result<(), EngineError> {
        for layer in output::layers(pushed)? {
            if pushed.blobs.contains_key(&layer.digest) {
                continue;
            }
            // What is a base's is taken from there later on.
            let mut known = self.known.iter().filter(|known| known.is_cache);
            let has = |known: &&Known| known.blobs.iter().any(|b| b.digest == layer.digest);
            let Some(Known { place, .. }) = known.find(has) else {
                continue;
            };
            let repository = place.reference.repository();
            let blob = place.registry.blob(repository, &layer).await;
            let blob = blob.map_err(|source| EngineError::Base {
                repository: repository.clone(),
                source: Box::new(source),
            })?;
            // A cache's own file stays where it is.
            let kept = recipe
                .work_dir
                .join(format!("layer-{}", layer.digest.hex()));
            let copied = tokio::fs::copy(blob.path(), &kept).await;
            copied.map_err(|source| EngineError::Io {
                path: kept.clone(),
                source,
            })?;
            pushed.blobs.insert(layer.digest, kept);
        }
        Ok(())
    }

    /// Takes what BuildKit wrote to where it is kept. What fails is told of: the image is built all the same.
    pub(super) async fn keep(&self, way: &Way<'_>, log: &mut (dyn Write + Send)) {
        for (name, place) in &self.written {
            let reference = &place.reference;
            let kept = match way.take(name) {
                Ok(Some(pushed)) => self.upload(place, &pushed).await,
                Ok(None) => {
                    let text = format!("cache-to: nothing was written for {reference}");
                    say(log, &text);
                    continue;
                }
                Err(error) => Err(error),
            };
            match kept {
                Ok(()) => say(log, &format!("cache-to: {reference} is written")),
                Err(error) => say(
                    log,
                    &format!("cache-to: {reference} can't be written: {error}"),
                ),
            }
        }
    }

    async fn upload(&self, place: &CachePlace, pushed: &Pushed) -> Result<(), RegistryError> {
        let repository = place.reference.repository();
        for blob in blobs(&pushed.manifest) {
            if let Some(path) = pushed.blobs.get(&blob.digest) {
                let source = path.as_path().into();
                place.registry.push_blob(repository, &blob, source).await?;
            } else if let Some(known) = self.known(&blob.digest) {
                let from = Place {
                    registry: known.registry.as_ref(),
                    repository: known.reference.repository(),
                };
                let to = Place {
                    registry: place.registry.as_ref(),
                    repository,
                };
                copy_blob(from, to, &blob).await?;
            }
        }
        let tag = place.reference.tag();
        let pushed = place
            .registry
            .push_document(repository, &pushed.manifest, tag);
        pushed.await.map(drop)
    }

    fn known(&self, digest: &Digest) -> Option<&CachePlace> {
        let has = |known: &&Known| known.blobs.iter().any(|blob| blob.digest == *digest);
        self.known.iter().find(has).map(|known| &known.place)
    }
}

/// The first of some places where there is anything.
async fn first<'p>(
    places: &'p [CachePlace],
    platform: &Platform,
) -> Result<Option<(&'p CachePlace, Document)>, (&'p CachePlace, RegistryError)> {
    for place in places {
        let found = find(place, platform).await;
        if let Some(document) = found.map_err(|error| (place, error))? {
            return Ok(Some((place, document)));
        }
    }
    Ok(None)
}

/// A cache's document for a platform: its manifest, or the list of blobs that BuildKit writes unless told otherwise.
async fn find(place: &CachePlace, platform: &Platform) -> Result<Option<Document>, RegistryError> {
    let CachePlace {
        registry,
        reference,
    } = place;
    let head = registry.head(reference).await?;
    let Some(digest) = head.digest() else {
        return Ok(None);
    };
    let repository = reference.repository();
    let document = registry.document(repository, digest).await?;
    if let Document::Index(index) = &document {
        let mut images = index.value.manifests.iter();
        let of_platform = images.find(|image| {
            let of = image.platform.as_ref();
            of.is_some_and(|of| satisfies(of, platform)) && !image.is_attestation()
        });
        if let Some(image) = of_platform {
            return registry.document(repository, &image.digest).await.map(Some);
        }
    }
    Ok(Some(document))
}

/// All that a cache's document refers to.
fn blobs(document: &Document) -> Vec<Descriptor> {
    match document {
        Document::Manifest(manifest) => {
            let config = std::iter::once(&manifest.value.config);
            config.chain(&manifest.value.layers).cloned().collect()
        }
        Document::Index(index) => index.value.manifests.clone(),
    }
}

fn entry(kind: &str, attributes: &[(&str, &str)]) -> CacheOptionsEntry {
    let attributes = attributes.iter();
    CacheOptionsEntry {
        r#type: kind.to_owned(),
        attrs: attributes
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    }
}

/// A log that can't be written fails the build elsewhere.
fn say(log: &mut (dyn Write + Send), text: &str) {
    let _ = writeln!(log, "{text}");
}
