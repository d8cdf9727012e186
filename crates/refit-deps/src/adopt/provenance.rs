//! BuildKit's provenance: an in-toto statement with a SLSA predicate, version 0.2 or 1.
//!
//! Sources: <https://slsa.dev/spec/v0.2/provenance>, <https://slsa.dev/spec/v1.0/provenance> and BuildKit's
//! `docs/attestations/slsa-definitions.md`. Everything in it is a claim of whoever could push; only what is looked for
//! is read, and whatever has another shape is left out.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use refit_oci::{Descriptor, Digest, Platform, Reference, annotations};
use serde_json::Value;

use super::Recipe;

/// The most bytes of a statement that are read: `mode=max` has every step of the build in it.
pub const LIMIT: u64 = 16 << 20;
/// The layers' media type in an attestation manifest.
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The predicates that are read.
const PREDICATES: [&str; 2] = [
    "https://slsa.dev/provenance/v0.2",
    "https://slsa.dev/provenance/v1",
];
/// BuildKit's own part of version 0.2's metadata.
const BUILDKIT_METADATA: &str = "https://mobyproject.org/buildkit@v1#metadata";

/// What a statement says of one manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The manifests it is about.
    pub subjects: Vec<Digest>,
    /// The images that were used.
    pub materials: Vec<Material>,
    /// The commit that was built, as written; an unclean working tree's ends with `-dirty`.
    pub revision: Option<String>,
    /// How it was built, if all of that is said: paths are relative to the repository.
    pub recipe: Option<Recipe>,
}

/// An image that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// Normalised.
    pub reference: Reference,
    /// What it was pulled for, if that is said.
    pub platform: Option<Platform>,
    /// An index or a manifest.
    pub digest: Digest,
}

/// Whether a layer of an attestation manifest is a provenance statement.
pub fn is_provenance(layer: &Descriptor) -> bool {
    let about = layer.annotations.get(annotations::PREDICATE_TYPE);
    layer.media_type == IN_TOTO && about.is_some_and(|about| PREDICATES.contains(&about.as_str()))
}

impl Provenance {
    /// Reads a statement; none if it is of another kind.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let statement: Value = serde_json::from_slice(bytes).ok()?;
        let predicate = &statement["predicate"];
        let (materials, source, request, metadata) = match statement["predicateType"].as_str()? {
            "https://slsa.dev/provenance/v0.2" => (
                &predicate["materials"],
                &predicate["invocation"]["configSource"],
                &predicate["invocation"]["parameters"],
                &predicate["metadata"][BUILDKIT_METADATA],
            ),
            "https://slsa.dev/provenance/v1" => {
                let external = &predicate["buildDefinition"]["externalParameters"];
                (
                    &predicate["buildDefinition"]["resolvedDependencies"],
                    &external["configSource"],
                    &external["request"],
                    &predicate["runDetails"]["metadata"]["buildkit_metadata"],
                )
            }
            _ => return None,
        };
        let is_complete = predicate["metadata"]["completeness"]["parameters"] == true
            || predicate["runDetails"]["metadata"]["buildkit_completeness"]["request"] == true;
        let vcs = &metadata["vcs"];
        let recipe = is_complete.then(|| recipe(source, request, vcs)).flatten();
        Some(Self {
            subjects: list(&statement["subject"])
                .filter_map(|subject| sha256(&subject["digest"]))
                .collect(),
            materials: list(materials).filter_map(material).collect(),
            revision: revision(source, vcs),
            recipe,
        })
    }

    /// Whether it is about this manifest.
    pub fn is_about(&self, manifest: &Digest) -> bool {
        self.subjects.contains(manifest)
    }

    /// What a dependency was, the digest of an index or a manifest: the material of its repository and tag, for its
    /// platform if that is said.
    pub fn digest_of(&self, reference: &Reference, platform: &Platform) -> Option<&Digest> {
        let is_it = |material: &&Material| {
            material.reference.repository() == reference.repository()
                && (material.reference.tag() == reference.tag()
                    || reference.digest() == Some(&material.digest))
        };
        let alike: Vec<&Material> = self.materials.iter().filter(is_it).collect();
        let exact = alike
            .iter()
            .find(|material| material.platform.as_ref() == Some(platform));
        let unsaid = || alike.iter().find(|material| material.platform.is_none());
        exact.or_else(unsaid).map(|material| &material.digest)
    }
}

/// The commit: of a build from git the one that was fetched, else the one that lay beside the context.
fn revision(source: &Value, vcs: &Value) -> Option<String> {
    let fetched = source["digest"]["sha1"]
        .as_str()
        .or_else(|| source["digest"]["sha256"].as_str());
    let fetched = fetched.filter(|_| source["uri"].as_str().is_some_and(is_git));
    fetched
        .or_else(|| vcs["revision"].as_str())
        .filter(|revision| !revision.is_empty())
        .map(str::to_owned)
}

