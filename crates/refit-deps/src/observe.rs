//! The ground state that staleness is computed from, and what of it is still unknown.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use hashbrown::{Equivalent, HashMap};
use jiff::Timestamp;
use refit_oci::{Digest, Document, ImageConfig, ObjectId, Platform, Reference, Repository};

use crate::{
    adopt::{Origin, OriginKey, Provenance},
    check::{Check, CheckKey},
    edges::Edges,
    graph::Graph,
    image::Image,
    inventory::Inventory,
    record::Records,
    scan::{Scans, Triggers},
    source::Source,
};

/// A line: a branch or git tag whose images are swept or released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The branch's or tag's name.
    pub name: String,
    /// Its tip.
    pub commit: Option<ObjectId>,
}

/// What is known so far. Grows from round to round.
pub struct Ground<'a> {
    /// The line that is looked at.
    pub line: &'a Line,
    /// The images at the line's tip.
    pub inventory: &'a Inventory,
    /// Which references are images of the repository.
    pub edges: &'a Edges,
    /// The Dockerfiles of its images, resolved.
    pub scans: &'a Scans,
    /// What of them is built on what.
    pub graph: &'a Graph,
    /// How manifests were made and tags were moved.
    pub records: &'a Records,
    /// The platform that `$BUILDPLATFORM` stands for.
    pub build_platform: &'a Platform,
    /// The time: it orders and defers, and never makes anything fresh.
    pub now: Timestamp,
    /// What registries and git answered.
    pub answers: &'a Answers,
}

/// Answers of registries and git.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// What tags resolve to.
    pub tags: HashMap<Reference, Answer<Digest>>,
    /// Manifests and indexes.
    pub documents: HashMap<(Repository, Digest), Answer<Arc<Document>>>,
    /// The configs of manifests.
    pub configs: HashMap<(Repository, Digest), Answer<Arc<ImageConfig>>>,
    /// Images as they are at a commit (none: at the tip that is looked at).
    pub releases: HashMap<ReleaseKey, Answer<Arc<Release>>>,
    /// Sources of which triggers of the bases copy a part.
    pub sources: BTreeMap<SourceKey, Answer<Source>>,
    /// The provenance statements of attestation manifests.
    pub provenances: BTreeMap<(Repository, Digest), Answer<Arc<Provenance>>>,
    /// The sources of images that other tools published.
    pub origins: BTreeMap<OriginKey, Answer<Arc<Origin>>>,
    /// The tags of repositories.
    pub listings: BTreeMap<Repository, Answer<Arc<Vec<String>>>>,
    /// What `stale-when` commands said.
    pub checks: BTreeMap<CheckKey, Check>,
}

/// A target whose source depends on what its bases make it copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceKey {
    /// The image's name.
    pub image: String,
    /// The commit it is wanted at; none for the tip.
    pub commit: Option<ObjectId>,
    /// The platform.
    pub platform: Platform,
    /// What its bases make it execute.
    pub triggers: Triggers,
}

/// An image's name, and the commit it is wanted at; none for the tip.
pub type ReleaseKey = (String, Option<ObjectId>);

/// What came back.
#[derive(Clone, Debug)]
pub enum Answer<T> {
    /// This.
    Found(T),
    /// It is not there, for certain.
    Missing,
    /// It could not be asked for, or what came can't be used.
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is to be done about it.
    pub kind: FailureKind,
    /// What happened, in one sentence.
    pub message: String,
}

/// What is to be done about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The registry wants to know who asks, or knows and does not allow it.
    Unauthorized {
        /// Who asked: `anonymously`, or where the credential is from.
        credentials: String,
    },
    /// The registry has been asked too often.
    RateLimited {
        /// When it may be asked again, if it says.
        until: Option<Timestamp>,
    },
    /// A manifest in Docker's first format.
    Schema1,
    /// Anything else.
    Other,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self {
            kind: FailureKind::Other,
            message,
        }
    }
}

