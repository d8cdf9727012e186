//! Looks at a repository: its tags, what they lead to, and what of ours is there without one.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use refit_deps::{
    prune::{Content, Known, Pruned, Shelf, What, Window, decide, is_staging},
    record::Records,
};
use refit_oci::{Digest, Repository, media_type};
use refit_registry::{CONCURRENCY, Head, Registry, RegistryError};

/// What is attached to something attached, and so on: deeper ones are somebody's joke.
const DEPTH: usize = 4;

/// A repository that is looked at.
pub(super) struct Place<'a> {
    pub(super) registry: &'a dyn Registry,
    pub(super) repository: &'a Repository,
    /// The images that lie there.
    pub(super) images: &'a BTreeSet<String>,
}

/// What all of it is judged by.
pub(super) struct Ground<'a> {
    pub(super) records: &'a Records,
    pub(super) known: &'a Known,
    pub(super) window: &'a Window,
}

/// Looks, and decides. What can't be read leaves the whole repository as it is: it may lead anywhere.
pub(super) async fn look(place: &Place<'_>, ground: &Ground<'_>) -> Result<Pruned, RegistryError> {
    let mut shelf = Shelf {
        tags: tags(place).await?,
        ..Shelf::default()
    };
    shelf.seen = seen(place, ground, &shelf);
    read_tagged(place, ground, &mut shelf).await?;
    read_candidates(place, ground, &mut shelf).await?;
    let first = decide(ground.known, &shelf, ground.window);
    let going = first.removals.iter();
    let going = going.filter(|removal| !matches!(removal.what, What::Attached { .. }));
    let going: Vec<Digest> = going.map(|removal| removal.digest.clone()).collect();
    shelf.attached = attached(place, going).await?;
    let second = decide(ground.known, &shelf, ground.window);
    shelf.gone = gone(place, &second).await?;
    Ok(decide(ground.known, &shelf, ground.window))
}

/// When staging tags were met first, where a prune has recorded that.
fn seen(place: &Place<'_>, ground: &Ground<'_>, shelf: &Shelf) -> BTreeMap<String, Timestamp> {
    let staging = shelf.tags.iter().filter(|(tag, _)| is_staging(tag));
    let seen = staging.filter_map(|(tag, digest)| {
        let reference = place.repository.tagged(tag).ok()?;
        let now = ground.window.now;
        let at = ground.records.first_seen(&reference, digest, now)?;
        Some((tag.clone(), at))
    });
    seen.collect()
}

async fn tags(place: &Place<'_>) -> Result<BTreeMap<String, Digest>, RegistryError> {
    let tags = place.registry.tags(place.repository).await?;
    let heads = tags.into_iter().map(|tag| async move {
        let reference = place.repository.tagged(&tag)?;
        let head = place.registry.head(&reference).await?;
        Ok::<_, RegistryError>(head.digest().map(|digest| (tag, digest.clone())))
    });
    let heads = stream::iter(heads).buffer_unordered(CONCURRENCY.get());
    let heads: Vec<Option<(String, Digest)>> = heads.try_collect().await?;
    Ok(heads.into_iter().flatten().collect())
}

/// What tags hold, and the indexes within indexes. Under a staging tag lies what the records name, or it is looked at.
async fn read_tagged(
    place: &Place<'_>,
    ground: &Ground<'_>,
    shelf: &mut Shelf,
) -> Result<(), RegistryError> {
    let mut open = BTreeSet::new();
    for (tag, digest) in &shelf.tags {
        if is_staging(tag) && ground.known.is_ours(digest) {
            let recorded = Content::Manifest {
                subject: None,
                image: None,
            };
            shelf.documents.entry(digest.clone()).or_insert(recorded);
        } else {
            open.insert(digest.clone());
        }
    }
    for digest in &open {
        shelf.documents.remove(digest); // a tag of another kind holds it, too
    }
    while !open.is_empty() {
        let reads = open.into_iter().map(|digest| read(place, digest));
        let reads = stream::iter(reads).buffer_unordered(CONCURRENCY.get());
        let reads: Vec<(Digest, Content, Vec<Digest>)> = reads.try_collect().await?;
        open = BTreeSet::new();
        for (digest, content, indexes) in reads {
            shelf.documents.insert(digest, content);
            open.extend(indexes);
        }
        open.retain(|digest| !shelf.documents.contains_key(digest));
    }
    Ok(())
}

