//! Which images were built on a reference or digest, by the records: at any level, and from when to when.

use std::collections::{BTreeMap, BTreeSet};

use refit_dockerfile::Kind;
use refit_oci::{Digest, ObjectId, Platform, Reference, Repository};
use refit_platform::Target;

use crate::{
    pin::Pin,
    record::{BuildRecord, PublishRecord, Records},
};

/// What is asked for. What is left open matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The repository.
    pub repository: Option<Repository>,
    /// The tag.
    pub tag: Option<String>,
    /// An index's or a manifest's digest.
    pub digest: Option<Digest>,
}

impl Query {
    /// Whether a reference is meant, whatever it resolved to.
    pub fn is_of(&self, reference: &Reference) -> bool {
        let repository = self.repository.as_ref();
        repository.is_none_or(|repository| repository == reference.repository())
            && self
                .tag
                .as_deref()
                .is_none_or(|tag| reference.tag() == Some(tag))
    }

    /// Whether a pin is meant.
    pub fn matches(&self, pin: &Pin) -> bool {
        let has =
            |digest: &Digest| [pin.manifest.as_ref(), pin.index.as_ref()].contains(&Some(digest));
        self.is_of(&pin.reference) && self.digest.as_ref().is_none_or(has)
    }
}

/// A target that was built on what was asked for, at some time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The target.
    pub target: Target,
    /// When it was built, RFC 3339.
    pub built: String,
    /// What was asked for, as a Dockerfile refers to it.
    pub reference: Reference,
    /// How the target, or the one that it is built on at last, depends on it.
    pub kind: &'static str,
    /// The index it resolved to.
    pub index: Option<Digest>,
    /// The manifest it resolved to; none where no registry was at hand.
    pub digest: Option<Digest>,
    /// The targets of this repository in between, the nearest first.
    pub through: Vec<Target>,
    /// The target's manifest; none for what was only recorded at a commit.
    pub manifest: Option<Digest>,
    /// The commit that it was built from.
    pub commit: Option<ObjectId>,
    /// Whether a tag of it was ever moved to that manifest, and when.
    pub published: Option<Span>,
}

/// From when to when a manifest was what an image's tag held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// RFC 3339.
    pub from: String,
    /// None: it still is.
    pub until: Option<String>,
}

/// All uses that records know, sorted by target and time.
pub fn uses(records: &Records, query: &Query) -> Vec<Use> {
    let spans = spans(records);
    let mut by_pin: BTreeMap<&Digest, Vec<&BuildRecord>> = BTreeMap::new();
    for build in records.builds() {
        for manifest in build.deps.iter().filter_map(|pin| pin.manifest.as_ref()) {
            by_pin.entry(manifest).or_default().push(build);
        }
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<Use> = Vec::new();
    for build in records.builds() {
        for pin in build.deps.iter().filter(|pin| query.matches(pin)) {
            open.push(of_build(build, pin, &spans));
        }
    }
    while let Some(next) = open.pop() {
        for build in next.manifest.iter().filter_map(|m| by_pin.get(m)).flatten() {
            // Records can be forged, and a ring of them has no end.
            let again = build.image == next.target.image
                || next
                    .through
                    .iter()
                    .any(|target| target.image == build.image);
            if again {
                continue;
            }
            let mut through = vec![next.target.clone()];
            through.extend(next.through.iter().cloned());
            let child = Use {
                through,
                ..of_child(build, &next, &spans)
            };
            if !found.contains(&child) {
                open.push(child);
            }
        }
        found.insert(next);
    }
    let known = |target: &Target, commit: &ObjectId, pin: &Pin| {
        found.iter().any(|of: &Use| {
            of.target == *target && of.commit.as_ref() == Some(commit) && of.digest == pin.manifest
        })
    };
    let mut recorded = BTreeSet::new();
    for record in records.deps() {
        let target = Target {
            image: record.image.clone(),
            platform: record.platform.clone(),
        };
        for pin in record.deps.iter().filter(|pin| query.matches(pin)) {
            if !known(&target, &record.commit, pin) {
                recorded.insert(Use {
                    target: target.clone(),
                    built: record.at.clone(),
                    reference: pin.reference.clone(),
                    kind: pin.kind.as_str(),
                    index: pin.index.clone(),
                    digest: pin.manifest.clone(),
                    through: Vec::new(),
                    manifest: None,
                    commit: Some(record.commit.clone()),
                    published: None,
                });
            }
        }
    }
    found.extend(recorded);
    found.into_iter().collect()
}

/// Every digest that records have of dependencies, with the references it was found under.
pub fn known_digests(records: &Records) -> BTreeMap<&Digest, BTreeSet<&Reference>> {
    let builds = records.builds().flat_map(|build| &build.deps);
    let mut known: BTreeMap<&Digest, BTreeSet<&Reference>> = BTreeMap::new();
    for pin in builds.chain(records.deps().iter().flat_map(|record| &record.deps)) {
        for digest in [&pin.manifest, &pin.index].into_iter().flatten() {
            known.entry(digest).or_default().insert(&pin.reference);
        }
    }
    known
}

type Spans<'a> = BTreeMap<(&'a str, &'a Platform, &'a Digest), Span>;