/// An image at a commit: what a patch of a release is built from.
#[derive(Clone, Debug)]
pub struct Release {
    /// The image's entry at that commit.
    pub image: Image,
    /// Its source, by platform.
    pub sources: BTreeMap<Platform, Arc<Source>>,
    /// How the commit stands to the line's tip.
    pub relation: Relation,
}

/// How a commit stands to the line's tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is the tip.
    Tip,
    /// The tip's ancestor.
    Ancestor,
    /// The tip is its ancestor: it is newer.
    Newer,
    /// Neither.
    Elsewhere,
}

/// What is still unknown: ask for it, add the answers, and resolve again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Tags to resolve, one HEAD each.
    pub tags: BTreeSet<Reference>,
    /// Manifests and indexes to fetch by digest.
    pub documents: BTreeSet<(Repository, Digest)>,
    /// Manifests whose configs are to be fetched.
    pub configs: BTreeSet<(Repository, Digest)>,
    /// Images to read at a commit.
    pub releases: BTreeSet<ReleaseKey>,
    /// Sources to list at a commit.
    pub sources: BTreeSet<SourceKey>,
    /// Attestation manifests whose provenance statements are to be fetched.
    pub provenances: BTreeSet<(Repository, Digest)>,
    /// Sources to look for.
    pub origins: BTreeSet<OriginKey>,
    /// Repositories whose tags are to be listed.
    pub listings: BTreeSet<Repository>,
    /// Published manifests to run their image's `stale-when` command on.
    pub checks: BTreeSet<CheckKey>,
}

impl Needs {
    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
            && self.documents.is_empty()
            && self.configs.is_empty()
            && self.releases.is_empty()
            && self.sources.is_empty()
            && self.provenances.is_empty()
            && self.origins.is_empty()
            && self.listings.is_empty()
            && self.checks.is_empty()
    }
}

/// A computation's answer: done, or what it needs first.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is returned a round, and taken apart at once"
)]
pub enum Resolved<T> {
    /// The result.
    Done(T),
    /// What is unknown; never empty.
    Needs(Needs),
}

/// Something at a digest, as a key of [`Answers`].
struct Parts<'a>(&'a Repository, &'a Digest);

impl Parts<'_> {
    fn whole(&self) -> (Repository, Digest) {
        (self.0.clone(), self.1.clone())
    }
}

impl Hash for Parts<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1).hash(state);
    }
}

impl Equivalent<(Repository, Digest)> for Parts<'_> {
    fn equivalent(&self, key: &(Repository, Digest)) -> bool {
        // The digests differ where anything does.
        *self.1 == key.1 && *self.0 == key.0
    }
}

/// A [`ReleaseKey`] of somebody else's.
struct OfRelease<'a>(&'a str, Option<&'a ObjectId>);

impl Hash for OfRelease<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1).hash(state);
    }
}

impl Equivalent<ReleaseKey> for OfRelease<'_> {
    fn equivalent(&self, key: &ReleaseKey) -> bool {
        self.0 == key.0 && self.1 == key.1.as_ref()
    }
}

/// It is known, and there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Absent;

