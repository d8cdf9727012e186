//! A step's pins, once its parents are built, and what they say of the base.

use std::collections::BTreeMap;

use refit_deps::{
    pin::{self, Pin},
    plan::{PlannedPin, Step, outcome},
};
use refit_dockerfile::{Found, FoundSource, Resolved, Source};
use refit_oci::{Digest, Document, ImageConfig, Repository};
use refit_platform::Target;
use refit_registry::Registries;

use super::{Failed, Outcome};

/// How large a config may be: far above any real one.
const CONFIG_LIMIT: u64 = 8 << 20;

/// A pin, and where it is read from.
pub(super) struct Settled {
    pub(super) pin: Pin,
    pub(super) repository: Repository,
    pub(super) manifest: Digest,
    /// The in-repo parent's name.
    parent: Option<String>,
}

/// The pins with the parents' results; an error names the parent that has none.
pub(super) fn settle(
    step: &Step,
    results: &BTreeMap<Target, Outcome>,
) -> Result<Vec<Settled>, String> {
    let result = |target: &Target| results.get(target).and_then(Outcome::manifest);
    if let Some(parent) = outcome::missing_parent(step, result) {
        return Err(format!("its parent {parent} has no result"));
    }
    let settle = |planned: &PlannedPin| match planned {
        PlannedPin::Known {
            pin,
            repository,
            parent,
        } => {
            let manifest = pin
                .manifest
                .clone()
                .ok_or_else(|| format!("`{}` has no digest", pin.reference))?;
            Ok(Settled {
                pin: pin.clone(),
                repository: repository.clone(),
                manifest,
                parent: parent.clone(),
            })
        }
        PlannedPin::Step {
            kind,
            reference,
            platform,
            target,
            repository,
        } => {
            let manifest = result(target);
            let manifest = manifest
                .ok_or_else(|| format!("its parent {target} has no result"))?
                .clone();
            let pin = Pin {
                kind: *kind,
                reference: reference.clone(),
                platform: platform.clone(),
                index: None,
                manifest: Some(manifest.clone()),
            };
            Ok(Settled {
                pin,
                repository: repository.clone(),
                manifest,
                parent: Some(target.image.clone()),
            })
        }
    };
    step.pins.iter().map(settle).collect()
}

/// The pins alone, in canonical order.
pub(super) fn pins(settled: &[Settled]) -> Vec<Pin> {
    let mut pins: Vec<Pin> = settled.iter().map(|settled| settled.pin.clone()).collect();
    pin::sort(&mut pins);
    pins
}

/// What a dependency of the Dockerfile is pinned to.
pub(super) fn pin_of<'s>(found: &Found, settled: &'s [Settled]) -> Option<&'s Settled> {
    settled.iter().find(|settled| {
        settled.pin.kind == found.kind
            && settled.pin.platform == found.platform
            && match &found.source {
                FoundSource::Reference(reference) => settled.pin.reference == *reference,
                FoundSource::InRepo(name) => settled.parent.as_ref() == Some(name),
            }
    })
}

/// The uncompressed layers of a base; an error if it is of another platform than its pin.
pub(super) async fn diff_ids(
    registries: &Registries,
    base: &Settled,
) -> Result<Vec<Digest>, Failed> {
    let pin = &base.pin;
    let config = config(registries, base).await?;
    if !pin::fits(&config, &pin.platform) {
        let (reference, platform, got) = (&pin.reference, &pin.platform, config.platform());
        return Err(Failed {
            message: format!("`{reference}` is an image for {got}, and {platform} is needed"),
            excerpt: None,
            hint: None,
        });
    }
    Ok(config.rootfs.diff_ids)
}

/// What the plan took a parent's ONBUILD to be was read from its Dockerfile: its config must say the same, else
/// something would be built on that is not pinned.
pub(super) async fn check_triggers(
    registries: &Registries,
    resolved: &Resolved,
    settled: &[Settled],
    step: &Step,
) -> Result<(), Failed> {
    for (stage, view) in resolved.views().filter(|(_, view)| !view.replaced) {
        let Source::Found(found) = view.from else {
            continue;
        };
        let base = resolved.found.get(found).and_then(|f| pin_of(f, settled));
        let Some(base) = base.filter(|base| base.parent.is_some()) else {
            continue; // its config was read when the plan was made
        };
        let config = config(registries, base).await?;
        let planned = step.triggers.get(&stage).map_or(&[][..], Vec::as_slice);
        if config.config.on_build != planned {
            return Err(Failed {
                message: format!(
                    "the ONBUILD instructions of `{}` are not those that the plan was made with",
                    base.pin.reference
                ),
                excerpt: None,
                hint: Some("make the plan again: `refit sweep --dry-run`".to_owned()),
            });
        }
    }
    Ok(())
}

async fn config(registries: &Registries, base: &Settled) -> Result<ImageConfig, Failed> {
    let Settled {
        repository,
        manifest,
        ..
    } = base;
    let registry = registries.registry(repository.registry());
    let document = registry
        .document(repository, manifest)
        .await
        .map_err(|e| Failed::of(&e))?;
    let Document::Manifest(document) = document else {
        let message =
            format!("`{repository}@{manifest}` is an index where a platform's manifest is needed");
        return Err(Failed {
            message,
            excerpt: None,
            hint: None,
        });
    };
    let config = registry
        .blob_bytes(repository, &document.value.config, CONFIG_LIMIT)
        .await;
    let config = config.map_err(|e| Failed::of(&e))?;
    serde_json::from_slice(&config).map_err(|e| Failed::of(&e))
}

/// The external base at the root of the target's own stages, if it is not `scratch`.
pub(super) fn root_base(resolved: &Resolved) -> Option<usize> {
    match resolved.base {
        refit_dockerfile::StageBase::External(found) => Some(found),
        _ => None,
    }
}
