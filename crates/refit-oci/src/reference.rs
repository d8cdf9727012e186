//! References: `registry/repository:tag@digest`, after the distribution project's grammar and Docker's short names.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Digest, Repository, Tag, TagError};

/// A normalised reference: always with a registry, and with a tag, a digest or both.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("an image reference is empty")]
    Empty,
    /// Docker's rule: repository names are lower case.
    #[error("`{0}` is no image reference: a repository name must be lower case")]
    UpperCase(String),
    /// The path breaks the grammar.
    #[error("`{0}` is no image reference: its repository name is malformed")]
    Name(String),
    /// The tag breaks the grammar.
    #[error("`{text}` is no image reference: {tag}")]
    Tag {
        /// The whole reference.
        text: String,
        /// What is wrong with the part behind the colon.
        tag: TagError,
    },
    /// The digest breaks the grammar.
    #[error("`{text}` is no image reference")]
    Digest {
        /// The whole reference.
        text: String,
        /// What is wrong with the part behind `@`.
        source: crate::DigestError,
    },
}

impl Reference {
    /// Puts a reference together; without tag and digest it means `latest`.
    pub(crate) fn new(repository: Repository, tag: Option<Tag>, digest: Option<Digest>) -> Self {
        let tag = if tag.is_none() && digest.is_none() {
            Some(Tag::latest())
        } else {
            tag
        };
        Self {
            repository,
            tag,
            digest,
        }
    }

    /// Registry and path.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag, `latest` where nothing was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_ref().map(Tag::as_str)
    }

    /// The digest, if pinned.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository at `digest`, the tag kept as documentation.
    #[must_use]
    pub fn pinned(&self, digest: &Digest) -> Self {
        Self {
            digest: Some(digest.clone()),
            ..self.clone()
        }
    }

    /// The same reference without its digest: what a person would watch. None if there is no tag.
    pub fn without_digest(&self) -> Option<Self> {
        self.tag.as_ref().map(|_| Self {
            digest: None,
            ..self.clone()
        })
    }

    /// Docker's short spelling, for people: `debian:12-slim`.
    pub fn familiar(&self) -> String {
        self.to_string()
            .replacen(&self.repository.to_string(), &self.repository.familiar(), 1)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let parsed = digest.parse();
                (
                    rest,
                    Some(parsed.map_err(|source| ReferenceError::Digest {
                        text: text.to_owned(),
                        source,
                    })?),
                )
            }
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match rest.rfind(':') {
            Some(colon) if !rest[colon..].contains('/') => {
                (&rest[..colon], Some(&rest[colon + 1..]))
            }
            _ => (rest, None),
        };
        let tag = tag.map(str::parse).transpose();
        let tag = tag.map_err(|tag| ReferenceError::Tag {
            text: text.to_owned(),
            tag,
        })?;
        Ok(Self::new(parse_repository(name)?, tag, digest))
    }
}

/// Docker's rule of what the first component is.
pub(crate) fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first != first.to_lowercase()
}

/// Docker's normalisation: the first component is a registry if it has a dot or a colon, or is `localhost`.
pub(crate) fn parse_repository(text: &str) -> Result<Repository, ReferenceError> {
    if text.is_empty() {
        return Err(ReferenceError::Empty);
    }
    let (registry, path) = match text.split_once('/') {
        Some((first, path)) if is_host(first) => (first, path.to_owned()),
        Some(_) => ("docker.io", text.to_owned()),
        None => ("docker.io", format!("library/{text}")),
    };
    let (registry, path) = match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" if path.contains('/') => {
            ("docker.io", path)
        }
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => {
            ("docker.io", format!("library/{path}"))
        }
        other => (other, path),
    };
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(ReferenceError::UpperCase(text.to_owned()));
    }
    if path.len() > 255 || !is_registry(registry) || !path.split('/').all(is_path_component) {
        return Err(ReferenceError::Name(text.to_owned()));
    }
    Ok(Repository {
        registry: registry.into(),
        path: path.into(),
    })
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !registry.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let ipv6 = |h: &str| {
        h.strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .is_some_and(|h| !h.is_empty() && h.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'))
    };
    port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
        && (ipv6(host) || host.split('.').all(label))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    if !bytes.first().copied().is_some_and(alphanumeric)
        || !bytes.last().copied().is_some_and(alphanumeric)
    {
        return false;
    }
    bytes
        .split(|b| alphanumeric(*b))
        .filter(|separator| !separator.is_empty())
        .all(|separator| {
            matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-')
        })
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_names_normalise_as_docker_does() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, full, familiar) in [
            ("debian", "docker.io/library/debian:latest", "debian:latest"),
            (
                "debian:12-slim",
                "docker.io/library/debian:12-slim",
                "debian:12-slim",
            ),
            (
                "index.docker.io/debian",
                "docker.io/library/debian:latest",
                "debian:latest",
            ),
            (
                "grafana/loki:3",
                "docker.io/grafana/loki:3",
                "grafana/loki:3",
            ),
            ("ghcr.io/x/y", "ghcr.io/x/y:latest", "ghcr.io/x/y:latest"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            (
                "127.0.0.1:5000/a/b:1",
                "127.0.0.1:5000/a/b:1",
                "127.0.0.1:5000/a/b:1",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            (
                "docker.io/r.io/x",
                "docker.io/r.io/x:latest",
                "docker.io/r.io/x:latest",
            ),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(
                (
                    reference.to_string().as_str(),
                    reference.familiar().as_str()
                ),
                (full, familiar),
                "{text}"
            );
        }
        let pinned: Reference = format!("node:20@{digest}").parse().unwrap();
        assert_eq!(
            pinned.to_string(),
            format!("docker.io/library/node:20@{digest}")
        );
        let bare: Reference = format!("node@{digest}").parse().unwrap();
        assert_eq!(bare.tag(), None);
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        for bad in [
            "",
            "Base",
            "a//b",
            "a/",
            "-x",
            "a:",
            "a:-t",
            "x@sha256:1",
            "a b",
            "host.:80/x",
            "a..b",
            "é",
            "x/../y",
            "$X",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails_without_panic_and_round_trips(text in ".{0,60}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
            }
        }
    }
}
