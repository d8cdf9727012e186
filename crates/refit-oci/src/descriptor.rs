//! Descriptors: what a manifest or index says of the content it points at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, Platform, annotations};

/// An OCI content descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it points at.
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// The content's length in bytes.
    pub size: u64,
    /// Set on an index's entries.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "platform_object"
    )]
    pub platform: Option<Platform>,
    /// OCI 1.1: the type of an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Where else the content may be had (foreign layers).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Arbitrary metadata.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "crate::document::null_as_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor of `bytes`.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// A descriptor without platform and annotations; `size` in bytes.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            artifact_type: None,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// BuildKit's attestation manifests sit in an index under the platform `unknown/unknown`.
    pub fn is_attestation(&self) -> bool {
        self.annotations
            .get(annotations::REFERENCE_TYPE)
            .is_some_and(|t| t == "attestation-manifest")
            || self.platform.as_ref().is_some_and(|p| p.os == "unknown")
    }
}

/// The object form of a platform that descriptors use (`{"os":…,"architecture":…}`).
mod platform_object {
    use super::Platform;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Object {
        #[serde(default)]
        architecture: String,
        #[serde(default)]
        os: String,
        #[serde(
            rename = "os.version",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        os_version: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        variant: Option<String>,
    }

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        platform: &Option<Platform>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let object = platform.as_ref().map(|p| Object {
            architecture: p.architecture.clone(),
            os: p.os.clone(),
            os_version: p.os_version.clone(),
            variant: p.variant.clone(),
        });
        object.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Platform>, D::Error> {
        let object = Option::<Object>::deserialize(deserializer)?;
        Ok(object.map(|o| {
            Platform::new(&o.os, &o.architecture, o.variant.as_deref())
                .with_os_version(o.os_version.filter(|v| !v.is_empty()))
        }))
    }
}
