//! Records: the JSON lines of `refs/notes/refit-records`, each complete in itself.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use jiff::Timestamp;
use refit_oci::{Digest, ObjectId, Platform, Reference};
use serde::{Deserialize, Serialize};

use crate::{
    adopt::{How, Recipe},
    pin::Pin,
    source::SourceId,
};

/// The version of the record format.
const VERSION: u32 = 1;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// What a commit's Dockerfile depends on. For lineage and people; never makes a target fresh.
    Deps(DepsRecord),
    /// How a manifest was made.
    Build(BuildRecord),
    /// What a moving tag was moved to.
    Publish(PublishRecord),
    /// When a base's digest was seen first.
    Seen(SeenRecord),
    /// What is not to be touched, or not to be taken.
    Hold(HoldRecord),
    /// What a moving tag holds that another tool put there: from now on it is ours to patch.
    Adopt(AdoptRecord),
}

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
    fn is_over(&self, now: Timestamp) -> bool {
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
    fn publication(&self) -> PublishRecord {
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
            run: self.run.clone(),
            at: self.at.clone(),
        }
    }

    /// The same as builds: what later ones are compared with.
    fn builds(&self) -> impl Iterator<Item = BuildRecord> {
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

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    #[serde(flatten)]
    record: &'a Record,
}

impl Record {
    /// The line, without a newline.
    pub fn to_line(&self) -> String {
        serde_json::to_string(&Line {
            v: VERSION,
            record: self,
        })
        .expect("records have only string keys")
    }

    /// Reads a line. None for types and versions that this refit does not know: they are kept, unread.
    pub fn parse(line: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Probe {
            v: u32,
        }
        // As every refit of this version begins its lines: only others are read twice.
        let is_ours = line.starts_with("{\"v\":1,")
            || serde_json::from_str(line).is_ok_and(|probe: Probe| probe.v == VERSION);
        is_ours.then(|| serde_json::from_str(line).ok()).flatten()
    }

    /// The image it speaks of.
    pub fn image(&self) -> &str {
        match self {
            Self::Deps(record) => &record.image,
            Self::Build(record) => &record.image,
            Self::Publish(record) => &record.image,
            Self::Seen(record) => &record.image,
            Self::Hold(record) => &record.image,
            Self::Adopt(record) => &record.image,
        }
    }
}

/// All records of a repository, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Records {
    builds: HashMap<Digest, Vec<BuildRecord>>,
    publishes: HashMap<String, Vec<PublishRecord>>,
    /// By image and commit; of several the newest.
    adoptions: BTreeMap<(String, ObjectId), AdoptRecord>,
    deps: Vec<DepsRecord>,
    seen: BTreeMap<(Reference, Digest), BTreeSet<Timestamp>>,
    holds: Vec<HoldRecord>,
    /// Lines that are no record of a known type and version.
    pub unread: usize,
    /// Whether the notes ref is there at all: without it, rollbacks and holds are unknown.
    pub present: bool,
}

