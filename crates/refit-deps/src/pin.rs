//! Pins: the digests that a target's dependencies resolved to.

use refit_dockerfile::Kind;
use refit_oci::{Digest, Platform, Reference};
use serde::{Deserialize, Serialize};

/// One dependency and what it resolved to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// How the target depends on it.
    #[serde(with = "kind_text")]
    pub kind: Kind,
    /// The normalised reference, as the Dockerfile has it after expansion.
    pub reference: Reference,
    /// The platform that is pulled.
    pub platform: Platform,
    /// What the tag resolved to; absent for in-repo parents and where the tag is no index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// The platform's manifest: the digest that decides, builds and is recorded. Absent only in `deps` records that
    /// were written without a registry at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
}

impl Pin {
    /// Whether both pin the same thing, wherever it resolved to.
    pub fn same_dependency(&self, reference: &Reference, platform: &Platform) -> bool {
        self.reference == *reference && self.platform == *platform
    }
}

/// The form of pins in a manifest's annotation: without the index, so that a manifest is a function of what was built.
pub fn annotation(pins: &[Pin]) -> String {
    let mut bare: Vec<Pin> = pins
        .iter()
        .map(|pin| Pin {
            index: None,
            ..pin.clone()
        })
        .collect();
    sort(&mut bare);
    serde_json::to_string(&bare).expect("pins have only string keys")
}

/// Reads the annotation; none if it is not ours.
pub fn from_annotation(text: &str) -> Option<Vec<Pin>> {
    serde_json::from_str(text).ok()
}

/// Canonical order, without repeats.
pub fn sort(pins: &mut Vec<Pin>) {
    pins.sort_by(|a, b| {
        let key = |p: &Pin| {
            (
                p.reference.to_string(),
                p.platform.to_string(),
                p.kind.as_str(),
            )
        };
        key(a).cmp(&key(b))
    });
    pins.dedup();
}

mod kind_text {
    use refit_dockerfile::Kind;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const ALL: [Kind; 7] = [
        Kind::Base,
        Kind::Stage,
        Kind::Copy,
        Kind::Mount,
        Kind::Frontend,
        Kind::Onbuild,
        Kind::Context,
    ];

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde's `with` passes references"
    )]
    pub(super) fn serialize<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Kind, D::Error> {
        let text = String::deserialize(deserializer)?;
        let kind = ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| D::Error::custom(format!("`{text}` is no kind of dependency")))
    }
}
