//! What of a repository nothing needs any more: documents that we pushed and that nobody asks for, and staging tags.
//!
//! A registry does not list what has no tag, so only records know of it. What they do not name is somebody else's, and
//! stays; so does whatever a tag leads to.

mod known;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use refit_oci::{Digest, Document, annotations};

pub use known::{Known, Since, Window};

/// How tags of what is attached to a document begin, before its hex digits.
const ATTACHED: &str = "sha256-";
/// How such tags end: the specification's list of referrers, and what cosign attaches.
const ATTACHED_ENDINGS: [&str; 4] = ["", ".att", ".sig", ".sbom"];
/// On what takes a tag's place for a moment, where a registry deletes no tags.
pub const PLACEHOLDER: &str = "dev.refit.pruned";

/// One repository as a registry shows it.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// All tags.
    pub tags: BTreeMap<String, Digest>,
    /// What the tags hold, and what of our own is there without one.
    pub documents: BTreeMap<Digest, Content>,
    /// What is attached to those that may go.
    pub attached: BTreeMap<Digest, BTreeSet<Digest>>,
    /// What is listed somewhere, and not there any more.
    pub gone: BTreeSet<Digest>,
    /// When a staging tag was met that no record names.
    pub seen: BTreeMap<String, Timestamp>,
}

/// What a document is, as far as that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An image, or something attached to another document.
    Manifest {
        /// What it is attached to.
        subject: Option<Digest>,
        /// The image that it says it is a target of, if it is ours.
        image: Option<String>,
    },
    /// What it holds: and of attestations, which of the others they are about.
    Index(BTreeMap<Digest, Option<Digest>>),
    /// What a prune that was cut short has left in a tag's place.
    Placeholder,
}

impl Content {
    /// Reads a document.
    pub fn of(document: &Document) -> Self {
        match document {
            Document::Manifest(manifest) => Self::Manifest {
                subject: manifest.value.subject.as_ref().map(|s| s.digest.clone()),
                image: manifest.value.annotations.get(annotations::IMAGE).cloned(),
            },
            Document::Index(index) if index.value.annotations.contains_key(PLACEHOLDER) => {
                Self::Placeholder
            }
            Document::Index(index) => Self::Index(
                index
                    .value
                    .manifests
                    .iter()
                    .map(|held| {
                        let about = held.annotations.get(annotations::REFERENCE_DIGEST);
                        let about = about.and_then(|digest| digest.parse().ok());
                        (held.digest.clone(), about)
                    })
                    .collect(),
            ),
        }
    }
}

/// What is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The document.
    pub digest: Digest,
    /// What it is.
    pub what: What,
    /// The image that it was of.
    pub image: String,
    /// The tags that go with it.
    pub tags: Vec<String>,
    /// When somebody had use for it last.
    pub since: Since,
}

/// What a removed document is; in the order in which they go, so that whatever is left can still be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Provenance, a signature, an attestation, of another document that goes.
    Attached {
        /// That document.
        to: Digest,
    },
    /// An index.
    Index,
    /// A platform's manifest.
    Manifest,
}

/// A staging tag that goes while what it holds stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untag {
    /// The tag.
    pub tag: String,
    /// What it holds.
    pub digest: Digest,
    /// Since when nothing needs it; none for what a prune has left itself.
    pub since: Option<Timestamp>,
}

/// What is done with a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// In the order in which they go.
    pub removals: Vec<Removal>,
    /// Tags alone.
    pub untags: Vec<Untag>,
    /// Staging tags of an unknown age: their time begins when they are recorded.
    pub unseen: Vec<(String, Digest)>,
}

/// Whether a tag is one that finished targets lie under.
pub fn is_staging(tag: &str) -> bool {
    let hex = tag.strip_prefix("refit-");
    hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hex))
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The document that a tag's content is attached to, where its name says so.
pub fn attached_to(tag: &str) -> Option<Digest> {
    let rest = tag.strip_prefix(ATTACHED)?;
    let (hex, ending) = rest.split_at_checked(64)?;
    let known = ATTACHED_ENDINGS.contains(&ending);
    known.then(|| format!("sha256:{hex}").parse().ok())?
}

