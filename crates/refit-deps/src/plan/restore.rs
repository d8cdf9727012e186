//! The plan of `refit notes restore`: the records that published indexes and manifests still say of themselves.

use std::collections::BTreeSet;

use jiff::Timestamp;
use refit_oci::{Digest, Index, Platform, Reference, annotations};

use super::evaluate::{Adopting, Evaluator, Scope};
use crate::{
    adopt::How,
    image::Image,
    observe::{Answer, Ground, Lookup, Resolved},
    pin::{self, Pin},
    publication::{
        Publication, Published, Unrecorded, index_of_ours, platforms, publication, revision,
    },
    reason::{State, StateKind, TagOwner},
    record::{BuildRecord, PublishRecord, Record},
    source::SourceId,
};

/// How far back is looked, image by image: what was published before has been written over this often.
const LONGEST_CHAIN: usize = 64;
/// The run of what is restored, as its own is not known.
const RUN: &str = "restored";

/// What can be recorded again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RestorePlan {
    /// Builds and publications, the oldest of an image first.
    pub records: Vec<Record>,
    /// Images of which nothing is missing.
    pub known: Vec<String>,
    /// Images that nothing can be restored of, and why.
    pub states: Vec<State>,
}

/// Follows each image's lead tag, and what its index replaced, until there is a record or nothing of ours.
pub fn restore(ground: &Ground<'_>) -> Resolved<RestorePlan> {
    let adopting = Adopting {
        unrecorded: Unrecorded::Read,
        ..Adopting::default()
    };
    let scope = Scope {
        adopting,
        ..Scope::default()
    };
    let evaluator = Evaluator::new(ground, scope);
    let mut plan = RestorePlan::default();
    for image in &ground.inventory.images {
        let Some(lead) = image.lead_tag() else {
            continue; // nothing tells what was published
        };
        match restored(&evaluator, image, &lead) {
            None => {} // something is unknown, and was asked for
            Some(Ok(records)) if records.is_empty() => plan.known.push(image.name.clone()),
            Some(Ok(records)) => plan.records.extend(records),
            Some(Err(kind)) => plan.states.push(State {
                image: image.name.clone(),
                platform: None,
                kind,
            }),
        }
    }
    evaluator.lookup.finish(plan)
}

/// What runs that were killed between a tag and its record have left out, of these images, published before `before`: what
/// is younger may be recorded by a run that is under way. Where nothing at all is recorded of an image nothing is
/// completed: that records are missing must stay visible.
pub fn left_out(
    ground: &Ground<'_>,
    images: &BTreeSet<String>,
    before: Timestamp,
) -> Resolved<Vec<Record>> {
    let evaluator = Evaluator::new(ground, Scope::default());
    let mut records = Vec::new();
    for image in &ground.inventory.images {
        if images.contains(&image.name) {
            records.extend(unrecorded(&evaluator, image, before).into_iter().flatten());
        }
    }
    evaluator.lookup.finish(records)
}

/// The records of an unrecorded push of ours; none while something is unknown.
fn unrecorded(evaluator: &Evaluator<'_>, image: &Image, before: Timestamp) -> Option<Vec<Record>> {
    let lookup = &evaluator.lookup;
    let Some(lead) = image.lead_tag() else {
        return Some(Vec::new());
    };
    let published = match publication(lookup, image, Unrecorded::Leave)? {
        Publication::Ours(published) if published.record.is_some() => published,
        _ => return Some(Vec::new()),
    };
    if known(lookup, image, &lead, &published.index).is_some() {
        return Some(Vec::new());
    }
    let Ok(Some(index)) = index_of_ours(lookup, image, &lead, &published.index)? else {
        return Some(Vec::new());
    };
    let created = index.annotations.get(annotations::CREATED);
    let created: Option<Timestamp> = created.and_then(|at| at.parse().ok());
    if created.is_none_or(|created| created >= before) {
        return Some(Vec::new());
    }
    Some(restored(evaluator, image, &lead)?.unwrap_or_default())
}

/// Some registry's answer, or none while it has not been asked.
type Restored = Option<Result<Vec<Record>, StateKind>>;

fn restored(evaluator: &Evaluator<'_>, image: &Image, lead: &Reference) -> Restored {
    let lookup = &evaluator.lookup;
    let tip = match lookup.tag(lead)? {
        Answer::Found(digest) => digest,
        Answer::Missing => return Some(Err(nothing(lookup, image, lead))),
        Answer::Failed(failure) => return Some(Err(StateKind::of_failure(lead, failure))),
    };
    let mut chain: Vec<(Digest, &Index)> = Vec::new();
    let mut next = Some(tip.clone());
    while let Some(digest) = next.take() {
        let again = chain.iter().any(|(seen, _)| *seen == digest);
        if again || chain.len() == LONGEST_CHAIN || known(lookup, image, lead, &digest).is_some() {
            break;
        }
        let index = match index_of_ours(lookup, image, lead, &digest)? {
            Ok(Some(index)) => index,
            Ok(None) if chain.is_empty() => {
                let tag = lead.clone();
                return Some(Err(StateKind::Foreign { tag, digest }));
            }
            // What was replaced is collected, or was another tool's.
            Ok(None) => break,
            Err(state) => return Some(Err(state)),
        };
        next = replaced(index);
        chain.push((digest, index));
    }
    let mut records = Vec::new();
    for (digest, index) in chain.iter().rev() {
        for (platform, manifest) in platforms(index) {
            let of = (&platform, &manifest);
            let mut build = build(lookup, image, index, of)?;
            if let Err(Missing::Unsaid) = build {
                build = attested(evaluator, image, (digest, index), of)?;
            }
            records.extend(build.ok().map(Record::Build));
        }
        let mut tags = vec![lead.clone()];
        if digest == tip {
            for tag in image.moving_tags().into_iter().filter(|tag| tag != lead) {
                if matches!(lookup.tag(&tag)?, Answer::Found(held) if held == digest) {
                    tags.push(tag);
                }
            }
        }
        let before = replaced(index);
        let follows = before.as_ref().and_then(|before| {
            let is_restored = chain.iter().any(|(restored, _)| restored == before);
            let id = is_restored.then(|| id(image, before));
            id.or_else(|| known(lookup, image, lead, before))
        });
        let said = |key: &str| index.annotations.get(key).cloned();
        records.push(Record::Publish(PublishRecord {
            id: id(image, digest),
            after: follows,
            image: image.name.clone(),
            line: said(annotations::LINE).unwrap_or_else(|| lookup.ground.line.name.clone()),
            commit: revision(index),
            index: digest.clone(),
            replaces: before,
            platforms: platforms(index),
            tags,
            promotes: None,
            run: RUN.to_owned(),
            at: said(annotations::CREATED).unwrap_or_default(),
        }));
    }
    Some(Ok(records))
}

