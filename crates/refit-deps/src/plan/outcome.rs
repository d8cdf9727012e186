//! What is published of a plan, given what became of its steps: decided here, done by whoever applies it.

use std::collections::{BTreeMap, BTreeSet};

use refit_oci::{Digest, Platform};
use refit_platform::Target;

use super::{PlannedPin, PlannedPublication, Step};
use crate::config::Partial;

/// What an image's new index is put together from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Results of steps.
    pub new: BTreeMap<Platform, Digest>,
    /// What stays of the published index, bit for bit.
    pub kept: BTreeMap<Platform, Digest>,
}

/// The parts of an image's new index; an error is why nothing of it is published. `steps` are the image's own,
/// `result` is the manifest that a step came to.
pub fn parts<'r>(
    publication: &PlannedPublication,
    steps: &[&Step],
    result: impl Fn(&Target) -> Option<&'r Digest>,
) -> Result<Parts, String> {
    let mut parts = Parts {
        new: BTreeMap::new(),
        kept: publication.kept.clone(),
    };
    for step in steps {
        let platform = &step.target.platform;
        if let Some(manifest) = result(&step.target) {
            parts.new.insert(platform.clone(), manifest.clone());
        } else if publication.release {
            return Err(format!(
                "not published: {platform} failed, and a release is all platforms or none"
            ));
        } else if publication.partial == Partial::Never {
            return Err(format!(
                "not published: {platform} failed, and `partial = \"never\"` is all platforms or none"
            ));
        } else if let Some(old) = &step.replaces {
            // A patch that fails on one platform publishes the others with its old manifest.
            parts.kept.insert(platform.clone(), old.clone());
        }
    }
    if parts.new.is_empty() {
        return Err("none of its targets could be built".to_owned());
    }
    Ok(parts)
}

/// The parent without a result that a step can't be built on: it fails its dependents, and nothing else.
pub fn missing_parent<'s, 'r>(
    step: &'s Step,
    result: impl Fn(&Target) -> Option<&'r Digest>,
) -> Option<&'s Target> {
    parents(step).find(|parent| result(parent).is_none())
}

/// The parent whose tags did not move, of an image that was built on its new manifest: the child's don't, either.
pub fn stuck_parent<'s>(steps: &[&'s Step], stuck: &BTreeSet<&str>) -> Option<&'s str> {
    let mut parents = steps.iter().flat_map(|step| parents(step));
    parents
        .find(|parent| stuck.contains(parent.image.as_str()))
        .map(|parent| parent.image.as_str())
}

/// The steps that a step is built on.
pub fn parents(step: &Step) -> impl Iterator<Item = &Target> {
    step.pins.iter().filter_map(|pin| match pin {
        PlannedPin::Step { target, .. } => Some(target),
        PlannedPin::Known { .. } => None,
    })
}
