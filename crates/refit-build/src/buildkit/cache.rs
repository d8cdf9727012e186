//! Layer caches that outlive the engine: read and written through refit's registry on loopback, so that BuildKit needs
//! no credentials for where they are kept.
//!
//! BuildKit's own `local` cache is an OCI layout that the client serves; refit's embedded store is one, and stands for it.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
};

use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptions, CacheOptionsEntry};
use refit_oci::{Descriptor, Digest, Document, Platform, Reference};
use refit_platform::satisfies;
use refit_registry::{
    Place, RegistryError, copy_blob,
    loopback::{Loopback, Pushed},
};

use super::{
    names::Names,
    output::{self, BaseLayers},
    request::{self, Counter},
};
use crate::engine::{CachePlace, Caches, EngineError, Recipe};

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
        counter: &Counter,
        log: &mut (dyn Write + Send),
    ) -> Result<Self, EngineError> {
        let Counter {
            loopback, layers, ..
        } = counter;
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
                    let (registry, repository) =
                        (place.registry.clone(), place.reference.repository().clone());
                    let digest = document.digest().clone();
                    let allowed = loopback.allow_base(&name, registry, repository, digest);
                    let allowed = allowed.map_err(request::failed)?;
                    let told = (allowed.to_string(), place.reference.to_string());
                    opened.names.push(told);
                    let imported = entry("registry", &allowed, &[]);
                    opened.options.imports.push(imported);
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
            let known = layers.iter().flat_map(BaseLayers::blobs).collect();
            let output = loopback.output(&name, known).map_err(request::failed)?;
            let told = (output.to_string(), place.reference.to_string());
            opened.names.push(told);
            let attributes = [
                ("mode", "max"),
                ("image-manifest", "true"),
                ("oci-mediatypes", "true"),
                // What is built is built, whatever becomes of its cache.
                ("ignore-error", "true"),
            ];
            let exported = entry("registry", &output, &attributes);
            opened.options.exports.push(exported);
            opened.written.insert(name, place.clone());
        }
        for base in layers {
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
    pub(super) async fn keep(&self, loopback: &Loopback, log: &mut (dyn Write + Send)) {
        for (name, place) in &self.written {
            let reference = &place.reference;
            let Some(pushed) = loopback.take(name) else {
                say(
                    log,
                    &format!("cache-to: nothing was written for {reference}"),
                );
                continue;
            };
            match self.upload(place, &pushed).await {
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

fn entry(kind: &str, reference: &Reference, more: &[(&str, &str)]) -> CacheOptionsEntry {
    let mut attrs: HashMap<String, String> = more
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    attrs.insert("ref".to_owned(), reference.to_string());
    CacheOptionsEntry {
        r#type: kind.to_owned(),
        attrs,
    }
}

/// A log that can't be written fails the build elsewhere.
fn say(log: &mut (dyn Write + Send), text: &str) {
    let _ = writeln!(log, "{text}");
}
