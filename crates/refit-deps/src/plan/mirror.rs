//! Bases are built from a registry of ours: where the finished plan says so, and what is copied there first.

use std::collections::HashSet;

use refit_dockerfile::Kind;
use refit_oci::{Digest, Reference, Repository};

use super::{Action, Plan, PlannedPin, evaluate::Evaluator};

/// A base's manifest that is in the mirror before anything is built on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseCopy {
    /// Where it is.
    pub from: Repository,
    /// The platform's manifest.
    pub manifest: Digest,
    /// Where it is built from.
    pub to: Repository,
}

impl BaseCopy {
    /// The tag that keeps it from being collected in the mirror.
    pub fn tag(&self) -> String {
        // A tag has no room for all of a sha512.
        let hex = self.manifest.hex();
        format!("base-{}", hex.get(..64).unwrap_or(hex))
    }

    /// The mirror's repository at that tag.
    pub fn tagged(&self) -> Reference {
        let tagged = self.to.tagged(&self.tag());
        tagged.expect("`base-` and hex digits are a tag")
    }
}

impl Evaluator<'_> {
    /// Turns every pin on somebody else's image to the mirror. What is only built for this machine is left as it is:
    /// nothing is pushed for its sake.
    pub(super) fn mirror_bases(&self, plan: &mut Plan) {
        let inventory = self.lookup.ground.inventory;
        let Some(mirror) = &inventory.mirror else {
            return;
        };
        let images = inventory.images.iter();
        let ours: HashSet<&Repository> = images.flat_map(|image| &image.destinations).collect();
        let built = plan.steps.iter_mut().filter(|step| {
            // What lies under its staging tag is taken as it is.
            !matches!(step.action, Action::Publish { .. }) && !self.is_local(&step.target.image)
        });
        for known in built.flat_map(|step| &mut step.pins) {
            let PlannedPin::Known {
                pin,
                repository,
                parent: None,
            } = known
            else {
                continue;
            };
            // An engine's own frontend reads the Dockerfile: none is pulled.
            if pin.kind == Kind::Frontend || ours.contains(repository) {
                continue;
            }
            if let (Some(manifest), Some(to)) = (&pin.manifest, mirror.repository(repository)) {
                let from = std::mem::replace(repository, to.clone());
                plan.mirrors.push(BaseCopy {
                    from,
                    manifest: manifest.clone(),
                    to,
                });
            }
        }
        plan.mirrors.sort();
        plan.mirrors.dedup();
    }
}
