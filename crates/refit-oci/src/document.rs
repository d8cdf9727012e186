//! Manifests and indexes, each kept beside the exact bytes its digest is over.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{Descriptor, Digest, Platform, media_type};

/// A parsed JSON document and the bytes it was parsed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exact<T> {
    /// The parsed view.
    pub value: T,
    /// The bytes as the registry has them.
    pub bytes: Vec<u8>,
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The media type the registry gave or the document names.
    pub media_type: String,
}

/// An OCI image manifest, or Docker's schema 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own type; OCI lets it be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// OCI 1.1: what kind of artifact this is, if no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// Layers, the base's first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub layers: Vec<Descriptor>,
    /// OCI 1.1: what this refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Arbitrary metadata.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// An OCI image index, or Docker's manifest list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// One entry a platform, attestations beside them.
    #[serde(default, deserialize_with = "null_as_default")]
    pub manifests: Vec<Descriptor>,
    /// Arbitrary metadata.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// What a tag or digest resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "few are alive at a time, and none in long lists"
)]
pub enum Document {
    /// One platform's manifest.
    Manifest(Exact<Manifest>),
    /// Several platforms.
    Index(Exact<Index>),
}

/// Why bytes are no manifest or index.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON of that shape.
    #[error("`{digest}` is no well-formed manifest or index")]
    Json {
        /// The digest of the bytes.
        digest: Digest,
        /// Where parsing stopped.
        source: serde_json::Error,
    },
    /// Docker's first manifest format, of before 2016. Its digest is not over these bytes.
    #[error("`{digest}` is in Docker's schema 1, which no engine of today pulls")]
    Schema1 {
        /// The digest of the bytes.
        digest: Digest,
    },
    /// Something else altogether.
    #[error("`{digest}` has the media type `{media_type}`, which refit does not read")]
    MediaType {
        /// The digest of the bytes.
        digest: Digest,
        /// What it says it is.
        media_type: String,
    },
}

impl<T: Serialize> Exact<T> {
    /// Serialises a document of ours; its bytes are what is pushed.
    pub fn encode(media_type: &str, value: T) -> Self {
        let bytes = serde_json::to_vec(&value).expect("documents have only string keys");
        Self {
            digest: Digest::sha256(&bytes),
            value,
            bytes,
            media_type: media_type.to_owned(),
        }
    }
}

impl<T> Exact<T> {
    /// A descriptor of these bytes.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(
            &self.media_type,
            self.digest.clone(),
            self.bytes.len() as u64,
        )
    }
}

impl<T: DeserializeOwned> Exact<T> {
    /// Parses `bytes` as a `T`, keeping them.
    pub fn decode(media_type: &str, bytes: Vec<u8>) -> Result<Self, DocumentError> {
        let digest = Digest::sha256(&bytes);
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self {
                value,
                bytes,
                digest,
                media_type: media_type.to_owned(),
            }),
            Err(source) => Err(DocumentError::Json { digest, source }),
        }
    }
}

