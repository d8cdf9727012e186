//! The user's own configuration: `refit/config.toml` in the XDG configuration folder, or what `REFIT_CONFIG` names.
//!
//! Registry settings belong here and not into a repository: a repository's file can't redirect anybody's pulls.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use refit_registry::{HostSettings, Mirror, MirrorError};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::error::CommandError;

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct UserConfig {
    /// By registry host.
    registries: BTreeMap<String, RegistryEntry>,
    /// The command for images whose repository names none: exit code 1 says that a published manifest is stale.
    stale_when: Vec<String>,
}

/// How one registry is reached.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct RegistryEntry {
    /// HTTP instead of HTTPS; loopback hosts need no such word.
    plain_http: Option<bool>,
    /// An OCI layout folder that stands for the registry, relative to this file.
    layout: Option<PathBuf>,
    /// A PEM file of certificate authorities, relative to this file.
    ca: Option<PathBuf>,
    /// Take any certificate.
    insecure: bool,
    /// Requests at the same time.
    concurrency: Option<NonZeroUsize>,
    /// Asked first for what a digest names.
    #[serde(deserialize_with = "mirrors")]
    mirrors: Vec<Mirror>,
    /// Whether they are asked for tags as well.
    mirror_tags: bool,
}

fn mirrors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Mirror>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parsed = texts.iter().map(|text| text.parse());
    parsed
        .collect::<Result<_, MirrorError>>()
        .map_err(D::Error::custom)
}

/// Reads the file; without one, everything has its default.
pub(crate) fn read(path: Option<&Path>) -> Result<UserConfig, CommandError> {
    let Some(path) = path else {
        return Ok(UserConfig::default());
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(UserConfig::default());
        }
        Err(error) => {
            return Err(CommandError::new(format!(
                "cannot read `{}`: {error}",
                path.display()
            )));
        }
    };
    let mut config: UserConfig = toml::from_str(&text).map_err(|error| {
        let at = error.span().unwrap_or_default();
        let problem =
            refit_deps::problem::Problem::at(&path.to_string_lossy(), &text, at, error.message());
        CommandError::new("the user's configuration can't be read").problems(vec![problem])
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    for entry in config.registries.values_mut() {
        for file in [&mut entry.layout, &mut entry.ca].into_iter().flatten() {
            *file = folder.join(&file);
        }
    }
    Ok(config)
}

impl UserConfig {
    /// The command for images whose repository names none; empty: none.
    pub(crate) fn stale_when(&self) -> &[String] {
        &self.stale_when
    }

    /// The settings by host.
    pub(crate) fn hosts(&self) -> BTreeMap<String, HostSettings> {
        let hosts = self.registries.iter().map(|(host, entry)| {
            let settings = HostSettings {
                plain_http: entry.plain_http,
                layout: entry.layout.clone(),
                ca: entry.ca.clone(),
                insecure: entry.insecure,
                concurrency: entry.concurrency,
                mirrors: entry.mirrors.clone(),
                mirror_tags: entry.mirror_tags,
            };
            (host.clone(), settings)
        });
        hosts.collect()
    }
}
