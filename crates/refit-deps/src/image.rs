//! Images: the entries of the inventory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use refit_dockerfile::{Dockerfile, NamedContext};
use refit_oci::{Platform, Reference, Repository, Tag};
use refit_platform::Target;
use serde::Deserialize;

/// The registry host that stands for the embedded store in references.
pub const EMBEDDED_HOST: &str = "refit.local";

/// One named image: Dockerfile, target stage, build args, context and tags.
#[derive(Clone, Debug)]
pub struct Image {
    /// Unique in the repository, within OCI's grammar of a repository's component.
    pub name: String,
    /// Path of the Dockerfile in the repository.
    pub dockerfile: String,
    /// Folder of the build context in the repository; empty for the root.
    pub context: String,
    /// The target stage; none for the last one.
    pub target: Option<String>,
    /// Values for `ARG`s.
    pub build_args: BTreeMap<String, String>,
    /// Named contexts.
    pub build_contexts: BTreeMap<String, NamedContext>,
    /// Labels set on top of the Dockerfile's.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// The network mode of RUN, as the engine names it (`none`, `host`).
    pub network: Option<String>,
    /// Build secrets by id. Not part of the source id: they are not in the image.
    pub secrets: BTreeMap<String, SecretSource>,
    /// The ids by which `RUN --mount=type=ssh` may ask the SSH agent. Not part of the source id either.
    pub ssh: BTreeSet<String>,
    /// Layer caches that builds read.
    pub cache_from: Vec<Reference>,
    /// Layer caches that builds write.
    pub cache_to: Vec<Reference>,
    /// Whether the image says what its layers are made of, for a later build that reads it as a cache.
    pub cache_inline: bool,
    /// Platforms that are built.
    pub platforms: Vec<Platform>,
    /// Moving tags; the first leads. Empty: built by name only.
    pub tags: Vec<Tag>,
    /// Tags written once, on a release only.
    pub unique_tags: Vec<String>,
    /// The name in other images' FROM lines, where the configuration gives one.
    pub repository: Option<Repository>,
    /// Where the image is pushed, the lead first. Never empty.
    pub destinations: Vec<Repository>,
    /// Which engine builds it.
    pub engine: EngineChoice,
    /// What to do when a pinned base's tag has moved on.
    pub pinned: Pinned,
    /// Whether a patch may put the published layers on the new base instead of building them.
    pub rebase: RebaseChoice,
    /// Why no sweep touches it, if none may.
    pub hold: Option<String>,
    /// How long one of its targets may be built.
    pub timeout: Option<Duration>,
    /// The command that makes generated files in a checkout of the commit, before its context is packed; empty: none.
    pub prepare: Vec<String>,
    /// The command that a built manifest must pass before any tag moves; empty: none.
    pub test: Vec<String>,
    /// The command that says whether a published manifest is stale; empty: none. See [`crate::check`].
    pub stale_when: Vec<String>,
    /// Whether what is published gets a statement of how it was made.
    pub provenance: bool,
    /// What BuildKit attests of its builds, with its own attributes (`mode=max`, `generator=IMAGE`). Not part of the source
    /// id: it is beside the image and not in it.
    pub attest: BTreeMap<Attestation, String>,
    /// The Dockerfile; none if it can't be read (a problem of the inventory says why).
    pub file: Option<Arc<Dockerfile>>,
}

/// A kind of attestation that BuildKit makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attestation {
    /// How the image was built.
    Provenance,
    /// What is in it: a scanner's word.
    Sbom,
}

impl Attestation {
    /// BuildKit's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provenance => "provenance",
            Self::Sbom => "sbom",
        }
    }
}

/// Where the value of a build secret is read, when something is built and never before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretSource {
    /// A variable of the environment.
    Env(String),
    /// A file: absolute, below `~/`, or from the repository's root.
    File(String),
}

/// What `auto` takes for what executes: a word of the user's, not of a repository's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Executor {
    /// Docker Engine.
    #[default]
    Docker,
    /// BuildKit itself.
    BuildKit,
}

impl FromStr for Executor {
    type Err = NoExecutor;

    fn from_str(text: &str) -> Result<Self, NoExecutor> {
        match text {
            "docker" => Ok(Self::Docker),
            "buildkit" => Ok(Self::BuildKit),
            _ => Err(NoExecutor(text.to_owned())),
        }
    }
}

/// A word that is no engine which executes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no engine that executes (`docker`, `buildkit`)")]
pub struct NoExecutor(String);

impl Default for EngineChoice {
    fn default() -> Self {
        Self::Auto(Executor::default())
    }
}

/// The engine an image asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// Native where nothing executes, else what the user has for that.
    Auto(Executor),
    /// Docker Engine's API.
    Docker,
    /// BuildKit's own API.
    BuildKit,
    /// No daemon; executes nothing.
    Native,
}

/// What to do with `FROM name:tag@digest` when the tag has moved on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pinned {
    /// Report it; the pin stays.
    #[default]
    Report,
    /// Follow the tag.
    Follow,
}

/// Whether a patch may put the published layers on the new base instead of building them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RebaseChoice {
    /// Where it is proven to come to the same as a rebuild.
    #[default]
    Auto,
    /// No.
    Never,
    /// Proven or not, unless something is in the way.
    Always,
}

impl FromStr for SecretSource {
    type Err = NoSecretSource;

    fn from_str(text: &str) -> Result<Self, NoSecretSource> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Self::Env(name.to_owned()))
            }
            Some(("file", path)) if !path.is_empty() && !path.contains('\0') => {
                Ok(Self::File(path.to_owned()))
            }
            _ => Err(NoSecretSource(text.to_owned())),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

/// A text that does not say where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say where the secret is (`env:NAME` or `file:PATH`)")]
pub struct NoSecretSource(String);

impl Image {
    /// The reference that decides what is published: the first moving tag at the first destination.
    pub fn lead_tag(&self) -> Option<Reference> {
        self.tags.first().map(|tag| self.destination().with(tag))
    }

    /// The image on a platform.
    pub(crate) fn on(&self, platform: &Platform) -> Target {
        Target {
            image: self.name.clone(),
            platform: platform.clone(),
        }
    }

    /// The leading destination.
    pub fn destination(&self) -> &Repository {
        self.destinations
            .first()
            .expect("an image has at least one destination")
    }

    /// The folder whose files may count for the image. Its `prepare` may read any.
    pub fn counted_folder(&self) -> &str {
        if self.prepare.is_empty() {
            &self.context
        } else {
            ""
        }
    }

    /// Every moving tag at every destination, the lead first.
    pub fn moving_tags(&self) -> Vec<Reference> {
        let pairs = self
            .destinations
            .iter()
            .flat_map(|d| self.tags.iter().map(move |t| (d, t)));
        pairs
            .map(|(destination, tag)| destination.with(tag))
            .collect()
    }

    /// The references by which another image's FROM names this one: its moving tags under its name and destinations.
    pub fn known_as(&self) -> Vec<Reference> {
        let names = self.repository.iter().chain(&self.destinations);
        let pairs = names.flat_map(|name| self.tags.iter().map(move |t| (name, t)));
        pairs.map(|(name, tag)| name.with(tag)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_say_where_they_are() {
        for good in ["env:NPM_TOKEN", "file:~/.npmrc", "file:/run/a:b"] {
            assert_eq!(good.parse::<SecretSource>().unwrap().to_string(), good);
        }
        for bad in ["NPM_TOKEN", "env:", "file:", "env:A=b", "vault:x", ""] {
            assert!(bad.parse::<SecretSource>().is_err(), "{bad}");
        }
    }
}
