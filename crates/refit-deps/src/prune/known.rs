//! What records say of digests: which are ours, and until when somebody may ask for them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use refit_oci::{Digest, Reference};

use crate::{
    key::{EngineKind, Key},
    plan::LAYER_FORMAT,
    record::{BuildRecord, PublishRecord, Records},
};

/// How much of the past stays.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The time.
    pub now: Timestamp,
    /// Nothing goes that was published or built as short ago as this.
    pub older_than: SignedDuration,
    /// How many publications before the present one stay, however old they are.
    pub publications: usize,
}

impl Window {
    /// Whether something lies before the window. What lies in the future was written by a clock that is ahead.
    pub(super) fn is_past(&self, at: Timestamp) -> bool {
        self.now.duration_since(at) > self.older_than
    }
}

/// When somebody had use for a document last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Since {
    /// It was built then, and nothing says that it was published.
    Built(Timestamp),
    /// Its staging tag was met then first, and no record names it.
    Seen(Timestamp),
    /// Something else was published then in its place.
    Replaced(Timestamp),
}

impl Since {
    /// The time.
    pub fn at(self) -> Timestamp {
        match self {
            Self::Built(at) | Self::Seen(at) | Self::Replaced(at) => at,
        }
    }
}

/// A document that we pushed.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    pub(super) image: String,
    pub(super) since: Since,
}

/// What records say.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What we built or put together, and nobody else.
    pub(super) ours: BTreeMap<Digest, Ours>,
    /// What stays whatever its age: published, or what a rollback goes to.
    pub(super) needed: BTreeSet<Digest>,
    /// What each manifest was built on.
    pub(super) pins: BTreeMap<Digest, BTreeSet<Digest>>,
    /// When what lies under a staging tag was built.
    pub(super) staged: BTreeMap<String, Timestamp>,
    /// The newest staging tags of each manifest.
    pub(super) newest: BTreeMap<Digest, (Timestamp, BTreeSet<String>)>,
}

impl Known {
    /// Reads all records. A time that is none is of an unknown age: what it is about stays.
    pub fn of(records: &Records, window: &Window) -> Self {
        let mut known = Self::default();
        let mut others = BTreeSet::new();
        for build in records.builds() {
            if build.how == "adopted" {
                others.insert(build.manifest.clone());
            }
            known.build(build);
        }
        let mut leads: BTreeSet<(&str, &Reference)> = BTreeSet::new();
        let mut replaced: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for publish in records.publishes() {
            leads.extend(
                publish
                    .tags
                    .first()
                    .map(|lead| (publish.image.as_str(), lead)),
            );
            if let (Some(after), Ok(at)) = (&publish.after, publish.at.parse()) {
                let first = replaced.entry(after).or_insert(at);
                *first = at.min(*first);
            }
        }
        for publish in records.publishes() {
            if records.is_adoption(&publish.id) {
                others.extend(documents(publish).cloned());
            }
            match replaced.get(publish.id.as_str()) {
                Some(at) => known.replaced(publish, *at),
                None => known.needed.extend(documents(publish).cloned()),
            }
        }
        for (image, lead) in leads {
            let history = records.history(image, lead);
            let heads = records.heads(image, lead);
            let stay = history.into_iter().take(1 + window.publications);
            for publish in stay.chain(heads) {
                known.needed.extend(documents(publish).cloned());
            }
        }
        // What another tool pushed is not ours to remove, whatever we put it into.
        known.ours.retain(|digest, _| !others.contains(digest));
        known
    }

    fn build(&mut self, build: &BuildRecord) {
        let pinned = build.deps.iter();
        let pinned = pinned.flat_map(|pin| pin.manifest.iter().chain(&pin.index));
        let pins = self.pins.entry(build.manifest.clone()).or_default();
        pins.extend(pinned.cloned());
        let Ok(at) = build.at.parse() else {
            self.needed.insert(build.manifest.clone());
            return;
        };
        self.add(&build.manifest, &build.image, Since::Built(at));
        let Some(engine) = EngineKind::of(&build.engine) else {
            return;
        };
        let key = Key {
            source: &build.source,
            engine,
            layer_format: LAYER_FORMAT,
            pins: &build.deps,
            platform: &build.platform,
            replaces: None,
            rebased: None,
        };
        let tag = key.tag();
        let last = self.staged.entry(tag.clone()).or_insert(at);
        *last = at.max(*last);
        let (newest, tags) = self.newest.entry(build.manifest.clone()).or_default();
        if at > *newest {
            tags.clear();
            *newest = at;
        }
        if at == *newest {
            tags.insert(tag);
        }
    }

    fn replaced(&mut self, publish: &PublishRecord, at: Timestamp) {
        for digest in documents(publish) {
            self.add(digest, &publish.image, Since::Replaced(at));
        }
    }

    fn add(&mut self, digest: &Digest, image: &str, since: Since) {
        let known = self.ours.entry(digest.clone()).or_insert_with(|| Ours {
            image: image.to_owned(),
            since,
        });
        if (known.since.at(), known.since) < (since.at(), since) {
            known.since = since;
        }
    }

    /// Whether records name it as built or put together by us.
    pub fn is_ours(&self, digest: &Digest) -> bool {
        self.ours.contains_key(digest)
    }

    /// The same of these images.
    pub fn candidates_of(&self, window: &Window, images: &BTreeSet<String>) -> BTreeSet<Digest> {
        let mut candidates = self.candidates(window);
        candidates.retain(|digest| images.contains(&self.ours[digest].image));
        candidates
    }

    /// What may be gone as far as records say, whether it still is anywhere or not; by the images that they name.
    pub fn candidates(&self, window: &Window) -> BTreeSet<Digest> {
        let past = self.ours.iter();
        let past = past.filter(|(digest, ours)| {
            window.is_past(ours.since.at()) && !self.needed.contains(*digest)
        });
        past.map(|(digest, _)| digest.clone()).collect()
    }
}

/// The index and its platforms' manifests.
fn documents(publish: &PublishRecord) -> impl Iterator<Item = &Digest> {
    std::iter::once(&publish.index).chain(publish.platforms.values())
}
