//! Tags: read again, then moved if they still hold what they should.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::publication;
use refit_oci::{Digest, Document, Exact, Index, Reference, Repository, annotations};
use refit_registry::{Head, Place, Registries, RegistryError};

use super::{Failed, Image, Stopped, provenance::signed_tag};

/// Each tag, and whether it was moved; or why not.
pub(super) type Tags = Vec<(Reference, Result<(), String>)>;

/// What became of the tags.
pub(super) enum Moves {
    /// The lead was moved, or it holds something else than it should.
    Tried(Tags),
    /// Another run has published the same manifests meanwhile, under this index.
    ByAnotherRun(Digest),
}

impl Image<'_> {
    /// Re-reads the lead tag, fills further repositories, then moves the tags that still hold what they should.
    pub(super) async fn move_tags(
        &self,
        index: &Exact<Index>,
        lead: &Repository,
    ) -> Result<Moves, Stopped> {
        let document = Document::Index(index.clone());
        let Some(lead_tag) = self.publication.tags.first() else {
            return Ok(Moves::Tried(self.write_unique(&document, lead).await?));
        };
        if let Some(moves) = self.is_elsewhere(lead_tag, index).await? {
            return Ok(moves);
        }
        let unfilled = self.fill_further(lead, &index.digest).await;
        if self.is_decision() {
            self.decide(index, &unfilled).await?;
            // What was decided on is what is moved.
            if let Some(moves) = self.is_elsewhere(lead_tag, index).await? {
                return Ok(moves);
            }
        }
        let mut moved = Vec::new();
        for tag in &self.publication.tags {
            let result = match unfilled.get(tag.repository()) {
                Some(why) => Err(why.clone()),
                None => self.move_tag(tag, &document).await,
            };
            moved.push((tag.clone(), result));
            if tag == lead_tag && moved.iter().any(|(_, result)| result.is_err()) {
                return Ok(Moves::Tried(moved));
            }
        }
        moved.extend(self.write_unique(&document, lead).await?);
        Ok(Moves::Tried(moved))
    }

    /// What became of the tags, if the lead does not hold what the plan expects.
    async fn is_elsewhere(
        &self,
        lead: &Reference,
        index: &Exact<Index>,
    ) -> Result<Option<Moves>, Failed> {
        let now = self.holds(lead).await?;
        if now == self.publication.expects {
            return Ok(None);
        }
        if let Some(now) = &now
            && self.is_the_same(lead.repository(), now, &index.value).await
        {
            return Ok(Some(Moves::ByAnotherRun(now.clone())));
        }
        let holds = now.map_or_else(|| "nothing".to_owned(), |d| d.short().to_owned());
        let why = format!("moved elsewhere: {} holds {holds} now", lead.familiar());
        let tags = self.publication.tags.iter();
        let stuck = tags.map(|tag| (tag.clone(), Err(why.clone())));
        Ok(Some(Moves::Tried(stuck.collect())))
    }

    /// Keeps the record of what is about to be done.
    async fn decide(
        &self,
        index: &Exact<Index>,
        unfilled: &BTreeMap<Repository, String>,
    ) -> Result<(), Stopped> {
        let mut planned = Vec::new();
        for tag in &self.publication.tags {
            let moves = match unfilled.get(tag.repository()) {
                Some(why) => Err(why.clone()),
                None => self.may_move(tag).await,
            };
            planned.push((tag.clone(), moves));
        }
        let Some(record) = self.record(index, &planned) else {
            return Ok(()); // the lead is where it is filled from
        };
        let decided = self.site.workshop.decide(&record);
        decided.map_err(Stopped::Undecided)
    }

    /// Whether the index `now` is this image's, with the very manifests that are to be published: two runs had the
    /// same plan, and the other was faster.
    async fn is_the_same(&self, repository: &Repository, now: &Digest, index: &Index) -> bool {
        let registry = self.site.registries.registry(repository.registry());
        let Ok(Document::Index(other)) = registry.document(repository, now).await else {
            return false;
        };
        let other = &other.value;
        let same = |key: &str| other.annotations.get(key) == index.annotations.get(key);
        publication::platforms(other) == publication::platforms(index)
            && same(annotations::IMAGE)
            && same(annotations::REVISION)
    }

    async fn move_tag(&self, tag: &Reference, index: &Document) -> Result<(), String> {
        self.may_move(tag).await?;
        let registry = self.site.registries.registry(tag.repository().registry());
        let pushed = registry
            .push_document(tag.repository(), index, tag.tag())
            .await;
        pushed.map(|_| ()).map_err(|e| Failed::of(&e).message)
    }

    /// Whether a tag other than the lead goes where that goes; why not.
    async fn may_move(&self, tag: &Reference) -> Result<(), String> {
        let Some(lead) = self.publication.tags.first().filter(|lead| *lead != tag) else {
            return Ok(());
        };
        let now = self.holds(tag).await.map_err(|failed| failed.message)?;
        let mut moved = self.publication.last_moved.iter();
        let last = moved.find(|(of, _)| of == tag).map(|(_, index)| index);
        let ours = match &now {
            Some(_) => now == self.publication.expects || now.as_ref() == last,
            // Nobody ever had it; or somebody removed it, and only a release brings it back.
            None => last.is_none() || self.publication.release,
        };
        if ours {
            return Ok(());
        }
        let holds = now.map_or_else(|| "nothing".to_owned(), |d| d.short().to_owned());
        let lead = lead.familiar();
        Err(format!("it holds {holds}, not what {lead} held"))
    }

    /// Unique tags are written once: one that is there stays.
    async fn write_unique(
        &self,
        index: &Document,
        repository: &Repository,
    ) -> Result<Tags, Failed> {
        let mut written = Vec::new();
        for tag in &self.publication.unique_tags {
            let result = if self.holds(tag).await?.is_some() {
                Err("it was written before".to_owned())
            } else {
                let registry = self.site.registries.registry(repository.registry());
                let pushed = registry.push_document(repository, index, tag.tag()).await;
                pushed.map(|_| ()).map_err(|e| Failed::of(&e).message)
            };
            written.push((tag.clone(), result));
        }
        Ok(written)
    }

    async fn holds(&self, tag: &Reference) -> Result<Option<Digest>, Failed> {
        let registry = self.site.registries.registry(tag.repository().registry());
        Ok(registry
            .head(tag)
            .await
            .map_err(|e| Failed::of(&e))?
            .digest()
            .cloned())
    }

    /// Copies the index and all it holds into every further repository; why not, where that failed.
    async fn fill_further(
        &self,
        lead: &Repository,
        digest: &Digest,
    ) -> BTreeMap<Repository, String> {
        let tags = self.publication.tags.iter();
        let further: BTreeSet<&Repository> = tags
            .map(Reference::repository)
            .filter(|repository| *repository != lead)
            .collect();
        let mut unfilled = BTreeMap::new();
        for repository in further {
            let host = repository.registry();
            if let Some(why) = self.unreachable().get(host) {
                unfilled.insert(repository.clone(), why.clone());
                continue;
            }
            let with_signature = self.site.signer.is_some();
            let registries = self.site.registries;
            let filled = copy_published(registries, (lead, repository), digest, with_signature);
            if let Err(error) = filled.await {
                let why = format!("behind: {}", Failed::of(&error).message);
                if is_down(&error) {
                    self.unreachable().insert(host.to_owned(), why.clone());
                }
                unfilled.insert(repository.clone(), why);
            }
        }
        unfilled
    }
}