fn is_git(uri: &str) -> bool {
    let without_fragment = uri.split('#').next().unwrap_or(uri);
    uri.starts_with("git") || without_fragment.strip_suffix(".git").is_some()
}

/// The recipe, if it can be repeated: of folders under the repository, and images.
fn recipe(source: &Value, request: &Value, vcs: &Value) -> Option<Recipe> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entry = source["entryPoint"]
        .as_str()
        .or_else(|| source["path"].as_str());
    let entry = entry.unwrap_or("Dockerfile");
    let (context, folder) = match source["uri"].as_str() {
        // `…/repository.git#ref:folder`: the context is that folder, and the Dockerfile lies in it.
        Some(uri) if is_git(uri) => {
            let folder = uri.split_once('#').and_then(|(_, at)| at.split_once(':'));
            let folder = folder.map_or("", |(_, folder)| folder);
            (folder.to_owned(), folder.to_owned())
        }
        _ => (
            text(&vcs["localdir:context"])?,
            text(&vcs["localdir:dockerfile"])?,
        ),
    };
    let mut recipe = Recipe {
        dockerfile: crate::inventory::clean(&format!("{folder}/{entry}")),
        context: crate::inventory::clean(&context),
        target: None,
        build_args: BTreeMap::new(),
        build_contexts: BTreeMap::new(),
    };
    for (key, value) in request["args"].as_object().into_iter().flatten() {
        let Some(value) = value.as_str() else {
            continue;
        };
        if key == "target" {
            recipe.target = Some(value.to_owned());
        } else if let Some(name) = key.strip_prefix("build-arg:") {
            recipe.build_args.insert(name.to_owned(), value.to_owned());
        } else if let Some(name) = key.strip_prefix("context:") {
            // A folder of somebody's machine, or a URL, can't be had again.
            value.strip_prefix("docker-image://")?;
            recipe
                .build_contexts
                .insert(name.to_owned(), value.to_owned());
        }
    }
    Some(recipe)
}

fn material(value: &Value) -> Option<Material> {
    let digest = sha256(&value["digest"])?;
    let url = value["uri"].as_str()?.strip_prefix("pkg:docker/")?;
    let (name, qualifiers) = url.split_once('?').unwrap_or((url, ""));
    let (name, version) = name.rsplit_once('@').unwrap_or((name, ""));
    let decode = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .ok()
            .map(String::from)
    };
    let (name, version) = (decode(name)?, decode(version)?);
    // An image that was given by its digest alone has that for a version.
    let reference = match version.as_str() {
        "" => name,
        version if version.contains(':') => format!("{name}@{version}"),
        version => format!("{name}:{version}"),
    };
    let platform = qualifiers
        .split('&')
        .find_map(|q| q.strip_prefix("platform="));
    Some(Material {
        reference: reference.parse().ok()?,
        platform: platform.and_then(decode).and_then(|text| text.parse().ok()),
        digest,
    })
}

