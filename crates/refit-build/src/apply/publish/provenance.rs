//! A published index's provenance: an in-toto statement with a SLSA predicate, attached to it as a referrer.
//!
//! It says what records and annotations say, in the form that other tools read: what was built, from which commit, on
//! which digests, by which run. With a key, the same statement is signed as well, under the tag that
//! cosign looks for.

use std::collections::BTreeMap;

use refit_deps::{pin::Pin, plan::Step};
use refit_oci::{
    Descriptor, Digest, Document, Exact, Index, Manifest, Platform, Reference, Repository,
    annotations, media_type,
};
use refit_registry::{Registry, RegistryError};
use serde_json::{Value, json};

use super::{Image, pinned};
use crate::{apply::Failed, sign::Signer};

/// in-toto attestation framework, statement layer.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// SLSA provenance, version 1.
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// What the parameters and dependencies of our builds mean.
const BUILD_TYPE: &str = "https://refit.dev/build/v1";
/// Who builds; the engine's name is behind it.
const BUILDER: &str = "https://refit.dev/builder/";

/// The empty config of an artifact.
const EMPTY: &[u8] = b"{}";

/// A statement, and the manifest that attaches it.
pub(super) struct Provenance {
    manifest: Exact<Manifest>,
    statement: Vec<u8>,
}

impl Provenance {
    /// What is known of how `index` came about. The platforms that it keeps have statements of their own, on the index
    /// that they were built for: here they are dependencies.
    pub(super) fn of(image: &Image<'_>, repository: &Repository, index: &Exact<Index>) -> Self {
        let statement = statement(image, repository, index);
        let statement = serde_json::to_vec(&statement).expect("a statement has only string keys");
        let mut layer = Descriptor::of(media_type::IN_TOTO, &statement);
        let predicate = (annotations::PREDICATE_TYPE.to_owned(), PREDICATE.to_owned());
        layer.annotations.extend([predicate.clone()]);
        let config = Descriptor::of(media_type::OCI_EMPTY, EMPTY);
        let manifest = Manifest {
            artifact_type: Some(media_type::IN_TOTO.to_owned()),
            subject: Some(index.descriptor()),
            ..Manifest::new(config, vec![layer], BTreeMap::from([predicate]))
        };
        Self {
            manifest: Exact::encode(media_type::OCI_MANIFEST, manifest),
            statement,
        }
    }

    /// Attaches it to the index, which is there.
    pub(super) async fn push(
        &self,
        registry: &dyn Registry,
        repository: &Repository,
        signer: Option<&Signer>,
    ) -> Result<(), Failed> {
        let push = async {
            let value = &self.manifest.value;
            let (config, statement) = (&value.config, &value.layers[0]);
            registry
                .push_blob(repository, config, EMPTY.to_vec().into())
                .await?;
            registry
                .push_new_blob(repository, statement, self.statement.clone().into())
                .await?;
            registry.push_referrer(repository, &self.manifest).await?;
            match signer {
                Some(signer) => self.push_signed(registry, repository, signer).await,
                None => Ok(()),
            }
        };
        push.await.map_err(|error| {
            let failed = Failed::of(&error);
            Failed {
                message: format!(
                    "its provenance could not be attached (`provenance = false` publishes without): {}",
                    failed.message
                ),
                ..failed
            }
        })
    }
}

impl Provenance {
    /// Puts the signed statement where `cosign verify-attestation` looks for it: an image of envelopes under the tag
    /// `sha256-HEX.att`. A run that is done again replaces it.
    async fn push_signed(
        &self,
        registry: &dyn Registry,
        repository: &Repository,
        signer: &Signer,
    ) -> Result<(), RegistryError> {
        let envelope = signer.envelope(media_type::IN_TOTO, &self.statement);
        let envelope = envelope.expect("the system has randomness: TLS and run ids took of it");
        let mut layer = Descriptor::of(media_type::DSSE, &envelope);
        layer.annotations.extend([
            ("predicateType".to_owned(), PREDICATE.to_owned()),
            // cosign wants it to be there, and reads signatures of envelopes in them.
            (
                "dev.cosignproject.cosign/signature".to_owned(),
                String::new(),
            ),
        ]);
        let config = json!({
            "architecture": "", "os": "",
            "config": {}, "history": [],
            "rootfs": { "type": "layers", "diff_ids": [layer.digest] },
        });
        let config_bytes = config.to_string().into_bytes();
        let config = Descriptor::of(media_type::OCI_CONFIG, &config_bytes);
        for (descriptor, bytes) in [(&config, config_bytes), (&layer, envelope)] {
            registry
                .push_new_blob(repository, descriptor, bytes.into())
                .await?;
        }
        let subject = self.manifest.value.subject.as_ref();
        let subject = subject.expect("a statement is about an index");
        let manifest = Manifest::new(config, vec![layer], BTreeMap::new());
        let manifest = Document::Manifest(Exact::encode(media_type::OCI_MANIFEST, manifest));
        let tag = signed_tag(&subject.digest);
        registry
            .push_document(repository, &manifest, Some(&tag))
            .await?;
        Ok(())
    }
}

