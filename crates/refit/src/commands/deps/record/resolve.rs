//! What the bases of some images are at their registries, as far as those answer in time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use refit_dockerfile::FoundSource;
use refit_oci::{Digest, Document, Platform, Reference};
use refit_platform::best_match;
use refit_registry::{Head, Patience, Registries, RegistryError};

use super::touched::Touched;
use crate::{
    observe::cached_document,
    project::{Project, Snapshot},
};

/// How many requests are under way at once.
const CONCURRENCY: usize = 16;

/// What a reference is for one platform: the index, where it is one, and the manifest.
type Resolution = (Option<Digest>, Digest);

/// All that is known.
pub(super) type Resolutions = BTreeMap<(Reference, Platform), Resolution>;

/// Asks the registries. What has not answered when the time is up stays unknown, with the reason.
pub(super) async fn resolve(
    project: &Project,
    wanted: BTreeMap<Reference, BTreeSet<Platform>>,
    budget: Duration,
) -> (Resolutions, BTreeMap<Reference, String>) {
    let resolved = Mutex::new(BTreeMap::new());
    let failed: BTreeMap<Reference, String> = wanted
        .keys()
        .map(|reference| {
            (
                reference.clone(),
                "its registry did not answer in time".to_owned(),
            )
        })
        .collect();
    let failed = Mutex::new(failed);
    if !wanted.is_empty() {
        let registries = project.registries_with(Patience::within(budget));
        let each =
            stream::iter(&wanted).for_each_concurrent(CONCURRENCY, |(reference, platforms)| {
                let (registries, resolved, failed) = (&registries, &resolved, &failed);
                async move {
                    let answer = resolve_one(project, registries, reference, platforms).await;
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    match answer {
                        Ok(found) => {
                            failed.remove(reference);
                            let mut resolved =
                                resolved.lock().unwrap_or_else(PoisonError::into_inner);
                            for platform in platforms
                                .iter()
                                .filter(|platform| !found.contains_key(platform))
                            {
                                failed.insert(
                                    reference.clone(),
                                    format!("it is not there for {platform}"),
                                );
                            }
                            resolved.extend(
                                found
                                    .into_iter()
                                    .map(|(platform, r)| ((reference.clone(), platform), r)),
                            );
                        }
                        Err(error) => {
                            failed.insert(reference.clone(), crate::error::chain(&error));
                        }
                    }
                }
            });
        // A timeout is what is said already.
        let _ = tokio::time::timeout(budget, each).await;
    }
    let unwrap = PoisonError::into_inner;
    (
        resolved.into_inner().unwrap_or_else(unwrap),
        failed.into_inner().unwrap_or_else(PoisonError::into_inner),
    )
}

async fn resolve_one(
    project: &Project,
    registries: &Registries,
    reference: &Reference,
    platforms: &BTreeSet<Platform>,
) -> Result<BTreeMap<Platform, Resolution>, RegistryError> {
    let registry = registries.registry(reference.repository().registry());
    let digest = match registry.head(reference).await? {
        Head::Found { digest, .. } => digest,
        Head::Missing => {
            return Err(RegistryError::Missing {
                what: reference.familiar(),
            });
        }
    };
    let repository = reference.repository();
    let document = cached_document(project, registries, repository, &digest).await?;
    let resolution = |platform: &Platform| match &document {
        Document::Manifest(_) => Some((None, digest.clone())),
        Document::Index(index) => {
            let manifest = best_match(&index.value, platform)?;
            Some((Some(digest.clone()), manifest.digest.clone()))
        }
    };
    Ok(platforms
        .iter()
        .filter_map(|platform| Some((platform.clone(), resolution(platform)?)))
        .collect())
}

/// What a registry has to be asked for: references outside of the repository, with the platform that is pulled.
pub(super) fn externals(
    snapshot: &Snapshot,
    touched: &Touched<'_>,
) -> BTreeMap<Reference, BTreeSet<Platform>> {
    let mut wanted: BTreeMap<Reference, BTreeSet<Platform>> = BTreeMap::new();
    for (image, sources) in touched {
        for platform in sources.keys() {
            let found = snapshot
                .scans
                .target(&image.name, platform)
                .into_iter()
                .flat_map(|r| &r.found);
            for found in found.filter(|found| snapshot.edges.parent(&image.name, found).is_none()) {
                if let FoundSource::Reference(reference) = &found.source {
                    wanted
                        .entry(reference.clone())
                        .or_default()
                        .insert(found.platform.clone());
                }
            }
        }
    }
    wanted
}
