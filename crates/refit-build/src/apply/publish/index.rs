//! The new index: results, and what stays bit for bit.

use std::collections::BTreeMap;

use refit_deps::{
    pin::Pin,
    plan::{PlannedPin, outcome},
    publication,
};
use refit_oci::{
    Descriptor, Digest, Document, Exact, Index, Platform, Repository, annotations, media_type,
};
use refit_platform::Target;

use super::{Failed, Image, Outcome, failed};
use crate::apply::attest;

impl Image<'_> {
    /// The index that takes the place of `old`.
    pub(super) async fn new_index(
        &self,
        repository: &Repository,
        old: Option<&Exact<Index>>,
    ) -> Result<Exact<Index>, Failed> {
        self.verify_records(old)?;
        let entries = self.entries(repository, old).await?;
        let index = Index::new(entries, self.annotations());
        Ok(Exact::encode(media_type::OCI_INDEX, index))
    }

    /// A patch is planned by what records say of the published index, without asking for it. Here it is at hand: a
    /// record that says something else may have cost work, and moves no tag.
    fn verify_records(&self, old: Option<&Exact<Index>>) -> Result<(), Failed> {
        let publication = self.publication;
        let (Some(old), false, None) = (old, publication.release, &publication.over) else {
            return Ok(());
        };
        let mut told = publication.kept.clone();
        told.extend(self.steps.iter().filter_map(|step| {
            let replaced = step.replaces.clone()?;
            Some((step.target.platform.clone(), replaced))
        }));
        let platforms = publication::platforms(&old.value);
        if (&told, &publication.released) == (&platforms, &publication::revision(&old.value)) {
            return Ok(());
        }
        // An index that another tool put together says less: what was adopted is in it, and that is all.
        let is_ours = old.value.annotations.contains_key(annotations::IMAGE);
        let holds = |manifest: &Digest| old.value.manifests.iter().any(|d| d.digest == *manifest);
        if !is_ours && told.values().all(holds) {
            return Ok(());
        }
        let short = old.digest.short();
        Err(failed(format!(
            "the records tell of {short} what it does not say itself"
        )))
    }

    /// The index that is replaced.
    pub(super) async fn old_index(
        &self,
        repository: &Repository,
    ) -> Result<Option<Exact<Index>>, Failed> {
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
        let result = |target: &Target| self.results.get(target).and_then(Outcome::manifest);
        let parts = outcome::parts(self.publication, self.steps, result).map_err(failed)?;
        let mut entries: BTreeMap<Platform, Descriptor> = BTreeMap::new();
        let mut attestations = Vec::new();
        for (platform, manifest) in &parts.new {
            let descriptor = self.descriptor(repository, manifest, platform).await?;
            entries.insert(platform.clone(), descriptor);
            attestations.extend(self.attestations(repository, manifest, old).await?);
        }
        for (platform, manifest) in &parts.kept {
            let mut listed = old.into_iter().flat_map(|old| &old.value.manifests);
            let descriptor = match listed.find(|d| d.digest == *manifest) {
                Some(descriptor) => Descriptor {
                    platform: Some(platform.clone()),
                    ..descriptor.clone()
                },
                // A tag that held this one manifest, and no index.
                None if self.publication.expects.as_ref() == Some(manifest) => {
                    self.descriptor(repository, manifest, platform).await?
                }
                None => {
                    let short = manifest.short();
                    return Err(failed(format!(
                        "the published index does not hold {short}, which the records name for {platform}"
                    )));
                }
            };
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
            attestations.extend(attested(old, manifest));
            entries.insert(platform.clone(), descriptor);
        }
        Ok(entries.into_values().chain(attestations).collect())
    }

    /// What is attested of a manifest that is new in the index: as the one before has it, else as BuildKit left it.
    async fn attestations(
        &self,
        repository: &Repository,
        manifest: &Digest,
        old: Option<&Exact<Index>>,
    ) -> Result<Vec<Descriptor>, Failed> {
        let known: Vec<Descriptor> = attested(old, manifest).collect();
        if !known.is_empty() || !self.publication.attested {
            return Ok(known);
        }
        let registry = self.site.registries.registry(repository.registry());
        let entries = attest::entries(registry.as_ref(), repository, manifest).await;
        entries.map_err(|e| Failed::of(&e))
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

    fn annotations(&self) -> BTreeMap<String, String> {
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
        if let Some(replaced) = &self.publication.expects {
            all.insert(annotations::REPLACES.to_owned(), replaced.to_string());
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
}

/// What an index holds of attestations about a manifest.
fn attested<'i>(
    index: Option<&'i Exact<Index>>,
    manifest: &Digest,
) -> impl Iterator<Item = Descriptor> + use<'i> {
    let manifest = manifest.to_string();
    let held = index.into_iter().flat_map(|index| &index.value.manifests);
    let about = move |held: &&Descriptor| {
        held.annotations.get(annotations::REFERENCE_DIGEST) == Some(&manifest)
    };
    held.filter(about).cloned()
}