impl Document {
    /// Parses what a registry answered. `content_type` is the response's, if it had one; the document's own
    /// `mediaType` wins over it, as in containerd.
    pub fn decode(content_type: Option<&str>, bytes: Vec<u8>) -> Result<Self, DocumentError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Probe {
            schema_version: Option<serde_json::Value>,
            media_type: Option<String>,
            manifests: Option<serde_json::Value>,
        }
        let probe: Probe =
            serde_json::from_slice(&bytes).map_err(|source| DocumentError::Json {
                digest: Digest::sha256(&bytes),
                source,
            })?;
        let header = content_type.map(|c| c.split(';').next().unwrap_or(c).trim());
        let version_1 = probe.schema_version.is_some_and(|version| version == 1);
        if version_1 || header.is_some_and(media_type::is_schema1) {
            return Err(DocumentError::Schema1 {
                digest: Digest::sha256(&bytes),
            });
        }
        let media_type = match (probe.media_type.as_deref(), header) {
            (Some(own), _) => own,
            (None, Some(header)) if media_type::MANIFESTS.contains(&header) => header,
            (None, _) if probe.manifests.is_some() => media_type::OCI_INDEX,
            (None, None | Some("application/json" | "application/octet-stream")) => {
                media_type::OCI_MANIFEST
            }
            (None, Some(header)) => header,
        };
        if media_type::is_index(media_type) {
            Ok(Self::Index(Exact::decode(media_type, bytes)?))
        } else if media_type::is_manifest(media_type) {
            Ok(Self::Manifest(Exact::decode(media_type, bytes)?))
        } else {
            Err(DocumentError::MediaType {
                digest: Digest::sha256(&bytes),
                media_type: media_type.to_owned(),
            })
        }
    }

    /// The digest of the exact bytes.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Manifest(exact) => &exact.digest,
            Self::Index(exact) => &exact.digest,
        }
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Manifest(exact) => &exact.bytes,
            Self::Index(exact) => &exact.bytes,
        }
    }

    /// The media type.
    pub fn media_type(&self) -> &str {
        match self {
            Self::Manifest(exact) => &exact.media_type,
            Self::Index(exact) => &exact.media_type,
        }
    }

    /// The annotations of either.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Manifest(exact) => &exact.value.annotations,
            Self::Index(exact) => &exact.value.annotations,
        }
    }
}

impl Index {
    /// An OCI index of these entries.
    pub fn new(manifests: Vec<Descriptor>, annotations: BTreeMap<String, String>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            manifests,
            annotations,
        }
    }

    /// The entries that are images of a platform, attestations left out.
    pub fn platforms(&self) -> impl Iterator<Item = (&Platform, &Descriptor)> {
        let images = self.manifests.iter().filter(|d| !d.is_attestation());
        images.filter_map(|d| d.platform.as_ref().map(|p| (p, d)))
    }
}

impl Manifest {
    /// An OCI manifest of these parts.
    pub fn new(
        config: Descriptor,
        layers: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations,
        }
    }
}

/// Go writes an empty map or list as `null`.
pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    d: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_bytes_are_kept_beside_the_view() {
        let text = br#"{ "schemaVersion": 2, "manifests": null, "extra": 1 }"#.to_vec();
        let document = Document::decode(
            Some("application/vnd.oci.image.index.v1+json; charset=utf-8"),
            text.clone(),
        );
        let document = document.unwrap();
        assert_eq!(document.bytes(), text);
        assert_eq!(document.digest(), &Digest::sha256(&text));
        assert!(matches!(document, Document::Index(index) if index.value.manifests.is_empty()));
    }

    #[test]
    fn schema_1_is_refused_by_name() {
        let signed = media_type::DOCKER_SCHEMA1_SIGNED;
        for (header, text) in [
            (None, r#"{"schemaVersion":1,"name":"debian","fsLayers":[]}"#),
            (Some("application/json"), r#"{"schemaVersion":1}"#),
            (Some(signed), r#"{"name":"debian"}"#),
        ] {
            let error = Document::decode(header, text.into()).unwrap_err();
            assert!(matches!(error, DocumentError::Schema1 { .. }), "{error}");
        }
    }

    #[test]
    fn attestations_are_no_platform() {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[
            {{"mediaType":"{m}","digest":"sha256:{a}","size":1,"platform":{{"os":"linux","architecture":"arm64","variant":"v8"}}}},
            {{"mediaType":"{m}","digest":"sha256:{a}","size":1,"platform":{{"os":"unknown","architecture":"unknown"}}}}]}}"#,
            m = media_type::OCI_MANIFEST,
            a = "a".repeat(64),
        );
        let Document::Index(index) = Document::decode(None, text.into_bytes()).unwrap() else {
            panic!("no index")
        };
        let platforms: Vec<_> = index
            .value
            .platforms()
            .map(|(p, _)| p.to_string())
            .collect();
        assert_eq!(platforms, ["linux/arm64"]);
    }
}
