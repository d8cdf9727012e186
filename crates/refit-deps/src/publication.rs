//! Who published what a tag holds: us, us by an unrecorded push, us at another time, or somebody else.

mod adopted;
pub mod claims;

use std::collections::BTreeMap;

use refit_oci::{Digest, Document, Index, ObjectId, Platform, Reference, annotations};

use crate::{
    image::{EMBEDDED_HOST, Image},
    observe::{Answer, Lookup},
    reason::{StateKind, TagOwner},
    record::PublishRecord,
};

use adopted::adopted;

/// How many indexes an unrecorded chain of pushes may have; longer ones count as moved elsewhere.
const LONGEST_CHAIN: usize = 16;

/// What an image's lead tag holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publication {
    /// Nothing, and nothing was ever recorded there.
    Never,
    /// What we published last.
    Ours(Published),
    /// Something a sweep does not touch; children use it as an external base.
    Other(StateKind),
}

/// What we published last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The index.
    pub index: Digest,
    /// Its platforms' manifests.
    pub platforms: BTreeMap<Platform, Digest>,
    /// The commit that was released.
    pub commit: Option<ObjectId>,
    /// The record's id, where there is one: what the next one follows.
    pub record: Option<String>,
    /// Whether another tool, or somebody by hand, put it there, and no record says otherwise.
    pub adopted: bool,
}

/// What is done with what a tag holds that nobody recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Unrecorded {
    /// It is reported: plans that are applied.
    #[default]
    Leave,
    /// Where nothing was ever recorded under the tag, it is looked at as if it were adopted: verbs that read.
    Read,
    /// Whatever it is, it is taken: the user names the image.
    Take,
    /// The same for a patch: an index of ours is what it says, whatever the records say of it.
    TakeOver,
}

/// Decides by the lead tag, the publish records and the indexes' own annotations. None while something is unknown.
pub(crate) fn publication(
    lookup: &Lookup<'_>,
    image: &Image,
    unrecorded: Unrecorded,
) -> Option<Publication> {
    let Some(lead) = image.lead_tag() else {
        return Some(Publication::Other(StateKind::NoMovingTag));
    };
    let heads = lookup.ground.records.heads(&image.name, &lead);
    let digest = match lookup.tag(&lead)? {
        Answer::Found(digest) => digest,
        Answer::Missing if heads.is_empty() => return Some(Publication::Never),
        // The embedded store is one clone's own: what another clone published is recorded, and is not there.
        Answer::Missing if lead.repository().registry() == EMBEDDED_HOST => {
            return Some(Publication::Never);
        }
        Answer::Missing => {
            let owner = TagOwner::Image;
            return Some(Publication::Other(StateKind::MissingTag {
                tag: lead,
                owner,
            }));
        }
        Answer::Failed(failure) => {
            return Some(Publication::Other(StateKind::of_failure(&lead, failure)));
        }
    };
    if let Some(head) = heads.iter().rev().find(|head| head.index == *digest) {
        return Some(match recorded(lookup, image, &lead, head)? {
            Ok(published) => Publication::Ours(published),
            Err(state) => Publication::Other(state),
        });
    }
    let index = match index_of_ours(lookup, image, &lead, digest)? {
        Ok(Some(index)) => index,
        Ok(None) => {
            let foreign = StateKind::Foreign {
                tag: lead.clone(),
                digest: digest.clone(),
            };
            let first = heads.is_empty();
            return match (adopted(lookup, image, digest)?, unrecorded) {
                (Ok(_), Unrecorded::Leave) if first => {
                    let digest = digest.clone();
                    let kind = StateKind::Adoptable {
                        tag: lead,
                        digest,
                        how: None,
                    };
                    Some(Publication::Other(kind))
                }
                (Ok(published), Unrecorded::Read) if first => Some(Publication::Ours(published)),
                (Ok(mut published), Unrecorded::Take | Unrecorded::TakeOver) => {
                    published.record = heads.last().map(|head| head.id.clone());
                    Some(Publication::Ours(published))
                }
                _ => Some(Publication::Other(foreign)),
            };
        }
        Err(state) => return Some(Publication::Other(state)),
    };
    let known = lookup
        .ground
        .records
        .publishes_of(&image.name, &lead)
        .any(|publish| publish.index == *digest);
    let is_taken = unrecorded == Unrecorded::TakeOver;
    if !is_taken && (known || !leads_to_head(lookup, image, &lead, index, &heads)?) {
        if unrecorded == Unrecorded::Take
            && let Ok(mut published) = adopted(lookup, image, digest)?
        {
            published.record = heads.last().map(|head| head.id.clone());
            return Some(Publication::Ours(published));
        }
        let published = heads.last().map(|head| head.index.clone());
        let digest = digest.clone();
        return Some(Publication::Other(StateKind::MovedElsewhere {
            tag: lead,
            digest,
            published,
        }));
    }
    Some(Publication::Ours(Published {
        index: digest.clone(),
        platforms: platforms(index),
        commit: revision(index),
        record: heads.last().map(|head| head.id.clone()),
        adopted: false,
    }))
}

