//! Moves tags, image by image, a child's never before its parent's. A tag that holds something else than the plan
//! expects stays where it is.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    pin::Pin,
    plan::{Plan, PlannedPin, PlannedPublication, Step},
    record::{PublishRecord, Record},
};
use refit_oci::{
    Descriptor, Digest, Document, Exact, Index, Platform, Reference, Repository, annotations,
    media_type,
};
use refit_platform::Target;
use refit_registry::Place;

use super::{Failed, Outcome, Published, Site};

/// Publishes every image of the plan whose targets came out well.
pub(super) async fn all(
    plan: &Plan,
    results: &BTreeMap<Target, Outcome>,
    site: &Site<'_>,
) -> Result<Vec<Published>, Failed> {
    let mut published: Vec<Published> = Vec::new();
    let mut stuck: BTreeSet<&str> = BTreeSet::new();
    let mut records = Vec::new();
    for publication in &plan.publications {
        let steps: Vec<&Step> = plan
            .steps
            .iter()
            .filter(|s| s.target.image == publication.image)
            .collect();
        let stuck_parent = steps
            .iter()
            .flat_map(|step| &step.pins)
            .find_map(|pin| match pin {
                PlannedPin::Step { target, .. } => stuck.get(target.image.as_str()).copied(),
                PlannedPin::Known { .. } => None,
            });
        let image = Image {
            publication,
            steps: &steps,
            results,
            site,
        };
        let result = match stuck_parent {
            Some(parent) => image.nothing(format!("skipped: its parent {parent} did not move")),
            None => image.publish(&mut records).await,
        };
        if result.failed.is_some() {
            stuck.insert(&publication.image);
        }
        published.push(result);
    }
    if !records.is_empty() {
        site.workshop.keep(&records)?;
    }
    Ok(published)
}

/// One image's publication.
struct Image<'a> {
    publication: &'a PlannedPublication,
    steps: &'a [&'a Step],
    results: &'a BTreeMap<Target, Outcome>,
    site: &'a Site<'a>,
}