fn of_build(build: &BuildRecord, pin: &Pin, spans: &Spans<'_>) -> Use {
    let key = (build.image.as_str(), &build.platform, &build.manifest);
    Use {
        target: target(build),
        built: build.at.clone(),
        reference: pin.reference.clone(),
        kind: Kind::as_str(pin.kind),
        index: pin.index.clone(),
        digest: pin.manifest.clone(),
        through: Vec::new(),
        manifest: Some(build.manifest.clone()),
        commit: build.commit.clone(),
        published: spans.get(&key).cloned(),
    }
}

fn of_child(build: &BuildRecord, parent: &Use, spans: &Spans<'_>) -> Use {
    let key = (build.image.as_str(), &build.platform, &build.manifest);
    Use {
        target: target(build),
        built: build.at.clone(),
        manifest: Some(build.manifest.clone()),
        commit: build.commit.clone(),
        published: spans.get(&key).cloned(),
        ..parent.clone()
    }
}

fn target(build: &BuildRecord) -> Target {
    Target {
        image: build.image.clone(),
        platform: build.platform.clone(),
    }
}

/// When each manifest was published under its image's lead tags.
fn spans(records: &Records) -> Spans<'_> {
    let mut by_lead: BTreeMap<(&str, &Reference), Vec<&PublishRecord>> = BTreeMap::new();
    for publish in records.publishes() {
        if let Some(lead) = publish.tags.first() {
            by_lead
                .entry((&publish.image, lead))
                .or_default()
                .push(publish);
        }
    }
    let mut spans: Spans<'_> = BTreeMap::new();
    for ((image, lead), mut publishes) in by_lead {
        publishes.sort_by(|a, b| (&a.at, &a.id).cmp(&(&b.at, &b.id)));
        let head = records
            .heads(image, lead)
            .last()
            .map(|head| head.id.clone());
        for (i, publish) in publishes.iter().enumerate() {
            for (platform, manifest) in &publish.platforms {
                let holds = |p: &&&PublishRecord| p.platforms.get(platform) == Some(manifest);
                let until = if head == Some(publish.id.clone()) {
                    None
                } else {
                    publishes[i + 1..]
                        .iter()
                        .find(|p| !holds(p))
                        .map(|p| p.at.clone())
                };
                let is_last = publishes[i + 1..].iter().all(|p| holds(&p));
                let span = spans
                    .entry((image, platform, manifest))
                    .or_insert_with(|| Span {
                        from: publish.at.clone(),
                        until: until.clone(),
                    });
                // It came back, or another line's tag holds it as well.
                if until.is_none() && is_last {
                    span.until = None;
                } else if span.until.is_some() && span.until < until {
                    span.until = until;
                }
            }
        }
    }
    spans
}
