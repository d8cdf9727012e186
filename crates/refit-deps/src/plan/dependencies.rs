//! What a target's dependencies resolve to now: an in-repo parent's verdict, or what a registry says.

use std::cell::Cell;

use refit_dockerfile::{Found, FoundSource, Kind, Resolved as ResolvedFile};
use refit_oci::{Digest, Document, Index, Platform, Reference, Repository, media_type};
use refit_platform::best_match;

use super::{
    PlannedPin,
    evaluate::{Candidate, Evaluator, Verdict},
};
use crate::{
    content::Contents,
    image::{Image, Pinned},
    observe::Answer,
    pin::{self, Pin},
    reason::{StateKind, TagOwner},
};

/// How a target may have been built, to spare requests: what a build found in an index is taken from its record.
pub(super) struct Hints<'c> {
    candidates: &'c [Candidate<'c>],
    /// Whether any of them was taken.
    taken: Cell<bool>,
}

impl<'c> Hints<'c> {
    pub(super) fn none() -> Self {
        Self::of(&[])
    }

    pub(super) fn of(candidates: &'c [Candidate<'c>]) -> Self {
        let taken = Cell::default();
        Self { candidates, taken }
    }

    /// Whether what was told without them would be the same.
    pub(super) fn are_unused(&self) -> bool {
        !self.taken.get()
    }
}