/// Looks things up, and notes what is not there yet.
pub(crate) struct Lookup<'a> {
    pub(crate) ground: &'a Ground<'a>,
    needs: RefCell<Needs>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(ground: &'a Ground<'a>) -> Self {
        Self {
            ground,
            needs: RefCell::default(),
        }
    }

    pub(crate) fn tag(&self, reference: &Reference) -> Option<&'a Answer<Digest>> {
        let known = self.ground.answers.tags.get(reference);
        if known.is_none() {
            self.needs.borrow_mut().tags.insert(reference.clone());
        }
        known
    }

    pub(crate) fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Option<&'a Answer<Arc<Document>>> {
        let key = Parts(repository, digest);
        let known = self.ground.answers.documents.get(&key);
        if known.is_none() {
            self.needs.borrow_mut().documents.insert(key.whole());
        }
        known
    }

    /// The config of the manifest with that digest.
    pub(crate) fn config(
        &self,
        repository: &Repository,
        manifest: &Digest,
    ) -> Option<&'a Answer<Arc<ImageConfig>>> {
        let key = Parts(repository, manifest);
        let known = self.ground.answers.configs.get(&key);
        if known.is_none() {
            self.needs.borrow_mut().configs.insert(key.whole());
        }
        known
    }

    pub(crate) fn release(
        &self,
        image: &str,
        commit: Option<&ObjectId>,
    ) -> Option<&'a Answer<Arc<Release>>> {
        let commit = self.unless_tip(commit);
        let known = self.ground.answers.releases.get(&OfRelease(image, commit));
        if known.is_none() {
            let key = (image.to_owned(), commit.cloned());
            self.needs.borrow_mut().releases.insert(key);
        }
        known
    }

    /// The source of a target with what its bases make it copy.
    pub(crate) fn source(&self, key: SourceKey) -> Option<&'a Answer<Source>> {
        let commit = self.unless_tip(key.commit.as_ref()).cloned();
        let key = SourceKey { commit, ..key };
        let known = self.ground.answers.sources.get(&key);
        if known.is_none() {
            self.needs.borrow_mut().sources.insert(key);
        }
        known
    }

    /// The provenance statement of an attestation manifest.
    pub(crate) fn provenance(
        &self,
        repository: &Repository,
        attestation: &Digest,
    ) -> Option<&'a Answer<Arc<Provenance>>> {
        let key = (repository.clone(), attestation.clone());
        let known = self.ground.answers.provenances.get(&key);
        if known.is_none() {
            self.needs.borrow_mut().provenances.insert(key);
        }
        known
    }

    fn unless_tip<'c>(&self, commit: Option<&'c ObjectId>) -> Option<&'c ObjectId> {
        let other = |commit: &&ObjectId| self.ground.line.commit.as_ref() != Some(*commit);
        commit.filter(other)
    }

    pub(crate) fn origin(&self, key: &OriginKey) -> Option<&'a Answer<Arc<Origin>>> {
        let known = self.ground.answers.origins.get(key);
        if known.is_none() {
            self.needs.borrow_mut().origins.insert(key.clone());
        }
        known
    }

    /// The tags of a repository.
    pub(crate) fn listing(&self, repository: &Repository) -> Option<&'a Answer<Arc<Vec<String>>>> {
        let known = self.ground.answers.listings.get(repository);
        if known.is_none() {
            self.needs.borrow_mut().listings.insert(repository.clone());
        }
        known
    }

    /// What the image's `stale-when` command says of a published manifest.
    pub(crate) fn check(&self, key: CheckKey) -> Option<&'a Check> {
        let known = self.ground.answers.checks.get(&key);
        if known.is_none() {
            self.needs.borrow_mut().checks.insert(key);
        }
        known
    }

    /// Everything that was asked for, which then is not any more.
    pub(crate) fn take_needs(&self) -> Needs {
        self.needs.take()
    }

    /// Asks for all that another look-up was asked for.
    pub(crate) fn ask(&self, more: Needs) {
        let mut needs = self.needs.borrow_mut();
        needs.tags.extend(more.tags);
        needs.documents.extend(more.documents);
        needs.configs.extend(more.configs);
        needs.releases.extend(more.releases);
        needs.sources.extend(more.sources);
        needs.provenances.extend(more.provenances);
        needs.origins.extend(more.origins);
        needs.listings.extend(more.listings);
        needs.checks.extend(more.checks);
    }

    pub(crate) fn finish<T>(self, value: T) -> Resolved<T> {
        let needs = self.needs.into_inner();
        if needs.is_empty() {
            Resolved::Done(value)
        } else {
            Resolved::Needs(needs)
        }
    }
}
