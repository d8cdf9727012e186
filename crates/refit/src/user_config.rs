//! The user's own configuration: `refit/config.toml` in the XDG configuration folder, or what `REFIT_CONFIG` names.
//!
//! Registry settings belong here and not into a repository: a repository's file can't redirect anybody's pulls.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use refit_deps::image::Executor;
use refit_registry::{HostSettings, Mirror, MirrorError};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{error::CommandError, nodes::NodeSettings};

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct UserConfig {
    /// By registry host.
    registries: BTreeMap<String, RegistryEntry>,
    /// The command for images whose repository names none: exit code 1 says that a published manifest is stale.
    stale_when: Vec<String>,
    /// Where engines are.
    pub(crate) engines: EngineSettings,
    /// Endpoints that share what an engine executes.
    node: Vec<NodeSettings>,
}

/// Where engines are, unless the environment says otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct EngineSettings {
    /// As `DOCKER_HOST` has it.
    pub(crate) docker: Option<String>,
    /// What `engine = "auto"` takes for what executes.
    pub(crate) auto: Option<Executor>,
    /// As `BUILDKIT_HOST` has it.
    pub(crate) buildkit: Option<String>,
    /// The certificates for that buildkitd, as `buildctl --tlsdir` has them, relative to this file.
    pub(crate) buildkit_certificates: Option<PathBuf>,
    /// The file's `[[node]]`s.
    #[serde(skip)]
    pub(crate) nodes: Vec<NodeSettings>,
}

/// How one registry is reached.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct RegistryEntry {
    /// HTTP instead of HTTPS; loopback hosts need no such word.
    plain_http: Option<bool>,
    /// An OCI layout folder that stands for the registry, relative to this file.
    layout: Option<PathBuf>,
    /// A PEM file of certificate authorities, or of the registry's own certificate, relative to this file.
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
    if let Some(certificates) = &mut config.engines.buildkit_certificates {
        *certificates = folder.join(&certificates);
    }
    for node in &mut config.node {
        if let Some(certificates) = &mut node.certificates {
            *certificates = folder.join(&certificates);
        }
    }
    if let Some(problem) = crate::nodes::problem(&config.node) {
        return Err(CommandError::new(format!(
            "the user's configuration `{}`: {problem}",
            path.display()
        )));
    }
    config.engines.nodes = std::mem::take(&mut config.node);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<UserConfig, CommandError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        read(Some(&path))
    }

    #[test]
    fn every_key_becomes_a_setting() {
        let text = r#"
            stale-when = ["scan", "{{.Image}}"]
            [registries."docker.io"]
            mirrors = ["mirror.example.com/hub", "http://10.0.0.1:5000"]
            mirror-tags = true
            concurrency = 8
            [registries."registry.corp:5000"]
            ca = "corp.pem"
            [registries."old.corp"]
            insecure = true
            [registries."10.0.0.1:5000"]
            plain-http = true
            [registries."refit.example.com"]
            layout = "/srv/images"
            [engines]
            auto = "buildkit"
            docker = "unix:///run/user/1000/docker.sock"
            buildkit = "tcp://127.0.0.1:1234"
            buildkit-certificates = "buildkit"
            [[node]]
            name = "arm"
            endpoint = "ssh://me@arm.corp"
            platforms = ["linux/arm64"]
            slots = 4
            [[node]]
            name = "big"
            endpoint = "tcp://big.corp:2376"
            engine = "buildkit"
            certificates = "certs/big"
        "#;
        let config = of(text).unwrap();
        assert_eq!(config.stale_when(), ["scan", "{{.Image}}"]);
        let hosts = config.hosts();
        let hub = &hosts["docker.io"];
        let mirrors = ["mirror.example.com/hub", "http://10.0.0.1:5000"];
        assert_eq!(hub.mirrors, mirrors.map(|mirror| mirror.parse().unwrap()));
        assert!(hub.mirror_tags);
        assert_eq!(hub.concurrency, NonZeroUsize::new(8));
        let ca = hosts["registry.corp:5000"].ca.as_ref().unwrap();
        assert!(ca.is_absolute() && ca.ends_with("corp.pem"), "{ca:?}");
        assert!(hosts["old.corp"].insecure);
        assert_eq!(hosts["10.0.0.1:5000"].plain_http, Some(true));
        let layout = hosts["refit.example.com"].layout.as_deref();
        assert_eq!(layout, Some(Path::new("/srv/images")));
        assert_eq!(config.engines.auto, Some(Executor::BuildKit));
        let docker = config.engines.docker.as_deref();
        assert_eq!(docker, Some("unix:///run/user/1000/docker.sock"));
        let buildkit = config.engines.buildkit.as_deref();
        assert_eq!(buildkit, Some("tcp://127.0.0.1:1234"));
        let certificates = config.engines.buildkit_certificates.unwrap();
        assert!(certificates.is_absolute() && certificates.ends_with("buildkit"));
        let [arm, big] = config.engines.nodes.as_slice() else {
            panic!("{:?}", config.engines.nodes)
        };
        assert_eq!(arm.endpoint.to_string(), "ssh://me@arm.corp");
        assert_eq!((arm.engine, arm.slots()), (Executor::Docker, 4));
        assert_eq!((big.engine, big.slots()), (Executor::BuildKit, 2));
        let certificates = big.certificates.as_ref().unwrap();
        assert!(certificates.is_absolute() && certificates.ends_with("certs/big"));
    }

    #[test]
    fn the_readme_s_example_can_be_read() {
        let readme = include_str!("../../../README.md");
        let mut blocks = readme.split("```toml\n").skip(1);
        let block = blocks
            .find(|block| block.starts_with("[registries."))
            .unwrap();
        let block = block.split("```").next().unwrap();
        // What is another way out is commented out.
        let lines = block
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line));
        let text: Vec<&str> = lines.collect();
        let hosts = of(&text.join("\n")).unwrap().hosts();
        assert!(hosts["docker.io"].mirror_tags);
        assert!(hosts["registry.corp:5000"].insecure);
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for text in [
            "registry = 1",
            "[engines]\nauto = \"native\"",
            "[engines]\nnative = \"unix:///x\"",
            "[[node]]\nname = \"a\"",
            "[[node]]\nname = \"\"\nendpoint = \"tcp://a:1\"",
            "[[node]]\nname = \"a\"\nendpoint = \"a:1\"",
            "[[node]]\nname = \"a\"\nendpoint = \"tcp://a:1\"\nengine = \"native\"",
            "[[node]]\nname = \"a\"\nendpoint = \"tcp://a:1\"\nslots = 0",
            "[[node]]\nname = \"a\"\nendpoint = \"tcp://a:1\"\nplatforms = [\"a/b/c/d/e\"]",
            "[[node]]\nname = \"a\"\nendpoint = \"ssh://a\"\ncertificates = \"c\"",
            "[[node]]\nname = \"a\"\nendpoint = \"ssh://a\"\n[[node]]\nname = \"a\"\nendpoint = \"ssh://b\"",
            "[registries.a]\nmirror = \"b.example.com\"",
            "[registries.a]\nmirrors = [\"no mirror\"]",
            "[registries.a]\nconcurrency = 0",
            "[registries.a]\ninsecure = \"yes\"",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