impl Evaluator<'_> {
    /// What all dependencies of a target resolve to now, in their order. An error is a state of the target. Everything
    /// unknown is asked for before the first `None`.
    ///
    /// What rests on hints is enough to see that nothing changed, and not enough to build on: see [`Self::verified`].
    pub(super) fn pins(
        &self,
        image: &Image,
        file: &ResolvedFile,
        hints: &Hints<'_>,
    ) -> Option<Result<Vec<PlannedPin>, StateKind>> {
        let all: Vec<_> = file
            .found
            .iter()
            .map(|found| self.pin(image, found, hints))
            .collect();
        let mut pins = Vec::new();
        let mut problem = None;
        for pin in all {
            match pin? {
                Ok(pin) => pins.push(pin),
                Err(kind) => problem = problem.or(Some(kind)),
            }
        }
        Some(problem.map_or(Ok(pins), Err))
    }

    /// The same for a target that is going to be built: what it is built on is what the indexes themselves hold. Only
    /// where other bases are left out of account does it stay on what the records name.
    pub(super) fn verified(
        &self,
        image: &Image,
        file: &ResolvedFile,
        candidates: &[Candidate<'_>],
    ) -> Option<Result<Vec<PlannedPin>, StateKind>> {
        let hints = match self.scope.base {
            Some(_) => Hints::of(candidates),
            None => Hints::none(),
        };
        self.pins(image, file, &hints)
    }

    pub(super) fn pin(
        &self,
        child: &Image,
        found: &Found,
        hints: &Hints<'_>,
    ) -> Option<Result<PlannedPin, StateKind>> {
        let onto = self
            .scope
            .onto
            .as_ref()
            .filter(|_| found.kind == Kind::Base);
        if let (Some(onto), true) = (onto, self.scope.roles.contains_key(&child.name)) {
            let current = self.external(onto, found, Pinned::Report, &Hints::none())?;
            return Some(current.map(|(index, manifest)| PlannedPin::Known {
                pin: Pin {
                    kind: found.kind,
                    reference: onto.clone(),
                    platform: found.platform.clone(),
                    index,
                    manifest: Some(manifest),
                },
                repository: onto.repository().clone(),
                parent: None,
            }));
        }
        let parent = self.lookup.ground.edges.parent(&child.name, found);
        let parent = parent.and_then(|parent| self.lookup.ground.inventory.image(parent.image));
        let known = |reference: &Reference, repository: &Repository, index, manifest| {
            let (reference, platform) = (reference.clone(), found.platform.clone());
            let pin = Pin {
                kind: found.kind,
                reference,
                platform,
                index,
                manifest: Some(manifest),
            };
            PlannedPin::Known {
                pin,
                repository: repository.clone(),
                parent: parent.map(|parent| parent.name.clone()),
            }
        };
        let Some(parent) = parent else {
            let FoundSource::Reference(reference) = &found.source else {
                return Some(Err(StateKind::Broken {
                    message: format!("`{}` is no image here", found.written),
                }));
            };
            let current = self.external(reference, found, child.pinned, hints)?;
            return Some(current.map(|(index, manifest)| {
                known(reference, reference.repository(), index, manifest)
            }));
        };
        let lead = parent.lead_tag();
        let reference = match &found.source {
            FoundSource::Reference(reference) => reference.clone(),
            FoundSource::InRepo(_) => match lead
                .clone()
                .or_else(|| parent.destination().tagged("latest").ok())
            {
                Some(reference) => reference,
                None => return Some(Err(StateKind::NoMovingTag)),
            },
        };
        // Nothing makes an image of a platform that nobody asked for: it is taken as its tag has it.
        let verdict = if parent.platforms.contains(&found.platform) {
            self.target(parent, &found.platform)?
        } else {
            Verdict::Left
        };
        match verdict {
            Verdict::Kept(manifest) => {
                Some(Ok(known(&reference, parent.destination(), None, manifest)))
            }
            Verdict::Step(step) => Some(Ok(PlannedPin::Step {
                kind: found.kind,
                platform: found.platform.clone(),
                target: step.target.clone(),
                repository: step.repository.clone(),
                reference,
            })),
            Verdict::Absent => Some(Err(StateKind::MissingTag {
                tag: lead.unwrap_or(reference),
                owner: TagOwner::Image,
            })),
            Verdict::Left => {
                let current = self.external(
                    &lead.unwrap_or_else(|| reference.clone()),
                    found,
                    Pinned::Report,
                    hints,
                )?;
                Some(
                    current.map(|(_, manifest)| {
                        known(&reference, parent.destination(), None, manifest)
                    }),
                )
            }
        }
    }

    /// What a reference resolves to for a dependency's platform: the index, where it is one, and the platform's manifest.
    fn external(
        &self,
        reference: &Reference,
        found: &Found,
        pinned: Pinned,
        hints: &Hints<'_>,
    ) -> Option<Result<(Option<Digest>, Digest), StateKind>> {
        let platform = &found.platform;
        let pins = || {
            let candidates = hints.candidates.iter();
            candidates
                .flat_map(|c| c.pins.iter())
                .filter(|p| p.same_dependency(reference, platform))
        };
        if self.scope.base.as_ref().is_some_and(|base| {
            base != reference && Some(base) != reference.without_digest().as_ref()
        }) && let Some((index, manifest)) =
            pins().find_map(|p| Some((p.index.clone(), p.manifest.clone()?)))
        {
            hints.taken.set(true);
            return Some(Ok((index, manifest)));
        }
        let watched = match reference.digest() {
            Some(_) if pinned == Pinned::Follow => reference.without_digest(),
            Some(_) => None,
            None => Some(reference.clone()),
        };
        let digest = match (&watched, reference.digest()) {
            (None, Some(digest)) => digest,
            (watched, _) => match self.lookup.tag(watched.as_ref().unwrap_or(reference))? {
                Answer::Found(digest) => digest,
                Answer::Missing => {
                    return Some(Err(StateKind::MissingTag {
                        tag: reference.clone(),
                        owner: TagOwner::Base,
                    }));
                }
                Answer::Failed(failure) => {
                    return Some(Err(StateKind::of_failure(reference, failure)));
                }
            },
        };
        // The cheapest level: the index that a build recorded is still the tag's.
        if let Some(manifest) = pins()
            .filter(|p| p.index.as_ref() == Some(digest))
            .find_map(|p| p.manifest.clone())
        {
            hints.taken.set(true);
            return Some(Ok((Some(digest.clone()), manifest)));
        }
        if pins().any(|p| p.index.is_none() && p.manifest.as_ref() == Some(digest)) {
            hints.taken.set(true);
            return Some(Ok((None, digest.clone())));
        }
        let missing_platform = |offered| {
            Err(StateKind::MissingPlatform {
                reference: reference.clone(),
                platform: platform.clone(),
                offered,
            })
        };
        let missing_tag = || {
            Err(StateKind::MissingTag {
                tag: reference.clone(),
                owner: TagOwner::Base,
            })
        };
        let (index, manifest, says_platform) =
            match self.lookup.document(reference.repository(), digest)? {
                Answer::Found(document) => match document.as_ref() {
                    Document::Index(index) => match best_match(&index.value, platform) {
                        Some(entry) if media_type::is_index(&entry.media_type) => {
                            let reference = reference.clone();
                            return Some(Err(StateKind::NestedIndex { reference }));
                        }
                        Some(entry) => (
                            Some(digest.clone()),
                            &entry.digest,
                            entry.platform.is_some(),
                        ),
                        None => return Some(missing_platform(offered(&index.value))),
                    },
                    Document::Manifest(_) => (None, digest, false),
                },
                Answer::Missing => return Some(missing_tag()),
                Answer::Failed(failure) => {
                    return Some(Err(StateKind::of_failure(reference, failure)));
                }
            };
        // Files may be copied from an image of any platform; what a stage executes must be of its own.
        if !says_platform && matches!(found.kind, Kind::Base | Kind::Stage) {
            match self.lookup.config(reference.repository(), manifest)? {
                Answer::Found(config) if !pin::fits(config, platform) => {
                    return Some(missing_platform(vec![config.platform()]));
                }
                Answer::Found(_) => {}
                Answer::Missing => return Some(missing_tag()),
                Answer::Failed(failure) => {
                    return Some(Err(StateKind::of_failure(reference, failure)));
                }
            }
        }
        Some(Ok((index, manifest.clone())))
    }

    /// Reports each dependency that is pinned by digest while its tag has moved on. None while a tag is unknown.
    pub(super) fn report_pinned(
        &self,
        image: &Image,
        platform: &Platform,
        file: &ResolvedFile,
    ) -> Option<()> {
        let mut complete = Some(());
        for found in &file.found {
            let FoundSource::Reference(reference) = &found.source else {
                continue;
            };
            let (Some(_), Some(tag)) = (reference.digest(), reference.without_digest()) else {
                continue;
            };
            if image.pinned == Pinned::Follow {
                continue;
            }
            match self.at_its_tag(reference, &tag, found) {
                None => complete = None,
                Some(Ok(())) => {}
                Some(Err(kind)) => {
                    self.state(&image.name, Some(platform), kind);
                }
            }
        }
        complete
    }

    /// The state of a pinned dependency that is not what its tag is now on its platform. An index of which only others
    /// moved is none to follow.
    fn at_its_tag(
        &self,
        reference: &Reference,
        tag: &Reference,
        found: &Found,
    ) -> Option<Result<(), StateKind>> {
        let (Some(pinned), repository) = (reference.digest(), reference.repository()) else {
            return Some(Ok(()));
        };
        let current = match self.lookup.tag(tag)? {
            Answer::Found(current) if current != pinned => current,
            _ => return Some(Ok(())),
        };
        let documents = (
            self.lookup.document(repository, pinned),
            self.lookup.document(repository, current),
        );
        let (was, now) = match (documents.0?, documents.1?) {
            // What was pinned is gone: the next build fails, and nothing else would say so.
            (Answer::Missing, _) => {
                return Some(Err(StateKind::MissingTag {
                    tag: reference.clone(),
                    owner: TagOwner::Base,
                }));
            }
            (Answer::Found(was), Answer::Found(now)) => (was, now),
            _ => return Some(Ok(())),
        };
        let platform = &found.platform;
        let (was, now) = (manifest_for(was, platform), manifest_for(now, platform));
        if let (Some(was), Some(now)) = (was, now)
            && (was == now || self.contents(repository, (was, now), found.kind)? == Contents::Same)
        {
            return Some(Ok(()));
        }
        let (pinned, current) = (pinned.clone(), current.clone());
        Some(Err(StateKind::Pinned {
            reference: tag.clone(),
            pinned,
            current,
        }))
    }
}

/// The manifest that a tag's document means for a platform.
pub(super) fn manifest_for<'d>(document: &'d Document, platform: &Platform) -> Option<&'d Digest> {
    match document {
        Document::Index(index) => Some(&best_match(&index.value, platform)?.digest),
        Document::Manifest(manifest) => Some(&manifest.digest),
    }
}

/// The platforms of an index, for people who look for theirs.
fn offered(index: &Index) -> Vec<Platform> {
    let mut offered: Vec<Platform> = index.platforms().map(|(p, _)| p.clone()).collect();
    offered.sort();
    offered.dedup();
    offered
}
