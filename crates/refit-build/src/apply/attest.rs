//! What BuildKit attests of a build, kept beside the manifest that is published: as a referrer, found by whoever puts the
//! index together, on whatever machine; and in the index itself, where BuildKit's own readers look for it.
//!
//! BuildKit's statements are about a manifest of its own in a registry on loopback. The one that is published has the same
//! config and layers, and other annotations: the statements are told of that one, and of the bases by their names.

use std::collections::BTreeMap;

use refit_deps::pin::Pin;
use refit_oci::{
    Descriptor, Digest, Document, Exact, Manifest, Platform, Repository, annotations, media_type,
};
use refit_registry::{Registry, RegistryError};
use serde_json::{Value, json};

use super::publish::{named, package_url};
use crate::engine::Attested;

/// What BuildKit calls such a manifest.
const ARTIFACT: &str = "application/vnd.docker.attestation.manifest.v1+json";

/// Attaches statements to a manifest that is about to be pushed.
pub(super) async fn push(
    registry: &dyn Registry,
    repository: &Repository,
    (manifest, pins): (&Exact<Manifest>, &[Pin]),
    attested: &[Attested],
) -> Result<(), RegistryError> {
    if attested.is_empty() {
        return Ok(());
    }
    let mut layers = Vec::new();
    for attested in attested {
        let statement = retold(attested, (repository, &manifest.digest), pins);
        let mut layer = Descriptor::of(media_type::IN_TOTO, &statement);
        let kind = (
            annotations::PREDICATE_TYPE.to_owned(),
            attested.predicate_type.clone(),
        );
        layer.annotations.extend([kind]);
        let source = statement.into();
        registry.push_blob(repository, &layer, source).await?;
        layers.push(layer);
    }
    let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
    let config = json!({
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = config.to_string().into_bytes();
    let descriptor = Descriptor::of(media_type::OCI_CONFIG, &config);
    let source = config.into();
    registry.push_blob(repository, &descriptor, source).await?;
    let attestation = Manifest {
        artifact_type: Some(ARTIFACT.to_owned()),
        subject: Some(manifest.descriptor()),
        ..Manifest::new(descriptor, layers, BTreeMap::new())
    };
    let attestation = Exact::encode(media_type::OCI_MANIFEST, attestation);
    registry.push_referrer(repository, &attestation).await?;
    Ok(())
}

/// The entries of an index for what is attested of a manifest.
pub(super) async fn entries(
    registry: &dyn Registry,
    repository: &Repository,
    manifest: &Digest,
) -> Result<Vec<Descriptor>, RegistryError> {
    let referrers = registry.referrers(repository, manifest).await?;
    let mut entries = Vec::new();
    for referrer in referrers {
        if referrer.artifact_type.as_deref() != Some(ARTIFACT) {
            continue;
        }
        let document = registry.document(repository, &referrer.digest).await?;
        let Document::Manifest(attestation) = &document else {
            continue;
        };
        let mut entry = attestation.descriptor();
        entry.platform = Some(Platform::new("unknown", "unknown", None));
        entry.annotations = BTreeMap::from([
            (
                annotations::REFERENCE_TYPE.to_owned(),
                "attestation-manifest".to_owned(),
            ),
            (
                annotations::REFERENCE_DIGEST.to_owned(),
                manifest.to_string(),
            ),
        ]);
        entries.push(entry);
    }
    Ok(entries)
}

/// The statement about what is published. One that is no JSON object is left as it is.
fn retold(
    attested: &Attested,
    (repository, digest): (&Repository, &Digest),
    pins: &[Pin],
) -> Vec<u8> {
    let Ok(Value::Object(mut statement)) = serde_json::from_slice(&attested.statement) else {
        return attested.statement.clone();
    };
    let subject = Value::Array(vec![named(repository, digest)]);
    statement.insert("subject".to_owned(), subject);
    if let Some(predicate) = statement.get_mut("predicate") {
        // SLSA 0.2 and 1.
        for at in ["/materials", "/buildDefinition/resolvedDependencies"] {
            let materials = predicate.pointer_mut(at).and_then(Value::as_array_mut);
            materials
                .into_iter()
                .flatten()
                .for_each(|material| rename(material, pins));
        }
    }
    Value::Object(statement).to_string().into_bytes()
}

/// A base by its own name instead of that in the registry on loopback.
fn rename(material: &mut Value, pins: &[Pin]) {
    let of_digest = |pin: &&Pin| {
        let manifest = pin.manifest.as_ref();
        manifest.is_some_and(|m| material["digest"][m.algorithm()] == m.hex())
    };
    if let Some(pin) = pins.iter().find(of_digest) {
        material["uri"] = json!(package_url(&pin.reference, &pin.platform));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_retold_of_what_is_published_and_of_bases_by_their_names() {
        let base = Digest::sha256(b"base");
        let pin: Pin = serde_json::from_value(json!({
            "kind": "base", "reference": "debian:12", "platform": "linux/amd64", "manifest": base,
        }))
        .unwrap();
        let material = |uri: &str| json!({ "uri": uri, "digest": { "sha256": base.hex() } });
        let other = json!({ "uri": "https://example.com/a", "digest": { "sha256": "00" } });
        let statement = |material: Value| {
            let all = json!([material, other]);
            json!({
                "_type": "t",
                "subject": [{ "name": "pkg:docker/127.0.0.1%3A1/x", "digest": { "sha256": "11" } }],
                "predicate": { "materials": all, "buildDefinition": { "resolvedDependencies": all } },
            })
        };
        let attested = Attested {
            predicate_type: "https://slsa.dev/provenance/v0.2".to_owned(),
            statement: statement(material("pkg:docker/127.0.0.1%3A1/base-0"))
                .to_string()
                .into_bytes(),
        };
        let (repository, digest) = ("r.io/web".parse().unwrap(), Digest::sha256(b"web"));
        let told = retold(&attested, (&repository, &digest), &[pin]);
        let mut expect = statement(material("pkg:docker/debian@12?platform=linux%2Famd64"));
        expect["subject"] = json!([{ "name": "r.io/web", "digest": { "sha256": digest.hex() } }]);
        assert_eq!(serde_json::from_slice::<Value>(&told).unwrap(), expect);

        let odd = Attested {
            statement: b"[]".to_vec(),
            ..attested
        };
        assert_eq!(retold(&odd, (&repository, &digest), &[]), b"[]");
    }
}
