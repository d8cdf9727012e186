//! What an image was built on, by its layers.

use refit_oci::{Digest, Repository};

use super::{Evaluator, Evidence, Finding};
use crate::{
    adopt::{How, Match, begins_with, most_layers, same_track},
    observe::Answer,
    pin::Pin,
};

/// How many older images of a base are compared with an image's layers: of those that records name, and of those that
/// tags name.
const MOST_OLDER: usize = 8;

impl Evaluator<'_> {
    pub(super) fn by_layers(
        &self,
        of: &Evidence<'_>,
        pin: &Pin,
        repository: &Repository,
        parent: Option<&str>,
    ) -> Option<Finding> {
        let Some(today) = &pin.manifest else {
            return Some(Finding::Assumed(pin.clone()));
        };
        let image = self.lookup.config(of.image.destination(), of.manifest);
        let base = self.lookup.config(repository, today);
        let (Answer::Found(image), Answer::Found(base)) = (image?, base?) else {
            return Some(Finding::Assumed(pin.clone()));
        };
        let file = of.entry.file.as_ref();
        let most = file.and_then(|file| most_layers(file, of.file));
        let verdict = begins_with(image, base, most);
        if verdict == Match::Built {
            return Some(Finding::Proven(How::Layers, pin.clone()));
        }
        for older in self.older(pin, repository, parent)? {
            if let Answer::Found(base) = self.lookup.config(repository, &older)?
                && begins_with(image, base, most) == Match::Built
            {
                let older = Pin {
                    index: None,
                    manifest: Some(older),
                    ..pin.clone()
                };
                return Some(Finding::Proven(How::Layers, older));
            }
        }
        Some(match verdict {
            Match::Not => Finding::Unknown,
            Match::Built | Match::Perhaps => Finding::Assumed(pin.clone()),
        })
    }

    /// Manifests that the dependency may have resolved to before.
    fn older(
        &self,
        pin: &Pin,
        repository: &Repository,
        parent: Option<&str>,
    ) -> Option<Vec<Digest>> {
        let records = self.lookup.ground.records;
        let mut older: Vec<Digest> = Vec::new();
        let mut add = |digest: &Digest| {
            if pin.manifest.as_ref() != Some(digest) && !older.contains(digest) {
                older.push(digest.clone());
            }
        };
        let image = parent.and_then(|parent| self.lookup.ground.inventory.image(parent));
        if let Some((image, lead)) = image.and_then(|image| Some((image, image.lead_tag()?))) {
            let publishes = records.publishes_of(&image.name, &lead);
            let manifests = publishes.filter_map(|publish| publish.platforms.get(&pin.platform));
            manifests.take(MOST_OLDER).for_each(&mut add);
        } else {
            let pins = records.builds().flat_map(|build| &build.deps);
            let alike = pins.filter(|p| p.same_dependency(&pin.reference, &pin.platform));
            let manifests = alike.filter_map(|p| p.manifest.as_ref());
            manifests.take(MOST_OLDER * MOST_OLDER).for_each(&mut add);
        }
        older.truncate(MOST_OLDER);
        let Some(tag) = pin
            .reference
            .tag()
            .filter(|_| self.scope.adopting.search_tags)
        else {
            return Some(older);
        };
        let Answer::Found(tags) = self.lookup.listing(repository)? else {
            return Some(older);
        };
        let tags = same_track(tag, tags).into_iter().take(MOST_OLDER);
        let resolved: Vec<_> = tags
            .filter_map(|tag| repository.tagged(tag).ok())
            .map(|tag| self.lookup.tag(&tag))
            .collect();
        let mut found = Vec::new();
        for answer in resolved {
            if let Answer::Found(digest) = answer? {
                found.push(self.found(pin, repository, digest));
            }
        }
        for found in found {
            let manifest = found?.ok().and_then(|found| found.manifest);
            older.extend(manifest.filter(|m| pin.manifest.as_ref() != Some(m)));
        }
        Some(older)
    }
}
