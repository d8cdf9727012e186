//! Adoption: what an image that another tool published was built on, how sure that is, and from which source.
//!
//! The rule, dependency by dependency. Evidence is asked for in this order, and the first that speaks decides:
//!
//! 1. **A record, or refit's own annotations**, where a tag was moved to something older of ours.
//! 2. **Provenance**: BuildKit's attestation lists every image it resolved, with its digest. A material of the
//!    dependency's repository and tag is proof, whether its digest is an index or a manifest. An attestation counts for
//!    the manifest that is its subject and for no other.
//! 3. **`org.opencontainers.image.base.digest`**, for the base alone, if `base.name` names the base's repository. As a
//!    label it may have been inherited from the base, where it speaks of the base's base: hence the name.
//! 4. **Layers**, for the base alone. The image's diff ids begin with those of what the base's tag is now, and its history
//!    with the base's: *fresh*. They begin with those of an older image that is known (a record's pin, a tag of the
//!    same track): it is *that one*. They do not begin with those of today's base: it was built on something else,
//!    *stale for sure*, and unknown is only on what (`from` is null).
//! 5. **Nothing**: the same layers under another history, more layers on top than the Dockerfile makes, a base without
//!    layers; and what only files were copied or mounted from, which leaves no trace in layers. That is *assumed* to be
//!    what it is now: it makes nothing stale today, and is said. Once adopted, it is compared from then on.
//!
//! A flattened image does not begin with its base's layers: it is rebuilt once, and needlessly. The other way round
//! nothing is missed.
//!
//! **The source** is the revision that provenance, annotations or labels name, if it is a commit here. A label may be
//! inherited, too: of an image whose base is another image of this repository it counts only if it is certainly its own,
//! or if nothing of the image's source has changed since.

mod layers;
mod provenance;
mod recipe;
mod said;
mod track;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use refit_oci::{Digest, ObjectId, Platform, Reference};
use serde::{Deserialize, Serialize};

use crate::{observe::Release, pin::Pin, reason::State, source::SourceId};

pub(crate) use layers::{Match, begins_with, most_layers};
pub use provenance::{LIMIT as PROVENANCE_LIMIT, Material, Provenance, is_provenance};
pub use recipe::Recipe;
pub(crate) use said::{digest_of_base, revision};
pub(crate) use track::same_track;

/// By what a published image was explained; the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Its layers, against those of the base.
    Layers,
    /// Its own annotations or labels.
    Annotations,
    /// BuildKit's attestation.
    Provenance,
}

impl How {
    /// The word in records, JSON and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Layers => "layers",
            Self::Annotations => "annotations",
            Self::Provenance => "provenance",
        }
    }
}

/// What one manifest was built on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The strongest evidence among its dependencies'.
    pub how: How,
    /// What is proven.
    pub pins: Vec<Pin>,
    /// What nothing speaks against: as it is now.
    pub assumed: Vec<Pin>,
    /// What it was not built on as it is now; on what instead is unknown.
    pub unknown: Vec<Reference>,
}

impl Explained {
    /// What is known of a reference in one place is known of it in all: one build resolves it once.
    pub(crate) fn settle(&mut self) {
        for mut assumed in std::mem::take(&mut self.assumed) {
            let same = |pin: &&Pin| pin.same_dependency(&assumed.reference, &assumed.platform);
            if let Some(known) = self.pins.iter().find(same) {
                assumed.index.clone_from(&known.index);
                assumed.manifest.clone_from(&known.manifest);
                self.pins.push(assumed);
            } else if !self.unknown.contains(&assumed.reference) {
                self.assumed.push(assumed);
            }
        }
        // Two stages may start from the same image.
        for pins in [&mut self.pins, &mut self.assumed] {
            let mut once: Vec<Pin> = Vec::new();
            for pin in std::mem::take(pins) {
                if !once.contains(&pin) {
                    once.push(pin);
                }
            }
            *pins = once;
        }
        let mut once = BTreeSet::new();
        self.unknown
            .retain(|reference| once.insert(reference.clone()));
    }

    /// All that is compared with what the dependencies are now.
    pub fn compared(&self) -> Vec<Pin> {
        self.pins.iter().chain(&self.assumed).cloned().collect()
    }
}

/// Where to look for an image's source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OriginKey {
    /// The image's name.
    pub image: String,
    /// The revision, as the image gives it.
    pub revision: String,
    /// What the user, else the image itself says of how it was built there.
    pub recipe: RecipeHint,
}

/// A recipe, and how much it counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecipeHint {
    /// Nobody says anything.
    None,
    /// The image says so: for a commit that neither has a configuration nor the tip's paths.
    Told(Recipe),
    /// The user says which Dockerfile.
    Dockerfile(String),
}

/// An image's source, found.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The commit.
    pub commit: ObjectId,
    /// The image as it is there.
    pub release: Arc<Release>,
    /// What the commit's own configuration does not say: to be recorded.
    pub recipe: Option<Recipe>,
}

/// What `refit adopt` is asked for.
#[derive(Clone, Debug, Default)]
pub struct AdoptOptions {
    /// Images by name.
    pub images: BTreeSet<String>,
    /// Whether the user named them: then also what was put in the place of something of ours is taken.
    pub named: bool,
    /// The source that the user names; of images that are not named, for those that say nothing themselves.
    pub source: Option<UserSource>,
}

/// A source that the user names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSource {
    /// The commit.
    pub commit: ObjectId,
    /// The Dockerfile there, if it is not what the configuration has.
    pub dockerfile: Option<String>,
}

/// What will be recorded, and what cannot be.
#[derive(Clone, Debug, Default)]
pub struct AdoptPlan {
    /// Sorted by image.
    pub adoptions: Vec<Adoption>,
    /// Images whose tags hold what records name already.
    pub known: Vec<String>,
    /// Why others can't be adopted.
    pub states: Vec<State>,
}

/// One image's adoption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// The image's name.
    pub image: String,
    /// The tags that hold it, the lead first.
    pub tags: Vec<Reference>,
    /// What they hold: an index, or a single manifest.
    pub index: Digest,
    /// The record that this one follows.
    pub after: Option<String>,
    /// The commit that it was built from.
    pub commit: ObjectId,
    /// What the commit's own configuration does not say.
    pub recipe: Option<Recipe>,
    /// By platform; those that no configuration names are carried along unexplained.
    pub platforms: BTreeMap<Platform, AdoptedManifest>,
}

/// One platform of an adopted image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptedManifest {
    /// The manifest.
    pub manifest: Digest,
    /// What it was built from and on; none for a platform that no configuration names.
    pub explained: Option<(SourceId, Explained)>,
}
