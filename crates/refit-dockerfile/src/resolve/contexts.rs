//! Named contexts: what replaces a stage, a base or the image of a copy.

use std::collections::BTreeMap;

use refit_oci::{Platform, Reference};

/// What a named context is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContext {
    /// `docker-image://…`.
    Image(Reference),
    /// `image:<name>`: another image of the inventory.
    InRepo(String),
    /// `docker-image://scratch`.
    Scratch,
    /// A folder, git repository or URL: files, no image.
    Files,
}

/// The context that stands for `name` on `platform`, with its key. `scratch` and `context` cannot be replaced.
///
/// BuildKit's rule: names are compared as short references, without `:latest`; `name::platform` goes before `name`.
pub(super) fn find<'a>(
    contexts: &'a BTreeMap<String, NamedContext>,
    name: &str,
    platform: &Platform,
) -> Option<(&'a str, &'a NamedContext)> {
    if contexts.is_empty()
        || ["scratch", "context"]
            .iter()
            .any(|n| name.eq_ignore_ascii_case(n))
    {
        return None;
    }
    let name = short(name);
    let of_platform = |key: &str| match key.split_once("::") {
        Some((key, of)) => {
            let of = of.parse::<Platform>();
            short(key) == name && of.is_ok_and(|of| of == *platform)
        }
        None => false,
    };
    let plain = |key: &str| !key.contains("::") && short(key) == name;
    let find = |matches: &dyn Fn(&str) -> bool| contexts.iter().find(|(key, _)| matches(key));
    let found = find(&of_platform).or_else(|| find(&plain));
    found.map(|(key, context)| (key.as_str(), context))
}

fn short(name: &str) -> String {
    let familiar = match name.parse::<Reference>() {
        Ok(reference) => reference.familiar(),
        Err(_) => name.to_owned(),
    };
    familiar
        .strip_suffix(":latest")
        .map(str::to_owned)
        .unwrap_or(familiar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_short_references() {
        let contexts = BTreeMap::from(
            [
                "alpine",
                "docker.io/library/debian:12",
                "build",
                "build::linux/arm64",
                "scratch",
                "context",
            ]
            .map(|name| (name.to_owned(), NamedContext::Files)),
        );
        for (name, platform, expect) in [
            ("alpine", "linux/amd64", Some("alpine")),
            (
                "docker.io/library/alpine:latest",
                "linux/amd64",
                Some("alpine"),
            ),
            ("alpine:3", "linux/amd64", None),
            (
                "debian:12",
                "linux/amd64",
                Some("docker.io/library/debian:12"),
            ),
            ("build", "linux/amd64", Some("build")),
            ("build", "linux/arm64", Some("build::linux/arm64")),
            ("scratch", "linux/amd64", None),
            ("Context", "linux/amd64", None),
        ] {
            let found = find(&contexts, name, &platform.parse().unwrap());
            assert_eq!(found.map(|(key, _)| key), expect, "{name} {platform}");
        }
    }
}
