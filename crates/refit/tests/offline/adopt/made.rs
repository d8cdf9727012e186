//! Images as other tools make them, with what they say of themselves.

use std::collections::BTreeMap;

use refit_oci::{
    Config, Descriptor, Digest, Document, Exact, ImageConfig, Index, Manifest, Platform, media_type,
};
use refit_testkit::registry::{Image, TestRegistry};
use serde_json::json;

use crate::bench::os;

/// An image for linux/amd64 of a base layer and one of its own.
pub(super) struct Made {
    base: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    /// Of the index.
    indexed: BTreeMap<String, String>,
}

/// The manifest of `base/os` for linux/amd64 with that patch.
pub(super) fn base_manifest(patch: &str) -> Digest {
    os("linux/amd64", patch).digest().clone()
}

impl Made {
    /// An image whose base has that patch.
    pub(super) fn on(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            indexed: BTreeMap::new(),
        }
    }

    /// With an annotation on the index, where it is pushed with provenance.
    pub(super) fn indexed(mut self, key: &str, value: &str) -> Self {
        self.indexed.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(super) fn labelled(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(super) fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(super) fn image(&self) -> Image {
        let inherited = Config {
            labels: self.labels.clone(),
            ..Config::default()
        };
        let base: &[(&str, &str)] = &[("etc/patch", &self.base)];
        let own: &[(&str, &str)] = &[("srv/page", "one\n")];
        let mut image = Image::with_config("linux/amd64", &[base, own], inherited);
        let manifest = Manifest {
            annotations: self.annotations.clone(),
            ..image.manifest.value.clone()
        };
        image.manifest = Exact::encode(media_type::OCI_MANIFEST, manifest);
        image
    }

    /// Pushes it under `team/NAME:latest`, in an index.
    pub(super) fn push(self, hub: &TestRegistry, name: &str) -> Digest {
        hub.put_index(&format!("team/{name}"), "latest", &[self.image()])
    }

    /// The same without an index, in Docker's format.
    pub(super) fn push_single(self, hub: &TestRegistry, name: &str) -> Digest {
        let repository = format!("team/{name}");
        let mut image = self.image();
        let mut manifest = image.manifest.value.clone();
        manifest.media_type = Some(media_type::DOCKER_MANIFEST.to_owned());
        "application/vnd.docker.container.image.v1+json"
            .clone_into(&mut manifest.config.media_type);
        for layer in &mut manifest.layers {
            media_type::DOCKER_LAYER_GZIP.clone_into(&mut layer.media_type);
        }
        image.manifest = Exact::encode(media_type::DOCKER_MANIFEST, manifest);
        hub.put_image(&repository, "latest", &image)
    }

    /// The same with BuildKit's provenance: the base's name, its digest, the commit.
    pub(super) fn push_attested(
        self,
        hub: &TestRegistry,
        name: &str,
        (base, digest, commit): (&str, &Digest, &str),
    ) -> Digest {
        let repository = format!("team/{name}");
        let image = self.image();
        hub.put_image(&repository, "", &image);
        let base = base.replacen(':', "%3A", 1).replace("/os:", "/os@");
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": [{ "name": "_", "digest": { "sha256": image.digest().hex() } }],
            "predicate": {
                "buildType": "https://mobyproject.org/buildkit@v1",
                "materials": [{
                    "uri": format!("pkg:docker/{base}?platform=linux%2Famd64"),
                    "digest": { "sha256": digest.hex() },
                }],
                "metadata": { "https://mobyproject.org/buildkit@v1#metadata": {
                    "vcs": { "revision": commit, "localdir:context": name, "localdir:dockerfile": name },
                } },
            },
        });
        let statement = serde_json::to_vec(&statement).unwrap();
        let mut layer = hub.put_blob(&repository, "application/vnd.in-toto+json", &statement);
        layer.annotations.insert(
            "in-toto.io/predicate-type".to_owned(),
            "https://slsa.dev/provenance/v0.2".to_owned(),
        );
        let config = serde_json::to_vec(&ImageConfig::default()).unwrap();
        let config = hub.put_blob(&repository, media_type::OCI_CONFIG, &config);
        let attestation = Manifest::new(config, vec![layer], BTreeMap::new());
        let attestation = Exact::encode(media_type::OCI_MANIFEST, attestation);
        hub.put_document(&repository, "", &Document::Manifest(attestation.clone()));
        let about = [
            ("vnd.docker.reference.type", "attestation-manifest"),
            ("vnd.docker.reference.digest", image.digest().as_str()),
        ];
        let entries = vec![
            Descriptor {
                platform: Some(Platform::linux_amd64()),
                ..image.manifest.descriptor()
            },
            Descriptor {
                platform: Some(Platform::new("unknown", "unknown", None)),
                annotations: about.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
                ..attestation.descriptor()
            },
        ];
        let index = Exact::encode(media_type::OCI_INDEX, Index::new(entries, self.indexed));
        hub.put_document(&repository, "latest", &Document::Index(index))
    }
}