fn sha256(digest: &Value) -> Option<Digest> {
    format!("sha256:{}", digest["sha256"].as_str()?)
        .parse()
        .ok()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: &[u8] = include_bytes!("../../testdata/provenance/buildkit-0.13-min-arm64.json");
    const MAX: &[u8] = include_bytes!("../../testdata/provenance/buildkit-0.13-max-amd64.json");
    const PINNED: &[u8] = include_bytes!("../../testdata/provenance/buildkit-0.13-pinned.json");
    const COMMIT: &str = "987d957ccba42c4d12f4ba3d0394e22bd2e5dda7";
    const BASE: &str = "sha256:0deedfa3787f277e2842dd63e8ea6affe0258fb027e3b56e3a7b2f5cd5e929ef";

    fn digest_of(provenance: &Provenance, reference: &str, platform: &str) -> Option<String> {
        let (reference, platform) = (reference.parse().unwrap(), platform.parse().unwrap());
        let digest = provenance.digest_of(&reference, &platform);
        digest.map(ToString::to_string)
    }

    #[test]
    fn a_real_statement_names_its_bases_and_its_commit() {
        for (bytes, platform) in [(MIN, "linux/arm64"), (MAX, "linux/amd64")] {
            let provenance = Provenance::parse(bytes).unwrap();
            let of = |reference: &str| digest_of(&provenance, reference, platform);
            assert_eq!(of("127.0.0.1:5977/base/os:1").as_deref(), Some(BASE));
            assert!(of("127.0.0.1:5977/tools/kit:2").is_some());
            assert_eq!(of("127.0.0.1:5977/base/os:2"), None);
            assert_eq!(
                digest_of(&provenance, "127.0.0.1:5977/base/os:1", "linux/s390x"),
                None
            );
            assert_eq!(provenance.revision.as_deref(), Some(COMMIT));
            assert_eq!(provenance.subjects.len(), 1);
            // A folder as a named context is nobody else's.
            assert_eq!(provenance.recipe, None);
        }
    }

    #[test]
    fn a_pinned_base_is_found_with_its_digest() {
        let provenance = Provenance::parse(PINNED).unwrap();
        let pinned = format!("127.0.0.1:5977/base/os:1@{BASE}");
        let found = digest_of(&provenance, &pinned, "linux/amd64");
        assert_eq!(found.as_deref(), Some(BASE));
        assert_eq!(provenance.revision, None);
    }

    fn statement(predicate_type: &str, predicate: &Value) -> Vec<u8> {
        let subject = serde_json::json!([{ "name": "_", "digest": { "sha256": "a".repeat(64) } }]);
        serde_json::to_vec(&serde_json::json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": predicate_type, "subject": subject, "predicate": predicate,
        }))
        .unwrap()
    }

    #[test]
    fn version_1_is_read_too() {
        let bytes = statement(
            "https://slsa.dev/provenance/v1",
            &serde_json::json!({
                "buildDefinition": {
                    "externalParameters": {
                        "configSource": { "path": "Dockerfile.web" },
                        "request": { "args": {
                            "build-arg:NODE": "20", "target": "runtime", "label:x": "y",
                            "context:base": "docker-image://debian:12",
                        } },
                    },
                    "resolvedDependencies": [
                        { "uri": "pkg:docker/debian@12-slim?platform=linux%2Famd64", "digest": { "sha256": "b".repeat(64) } },
                        { "uri": "pkg:docker/debian?digest=sha256:x", "digest": { "md5": "b" } },
                    ],
                },
                "runDetails": { "metadata": {
                    "buildkit_completeness": { "request": true },
                    "buildkit_metadata": { "vcs": {
                        "revision": "abc-dirty", "localdir:context": "services/web", "localdir:dockerfile": "docker",
                    } },
                } },
            }),
        );
        let provenance = Provenance::parse(&bytes).unwrap();
        let found = digest_of(&provenance, "debian:12-slim", "linux/amd64");
        assert_eq!(found, Some(format!("sha256:{}", "b".repeat(64))));
        assert_eq!(provenance.materials.len(), 1);
        assert_eq!(provenance.revision.as_deref(), Some("abc-dirty"));
        let recipe = provenance.recipe.unwrap();
        assert_eq!(
            (recipe.dockerfile.as_str(), recipe.context.as_str()),
            ("docker/Dockerfile.web", "services/web")
        );
        assert_eq!(recipe.target.as_deref(), Some("runtime"));
        assert_eq!(recipe.build_args["NODE"], "20");
        assert_eq!(recipe.build_contexts["base"], "docker-image://debian:12");
    }

    #[test]
    fn a_build_from_git_has_its_folder_in_the_url() {
        let bytes = statement(
            "https://slsa.dev/provenance/v0.2",
            &serde_json::json!({
                "invocation": {
                    "configSource": {
                        "uri": "https://git.example.com/team/shop.git#refs/heads/main:services/web",
                        "digest": { "sha1": COMMIT }, "entryPoint": "Dockerfile",
                    },
                    "parameters": {},
                },
                "metadata": { "completeness": { "parameters": true } },
            }),
        );
        let provenance = Provenance::parse(&bytes).unwrap();
        assert_eq!(provenance.revision.as_deref(), Some(COMMIT));
        let recipe = provenance.recipe.unwrap();
        assert_eq!(
            (recipe.dockerfile.as_str(), recipe.context.as_str()),
            ("services/web/Dockerfile", "services/web")
        );
    }

    #[test]
    fn other_statements_and_other_shapes_are_left_alone() {
        assert_eq!(Provenance::parse(b"{}"), None);
        assert_eq!(Provenance::parse(b"[1"), None);
        let spdx = statement("https://spdx.dev/Document", &Value::Null);
        assert_eq!(Provenance::parse(&spdx), None);
        for predicate in [
            serde_json::json!(null),
            serde_json::json!([]),
            serde_json::json!({ "materials": 1, "invocation": "x", "metadata": [] }),
            serde_json::json!({ "materials": [{ "uri": "pkg:docker/%ff@%zz?platform=%" , "digest": {"sha256": "a".repeat(64)} }] }),
        ] {
            for kind in PREDICATES {
                let provenance = Provenance::parse(&statement(kind, &predicate)).unwrap();
                assert_eq!((provenance.materials.len(), provenance.revision), (0, None));
            }
        }
    }
}