/// A document, and the indexes that it holds.
async fn read(
    place: &Place<'_>,
    digest: Digest,
) -> Result<(Digest, Content, Vec<Digest>), RegistryError> {
    let document = match place.registry.document(place.repository, &digest).await {
        Ok(document) => document,
        // It is no index: an artifact of another kind, or Docker's first format. It leads to nothing of ours.
        Err(RegistryError::Document { .. } | RegistryError::Missing { .. }) => {
            let other = Content::Manifest {
                subject: None,
                image: None,
            };
            return Ok((digest, other, Vec::new()));
        }
        Err(error) => return Err(error),
    };
    let indexes = match &document {
        refit_oci::Document::Index(index) => {
            let held = index.value.manifests.iter();
            let held = held.filter(|held| media_type::is_index(&held.media_type));
            held.map(|held| held.digest.clone()).collect()
        }
        refit_oci::Document::Manifest(_) => Vec::new(),
    };
    Ok((digest, Content::of(&document), indexes))
}

/// What may go as far as records say, and is there.
async fn read_candidates(
    place: &Place<'_>,
    ground: &Ground<'_>,
    shelf: &mut Shelf,
) -> Result<(), RegistryError> {
    let mut candidates = ground.known.candidates_of(ground.window, place.images);
    candidates.retain(|digest| !shelf.documents.contains_key(digest));
    let looks = candidates.into_iter().map(|digest| async move {
        let head = place.registry.head(&place.repository.at(&digest)).await?;
        let Head::Found { media_type, .. } = head else {
            return Ok(None);
        };
        if media_type.is_some_and(|kind| media_type::is_index(&kind)) {
            let (digest, content, _) = read(place, digest).await?;
            return Ok(Some((digest, content)));
        }
        let manifest = Content::Manifest {
            subject: None,
            image: None,
        };
        Ok::<_, RegistryError>(Some((digest, manifest)))
    });
    let looks = stream::iter(looks).buffer_unordered(CONCURRENCY.get());
    let found: Vec<Option<(Digest, Content)>> = looks.try_collect().await?;
    shelf.documents.extend(found.into_iter().flatten());
    Ok(())
}

/// What is attached to something, as far as lists say, and is not there.
async fn gone(place: &Place<'_>, decided: &Pruned) -> Result<BTreeSet<Digest>, RegistryError> {
    let listed = decided.removals.iter();
    let listed = listed.filter(|removal| matches!(removal.what, What::Attached { .. }));
    let listed: Vec<&Digest> = listed.map(|removal| &removal.digest).collect();
    let looks = listed.into_iter().map(|digest| async move {
        let head = place.registry.head(&place.repository.at(digest)).await?;
        Ok::<_, RegistryError>((head == Head::Missing).then(|| digest.clone()))
    });
    let looks = stream::iter(looks).buffer_unordered(CONCURRENCY.get());
    let gone: Vec<Option<Digest>> = looks.try_collect().await?;
    Ok(gone.into_iter().flatten().collect())
}

/// What is attached to these, directly or to what is.
async fn attached(
    place: &Place<'_>,
    to: Vec<Digest>,
) -> Result<BTreeMap<Digest, BTreeSet<Digest>>, RegistryError> {
    let found = to.into_iter().map(|subject| async move {
        let mut all = BTreeSet::new();
        let mut open = vec![subject.clone()];
        for _ in 0..DEPTH {
            let mut next = Vec::new();
            for digest in open {
                let referrers = place.registry.referrers(place.repository, &digest).await?;
                let referrers = referrers.into_iter().map(|referrer| referrer.digest);
                next.extend(referrers.filter(|digest| all.insert(digest.clone())));
            }
            open = next;
        }
        Ok::<_, RegistryError>((subject, all))
    });
    let found = stream::iter(found).buffer_unordered(CONCURRENCY.get());
    found.try_collect().await
}
