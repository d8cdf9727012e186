//! All records of a repository, and the questions that they answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hashbrown::{HashMap, HashSet};
use jiff::Timestamp;
use refit_oci::{Digest, ObjectId, Platform, Reference};

use super::{
    AdoptRecord, BuildRecord, DepsRecord, FailureRecord, HoldRecord, Lines, PublishRecord, Record,
    RollbackRecord,
    lazy::{Lazy, parsed},
    rollback::taken_back,
};
use crate::{adopt::Recipe, source::SourceId};

/// All records of a repository, ready to be asked.
///
/// Of a hundred thousand, what an image is asked for is a handful: builds, publications and dependencies that lie in
/// [`Lines`] are read when something asks for them.
#[derive(Clone, Debug, Default)]
pub struct Records {
    lazy: Option<Lazy>,
    builds: HashMap<Digest, Vec<BuildRecord>>,
    publishes: HashMap<String, Vec<PublishRecord>>,
    /// The ids and indexes of all of them.
    published: HashSet<(String, Digest)>,
    /// By image and commit; of several the newest.
    adoptions: BTreeMap<(String, ObjectId), AdoptRecord>,
    /// By id.
    rollbacks: BTreeMap<String, RollbackRecord>,
    /// By staging tag; of several the last.
    pub(super) failures: BTreeMap<String, FailureRecord>,
    deps: Vec<DepsRecord>,
    pub(super) seen: BTreeMap<(Reference, Digest), BTreeSet<Timestamp>>,
    pub(super) swept: BTreeMap<String, Timestamp>,
    pub(super) holds: Vec<HoldRecord>,
    unread: usize,
    /// Whether the notes ref is there at all: without it, rollbacks and holds are unknown.
    pub present: bool,
    /// Notes that could not be read: what they say is unknown.
    pub damaged: usize,
}

impl Records {
    /// Reads lines in any order.
    pub fn read(lines: impl IntoIterator<Item: AsRef<str>>, present: bool) -> Self {
        let mut records = Self {
            present,
            ..Self::default()
        };
        for line in lines {
            let line = line.as_ref();
            records.add_line(line, Record::parse(line));
        }
        records
    }

    /// Records that are read as they are asked for.
    pub fn over(lines: Arc<dyn Lines>, present: bool) -> Self {
        let mut records = Self {
            present,
            ..Self::default()
        };
        for number in lines.others() {
            let line = lines.line(number);
            records.add_line(&line, Record::parse(&line));
        }
        records.lazy = Some(Lazy::new(lines));
        records
    }

    fn add_line(&mut self, line: &str, record: Option<Record>) {
        match record {
            Some(record) => self.add(record),
            None if line.trim().is_empty() => {}
            None => self.unread += 1,
        }
    }

    /// The same records, all of them read.
    fn all(&self) -> &Self {
        let Some(lazy) = &self.lazy else { return self };
        lazy.all.get_or_init(|| {
            let mut all = Self {
                present: self.present,
                damaged: self.damaged,
                ..Self::default()
            };
            for (line, record) in parsed(&*lazy.lines) {
                all.add_line(&line, record);
            }
            Box::new(all)
        })
    }

    /// Lines that are no record of a known type and version.
    pub fn unread(&self) -> usize {
        self.all().unread
    }

