//! The plan of `refit adopt`: which records make a sweep's business of what other tools published.

use std::collections::BTreeMap;

use refit_oci::{Digest, Platform};

use super::{
    adopted::Evidence,
    dependencies::Hints,
    evaluate::{Adopting, Evaluator, Scope},
    onbuild::Wanted,
};
use crate::{
    adopt::{AdoptOptions, AdoptPlan, AdoptedManifest, Adoption, Origin},
    image::Image,
    observe::{Answer, Ground, Resolved},
    publication::{Publication, Published, Unrecorded},
    reason::{State, StateKind},
    scan::Triggers,
};

/// What can be adopted, and what is to be recorded of it.
pub fn adopt(ground: &Ground<'_>, options: &AdoptOptions) -> Resolved<AdoptPlan> {
    let all = ground.inventory.images.iter();
    let images: Vec<&Image> = all
        .filter(|image| options.images.contains(&image.name))
        .collect();
    let taken = options.images.iter().filter(|_| options.named);
    let adopting = Adopting {
        unrecorded: Unrecorded::Read,
        taken: taken.cloned().collect(),
        source: options.source.clone(),
        search_tags: true,
    };
    let scope = Scope {
        adopting,
        ..Scope::default()
    };
    let evaluator = Evaluator::new(ground, scope);
    let mut plan = AdoptPlan::default();
    for image in images {
        match evaluator.taken_on(image) {
            None => {} // something is unknown, and was asked for
            Some(Taken::Adopted(adoption)) => plan.adoptions.push(adoption),
            Some(Taken::Known) => plan.known.push(image.name.clone()),
            Some(Taken::Not(kind)) => plan.states.push(State {
                image: image.name.clone(),
                platform: None,
                kind,
            }),
        }
    }
    evaluator.lookup.finish(plan)
}

/// What comes of an image.
enum Taken {
    Adopted(Adoption),
    Known,
    Not(StateKind),
}

impl Evaluator<'_> {
    fn taken_on(&self, image: &Image) -> Option<Taken> {
        let publication = Publication::clone(&*self.publication(image)?);
        let published = match publication {
            Publication::Ours(published) if published.adopted => published,
            Publication::Ours(published) if self.has_another_source(image, &published) => {
                Published {
                    adopted: true,
                    ..published
                }
            }
            Publication::Ours(_) => return Some(Taken::Known),
            Publication::Never => return Some(Taken::Not(StateKind::Unpublished)),
            Publication::Other(kind) => return Some(Taken::Not(kind)),
        };
        let origin = match self.origin(image, &published)? {
            Ok(origin) => origin,
            Err(kind) => return Some(Taken::Not(kind)),
        };
        let all: Vec<_> = published
            .platforms
            .iter()
            .map(|(platform, manifest)| {
                let adopted =
                    self.adopted_manifest(image, &origin, platform, (&published, manifest));
                (platform, adopted)
            })
            .collect();
        let mut platforms = BTreeMap::new();
        for (platform, adopted) in all {
            match adopted? {
                Ok(adopted) => _ = platforms.insert(platform.clone(), adopted),
                Err(kind) => return Some(Taken::Not(kind)),
            }
        }
        let lead = image.lead_tag();
        let mut tags = Vec::new();
        for tag in image.moving_tags() {
            let holds = |answer: &Answer<Digest>| matches!(answer, Answer::Found(digest) if *digest == published.index);
            if lead.as_ref() == Some(&tag) || holds(self.lookup.tag(&tag)?) {
                tags.push(tag);
            }
        }
        Some(Taken::Adopted(Adoption {
            image: image.name.clone(),
            tags,
            index: published.index,
            after: published.record,
            commit: origin.commit.clone(),
            recipe: origin.recipe.clone(),
            platforms,
        }))
    }

    /// Whether the user names another source than the adoption on record.
    fn has_another_source(&self, image: &Image, published: &Published) -> bool {
        let records = self.lookup.ground.records;
        let named = self.scope.adopting.taken.contains(&image.name);
        let (Some(source), Some(record), true) =
            (&self.scope.adopting.source, &published.record, named)
        else {
            return false;
        };
        let known = records.recipe(&image.name, &source.commit);
        let same_file = match &source.dockerfile {
            None => true,
            Some(path) => known.is_some_and(|recipe| recipe.dockerfile == *path),
        };
        let same = published.commit.as_ref() == Some(&source.commit) && same_file;
        records.is_adoption(record) && !same
    }

    /// One platform's manifest, explained where the configuration names the platform.
    pub(super) fn adopted_manifest(
        &self,
        image: &Image,
        origin: &Origin,
        platform: &Platform,
        (published, manifest): (&Published, &Digest),
    ) -> Option<Result<AdoptedManifest, StateKind>> {
        if !image.platforms.contains(platform) {
            let (manifest, explained) = (manifest.clone(), None);
            return Some(Ok(AdoptedManifest {
                manifest,
                explained,
            }));
        }
        let entry = Image {
            platforms: image.platforms.clone(),
            pinned: image.pinned,
            ..origin.release.image.clone()
        };
        let tag = (&published.index, manifest);
        let triggers = match self.triggers_as_built((image, &entry), platform, tag)? {
            Ok(triggers) => triggers,
            Err(kind) => return Some(Err(kind)),
        };
        let file = match self.scanned(&entry, platform, &triggers) {
            Ok(file) => file,
            Err(kind) => return Some(Err(kind)),
        };
        let Some(source) = origin.release.sources.get(platform) else {
            let commit = origin.commit.short();
            let message = format!("its source at {commit} can't be listed for {platform}");
            return Some(Err(StateKind::ReleaseSourceGone { message }));
        };
        let wanted = Wanted {
            image: &entry,
            platform,
            commit: Some(&origin.commit),
            source: &source.id,
        };
        // By a recipe that is not on record yet no further files are found.
        let none = Triggers::new();
        let copying = if origin.recipe.is_none() {
            &triggers
        } else {
            &none
        };
        let source = match self.source(wanted, copying)? {
            Ok(source) => source,
            Err(kind) => return Some(Err(kind)),
        };
        let pins = match self.pins(&entry, &file, &Hints::none())? {
            Ok(pins) => pins,
            Err(kind) => return Some(Err(kind)),
        };
        let evidence = Evidence::new((image, &entry), (platform, &file), tag);
        let explained = self.explained(&evidence, &pins)?;
        Some(Ok(AdoptedManifest {
            manifest: manifest.clone(),
            explained: Some((source, explained)),
        }))
    }
}