/// Decides on one repository. What is not on the shelf is not there, and nothing to remove.
pub fn decide(known: &Known, shelf: &Shelf, window: &Window) -> Pruned {
    let kept = kept(known, shelf, window);
    let mut pruned = Pruned::default();
    let mut going: BTreeMap<Digest, Removal> = BTreeMap::new();
    for digest in known.candidates(window) {
        if kept.contains(&digest) || !shelf.documents.contains_key(&digest) {
            continue;
        }
        let ours = &known.ours[&digest];
        let removal = Removal {
            what: what(shelf, &digest),
            image: ours.image.clone(),
            tags: Vec::new(),
            since: ours.since,
            digest: digest.clone(),
        };
        going.insert(digest, removal);
    }
    stage(known, (shelf, window), &kept, (&mut going, &mut pruned));
    attached((known, shelf, window), &kept, &mut going);
    for (tag, digest) in &shelf.tags {
        if let Some(removal) = going.get_mut(digest) {
            removal.tags.push(tag.clone());
        }
    }
    pruned.removals = going.into_values().collect();
    // What a list of attached documents leads to goes before the list: nothing else would find it again.
    let order = |removal: &Removal| {
        (
            removal.what.clone(),
            !removal.tags.is_empty(),
            removal.digest.clone(),
        )
    };
    pruned.removals.sort_by_cached_key(order);
    pruned
}

fn what(shelf: &Shelf, digest: &Digest) -> What {
    match shelf.documents.get(digest) {
        Some(Content::Index(_)) => What::Index,
        _ => What::Manifest,
    }
}

/// Staging tags: they go with what they hold, or alone.
fn stage(
    known: &Known,
    (shelf, window): (&Shelf, &Window),
    kept: &BTreeSet<Digest>,
    (going, pruned): (&mut BTreeMap<Digest, Removal>, &mut Pruned),
) {
    let staging = || shelf.tags.iter().filter(|(tag, _)| is_staging(tag));
    let met = |tag: &str| known.staged.get(tag).or_else(|| shelf.seen.get(tag));
    let is_young = |tag: &str| met(tag).is_none_or(|at| !window.is_past(*at));
    let young = staging().filter(|(tag, _)| is_young(tag));
    let young: BTreeSet<&Digest> = young.map(|(_, digest)| digest).collect();
    for (tag, digest) in staging() {
        if going.contains_key(digest) && known.ours.contains_key(digest) {
            continue;
        }
        let untag = |since| Untag {
            tag: tag.clone(),
            digest: digest.clone(),
            since,
        };
        let content = shelf.documents.get(digest);
        if content == Some(&Content::Placeholder) {
            pruned.untags.push(untag(None));
            continue;
        }
        let image = match content {
            Some(Content::Manifest { image, .. }) => image.as_deref(),
            _ => None,
        };
        if image.is_none() && !known.ours.contains_key(digest) && !kept.contains(digest) {
            continue; // a name like ours, and nothing of ours under it
        }
        let is_newest = known
            .newest
            .get(digest)
            .is_some_and(|(_, tags)| tags.contains(tag));
        match (met(tag), image) {
            (Some(_), _) if kept.contains(digest) && is_newest => {}
            (Some(at), _) if !window.is_past(*at) => {}
            (Some(at), _) if kept.contains(digest) => pruned.untags.push(untag(Some(*at))),
            // Built, and killed before it was recorded.
            (Some(at), Some(image))
                if !known.ours.contains_key(digest) && !young.contains(digest) =>
            {
                let removal = Removal {
                    what: What::Manifest,
                    image: image.to_owned(),
                    tags: Vec::new(),
                    since: Since::Seen(*at),
                    digest: digest.clone(),
                };
                going.insert(digest.clone(), removal);
            }
            (Some(_), _) => {}
            (None, _) => pruned.unseen.push((tag.clone(), digest.clone())),
        }
    }
}

