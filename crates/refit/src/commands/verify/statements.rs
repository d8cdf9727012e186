//! The statements of provenance about what is published: read from the registry, their signatures too.

use refit_build::{apply::signed_tag, sign::PublicKey};
use refit_deps::plan::{self, Claim, Finding};
use refit_oci::{Descriptor, Document, media_type};
use refit_registry::{Head, Registries, Registry, RegistryError};

/// A statement above this many bytes is not read.
const LIMIT: u64 = 16 << 20;

/// What of the statements about a published index does not agree with it. There may be none: `provenance = false`
/// publishes without. With a key, one must be signed with it.
pub(super) async fn findings(
    registries: &Registries,
    claim: &Claim,
    key: Option<&PublicKey>,
) -> Vec<Finding> {
    let registry = registries.registry(claim.repository.registry());
    let reader = Reader {
        registry: registry.as_ref(),
        claim,
    };
    let mut found = match reader.attached().await {
        Ok(statements) => best(claim, &statements).unwrap_or_default(),
        Err(error) => vec![reader.finding("provenance-unknown", error.to_string())],
    };
    if let Some(key) = key {
        found.extend(reader.unsigned(key).await);
    }
    found
}

/// Of several statements the one that agrees best: a run that was done again leaves another.
fn best(claim: &Claim, statements: &[Vec<u8>]) -> Option<Vec<Finding>> {
    let compared = statements.iter();
    let compared = compared.filter_map(|bytes| plan::compare_statement(claim, bytes));
    compared.min_by_key(Vec::len)
}

struct Reader<'a> {
    registry: &'a dyn Registry,
    claim: &'a Claim,
}

impl Reader<'_> {
    /// The statements that are attached to the index.
    async fn attached(&self) -> Result<Vec<Vec<u8>>, RegistryError> {
        let Claim {
            repository, index, ..
        } = self.claim;
        let referrers = self.registry.referrers(repository, index).await?;
        let mut statements = Vec::new();
        for referrer in referrers {
            if referrer.artifact_type.as_deref() == Some(media_type::IN_TOTO) {
                let document = self.registry.document(repository, &referrer.digest).await?;
                statements.extend(self.layers(&document, media_type::IN_TOTO).await?);
            }
        }
        Ok(statements)
    }

    /// What is wrong with the signed statements, if none of them is signed with the key and agrees.
    async fn unsigned(&self, key: &PublicKey) -> Vec<Finding> {
        let envelopes = match self.signed().await {
            Ok(envelopes) => envelopes,
            Err(error) => return vec![self.finding("signature-unknown", error.to_string())],
        };
        if envelopes.is_empty() {
            return vec![self.finding("not-signed", "no signed provenance is there".to_owned())];
        }
        let opened = envelopes.iter();
        let opened = opened.map(|envelope| key.opened(media_type::IN_TOTO, envelope));
        let (opened, refused): (Vec<_>, Vec<_>) = opened.partition(Result::is_ok);
        let opened: Vec<Vec<u8>> = opened.into_iter().flatten().collect();
        match (best(self.claim, &opened), refused.into_iter().next()) {
            (Some(findings), _) => findings,
            (None, Some(Err(error))) => {
                vec![self.finding(
                    "signature-differs",
                    format!("its signed provenance: {error}"),
                )]
            }
            (None, _) => {
                let message = "what is signed is no provenance of refit's".to_owned();
                vec![self.finding("signature-differs", message)]
            }
        }
    }

    /// The envelopes under the tag that cosign looks for.
    async fn signed(&self) -> Result<Vec<Vec<u8>>, RegistryError> {
        let Claim {
            repository, index, ..
        } = self.claim;
        let tag = repository.tagged(&signed_tag(index));
        let tag = tag.expect("an algorithm, hex digits and an ending are a valid tag");
        let Head::Found { digest, .. } = self.registry.head(&tag).await? else {
            return Ok(Vec::new());
        };
        let document = self.registry.document(repository, &digest).await?;
        self.layers(&document, media_type::DSSE).await
    }

    async fn layers(
        &self,
        document: &Document,
        media_type: &str,
    ) -> Result<Vec<Vec<u8>>, RegistryError> {
        let Document::Manifest(manifest) = document else {
            return Ok(Vec::new());
        };
        let is_wanted = |layer: &&Descriptor| layer.media_type == media_type;
        let mut all = Vec::new();
        for layer in manifest.value.layers.iter().filter(is_wanted) {
            let repository = &self.claim.repository;
            all.push(self.registry.blob_bytes(repository, layer, LIMIT).await?);
        }
        Ok(all)
    }

    fn finding(&self, name: &'static str, message: String) -> Finding {
        Finding {
            image: self.claim.image.clone(),
            platform: None,
            name,
            message,
        }
    }
}
