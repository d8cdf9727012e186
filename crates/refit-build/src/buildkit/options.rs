//! What is asked of BuildKit's Dockerfile frontend beside the file itself.

use std::collections::BTreeMap;

use refit_dockerfile::Kind;
use refit_oci::Reference;

use super::carried;
use crate::engine::Recipe;

/// Where the frontend finds bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bases {
    /// In the registry that their references name.
    InRegistry,
    /// In the session's store. No registry is at their references' host, so each is a context by its reference.
    InSession,
}

/// The Dockerfile frontend's options. The target stage is the reduced file's last.
pub(super) fn options(
    recipe: &Recipe,
    bases: &BTreeMap<usize, Reference>,
    place: Bases,
) -> BTreeMap<String, String> {
    let mut options = BTreeMap::from([
        ("filename".to_owned(), super::request::DOCKERFILE.to_owned()),
        ("platform".to_owned(), recipe.platform.to_string()),
    ]);
    // A frontend is an image that would be pulled; the engine's own reads the file.
    let arguments = recipe
        .build_args
        .iter()
        .filter(|(name, _)| *name != "BUILDKIT_SYNTAX");
    options.extend(arguments.map(|(name, value)| (format!("build-arg:{name}"), value.clone())));
    let labels = recipe.labels.iter();
    options.extend(labels.map(|(name, value)| (format!("label:{name}"), value.clone())));
    if let Some(network) = recipe
        .network
        .as_deref()
        .filter(|network| *network != "default")
    {
        options.insert("force-network-mode".to_owned(), network.to_owned());
    }
    let attest = recipe.attest.iter();
    options.extend(
        attest.map(|(kind, attributes)| (format!("attest:{}", kind.as_str()), attributes.clone())),
    );
    if recipe.no_cache {
        options.insert("no-cache".to_owned(), String::new());
    }
    // What a base's trigger refers to has no place in the file: a named context stands for it.
    for (index, pinned) in bases {
        let found = &recipe.resolved.found[*index];
        let context = match place {
            Bases::InRegistry => format!("docker-image://{pinned}"),
            Bases::InSession => carried::context(pinned),
        };
        if found.kind == Kind::Onbuild {
            let name = found.source.to_string();
            let name = name
                .parse()
                .map_or(name, |reference: Reference| reference.familiar());
            let name = name.strip_suffix(":latest").unwrap_or(&name);
            options.insert(format!("context:{name}"), context);
        } else if place == Bases::InSession {
            options.insert(format!("context:{pinned}"), context);
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use refit_deps::image::Attestation;
    use refit_oci::Platform;

    use super::*;
    use crate::check::tests::recipe;

    #[test]
    fn options_follow_the_recipe() {
        let mut recipe = recipe("FROM a\n", &Platform::linux_arm64());
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|&(k, v)| (k.to_owned(), v.to_owned()))
                .collect()
        };
        let plain = [("filename", "Dockerfile"), ("platform", "linux/arm64")];
        assert_eq!(
            options(&recipe, &BTreeMap::new(), Bases::InRegistry),
            pairs(&plain)
        );

        recipe.build_args = pairs(&[("BUILDKIT_SYNTAX", "docker/dockerfile:1"), ("V", "1=2")]);
        recipe.labels = pairs(&[("org.example.x", "y")]);
        recipe.network = Some("none".to_owned());
        recipe.no_cache = true;
        recipe.attest = BTreeMap::from([(Attestation::Provenance, "mode=max".to_owned())]);
        let mut all = pairs(&plain);
        all.extend(pairs(&[
            ("build-arg:V", "1=2"),
            ("label:org.example.x", "y"),
            ("force-network-mode", "none"),
            ("no-cache", ""),
            ("attest:provenance", "mode=max"),
        ]));
        assert_eq!(options(&recipe, &BTreeMap::new(), Bases::InRegistry), all);

        recipe.network = Some("default".to_owned());
        let options = options(&recipe, &BTreeMap::new(), Bases::InRegistry);
        assert!(!options.contains_key("force-network-mode"));
    }

    #[test]
    fn a_base_that_no_registry_has_is_a_context_by_its_reference() {
        let recipe = recipe("FROM a\n", &Platform::linux_amd64());
        let digest = format!("sha256:{}", "a".repeat(64));
        let pinned: Reference = format!("refit.invalid/base-0@{digest}").parse().unwrap();
        let bases = BTreeMap::from([(0, pinned)]);
        let contexts = |place| {
            let mut options = options(&recipe, &bases, place);
            options.retain(|name, _| name.starts_with("context:"));
            options
        };
        assert_eq!(contexts(Bases::InRegistry), BTreeMap::new());
        let name = format!("context:refit.invalid/base-0@{digest}");
        let store = format!("oci-layout://bases@{digest}");
        assert_eq!(contexts(Bases::InSession), BTreeMap::from([(name, store)]));
    }
}