/// Copies a published index from one repository to another, with all it holds and all that is said of it.
pub async fn copy_published(
    registries: &Registries,
    (from, to): (&Repository, &Repository),
    digest: &Digest,
    with_signature: bool,
) -> Result<(), RegistryError> {
    let source = registries.registry(from.registry());
    let target = registries.registry(to.registry());
    let from = Place {
        registry: source.as_ref(),
        repository: from,
    };
    let to = Place {
        registry: target.as_ref(),
        repository: to,
    };
    refit_registry::copy_image(from, to, digest).await?;
    for referrer in source.referrers(from.repository, digest).await? {
        let copied = refit_registry::copy_image(from, to, &referrer.digest).await?;
        if let Document::Manifest(manifest) = copied {
            target.push_referrer(to.repository, &manifest).await?;
        }
    }
    if with_signature {
        let tag = signed_tag(digest);
        let signed = from.repository.tagged(&tag);
        let signed = signed.expect("hex digits and an ending are a valid tag");
        if let Head::Found { digest, .. } = source.head(&signed).await? {
            let copied = refit_registry::copy_image(from, to, &digest).await?;
            let tagged = target.push_document(to.repository, &copied, Some(&tag));
            tagged.await?;
        }
    }
    Ok(())
}

/// Whether asking the same host again would come to the same.
fn is_down(error: &RegistryError) -> bool {
    matches!(
        error,
        RegistryError::Unreachable { .. }
            | RegistryError::TimedOut { .. }
            | RegistryError::Tls { .. }
            | RegistryError::Client { .. }
            | RegistryError::Credentials { .. }
            | RegistryError::RateLimited { .. }
    )
}
