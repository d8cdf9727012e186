//! What somebody who asks means: a reference, a repository, a digest, or the beginning of one.

use std::collections::BTreeSet;

use refit_deps::{
    lineage::users::{Query, known_digests},
    record::Records,
};
use refit_oci::{Digest, Reference};

use crate::{error::CommandError, project::Snapshot};

/// Fewer hex digits name nothing.
const SHORTEST: usize = 7;
/// So many are a digest rather than the name of a repository, where there is such a digest.
const SHORT: usize = 12;

/// Reads `REFERENCE[@DIGEST]`.
pub(super) fn parse(
    text: &str,
    snapshot: &Snapshot,
    records: &Records,
) -> Result<Query, CommandError> {
    if let Some((reference, digest)) = text.split_once('@') {
        let digest = Some(whole(digest, snapshot, records)?);
        return Ok(match reference {
            "" => Query {
                digest,
                ..Query::default()
            },
            reference => Query {
                digest,
                ..of_reference(reference, snapshot)?
            },
        });
    }
    let is_digest = text.starts_with("sha256:")
        || text.starts_with("sha512:")
        || (text.len() >= SHORT && is_hex(text) && !matching(text, snapshot, records).is_empty());
    if is_digest {
        return Ok(Query {
            digest: Some(whole(text, snapshot, records)?),
            ..Query::default()
        });
    }
    of_reference(text, snapshot)
}

fn of_reference(text: &str, snapshot: &Snapshot) -> Result<Query, CommandError> {
    let reference: Reference = text.parse()?;
    let last = text.rsplit('/').next().unwrap_or(text);
    let tag = last
        .contains(':')
        .then(|| reference.tag().map(str::to_owned));
    let mut query = Query {
        repository: Some(reference.repository().clone()),
        tag: tag.flatten(),
        digest: None,
    };
    // An image's own name stands for the repository that other images know it by.
    if let (None, Some(image)) = (&query.tag, snapshot.inventory.image(text)) {
        let is_external = snapshot.graph.externals.iter().any(|of| query.is_of(of));
        if !is_external {
            let known_as = image.repository.as_ref();
            query.repository = Some(known_as.unwrap_or(image.destination()).clone());
        }
    }
    Ok(query)
}

/// The digest that a text is, or the only known one that begins with it.
fn whole(text: &str, snapshot: &Snapshot, records: &Records) -> Result<Digest, CommandError> {
    if let Ok(digest) = text.parse() {
        return Ok(digest);
    }
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    if hex.len() < SHORTEST || !is_hex(hex) {
        return Err(CommandError::new(format!("`{text}` is no digest"))
            .hint("give `sha256:` and 64 hex digits, or the first 12 of one that is known here"));
    }
    let found = matching(hex, snapshot, records);
    let mut digests = found.iter();
    match (digests.next(), digests.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err(CommandError::new(format!(
            "no digest that is known here begins with `{hex}`"
        ))
        .hint("`git fetch` brings in what other clones recorded, after `refit notes fetch`")),
        (Some(_), Some(_)) => {
            let all: Vec<String> = found.iter().map(|digest| format!("`{digest}`")).collect();
            Err(CommandError::new(format!(
                "`{hex}` is the beginning of several digests: {}",
                all.join(", ")
            ))
            .hint("give more digits"))
        }
    }
}

/// The known digests that begin so: of records, and of references in Dockerfiles.
fn matching(hex: &str, snapshot: &Snapshot, records: &Records) -> BTreeSet<Digest> {
    let known = known_digests(records);
    let pinned = snapshot.graph.externals.iter();
    let pinned = pinned.filter_map(Reference::digest);
    let known = known.keys().copied().chain(pinned);
    known
        .filter(|d| d.hex().starts_with(hex))
        .cloned()
        .collect()
}

fn is_hex(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.bytes().all(hex)
}
