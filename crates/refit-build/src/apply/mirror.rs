//! Copies bases into the mirror before anything is built on them there. What is there already costs one request.

use std::{collections::BTreeMap, sync::OnceLock};

use futures_util::{StreamExt as _, stream};
use refit_deps::plan::{BaseCopy, Plan};
use refit_oci::{Digest, Repository};
use refit_registry::{Place, RegistryError, Uploaded, copy_once};

use super::{Failed, Site, pinned::Settled};

/// What became of a base that is built from the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// Which.
    pub copy: BaseCopy,
    /// Whether it was sent or lay there; or why it can't be built from.
    pub outcome: Result<Uploaded, Failed>,
}

/// Why bases can't be built from the mirror, by what they are there.
pub(super) type Unmirrored = BTreeMap<(Repository, Digest), Failed>;

/// Copies what the plan names, in its order. A failure is that of the targets that are built on it, and of nothing
/// else; a mirror that is out of reach is not asked again for each further base.
pub(super) async fn bases(plan: &Plan, site: &Site<'_>) -> Vec<Mirrored> {
    // The mirror is pushed to: what is said to be there has to be there, and not in some cache before it.
    let pushed_to = plan.mirrors.iter().map(|copy| copy.to.clone());
    site.registries.never_mirror(pushed_to);
    // Manifests of one repository have layers in common, which are sent once if one follows the other.
    let repositories = plan.mirrors.chunk_by(|a, b| a.to == b.to);
    let down = OnceLock::new();
    let down = &down;
    let copies = repositories.map(|copies| async move {
        let mut all = Vec::new();
        for copy in copies {
            let outcome = match down.get() {
                Some(error) => Err(failed(copy, error)),
                None => base(copy, site).await.map_err(|error| {
                    let failed = failed(copy, &error);
                    if is_down(&error, copy) {
                        down.get_or_init(|| error);
                    }
                    failed
                }),
            };
            let mirrored = Mirrored {
                copy: copy.clone(),
                outcome,
            };
            site.workshop.mirrored(&mirrored);
            all.push(mirrored);
        }
        all
    });
    let copies = stream::iter(copies).buffered(site.slots.max(1));
    copies.concat().await
}

/// Whether it is the mirror that did not answer, and not where the base is.
fn is_down(error: &RegistryError, copy: &BaseCopy) -> bool {
    let of_mirror = |host: &str| host == copy.to.registry() && host != copy.from.registry();
    match error {
        RegistryError::Unreachable { host, .. } | RegistryError::TimedOut { host, .. } => {
            of_mirror(host)
        }
        _ => false,
    }
}

async fn base(copy: &BaseCopy, site: &Site<'_>) -> Result<Uploaded, RegistryError> {
    let BaseCopy { from, manifest, to } = copy;
    let origin = site.registries.registry(from.registry());
    let mirror = site.registries.registry(to.registry());
    let places = (
        Place {
            registry: origin.as_ref(),
            repository: from,
        },
        Place {
            registry: mirror.as_ref(),
            repository: to,
        },
    );
    copy_once(places.0, places.1, manifest, &copy.tag()).await
}

fn failed(copy: &BaseCopy, error: &RegistryError) -> Failed {
    let cause = Failed::of(error);
    let BaseCopy { from, manifest, to } = copy;
    let (from, short) = (from.familiar(), manifest.short());
    let hint = || "`[bases] mirror` in .config/refit.toml says where to".to_owned();
    Failed {
        message: format!(
            "its base `{from}` {short} can't be copied to `{to}`: {}",
            cause.message
        ),
        excerpt: None,
        hint: Some(error.hint().unwrap_or_else(hint)),
    }
}

/// The failures among them.
pub(super) fn failures(mirrored: &[Mirrored]) -> Unmirrored {
    let failed = mirrored.iter().filter_map(|mirrored| {
        let failed = mirrored.outcome.as_ref().err()?.clone();
        let BaseCopy { to, manifest, .. } = &mirrored.copy;
        Some(((to.clone(), manifest.clone()), failed))
    });
    failed.collect()
}

/// Why a target can't be built: the first of its bases that is not in the mirror.
pub(super) fn missing<'u>(settled: &[Settled], unmirrored: &'u Unmirrored) -> Option<&'u Failed> {
    if unmirrored.is_empty() {
        return None;
    }
    let key = |base: &Settled| (base.repository.clone(), base.manifest.clone());
    settled.iter().find_map(|base| unmirrored.get(&key(base)))
}