/// What is attached to what goes, goes along, unless somebody has use for it otherwise. What was attached to something
/// of ours that is gone already is still found by its tag.
fn attached(
    (known, shelf, window): (&Known, &Shelf, &Window),
    kept: &BTreeSet<Digest>,
    going: &mut BTreeMap<Digest, Removal>,
) {
    let candidates = known.candidates(window);
    let mut found: Vec<(Digest, Digest)> = Vec::new();
    for (tag, digest) in &shelf.tags {
        if let Some(subject) = attached_to(tag)
            && is_gone(&subject, (&candidates, shelf), going)
        {
            found.push((digest.clone(), subject.clone()));
            if let Some(Content::Index(listed)) = shelf.documents.get(digest) {
                found.extend(
                    listed
                        .keys()
                        .map(|listed| (listed.clone(), subject.clone())),
                );
            }
        }
    }
    for subject in going.keys() {
        let referring = shelf.attached.get(subject).into_iter().flatten();
        found.extend(referring.map(|digest| (digest.clone(), subject.clone())));
        if let Some(Content::Index(held)) = shelf.documents.get(subject) {
            let about = held
                .iter()
                .filter_map(|(held, about)| Some((held, about.as_ref()?)));
            let about = about.filter(|(_, about)| going.contains_key(*about));
            found.extend(about.map(|(held, about)| (held.clone(), about.clone())));
        }
    }
    for (digest, to) in found {
        let is_gone = shelf.gone.contains(&digest);
        if is_gone || kept.contains(&digest) || going.contains_key(&digest) {
            continue;
        }
        let Some(ours) = known.ours.get(&to) else {
            continue;
        };
        let removal = Removal {
            image: ours.image.clone(),
            tags: Vec::new(),
            since: ours.since,
            what: What::Attached { to },
            digest: digest.clone(),
        };
        going.insert(digest, removal);
    }
}

fn is_gone(
    subject: &Digest,
    (candidates, shelf): (&BTreeSet<Digest>, &Shelf),
    going: &BTreeMap<Digest, Removal>,
) -> bool {
    let was_ours = candidates.contains(subject) && !shelf.documents.contains_key(subject);
    was_ours || going.contains_key(subject)
}

/// Everything that stays: what tags lead to, what records need, what is young; and what all that was built on.
fn kept(known: &Known, shelf: &Shelf, window: &Window) -> BTreeSet<Digest> {
    let mut open: Vec<Digest> = known.needed.iter().cloned().collect();
    let young = known.ours.iter();
    let young = young.filter(|(_, ours)| !window.is_past(ours.since.at()));
    open.extend(young.map(|(digest, _)| digest.clone()));
    let named = |tag: &str| !is_staging(tag) && attached_to(tag).is_none();
    let tagged = shelf.tags.iter().filter(|(tag, _)| named(tag));
    open.extend(tagged.map(|(_, digest)| digest.clone()));
    let mut kept = BTreeSet::new();
    closure(&mut kept, open, (known, shelf));
    // What is attached to something that stays, or that is not ours, stays as well, with all that it leads to.
    let candidates = known.candidates(window);
    loop {
        let attached = shelf.tags.iter().filter_map(|(tag, digest)| {
            let subject = attached_to(tag)?;
            let stays = kept.contains(&subject) || !candidates.contains(&subject);
            (stays && !kept.contains(digest)).then(|| digest.clone())
        });
        let referring = shelf.attached.iter();
        let referring = referring.filter(|(subject, _)| kept.contains(*subject));
        let referring = referring.flat_map(|(_, referring)| referring).cloned();
        let mut open: Vec<Digest> = attached.chain(referring).collect();
        open.retain(|digest| !kept.contains(digest));
        if open.is_empty() {
            return kept;
        }
        closure(&mut kept, open, (known, shelf));
    }
}

fn closure(kept: &mut BTreeSet<Digest>, mut open: Vec<Digest>, (known, shelf): (&Known, &Shelf)) {
    while let Some(digest) = open.pop() {
        if !kept.insert(digest.clone()) {
            continue;
        }
        open.extend(known.pins.get(&digest).into_iter().flatten().cloned());
        match shelf.documents.get(&digest) {
            Some(Content::Index(held)) => open.extend(held.keys().cloned()),
            Some(Content::Manifest { subject, .. }) => open.extend(subject.clone()),
            Some(Content::Placeholder) | None => {}
        }
    }
}
