//! Pins: the digests that a target's dependencies resolved to.

use refit_dockerfile::Kind;
use refit_oci::{Digest, ImageConfig, Platform, Reference};
use serde::{Deserialize, Serialize};

/// One dependency and what it resolved to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// Whether the image with this config can be what `platform` is built on. Engines do not ask: they take what the digest
/// names, and call the result what they were told to. Older configs leave out what they do not know.
pub fn fits(config: &ImageConfig, platform: &Platform) -> bool {
    if config.os.is_empty() || config.architecture.is_empty() {
        return true;
    }
    let mut have = config.platform();
    if config.variant.as_deref().is_none_or(str::is_empty)
        && have.architecture == platform.architecture
    {
        have = have.with_variant(platform.variant.clone());
    }
    let have = have.with_os_version(platform.os_version.clone()); // the index has decided that
    refit_platform::satisfies(&have, platform)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn config(os: &str, architecture: &str, variant: Option<&str>) -> ImageConfig {
        ImageConfig {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            ..ImageConfig::default()
        }
    }

    #[test]
    fn a_base_fits_the_platforms_that_run_it() {
        let cases = [
            ("linux", "amd64", None, "linux/amd64", true),
            ("linux", "amd64", None, "linux/arm64", false),
            ("linux", "arm64", None, "linux/arm64", true),
            ("linux", "arm64", Some("v8"), "linux/arm64", true),
            ("linux", "386", None, "linux/amd64", true),
            ("linux", "arm", Some("v7"), "linux/arm/v6", false),
            ("linux", "arm", None, "linux/arm/v6", true), // older images of arm/v6 say no variant
            ("windows", "amd64", None, "linux/amd64", false),
            ("", "", None, "linux/arm64", true),
        ];
        for (os, architecture, variant, platform, expected) in cases {
            let fits = fits(
                &config(os, architecture, variant),
                &platform.parse().unwrap(),
            );
            assert_eq!(
                fits, expected,
                "{os}/{architecture} {variant:?} for {platform}"
            );
        }
    }
}