/// The same whoever restores it: two clones that do write one record.
fn id(image: &Image, index: &Digest) -> String {
    format!("{RUN}-{}-{}", index.short(), image.name)
}

fn known(lookup: &Lookup<'_>, image: &Image, lead: &Reference, index: &Digest) -> Option<String> {
    let records = &lookup.ground.records;
    let mut publishes = records.publishes_of(&image.name, lead);
    let publish = publishes.find(|publish| publish.index == *index)?;
    Some(publish.id.clone())
}

fn replaced(index: &Index) -> Option<Digest> {
    index.annotations.get(annotations::REPLACES)?.parse().ok()
}

/// Why there is nothing to record of a build.
enum Missing {
    /// A record says it, or the manifest is gone.
    Nothing,
    /// The manifest says nothing of itself: another tool made it, and a patch of ours kept it.
    Unsaid,
}

/// The build that a manifest says it is of.
fn build(
    lookup: &Lookup<'_>,
    image: &Image,
    index: &Index,
    (platform, manifest): (&Platform, &Digest),
) -> Option<Result<BuildRecord, Missing>> {
    let mut records = lookup.ground.records.builds_of(&image.name, manifest);
    if records.any(|build| build.platform == *platform) {
        return Some(Err(Missing::Nothing));
    }
    let Answer::Found(document) = lookup.document(image.destination(), manifest)? else {
        return Some(Err(Missing::Nothing));
    };
    let written = document.annotations();
    let source = written.get(annotations::SOURCE);
    let pins = written.get(annotations::PINS);
    let (Some(source), Some(deps)) = (
        source.and_then(|text| text.parse().ok()),
        pins.and_then(|text| pin::from_annotation(text)),
    ) else {
        return Some(Err(Missing::Unsaid));
    };
    Some(Ok(BuildRecord {
        commit: revision(index),
        ..record(image, index, (platform, manifest), (source, deps))
    }))
}

/// The build that BuildKit's provenance beside a manifest proves, from the commit that is in the line's history.
fn attested(
    evaluator: &Evaluator<'_>,
    image: &Image,
    (digest, index): (&Digest, &Index),
    (platform, manifest): (&Platform, &Digest),
) -> Option<Result<BuildRecord, Missing>> {
    let published = Published {
        index: digest.clone(),
        platforms: platforms(index),
        commit: revision(index),
        record: None,
        adopted: true,
    };
    let Ok(origin) = evaluator.origin(image, &published)? else {
        return Some(Err(Missing::Nothing));
    };
    let adopted = evaluator.adopted_manifest(image, &origin, platform, (&published, manifest))?;
    let explained = adopted.ok().and_then(|adopted| adopted.explained);
    let proven = explained.filter(|(_, explained)| {
        let is_whole = explained.assumed.is_empty() && explained.unknown.is_empty();
        explained.how == How::Provenance && is_whole
    });
    let Some((source, explained)) = proven else {
        return Some(Err(Missing::Nothing));
    };
    Some(Ok(BuildRecord {
        commit: Some(origin.commit.clone()),
        ..record(image, index, (platform, manifest), (source, explained.pins))
    }))
}

fn record(
    image: &Image,
    index: &Index,
    (platform, manifest): (&Platform, &Digest),
    (source, deps): (SourceId, Vec<Pin>),
) -> BuildRecord {
    let said = |key: &str| index.annotations.get(key).cloned();
    BuildRecord {
        image: image.name.clone(),
        platform: platform.clone(),
        line: said(annotations::LINE),
        source,
        commit: None,
        deps,
        base_diff_ids: Vec::new(),
        manifest: manifest.clone(),
        how: "restored".to_owned(),
        engine: "unknown".to_owned(),
        reasons: std::collections::BTreeSet::new(),
        run: RUN.to_owned(),
        log: None,
        at: said(annotations::CREATED).unwrap_or_default(),
    }
}

fn nothing(lookup: &Lookup<'_>, image: &Image, lead: &Reference) -> StateKind {
    if lookup.ground.records.heads(&image.name, lead).is_empty() {
        return StateKind::Unpublished;
    }
    StateKind::MissingTag {
        tag: lead.clone(),
        owner: TagOwner::Image,
    }
}
