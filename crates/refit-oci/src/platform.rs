//! Platforms: os, architecture, variant and os version together.
//!
//! Parsing normalises as containerd's `platforms` package does, so that equal platforms are equal values.

use std::{
    cmp::Ordering,
    fmt,
    ops::Deref,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Serialize};

/// A normalised platform. As text and in serde `os[(os.version)]/architecture[/variant]`;
/// the object form of OCI descriptors is [`crate::Descriptor`]'s business. Every target, pin and record has one: a copy
/// costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform(Arc<Parts>);

/// What a platform consists of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parts {
    /// `linux`, `windows`, …
    pub os: String,
    /// GOARCH spelling: `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, `v8`, …; none for `arm64/v8`, which is `arm64`.
    pub variant: Option<String>,
    /// Windows' build number, `10.0.17763.5936`.
    pub os_version: Option<String>,
}

/// Why a text is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no platform (want `os/arch[/variant]`, such as `linux/amd64`)")]
pub struct PlatformError(pub String);

impl Platform {
    /// Builds a platform from its parts, normalised.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let variant = variant
            .filter(|v| !v.is_empty())
            .map(str::to_ascii_lowercase);
        let (architecture, variant) =
            normalise_architecture(&architecture.to_ascii_lowercase(), variant);
        Self(Arc::new(Parts {
            os,
            architecture,
            variant,
            os_version: None,
        }))
    }

    /// The same with another variant, normalised already.
    #[must_use]
    pub fn with_variant(mut self, variant: Option<String>) -> Self {
        if self.variant != variant {
            Arc::make_mut(&mut self.0).variant = variant;
        }
        self
    }

    /// The same of another os version.
    #[must_use]
    pub fn with_os_version(mut self, os_version: Option<String>) -> Self {
        if self.os_version != os_version {
            Arc::make_mut(&mut self.0).os_version = os_version;
        }
        self
    }

    /// `linux/amd64`.
    pub fn linux_amd64() -> Self {
        COMMON[0].1.clone()
    }

    /// `linux/arm64`.
    pub fn linux_arm64() -> Self {
        COMMON[1].1.clone()
    }
}

/// What is read most often: one value for all, so that they are compared at a glance.
static COMMON: LazyLock<[(&str, Platform); 2]> = LazyLock::new(|| {
    [("linux/amd64", "amd64"), ("linux/arm64", "arm64")]
        .map(|(text, architecture)| (text, Platform::new("linux", architecture, None)))
});

impl Deref for Platform {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Ord for Platform {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Platform {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// containerd `platforms/database.go`: aliases of architectures and their default variants.
fn normalise_architecture(architecture: &str, variant: Option<String>) -> (String, Option<String>) {
    let given = variant.as_deref();
    match architecture {
        "i386" | "386" => ("386".into(), None),
        "x86_64" | "x86-64" | "amd64" => ("amd64".into(), variant.filter(|v| v != "v1")),
        "aarch64" | "arm64" => ("arm64".into(), variant.filter(|v| v != "8" && v != "v8")),
        "armhf" => ("arm".into(), Some("v7".into())),
        "armel" => ("arm".into(), Some("v6".into())),
        "arm" => {
            let variant = match given {
                None | Some("7") => "v7".to_owned(),
                Some(v @ ("5" | "6" | "8")) => format!("v{v}"),
                Some(v) => v.to_owned(),
            };
            ("arm".into(), Some(variant))
        }
        other => (other.to_owned(), variant),
    }
}

/// Architectures that may stand alone in a `--platform` value.
const ARCHITECTURES: [&str; 17] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
    "ppc64le", "riscv64", "s390x", "wasm", "x86_64", "aarch64", "armhf",
];

impl FromStr for Platform {
    type Err = PlatformError;

    /// Parses `os[(os.version)][/arch[/variant]]` in any case. An os alone stands for `os/amd64`, an architecture
    /// alone for `linux/arch`: unlike containerd, nothing depends on the machine that parses.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        if let Some((_, common)) = COMMON.iter().find(|(common, _)| *common == text) {
            return Ok(common.clone());
        }
        let error = || PlatformError(text.to_owned());
        let mut parts = text.split('/');
        let first = parts.next().unwrap_or_default();
        let (os, os_version) = match first.split_once('(') {
            Some((os, rest)) => (os, Some(rest.strip_suffix(')').ok_or_else(error)?)),
            None => (first, None),
        };
        let word = |w: &str| {
            !w.is_empty()
                && w.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let (architecture, variant) = (parts.next(), parts.next());
        let all = [Some(os), os_version, architecture, variant];
        if parts.next().is_some() || !all.into_iter().flatten().all(word) || os.starts_with('-') {
            return Err(error());
        }
        let lower = os.to_ascii_lowercase();
        let platform = match architecture {
            None if ARCHITECTURES.contains(&lower.as_str()) => Self::new("linux", os, None),
            None if matches!(lower.as_str(), "linux" | "windows" | "darwin" | "freebsd") => {
                Self::new(os, "amd64", None)
            }
            None => return Err(error()),
            Some(architecture) => Self::new(os, architecture, variant),
        };
        Ok(platform.with_os_version(os_version.map(str::to_owned)))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        if let Some(version) = &self.os_version {
            write!(f, "({version})")?;
        }
        write!(f, "/{}", self.architecture)?;
        match &self.variant {
            // `linux/arm/v7` prints whole: its short form would be ambiguous to a person.
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl TryFrom<String> for Platform {
    type Error = PlatformError;

    fn try_from(text: String) -> Result<Self, PlatformError> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_normalise_as_in_containerd() {
        for (text, expect) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/ARM64/v8", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/x86_64", "linux/amd64"),
            ("windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64"),
            ("arm64", "linux/arm64"),
            ("windows", "windows/amd64"),
        ] {
            assert_eq!(
                text.parse::<Platform>().unwrap().to_string(),
                expect,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for bad in [
            "",
            "/",
            "linux/",
            "linux//v8",
            "linux/amd64/v1/x",
            "--help",
            "linux(1/amd64",
            "linux/a b",
            "$X",
        ] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