    /// Adds one record.
    pub fn add(&mut self, record: Record) {
        if self.lazy.is_some() {
            *self = self.all().clone();
        }
        match record {
            Record::Build(build) => {
                let known = self.builds.entry(build.manifest.clone()).or_default();
                if !known.contains(&build) {
                    if known.is_empty() {
                        known.reserve_exact(1); // nearly all stay alone
                    }
                    known.push(build);
                }
            }
            Record::Publish(publish) => {
                let known = self.publishes.entry(publish.image.clone()).or_default();
                // Folded history of two replicas overlaps.
                let is_new = self
                    .published
                    .insert((publish.id.clone(), publish.index.clone()));
                if is_new || !known.contains(&publish) {
                    if known.is_empty() {
                        known.reserve_exact(1);
                    }
                    known.push(publish);
                }
            }
            Record::Deps(deps) => self.deps.push(deps),
            Record::Seen(seen) => {
                // What is no time says nothing of when.
                if let Ok(at) = seen.at.parse() {
                    let key = (seen.reference, seen.digest);
                    self.seen.entry(key).or_default().insert(at);
                }
            }
            Record::Swept(swept) => {
                if let Ok(at) = swept.at.parse() {
                    let last = self.swept.entry(swept.line).or_insert(at);
                    *last = at.max(*last);
                }
            }
            Record::Hold(hold) => self.holds.push(hold),
            Record::Had(had) => had.records().for_each(|record| self.add(record)),
            Record::Compacted { .. } => {}
            Record::Failure(failure) => {
                let known = self.failures.get(&failure.key);
                let of = |failure: &FailureRecord| (failure.count, failure.until());
                if known.is_none_or(|known| of(known) < of(&failure)) {
                    self.failures.insert(failure.key.clone(), failure);
                }
            }
            Record::Rollback(rollback) => {
                self.add(Record::Publish(rollback.publication()));
                self.rollbacks.insert(rollback.id.clone(), rollback);
            }
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

    /// Whether the record of that id is an adoption, or goes back to one.
    pub fn is_adoption(&self, id: &str) -> bool {
        let back_to = self.rollbacks.get(id).map(|rollback| rollback.to.as_str());
        let is = |adopted: &AdoptRecord| adopted.id == id || Some(adopted.id.as_str()) == back_to;
        self.adoptions.values().any(is)
    }

    /// The last failure of what would have had that staging tag.
    pub fn failure(&self, key: &str) -> Option<&FailureRecord> {
        self.failures.get(key)
    }

    /// The rollback with that id.
    pub fn rollback(&self, id: &str) -> Option<&RollbackRecord> {
        self.rollbacks.get(id)
    }

    /// The rollback that still says something of what the record `head` published: nothing was released since.
    pub fn rolled_back(
        &self,
        image: &str,
        lead: &Reference,
        head: &str,
    ) -> Option<&RollbackRecord> {
        if self.rollbacks.is_empty() {
            return None;
        }
        let all: Vec<&PublishRecord> = self.publishes_of(image, lead).collect();
        let mut chain = chain(&all, head).peekable();
        let commit = &chain.peek()?.commit;
        let mut patches = chain.take_while(|record| record.commit == *commit);
        patches.find_map(|record| self.rollbacks.get(&record.id))
    }

    /// The publications of an image from its head on back. A rollback counts as what it goes back to: what is behind it
    /// are the ones before that.
    pub fn history<'a>(&'a self, image: &str, lead: &'a Reference) -> Vec<&'a PublishRecord> {
        let all: Vec<&PublishRecord> = self.publishes_of(image, lead).collect();
        let mut history: Vec<&PublishRecord> = Vec::new();
        let mut next = self.heads(image, lead).last().map(|head| head.id.clone());
        while let Some(id) = next {
            let Some(record) = all.iter().find(|record| record.id == id) else {
                break;
            };
            if history.iter().any(|known| known.id == record.id) {
                break; // records that follow each other in a ring are forged
            }
            history.push(*record);
            let original = self.rollbacks.get(&id).map(|rollback| &rollback.to);
            let original = original.and_then(|to| all.iter().find(|record| record.id == *to));
            next = original.map_or_else(|| record.after.clone(), |original| original.after.clone());
        }
        history
    }

    /// The manifests that an image would no longer have if its tags went from the record `head` back to `to`.
    pub fn taken_back(
        &self,
        lead: &Reference,
        head: &str,
        to: &PublishRecord,
    ) -> BTreeMap<Platform, BTreeSet<Digest>> {
        let all: Vec<&PublishRecord> = self.publishes_of(&to.image, lead).collect();
        if chain(&all, head).any(|record| record.id == to.id) {
            return taken_back(chain(&all, head), to);
        }
        taken_back(chain(&all, head).take(1), to)
    }

    /// The builds that made `manifest` for `image`.
    pub fn builds_of<'a, 'i>(
        &'a self,
        image: &'i str,
        manifest: &Digest,
    ) -> impl Iterator<Item = &'a BuildRecord> + use<'a, 'i> {
        let read = self.builds.get(manifest).into_iter().flatten();
        let lines = self.lazy.as_ref().map(|lazy| {
            lazy.builds_of(manifest, |build| {
                let known = self.builds.get(&build.manifest);
                known.is_none_or(|known| !known.contains(build))
            })
        });
        read.chain(lines.into_iter().flatten())
            .filter(move |build| build.image == image)
    }

    /// All builds, in the order of their manifests.
    pub fn builds(&self) -> impl Iterator<Item = &BuildRecord> {
        by_key(&self.all().builds)
    }

    /// All `deps` records.
    pub fn deps(&self) -> &[DepsRecord] {
        &self.all().deps
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

    /// When each line was swept last.
    pub fn swept(&self) -> &BTreeMap<String, Timestamp> {
        &self.swept
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
        by_key(&self.all().publishes)
    }

    /// What was published of `image` under the tag `lead`.
    pub fn publishes_of<'a>(
        &'a self,
        image: &str,
        lead: &'a Reference,
    ) -> impl Iterator<Item = &'a PublishRecord> {
        let read = self.publishes.get(image).into_iter().flatten();
        let lines = self.lazy.as_ref().map(|lazy| {
            lazy.publishes_of(image, |publish| {
                let known = self.publishes.get(&publish.image);
                known.is_none_or(|known| !known.contains(publish))
            })
        });
        read.chain(lines.into_iter().flatten())
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