/// Where cosign looks for signed statements about a digest.
pub fn signed_tag(digest: &Digest) -> String {
    format!("{}-{}.att", digest.algorithm(), digest.hex())
}

fn statement(image: &Image<'_>, repository: &Repository, index: &Exact<Index>) -> Value {
    let publication = image.publication;
    let built: Vec<(&Step, Vec<Pin>)> = image
        .steps
        .iter()
        .filter_map(|step| {
            Some((
                *step,
                pinned::pins(&pinned::settle(step, image.results).ok()?),
            ))
        })
        .collect();
    let mut subject = vec![named(repository, &index.digest)];
    let mut dependencies: Vec<Value> = Vec::new();
    let mut targets = serde_json::Map::new();
    for (platform, descriptor) in index.value.platforms() {
        let of_platform = |(step, _): &&(&Step, Vec<Pin>)| step.target.platform == *platform;
        let Some((step, pins)) = built.iter().find(of_platform) else {
            let mut kept = named(repository, &descriptor.digest);
            kept["annotations"] = json!({ "kind": "kept", "platform": platform.to_string() });
            dependencies.push(kept);
            continue;
        };
        subject.push(named(repository, &descriptor.digest));
        let of_target =
            json!({ "source": step.source.to_string(), "engine": step.engine.as_str() });
        targets.insert(platform.to_string(), of_target);
        dependencies.extend(pins.iter().filter_map(dependency));
    }
    dependencies.dedup();
    dependencies.extend(
        publication.commit.as_ref().map(
            |commit| json!({ "name": "source", "digest": { "gitCommit": commit.to_string() } }),
        ),
    );
    let engines = image.steps.iter().map(|step| step.engine.as_str());
    let run = image.site.run.id();
    json!({
        "_type": STATEMENT,
        "subject": subject,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "image": publication.image,
                    "line": publication.line,
                    "commit": publication.commit.as_ref().map(ToString::to_string),
                },
                "internalParameters": { "targets": targets },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": { "id": format!("{BUILDER}{}", engines.max().unwrap_or_default()) },
                "metadata": {
                    "invocationId": run.to_string(),
                    "startedOn": run.started().to_string(),
                    "finishedOn": (image.site.clock)().to_string(),
                },
            },
        },
    })
}

pub(in crate::apply) fn named(repository: &Repository, digest: &Digest) -> Value {
    json!({ "name": repository.to_string(), "digest": { digest.algorithm(): digest.hex() } })
}

/// A base, named as BuildKit names them: by its package URL.
fn dependency(pin: &Pin) -> Option<Value> {
    let manifest = pin.manifest.as_ref()?;
    Some(json!({
        "uri": package_url(&pin.reference, &pin.platform),
        "digest": { manifest.algorithm(): manifest.hex() },
        "annotations": { "kind": pin.kind.as_str() },
    }))
}

/// `pkg:docker/debian@12-slim?platform=linux%2Famd64`.
pub(in crate::apply) fn package_url(reference: &Reference, platform: &Platform) -> String {
    let name = reference.repository().familiar();
    let version = reference.tag().map(|tag| format!("@{tag}"));
    let platform = platform.to_string().replace('/', "%2F");
    format!(
        "pkg:docker/{}{}?platform={platform}",
        name.replace(':', "%3A"),
        version.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_have_the_urls_that_buildkit_gives_them() {
        for (reference, platform, expect) in [
            (
                "debian:12-slim",
                "linux/amd64",
                "pkg:docker/debian@12-slim?platform=linux%2Famd64",
            ),
            (
                "localhost:5000/team/base@sha256:1111111111111111111111111111111111111111111111111111111111111111",
                "linux/arm/v7",
                "pkg:docker/localhost%3A5000/team/base?platform=linux%2Farm%2Fv7",
            ),
        ] {
            let url = package_url(&reference.parse().unwrap(), &platform.parse().unwrap());
            assert_eq!(url, expect);
        }
    }
}
