//! Targets: one image × one platform.

use std::{collections::BTreeSet, fmt, str::FromStr};

use refit_oci::{Platform, PlatformError};

/// One image of the inventory on one platform, `web@linux/arm64` as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The image's name in the inventory.
    pub image: String,
    /// The platform it is built for.
    pub platform: Platform,
}

/// Why a text is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No `@`, or nothing before it.
    #[error("`{0}` is no target (want `image@os/arch`, such as `web@linux/arm64`)")]
    Shape(String),
    /// What follows the `@` is no platform.
    #[error("`{text}` is no target")]
    Platform {
        /// The whole text.
        text: String,
        /// What is wrong with its platform.
        source: PlatformError,
    },
}

/// Images × platforms, in the order given; a platform that an image repeats counts once.
pub fn expand<'a>(images: impl IntoIterator<Item = (&'a str, &'a [Platform])>) -> Vec<Target> {
    let mut seen = BTreeSet::new();
    let targets = images.into_iter().flat_map(|(image, platforms)| {
        platforms.iter().map(move |platform| Target {
            image: image.to_owned(),
            platform: platform.clone(),
        })
    });
    targets
        .filter(|target| seen.insert(target.clone()))
        .collect()
}

impl From<(String, Platform)> for Target {
    fn from((image, platform): (String, Platform)) -> Self {
        Self { image, platform }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.image, self.platform)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (image, platform) = match text.rsplit_once('@') {
            Some((image, platform)) if !image.is_empty() => (image, platform),
            _ => return Err(TargetError::Shape(text.to_owned())),
        };
        let platform = platform.parse().map_err(|source| TargetError::Platform {
            text: text.to_owned(),
            source,
        })?;
        Ok(Self {
            image: image.to_owned(),
            platform,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_expand_in_order_and_repeated_platforms_count_once() {
        let (amd, arm) = (Platform::linux_amd64(), Platform::linux_arm64());
        let web = [arm.clone(), amd.clone(), arm.clone()];
        let images = [("web", web.as_slice()), ("api", &[amd]), ("none", &[])];
        let targets: Vec<_> = expand(images).iter().map(Target::to_string).collect();
        assert_eq!(
            targets,
            ["web@linux/arm64", "web@linux/amd64", "api@linux/amd64"]
        );
    }

    #[test]
    fn targets_read_as_they_print() {
        for (text, expect) in [
            ("web@linux/arm64", Some("web@linux/arm64")),
            ("web@Linux/aarch64", Some("web@linux/arm64")),
            ("web", None),
            ("@linux/arm64", None),
            ("web@", None),
            ("web@linux/arm64/v8/x", None),
        ] {
            let target = text.parse::<Target>().ok().map(|t| t.to_string());
            assert_eq!(target.as_deref(), expect, "{text}");
        }
    }
}
