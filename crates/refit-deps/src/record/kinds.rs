//! What the records of each type say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use refit_oci::{Digest, ObjectId, Platform, Reference};
use serde::{Deserialize, Serialize};

use crate::{
    adopt::{How, Recipe},
    pin::Pin,
    source::SourceId,
};

/// A target's dependencies at a commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DepsRecord {
    /// The image's name.
    pub image: String,
    /// The target's platform.
    pub platform: Platform,
    /// What of ours goes in.
    pub source: SourceId,
    /// The commit.
    pub commit: ObjectId,
    /// What it resolved to then.
    pub deps: Vec<Pin>,
    /// RFC 3339, UTC.
    pub at: String,
}

/// One target's build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// The image's name.
    pub image: String,
    /// The target's platform.
    pub platform: Platform,
    /// The line it was built for.
    pub line: Option<String>,
    /// What of ours went in.
    pub source: SourceId,
    /// The commit; none for a dirty working tree, which no sweep ever rebuilds.
    pub commit: Option<ObjectId>,
    /// What it was built on.
    pub deps: Vec<Pin>,
    /// The base's uncompressed layers.
    #[serde(default)]
    pub base_diff_ids: Vec<Digest>,
    /// The result.
    pub manifest: Digest,
    /// `rebuild`, or how else it came to be.
    pub how: String,
    /// `docker`, `native`.
    pub engine: String,
    /// Why it was built, by the reasons' words; empty in records of older versions.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reasons: BTreeSet<String>,
    /// The run's id.
    pub run: String,
    /// The log's digest in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Digest>,
    /// RFC 3339, UTC.
    pub at: String,
}

/// One move of an image's tags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishRecord {
    /// Unique: what `after` of the next one names.
    pub id: String,
    /// The record it follows; none for the first.
    pub after: Option<String>,
    /// The image's name.
    pub image: String,
    /// The line.
    pub line: String,
    /// The commit that was released.
    pub commit: Option<ObjectId>,
    /// What the tags point at now.
    pub index: Digest,
    /// What the lead tag held before; none if it held nothing. Not always what `after` published: a push whose record
    /// came late, or a rollback that a release moved on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Digest>,
    /// Its platforms' manifests.
    pub platforms: BTreeMap<Platform, Digest>,
    /// The tags that were moved, the lead first.
    pub tags: Vec<Reference>,
    /// The run whose results are published by somebody's decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotes: Option<String>,
    /// The run's id.
    pub run: String,
    /// RFC 3339, UTC.
    pub at: String,
}

/// A digest that a base's tag had moved to, and when a sweep saw it first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeenRecord {
    /// An image that is built on it, whose Dockerfile the record is a note on.
    pub image: String,
    /// The base's tag.
    pub reference: Reference,
    /// The index, or the manifest where the tag is no index.
    pub digest: Digest,
    /// RFC 3339, UTC.
    pub at: String,
}

/// A sweep over all images of a line. For people; it decides nothing, and only the newest of a line says anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweptRecord {
    /// An image of the line, whose Dockerfile the record is a note on.
    pub image: String,
    /// The line.
    pub line: String,
    /// RFC 3339, UTC.
    pub at: String,
}

/// A decision that an image is not to be patched, or a base's digest not to be taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldRecord {
    /// Unique: what a record that ends it names.
    pub id: String,
    /// The holds that this record ends. One that ends any holds nothing itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<String>,
    /// The image that is held; of a base, an image that is built on it.
    pub image: String,
    /// The base's tag, where a base is held and not the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The base's index or manifest; none: whatever it moves to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// When it ends by itself, RFC 3339; what is no time never comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Words for people.
    #[serde(default)]
    pub reason: String,
    /// RFC 3339, UTC.
    pub at: String,
}

impl HoldRecord {
    /// Whether the hold is over at that time.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let until = self.until.as_deref().and_then(|until| until.parse().ok());
        until.is_some_and(|until: Timestamp| until <= now)
    }
}

/// An image that another tool published, taken on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdoptRecord {
    /// Unique: what `after` of the next publication names.
    pub id: String,
    /// The record it follows; none for the first.
    pub after: Option<String>,
    /// The image's name.
    pub image: String,
    /// The line.
    pub line: String,
    /// The commit that it was built from.
    pub commit: ObjectId,
    /// What that commit's own configuration does not say of how it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// What the tags hold: an index, or a single manifest.
    pub index: Digest,
    /// Its platforms.
    pub platforms: BTreeMap<Platform, AdoptedPlatform>,
    /// The tags that hold it, the lead first.
    pub tags: Vec<Reference>,
    /// The run's id.
    pub run: String,
    /// RFC 3339, UTC.
    pub at: String,
}

/// One platform of an adopted image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdoptedPlatform {
    /// The manifest.
    pub manifest: Digest,
    /// What of ours went in; none for a platform that no configuration names, which is carried along as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    /// By what it was explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
    /// What it was built on, proven.
    #[serde(default)]
    pub pins: Vec<Pin>,
    /// What nothing spoke against: as it was when the image was adopted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<Pin>,
}

impl AdoptRecord {
    /// The same as a publication: the tag's chain goes on from here.
    pub(super) fn publication(&self) -> PublishRecord {
        PublishRecord {
            id: self.id.clone(),
            after: self.after.clone(),
            image: self.image.clone(),
            line: self.line.clone(),
            commit: Some(self.commit.clone()),
            index: self.index.clone(),
            replaces: None,
            platforms: self
                .platforms
                .iter()
                .map(|(platform, adopted)| (platform.clone(), adopted.manifest.clone()))
                .collect(),
            tags: self.tags.clone(),
            promotes: None,
            run: self.run.clone(),
            at: self.at.clone(),
        }
    }

    /// The same as builds: what later ones are compared with.
    pub(super) fn builds(&self) -> impl Iterator<Item = BuildRecord> {
        self.platforms.iter().filter_map(|(platform, adopted)| {
            Some(BuildRecord {
                image: self.image.clone(),
                platform: platform.clone(),
                line: Some(self.line.clone()),
                source: adopted.source.clone()?,
                commit: Some(self.commit.clone()),
                deps: adopted
                    .pins
                    .iter()
                    .chain(&adopted.assumed)
                    .cloned()
                    .collect(),
                base_diff_ids: Vec::new(),
                manifest: adopted.manifest.clone(),
                how: "adopted".to_owned(),
                engine: "unknown".to_owned(),
                reasons: BTreeSet::new(),
                run: self.run.clone(),
                log: None,
                at: self.at.clone(),
            })
        })
    }
}