/// What a record says of an index. Where records disagree about it, the index itself decides: they are hints.
fn recorded(
    lookup: &Lookup<'_>,
    image: &Image,
    lead: &Reference,
    head: &PublishRecord,
) -> Option<Result<Published, StateKind>> {
    let mut published = Published {
        index: head.index.clone(),
        platforms: head.platforms.clone(),
        commit: head.commit.clone(),
        record: Some(head.id.clone()),
        adopted: false,
    };
    let records = lookup.ground.records.publishes_of(&image.name, lead);
    let mut same_index = records.filter(|record| record.index == head.index);
    if same_index.all(|r| (&r.platforms, &r.commit) == (&head.platforms, &head.commit)) {
        return Some(Ok(published));
    }
    Some(match index_of_ours(lookup, image, lead, &head.index)? {
        Ok(Some(index)) => {
            published.platforms = platforms(index);
            published.commit = revision(index);
            Ok(published)
        }
        Ok(None) => Err(StateKind::Foreign {
            tag: lead.clone(),
            digest: head.index.clone(),
        }),
        Err(state) => Err(state),
    })
}

/// Whether the published index says what its record says, where something is about to be built because of it. Records are
/// hints that whoever may push notes can forge: a patch from another commit, or an index with a manifest in it that it
/// never held, would be more than a hint's doing. What was adopted says nothing of itself: its record is a decision.
pub(crate) fn proven(
    lookup: &Lookup<'_>,
    image: &Image,
    published: &Published,
) -> Option<Result<(), StateKind>> {
    let (Some(lead), Some(record)) = (image.lead_tag(), &published.record) else {
        return Some(Ok(()));
    };
    if lookup.ground.records.is_adoption(record) {
        return Some(Ok(()));
    }
    let index = match index_of_ours(lookup, image, &lead, &published.index)? {
        Ok(Some(index)) => index,
        Ok(None) => {
            let digest = published.index.clone();
            return Some(Err(StateKind::Foreign { tag: lead, digest }));
        }
        Err(state) => return Some(Err(state)),
    };
    let forged = |message: String| Some(Err(StateKind::ReleaseSourceGone { message }));
    let said = |commit: Option<&ObjectId>| {
        commit.map_or("none".to_owned(), |commit| commit.short().to_owned())
    };
    let commit = revision(index);
    if commit != published.commit {
        return forged(format!(
            "its record names commit {}, and its index {}",
            said(published.commit.as_ref()),
            said(commit.as_ref())
        ));
    }
    let held: Vec<&Digest> = index.manifests.iter().map(|held| &held.digest).collect();
    let mut manifests = published.platforms.iter();
    match manifests.find(|(_, manifest)| !held.contains(manifest)) {
        None => Some(Ok(())),
        Some((platform, manifest)) => forged(format!(
            "its record names {} for {platform}, which its index does not hold",
            manifest.short()
        )),
    }
}

/// The commit that an index of ours names.
pub fn revision(index: &Index) -> Option<ObjectId> {
    let commit = index.annotations.get(annotations::REVISION)?;
    commit.parse().ok()
}

/// The manifests of an index by platform, attestations left out.
pub fn platforms(index: &Index) -> BTreeMap<Platform, Digest> {
    index
        .platforms()
        .map(|(platform, descriptor)| (platform.clone(), descriptor.digest.clone()))
        .collect()
}

pub(crate) type Ours<'a> = Result<Option<&'a Index>, StateKind>;

/// The index behind `digest` if our annotations are on it; `Ok(None)` for anything else.
pub(crate) fn index_of_ours<'a>(
    lookup: &Lookup<'a>,
    image: &Image,
    lead: &Reference,
    digest: &Digest,
) -> Option<Ours<'a>> {
    match lookup.document(image.destination(), digest)? {
        Answer::Found(document) => match document.as_ref() {
            Document::Index(index)
                if index.value.annotations.get(annotations::IMAGE) == Some(&image.name) =>
            {
                Some(Ok(Some(&index.value)))
            }
            _ => Some(Ok(None)),
        },
        Answer::Missing => Some(Ok(None)),
        Answer::Failed(failure) => Some(Err(StateKind::of_failure(lead, failure))),
    }
}

/// Whether what the index replaces, or what that replaced, is a head. With no record at all the annotations are
/// all there is, and they are taken as they are.
fn leads_to_head(
    lookup: &Lookup<'_>,
    image: &Image,
    lead: &Reference,
    index: &Index,
    heads: &[&PublishRecord],
) -> Option<bool> {
    if heads.is_empty() {
        return Some(true);
    }
    let mut index = index;
    for _ in 0..LONGEST_CHAIN {
        let Some(replaced) = index
            .annotations
            .get(annotations::REPLACES)
            .and_then(|r| r.parse::<Digest>().ok())
        else {
            return Some(false);
        };
        if heads.iter().any(|head| head.index == replaced) {
            return Some(true);
        }
        match index_of_ours(lookup, image, lead, &replaced)? {
            Ok(Some(next)) => index = next,
            Ok(None) | Err(_) => return Some(false),
        }
    }
    Some(false)
}