impl Image<'_> {
    fn nothing(&self, why: String) -> Published {
        Published {
            image: self.publication.image.clone(),
            reference: None,
            previous: self.publication.expects.clone(),
            tags: self
                .publication
                .tags
                .iter()
                .map(|tag| (tag.clone(), Err(why.clone())))
                .collect(),
            platforms: BTreeMap::new(),
            failed: Some(why),
        }
    }

    async fn publish(&self, records: &mut Vec<Record>) -> Published {
        match self.try_publish(records).await {
            Ok(published) => published,
            Err(failed) => self.nothing(failed.message),
        }
    }

    async fn try_publish(&self, records: &mut Vec<Record>) -> Result<Published, Failed> {
        let repository = &self
            .steps
            .first()
            .ok_or_else(|| failed("no target of it is in the plan".to_owned()))?
            .repository;
        let old = self.old_index(repository).await?;
        let entries = self.entries(repository, old.as_ref()).await?;
        let platforms: BTreeMap<Platform, Digest> = entries
            .iter()
            .filter_map(|d| Some((d.platform.clone()?, d.digest.clone())))
            .collect();
        let unchanged = old
            .as_ref()
            .is_some_and(|old| refit_deps::publication::platforms(&old.value) == platforms);
        if unchanged && self.publication.over.is_none() {
            // Everything came to what is published: the records say so, and no tag moves.
            return Ok(Published {
                image: self.publication.image.clone(),
                reference: self
                    .publication
                    .expects
                    .as_ref()
                    .map(|digest| repository.at(digest)),
                previous: self.publication.expects.clone(),
                tags: self
                    .publication
                    .tags
                    .iter()
                    .map(|t| (t.clone(), Err("it is up to date".to_owned())))
                    .collect(),
                platforms,
                failed: None,
            });
        }
        let index = Exact::encode(
            media_type::OCI_INDEX,
            Index::new(entries, self.annotations(old.as_ref())),
        );
        let document = Document::Index(index);
        let registry = self.site.registries.registry(repository.registry());
        let digest = registry
            .push_document(repository, &document, None)
            .await
            .map_err(|e| Failed::of(&e))?;
        let reference = repository.at(&digest);
        let tags = self.move_tags(&document, &digest, repository).await?;
        let lead_moved = tags.first().is_none_or(|(_, moved)| moved.is_ok());
        let moved: Vec<Reference> = tags
            .iter()
            .filter(|(_, moved)| moved.is_ok())
            .map(|(tag, _)| tag.clone())
            .collect();
        if lead_moved && !moved.is_empty() && !self.publication.tags.is_empty() {
            records.push(Record::Publish(PublishRecord {
                id: format!("{}-{}", self.site.run.id(), self.publication.image),
                after: self.publication.after.clone(),
                image: self.publication.image.clone(),
                line: self.publication.line.clone(),
                commit: self.publication.commit.clone(),
                index: digest,
                platforms: platforms.clone(),
                tags: moved,
                run: self.site.run.id().to_string(),
                at: (self.site.clock)().to_string(),
            }));
        }
        let why = tags
            .first()
            .and_then(|(_, moved)| moved.clone().err())
            .filter(|_| !lead_moved);
        Ok(Published {
            image: self.publication.image.clone(),
            reference: Some(reference),
            previous: self.publication.expects.clone(),
            tags,
            platforms,
            failed: why,
        })
    }

    /// The index that is replaced.
    async fn old_index(&self, repository: &Repository) -> Result<Option<Exact<Index>>, Failed> {
        let Some(expects) = &self.publication.expects else {
            return Ok(None);
        };
        let registry = self.site.registries.registry(repository.registry());
        match registry
            .document(repository, expects)
            .await
            .map_err(|e| Failed::of(&e))?
        {
            Document::Index(index) => Ok(Some(index)),
            Document::Manifest(_) => Ok(None),
        }
    }

    /// The new index's entries: results, and what stays, bit for bit, with its attestations.
    async fn entries(
        &self,
        repository: &Repository,
        old: Option<&Exact<Index>>,
    ) -> Result<Vec<Descriptor>, Failed> {
        let mut kept = self.publication.kept.clone();
        let mut entries: BTreeMap<Platform, Descriptor> = BTreeMap::new();
        for step in self.steps {
            let platform = &step.target.platform;
            match self.results.get(&step.target).and_then(Outcome::manifest) {
                Some(manifest) => {
                    entries.insert(
                        platform.clone(),
                        self.descriptor(repository, manifest, platform).await?,
                    );
                }
                // A patch that fails on one platform publishes the others with its old manifest.
                None => match (self.publication.release, &step.replaces) {
                    (false, Some(old)) => {
                        kept.insert(platform.clone(), old.clone());
                    }
                    (true, _) => {
                        return Err(failed(format!(
                            "not published: {platform} failed, and a release is all platforms or none"
                        )));
                    }
                    (false, None) => {}
                },
            }
        }
        if entries.is_empty() {
            return Err(failed("none of its targets could be built".to_owned()));
        }
        let mut attestations = Vec::new();
        for (platform, manifest) in &kept {
            let listed = old
                .into_iter()
                .flat_map(|old| &old.value.manifests)
                .find(|d| d.digest == *manifest);
            let descriptor = listed.ok_or_else(|| {
                let short = manifest.short();
                failed(format!("the published index does not hold {short}, which the records name for {platform}"))
            })?;
            let reference = repository.at(manifest);
            let head = self
                .site
                .registries
                .registry(repository.registry())
                .head(&reference)
                .await;
            if head.map_err(|e| Failed::of(&e))?.digest() != Some(manifest) {
                return Err(failed(format!(
                    "{platform} is to be kept, and its manifest {} is gone",
                    manifest.short()
                )));
            }
            let about = |d: &&Descriptor| {
                d.annotations.get("vnd.docker.reference.digest") == Some(&manifest.to_string())
            };
            attestations.extend(
                old.into_iter()
                    .flat_map(|old| &old.value.manifests)
                    .filter(about)
                    .cloned(),
            );
            entries.insert(platform.clone(), descriptor.clone());
        }
        Ok(entries.into_values().chain(attestations).collect())
    }

    async fn descriptor(
        &self,
        repository: &Repository,
        manifest: &Digest,
        platform: &Platform,
    ) -> Result<Descriptor, Failed> {
        let registry = self.site.registries.registry(repository.registry());
        let document = registry
            .document(repository, manifest)
            .await
            .map_err(|e| Failed::of(&e))?;
        let mut descriptor = Descriptor::of(document.media_type(), document.bytes());
        descriptor.platform = Some(platform.clone());
        Ok(descriptor)
    }

    fn annotations(&self, old: Option<&Exact<Index>>) -> BTreeMap<String, String> {
        let mut all = self.publication.annotations.clone();
        all.insert(
            annotations::IMAGE.to_owned(),
            self.publication.image.clone(),
        );
        all.insert(annotations::LINE.to_owned(), self.publication.line.clone());
        all.insert(
            annotations::CREATED.to_owned(),
            (self.site.clock)().to_string(),
        );
        if let Some(commit) = &self.publication.commit {
            all.insert(annotations::REVISION.to_owned(), commit.to_string());
        }
        if let Some(old) = old {
            all.insert(annotations::REPLACES.to_owned(), old.digest.to_string());
        }
        let mut known = self
            .steps
            .iter()
            .flat_map(|step| &step.pins)
            .filter_map(|pin| match pin {
                PlannedPin::Known { pin, .. } if pin.kind == refit_dockerfile::Kind::Base => {
                    Some(pin)
                }
                _ => None,
            });
        if let Some((pin, index)) = known.find_map(|pin: &Pin| Some((pin, pin.index.as_ref()?))) {
            all.insert(annotations::BASE_NAME.to_owned(), pin.reference.to_string());
            all.insert(annotations::BASE_DIGEST.to_owned(), index.to_string());
        }
        all
    }

    /// Re-reads the lead tag, fills further repositories, then moves the tags that still hold what they should.
    async fn move_tags(
        &self,
        index: &Document,
        digest: &Digest,
        lead: &Repository,
    ) -> Result<Vec<(Reference, Result<(), String>)>, Failed> {
        let Some(lead_tag) = self.publication.tags.first() else {
            return self.write_unique(index, lead).await;
        };
        let now = self.holds(lead_tag).await?;
        if now != self.publication.expects {
            let holds = now.map_or_else(|| "nothing".to_owned(), |d| d.short().to_owned());
            let why = format!("moved elsewhere: {} holds {holds} now", lead_tag.familiar());
            return Ok(self
                .publication
                .tags
                .iter()
                .map(|tag| (tag.clone(), Err(why.clone())))
                .collect());
        }
        let mut unreachable: BTreeMap<Repository, String> = BTreeMap::new();
        let further: BTreeSet<&Repository> = self
            .publication
            .tags
            .iter()
            .map(Reference::repository)
            .filter(|r| *r != lead)
            .collect();
        for repository in further {
            if let Err(error) = self.fill(lead, repository, digest).await {
                unreachable.insert(repository.clone(), format!("behind: {}", error.message));
            }
        }
        let mut moved = Vec::new();
        for tag in &self.publication.tags {
            let result = match unreachable.get(tag.repository()) {
                Some(why) => Err(why.clone()),
                None => self.move_tag(tag, lead_tag, index).await,
            };
            moved.push((tag.clone(), result));
            if tag == lead_tag && moved.iter().any(|(_, result)| result.is_err()) {
                break;
            }
        }
        moved.extend(self.write_unique(index, lead).await?);
        Ok(moved)
    }

    async fn move_tag(
        &self,
        tag: &Reference,
        lead: &Reference,
        index: &Document,
    ) -> Result<(), String> {
        if tag != lead {
            let now = self.holds(tag).await.map_err(|failed| failed.message)?;
            let ours =
                now == self.publication.expects || (now.is_none() && self.publication.release);
            if !ours {
                let holds = now.map_or_else(|| "nothing".to_owned(), |d| d.short().to_owned());
                return Err(format!(
                    "it holds {holds}, not what {} held",
                    lead.familiar()
                ));
            }
        }
        let registry = self.site.registries.registry(tag.repository().registry());
        let pushed = registry
            .push_document(tag.repository(), index, tag.tag())
            .await;
        pushed.map(|_| ()).map_err(|e| Failed::of(&e).message)
    }

    /// Unique tags are written once: one that is there stays.
    async fn write_unique(
        &self,
        index: &Document,
        repository: &Repository,
    ) -> Result<Vec<(Reference, Result<(), String>)>, Failed> {
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

    /// Copies the index and all it holds into a further repository.
    async fn fill(
        &self,
        from: &Repository,
        to: &Repository,
        digest: &Digest,
    ) -> Result<(), Failed> {
        let source = self.site.registries.registry(from.registry());
        let target = self.site.registries.registry(to.registry());
        let from = Place {
            registry: source.as_ref(),
            repository: from,
        };
        let to = Place {
            registry: target.as_ref(),
            repository: to,
        };
        let copied = refit_registry::copy_image(from, to, digest).await;
        copied.map(|_| ()).map_err(|e| Failed::of(&e))
    }
}

fn failed(message: String) -> Failed {
    Failed {
        message,
        excerpt: None,
        hint: None,
    }
}