impl Records {
    /// Reads lines in any order.
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>, present: bool) -> Self {
        let mut records = Self {
            present,
            ..Self::default()
        };
        for line in lines {
            match Record::parse(line) {
                Some(record) => records.add(record),
                None if line.trim().is_empty() => {}
                None => records.unread += 1,
            }
        }
        records
    }

    /// Adds one record.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Build(build) => self
                .builds
                .entry(build.manifest.clone())
                .or_default()
                .push(build),
            Record::Publish(publish) => self
                .publishes
                .entry(publish.image.clone())
                .or_default()
                .push(publish),
            Record::Deps(deps) => self.deps.push(deps),
            Record::Seen(seen) => {
                // What is no time says nothing of when.
                if let Ok(at) = seen.at.parse() {
                    let key = (seen.reference, seen.digest);
                    self.seen.entry(key).or_default().insert(at);
                }
            }
            Record::Hold(hold) => self.holds.push(hold),
            Record::Adopt(adopt) => {
                adopt
                    .builds()
                    .for_each(|build| self.add(Record::Build(build)));
                self.add(Record::Publish(adopt.publication()));
                let key = (adopt.image.clone(), adopt.commit.clone());
                let known = self.adoptions.get(&key);
                let is_newest =
                    known.is_none_or(|known| (&known.at, &known.id) < (&adopt.at, &adopt.id));
                if is_newest {
                    self.adoptions.insert(key, adopt);
                }
            }
        }
    }

    /// How an adopted image is built at a commit, where the commit's own configuration does not say it.
    pub fn recipe(&self, image: &str, commit: &ObjectId) -> Option<&Recipe> {
        let adopted = self.adoptions.get(&(image.to_owned(), commit.clone()))?;
        adopted.recipe.as_ref()
    }

    /// Whether the record of that id is an adoption.
    pub fn is_adoption(&self, id: &str) -> bool {
        self.adoptions.values().any(|adopted| adopted.id == id)
    }

    /// The builds that made `manifest` for `image`.
    pub fn builds_of<'a, 'i>(
        &'a self,
        image: &'i str,
        manifest: &Digest,
    ) -> impl Iterator<Item = &'a BuildRecord> + use<'a, 'i> {
        self.builds
            .get(manifest)
            .into_iter()
            .flatten()
            .filter(move |build| build.image == image)
    }

    /// All builds, in the order of their manifests.
    pub fn builds(&self) -> impl Iterator<Item = &BuildRecord> {
        by_key(&self.builds)
    }

    /// All `deps` records.
    pub fn deps(&self) -> &[DepsRecord] {
        &self.deps
    }

    /// When `digest` was seen first under a tag. What lies in the future was written by a clock that is ahead, and says
    /// nothing.
    pub fn first_seen(
        &self,
        tag: &Reference,
        digest: &Digest,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let times = self.seen.get(&(tag.clone(), digest.clone()))?;
        times.first().filter(|at| **at <= now).copied()
    }

    /// All holds that no other record has ended and whose time is not over.
    pub fn holds(&self, now: Timestamp) -> Vec<&HoldRecord> {
        let ended: BTreeSet<&str> = self
            .holds
            .iter()
            .flat_map(|hold| hold.ends.iter().map(String::as_str))
            .collect();
        let mut holds: Vec<&HoldRecord> = self
            .holds
            .iter()
            .filter(|hold| {
                hold.ends.is_empty() && !ended.contains(hold.id.as_str()) && !hold.is_over(now)
            })
            .collect();
        holds.sort_by(|a, b| (&a.at, &a.id).cmp(&(&b.at, &b.id)));
        holds
    }

    /// All publish records, by image.
    pub fn publishes(&self) -> impl Iterator<Item = &PublishRecord> {
        by_key(&self.publishes)
    }

    /// What was published of `image` under the tag `lead`.
    pub fn publishes_of<'a>(
        &'a self,
        image: &str,
        lead: &'a Reference,
    ) -> impl Iterator<Item = &'a PublishRecord> {
        self.publishes
            .get(image)
            .into_iter()
            .flatten()
            .filter(move |publish| publish.tags.first() == Some(lead))
    }

    /// The records of `image` under `lead` that no other follows. One, unless two runs published at the same time.
    pub fn heads<'a>(&'a self, image: &str, lead: &'a Reference) -> Vec<&'a PublishRecord> {
        let all: Vec<&PublishRecord> = self.publishes_of(image, lead).collect();
        if let [only] = all[..]
            && only.after.as_ref() != Some(&only.id)
        {
            return all;
        }
        let followed: BTreeSet<&str> = all.iter().filter_map(|p| p.after.as_deref()).collect();
        let mut heads = all.clone();
        heads.retain(|p| !followed.contains(p.id.as_str()));
        // A record that came late, after its index was written over, is followed too, although by none that names it.
        let written_over = |head: &PublishRecord| {
            let over = all
                .iter()
                .filter(|p| p.replaces.as_ref() == Some(&head.index));
            over.into_iter().any(|over| !leads_to(&all, head, &over.id))
        };
        if heads.iter().any(|head| !written_over(head)) {
            heads.retain(|head| !written_over(head));
        }
        heads.sort_by(|a, b| (&a.at, &a.id).cmp(&(&b.at, &b.id)));
        heads
    }

    /// What the records moved `tag` to last, following the chain back from its head.
    pub fn last_moved<'a>(
        &'a self,
        image: &str,
        lead: &'a Reference,
        tag: &Reference,
    ) -> Option<&'a Digest> {
        let all: Vec<&PublishRecord> = self.publishes_of(image, lead).collect();
        let head = *self.heads(image, lead).last()?;
        let mut chain = chain(&all, &head.id);
        chain
            .find(|record| record.tags.contains(tag))
            .map(|record| &record.index)
    }

    /// Whether a source was ever published under `lead`.
    pub fn ever_published(&self, image: &str, lead: &Reference, source: &SourceId) -> bool {
        let manifests = self
            .publishes_of(image, lead)
            .flat_map(|publish| publish.platforms.values());
        manifests
            .flat_map(|manifest| self.builds_of(image, manifest))
            .any(|build| build.source == *source)
    }
}

/// Whatever is in a map, in the order of its keys.
fn by_key<K: Ord, V>(map: &HashMap<K, Vec<V>>) -> impl Iterator<Item = &V> {
    let mut all: Vec<(&K, &Vec<V>)> = map.iter().collect();
    all.sort_unstable_by_key(|(key, _)| *key);
    all.into_iter().flat_map(|(_, values)| values)
}

/// A record and those before it, each once.
fn chain<'a>(all: &[&'a PublishRecord], from: &str) -> impl Iterator<Item = &'a PublishRecord> {
    let by_id: BTreeMap<&str, &PublishRecord> = all.iter().map(|p| (p.id.as_str(), *p)).collect();
    let mut left = by_id.len();
    let mut next = by_id.get(from).copied();
    std::iter::from_fn(move || {
        let record = next.take()?;
        left = left.checked_sub(1)?; // records that follow each other in a ring are forged
        next = record
            .after
            .as_deref()
            .and_then(|id| by_id.get(id))
            .copied();
        Some(record)
    })
}

/// Whether the record `id` is before `from`.
fn leads_to(all: &[&PublishRecord], from: &PublishRecord, id: &str) -> bool {
    chain(all, &from.id).any(|record| record.id == id)
}
