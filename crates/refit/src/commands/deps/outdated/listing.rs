//! What registries say of tags: one listing a repository, one HEAD a pinned reference.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use refit_deps::outdated::TagVersion;
use refit_oci::{Digest, Reference, Repository};
use refit_registry::{Head, Registries};

use crate::error::chain;

/// How many requests are under way at once.
const CONCURRENCY: usize = 8;

/// The tags of repositories, or why they could not be listed.
pub(super) type Listings = BTreeMap<Repository, Result<Vec<String>, String>>;
/// What the tags of pinned references hold.
pub(super) type Pins = BTreeMap<Reference, Digest>;

/// Lists the tags of each repository that has something to compare, once.
pub(super) async fn tags<'a>(
    registries: &Registries,
    references: impl Iterator<Item = &'a Reference>,
) -> Listings {
    let has_order = |reference: &&Reference| {
        let tag = reference.tag();
        tag.is_some_and(|tag| TagVersion::parse(tag).is_ok())
    };
    let repositories: BTreeSet<&Repository> = references
        .filter(has_order)
        .map(Reference::repository)
        .collect();
    let listed = stream::iter(repositories).map(|repository| async move {
        let registry = registries.registry(repository.registry());
        let tags = match registry.tags(repository).await {
            Ok(tags) if tags.is_empty() => Err("there are none".to_owned()),
            Ok(tags) => Ok(tags),
            Err(error) => Err(chain(&error)),
        };
        (repository.clone(), tags)
    });
    listed.buffer_unordered(CONCURRENCY).collect().await
}

/// Asks what the tags of references hold that have a digest as well. What can't be asked stays open.
pub(super) async fn pins<'a>(
    registries: &Registries,
    references: impl Iterator<Item = &'a Reference>,
) -> Pins {
    let pinned = references.filter(|reference| reference.digest().is_some());
    let tagged = pinned.filter_map(|reference| Some((reference, reference.without_digest()?)));
    let asked = stream::iter(tagged).map(|(reference, tag)| async move {
        let registry = registries.registry(tag.repository().registry());
        match registry.head(&tag).await {
            Ok(Head::Found { digest, .. }) => Some((reference.clone(), digest)),
            Ok(Head::Missing) | Err(_) => None,
        }
    });
    let asked = asked.buffer_unordered(CONCURRENCY);
    asked.filter_map(std::future::ready).collect().await
}
