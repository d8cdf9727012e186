//! The part of a plan that one machine applies: a shard's own steps, or the tags alone.

use std::collections::{BTreeMap, BTreeSet};

use refit_oci::Digest;
use refit_platform::Target;

use crate::{
    config::Partial,
    pin::Pin,
    plan::{Action, Plan, PlannedPin, PlannedPublication, Step},
};

/// What a shard does of a plan: its own steps, and no tag is moved. What others build is taken as it is `staged`; the
/// targets whose parents are not are left out, and named with that parent.
pub fn own(
    plan: &Plan,
    own: &BTreeSet<Target>,
    staged: &BTreeMap<Target, Digest>,
) -> (Plan, Vec<(Target, Target)>) {
    let mut part = Plan {
        problems: plan.problems.clone(),
        ..Plan::default()
    };
    let mut waiting = Vec::new();
    let mut built: BTreeSet<&Target> = BTreeSet::new();
    for step in plan.steps.iter().filter(|step| own.contains(&step.target)) {
        let pin = |pin: &PlannedPin| match pin {
            PlannedPin::Step { target, .. } if !built.contains(target) => {
                let manifest = staged.get(target).filter(|_| !own.contains(target));
                manifest
                    .map(|manifest| taken(pin, manifest))
                    .ok_or_else(|| target.clone())
            }
            pin => Ok(pin.clone()),
        };
        match step.pins.iter().map(pin).collect::<Result<Vec<_>, _>>() {
            Ok(pins) => {
                built.insert(&step.target);
                part.steps.push(Step {
                    pins,
                    ..step.clone()
                });
            }
            Err(parent) => waiting.push((step.target.clone(), parent)),
        }
    }
    let is_used = |to: &refit_oci::Repository, digest: &Digest| {
        let mut pins = part.steps.iter().flat_map(|step| &step.pins);
        pins.any(|pin| {
            matches!(pin, PlannedPin::Known { pin, repository, .. }
                if repository == to && pin.manifest.as_ref() == Some(digest))
        })
    };
    part.mirrors = plan
        .mirrors
        .iter()
        .filter(|copy| is_used(&copy.to, &copy.manifest))
        .cloned()
        .collect();
    (part, waiting)
}

/// A step's result, as a pin.
fn taken(planned: &PlannedPin, manifest: &Digest) -> PlannedPin {
    let PlannedPin::Step {
        kind,
        reference,
        platform,
        target,
        repository,
    } = planned
    else {
        return planned.clone();
    };
    PlannedPin::Known {
        pin: Pin {
            kind: *kind,
            reference: reference.clone(),
            platform: platform.clone(),
            index: None,
            manifest: Some(manifest.clone()),
        },
        repository: repository.clone(),
        parent: Some(target.image.clone()),
    }
}

/// What is left of a plan that builds nothing.
#[derive(Debug)]
pub struct Published {
    /// The plan.
    pub plan: Plan,
    /// Targets that are not staged.
    pub missing: Vec<Target>,
    /// Images of which nothing is published, with what is in the way.
    pub blocked: Vec<(String, String)>,
}

/// The plan that moves the tags of what is `staged`, and builds nothing. What is missing is treated as if it had
/// failed: the other platforms of its image are published beside its old manifest, unless `partial` or a release
/// forbids it.
pub fn published(mut plan: Plan, staged: &BTreeMap<Target, Digest>) -> Published {
    let (found, missing): (Vec<Step>, Vec<Step>) = std::mem::take(&mut plan.steps)
        .into_iter()
        .partition(|step| staged.contains_key(&step.target));
    let mut blocked: BTreeMap<String, String> = BTreeMap::new();
    for publication in &plan.publications {
        if let Some(why) = blocks(publication, &found, &missing, &blocked) {
            blocked.insert(publication.image.clone(), why);
        }
    }
    // Canaries go first, and nothing follows one that did not come out well.
    let is_fine = |image: &str| {
        !blocked.contains_key(image) && !missing.iter().any(|step| step.target.image == image)
    };
    if let Some(canary) = plan.canary.iter().find(|canary| !is_fine(canary)) {
        let why = format!("the canary `{canary}` is not published");
        for publication in &plan.publications {
            if !plan.canary.contains(&publication.image) {
                blocked
                    .entry(publication.image.clone())
                    .or_insert_with(|| why.clone());
            }
        }
    }
    plan.publications
        .retain(|publication| !blocked.contains_key(&publication.image));
    for publication in &mut plan.publications {
        for step in missing
            .iter()
            .filter(|step| step.target.image == publication.image)
        {
            if let Some(old) = &step.replaces {
                publication
                    .kept
                    .insert(step.target.platform.clone(), old.clone());
            }
        }
    }
    let found = found
        .into_iter()
        .filter(|step| !blocked.contains_key(&step.target.image));
    plan.steps = found
        .map(|mut step| {
            if let Some(manifest) = staged.get(&step.target) {
                step.action = Action::Publish {
                    manifest: manifest.clone(),
                };
            }
            step
        })
        .collect();
    // Nothing is built, on whatever base.
    plan.mirrors.clear();
    Published {
        plan,
        missing: missing.into_iter().map(|step| step.target).collect(),
        blocked: blocked.into_iter().collect(),
    }
}

/// Why nothing of an image is published; images that it is built on have been asked before.
fn blocks(
    publication: &PlannedPublication,
    found: &[Step],
    missing: &[Step],
    blocked: &BTreeMap<String, String>,
) -> Option<String> {
    let of_image = |step: &&Step| step.target.image == publication.image;
    let mut found = found.iter().filter(of_image).peekable();
    let first = missing.iter().find(of_image);
    if found.peek().is_none() {
        return Some("none of its targets is staged".to_owned());
    }
    if let Some(step) = first
        && (publication.release || publication.partial == Partial::Never)
    {
        let platform = &step.target.platform;
        return Some(format!(
            "{platform} is not staged, and it is all platforms or none"
        ));
    }
    let parents = found
        .flat_map(|step| &step.pins)
        .filter_map(|pin| match pin {
            PlannedPin::Step { target, .. } => Some(&target.image),
            PlannedPin::Known { .. } => None,
        });
    let mut stuck = parents.filter(|parent| blocked.contains_key(*parent));
    stuck
        .next()
        .map(|parent| format!("its parent {parent} is not published"))
}
