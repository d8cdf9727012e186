//! Rollbacks: an image's tags were moved back to what was published before, on purpose.

use std::collections::{BTreeMap, BTreeSet};

use refit_oci::{Digest, ObjectId, Platform, Reference};
use serde::{Deserialize, Serialize};

use super::PublishRecord;

/// A decision that an image's tags hold an earlier publication again, and that no sweep goes forward from there to what
/// they held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollbackRecord {
    /// Unique: what `after` of the next publication names.
    pub id: String,
    /// The record it follows: what it takes back.
    pub after: Option<String>,
    /// The publication it goes back to.
    pub to: String,
    /// The image's name.
    pub image: String,
    /// The line.
    pub line: String,
    /// The commit that was released then.
    pub commit: Option<ObjectId>,
    /// What the tags hold again.
    pub index: Digest,
    /// What the lead tag held.
    pub replaces: Option<Digest>,
    /// The platforms' manifests.
    pub platforms: BTreeMap<Platform, Digest>,
    /// The manifests that are taken back: what they were built from, on what they were built on, is not published again.
    #[serde(default)]
    pub over: BTreeMap<Platform, BTreeSet<Digest>>,
    /// The tags that were moved, the lead first.
    pub tags: Vec<Reference>,
    /// The run's id.
    pub run: String,
    /// RFC 3339, UTC.
    pub at: String,
}

impl RollbackRecord {
    /// The same as a publication: the tag's chain goes on from here.
    pub(super) fn publication(&self) -> PublishRecord {
        PublishRecord {
            id: self.id.clone(),
            after: self.after.clone(),
            image: self.image.clone(),
            line: self.line.clone(),
            commit: self.commit.clone(),
            index: self.index.clone(),
            replaces: self.replaces.clone(),
            platforms: self.platforms.clone(),
            tags: self.tags.clone(),
            promotes: None,
            run: self.run.clone(),
            at: self.at.clone(),
        }
    }
}

/// The manifests of the publications that going back from `head` to `to` takes back, without those that `to` has itself.
pub(super) fn taken_back<'a>(
    chain: impl Iterator<Item = &'a PublishRecord>,
    to: &PublishRecord,
) -> BTreeMap<Platform, BTreeSet<Digest>> {
    let mut over: BTreeMap<Platform, BTreeSet<Digest>> = BTreeMap::new();
    for record in chain.take_while(|record| record.id != to.id) {
        for (platform, manifest) in &record.platforms {
            if to.platforms.get(platform) != Some(manifest) {
                let of_platform = over.entry(platform.clone()).or_default();
                of_platform.insert(manifest.clone());
            }
        }
    }
    over
}
