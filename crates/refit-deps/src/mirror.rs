//! `[bases] mirror`: the place in a registry of ours that bases are copied to and built from.

use std::str::FromStr;

use refit_oci::{Digest, ReferenceError, Repository};

/// A registry and a path on it; every base has a repository of its own below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseMirror {
    /// `registry/path`, normalised, or a registry alone.
    prefix: String,
}

/// Why a text is no mirror.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseMirrorError {
    /// What Docker takes for a path on its own registry: more likely a host was left out.
    #[error("`{0}` names no registry's host")]
    NoHost(String),
    /// The grammar of repositories is broken.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl FromStr for BaseMirror {
    type Err = BaseMirrorError;

    fn from_str(text: &str) -> Result<Self, BaseMirrorError> {
        let prefix = text.trim_end_matches('/');
        let host = prefix.split('/').next().unwrap_or_default();
        if !host.is_empty() && !host.contains(['.', ':']) && host != "localhost" {
            return Err(BaseMirrorError::NoHost(text.to_owned()));
        }
        // A bare host is a prefix too. With room for the longest name that is ever put behind it, all names fit.
        let below: Repository = format!("{prefix}/{}", "0".repeat(64)).parse()?;
        Ok(Self {
            prefix: below.namespace(),
        })
    }
}

impl BaseMirror {
    /// The repository that a base is copied to: its own name below the mirror. None if it lies there already.
    pub fn repository(&self, base: &Repository) -> Option<Repository> {
        let name = base.to_string();
        let below = name.strip_prefix(&self.prefix);
        if below.is_some_and(|rest| rest.starts_with('/')) {
            return None;
        }
        // Hosts may have what paths may not: ports, brackets, upper case.
        let host = base.registry().to_ascii_lowercase();
        let host = host.replace(['[', ']', ':'], "-");
        let readable = format!("{}/{}/{}", self.prefix, host.trim_matches('-'), base.path());
        let repository = readable.parse().ok().or_else(|| {
            // Too long a name: what is copied is named by its digest anyway.
            let digest = Digest::sha256(name.as_bytes());
            format!("{}/{}", self.prefix, digest.hex()).parse().ok()
        });
        debug_assert!(
            repository.is_some(),
            "every name has a place below a mirror"
        );
        repository
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(mirror: &str, base: &str) -> Option<String> {
        let mirror: BaseMirror = mirror.parse().unwrap();
        let repository = mirror.repository(&base.parse().unwrap())?;
        Some(repository.to_string())
    }

    #[test]
    fn every_base_has_its_own_name_below_the_mirror() {
        for (mirror, base, there) in [
            (
                "r.io/mirror",
                "debian",
                "r.io/mirror/docker.io/library/debian",
            ),
            ("r.io:5000/", "ghcr.io/a/b", "r.io:5000/ghcr.io/a/b"),
            ("localhost/m", "h:5000/x", "localhost/m/h-5000/x"),
            ("r.io/m", "[::1]:5000/x", "r.io/m/1--5000/x"),
            ("r.io/m", "Host.io/x", "r.io/m/host.io/x"),
            // Another place on the same registry.
            (
                "r.io/mirror",
                "r.io/mirrors/x",
                "r.io/mirror/r.io/mirrors/x",
            ),
        ] {
            assert_eq!(place(mirror, base).as_deref(), Some(there), "{base}");
        }
        let long = format!("h.io/{}", "a/".repeat(125) + "a");
        let there = place("r.io/m", &long).unwrap();
        let digest = Digest::sha256(long.as_bytes());
        assert_eq!(there, format!("r.io/m/{}", digest.hex()));
    }

    #[test]
    fn what_lies_in_the_mirror_is_not_copied_there() {
        assert_eq!(place("r.io/mirror", "r.io/mirror/docker.io/x"), None);
        assert_eq!(place("r.io", "r.io/x"), None);
        assert_eq!(place("index.docker.io/team", "team/x"), None);
    }

    #[test]
    fn a_mirror_is_a_host_and_a_path() {
        for (text, message) in [
            ("team/mirror", "`team/mirror` names no registry's host"),
            ("mirror", "`mirror` names no registry's host"),
        ] {
            assert_eq!(text.parse::<BaseMirror>().unwrap_err().to_string(), message);
        }
        let long = format!("r.io/{}", "a".repeat(200));
        for bad in [
            "",
            "/",
            "https://r.io/m",
            "r.io/M",
            "r.io/m:tag",
            "r.io//m",
            &long,
        ] {
            assert!(bad.parse::<BaseMirror>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_repository_has_a_place(mirror in "[a-z]{1,9}\\.io(:5000)?(/[a-z]{1,60}){0,2}", base in "\\PC{0,300}") {
            let mirror: BaseMirror = mirror.parse().unwrap();
            if let Ok(base) = base.parse::<Repository>() {
                let there = mirror.repository(&base).unwrap();
                prop_assert_eq!(mirror.repository(&there), None);
            }
        }

        #[test]
        fn every_host_has_a_place(host in "[A-Za-z0-9.:\\[\\]-]{1,40}", path in "[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,40}") {
            let mirror: BaseMirror = "r.io/m".parse().unwrap();
            if let Ok(base) = format!("{host}/{path}").parse::<Repository>() {
                prop_assert!(mirror.repository(&base).is_some(), "{}", base);
            }
        }
    }
}
