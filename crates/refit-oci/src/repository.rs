//! Repositories: a registry host and a path on it, without tag or digest.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{Digest, Reference, ReferenceError, Tag};

/// `registry/path`, normalised as Docker does (`debian` is `docker.io/library/debian`).
#[derive(Clone, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    pub(crate) registry: Arc<str>,
    pub(crate) path: Arc<str>,
}

impl Repository {
    /// The registry's host and port, `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path behind the host, `library/debian`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path's last component, `debian`.
    pub fn last_component(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Everything before the last component, with the registry: `docker.io/library`.
    pub fn namespace(&self) -> String {
        match self.path.rsplit_once('/') {
            Some((before, _)) => format!("{}/{before}", self.registry),
            None => self.registry.to_string(),
        }
    }

    /// This repository at a tag.
    pub fn tagged(&self, tag: &str) -> Result<Reference, ReferenceError> {
        let text = || format!("{self}:{tag}");
        let tag = tag
            .parse()
            .map_err(|tag| ReferenceError::Tag { text: text(), tag })?;
        Ok(self.with(&tag))
    }

    /// The same where the tag is one already.
    pub fn with(&self, tag: &Tag) -> Reference {
        Reference::new(self.clone(), Some(tag.clone()), None)
    }

    /// This repository at a digest.
    pub fn at(&self, digest: &Digest) -> Reference {
        Reference::new(self.clone(), None, Some(digest.clone()))
    }

    /// Docker's short spelling: `debian`, `grafana/loki`, `ghcr.io/x/y`. It is read as the same repository.
    pub fn familiar(&self) -> String {
        match (&*self.registry, self.path.strip_prefix("library/")) {
            ("docker.io", Some(short)) if !short.contains('/') => short.to_owned(),
            // `docker.io/r.io/x` without its host would be another registry's.
            ("docker.io", _) if !first_is_host(&self.path) => self.path.to_string(),
            _ => self.to_string(),
        }
    }
}

fn first_is_host(path: &str) -> bool {
    path.split_once('/')
        .is_some_and(|(first, _)| crate::reference::is_host(first))
}

/// Registries are mostly the same: the path is looked at first.
impl PartialEq for Repository {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.registry == other.registry
    }
}

impl Hash for Repository {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
        self.registry.hash(state);
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        crate::reference::parse_repository(text)
    }
}

impl TryFrom<String> for Repository {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> Self {
        repository.to_string()
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
