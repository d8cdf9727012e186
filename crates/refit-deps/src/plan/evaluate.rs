//! One target's verdict: kept, a step, or reported and left alone. Shared by sweeps, releases and `status`.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use refit_dockerfile::{Found, FoundSource, Kind, Resolved as ResolvedFile};
use refit_oci::{Digest, Document, Platform, Reference, Repository, annotations};
use refit_platform::{Target, best_match};

use super::PlannedPin;
use crate::{
    image::{Image, Pinned},
    observe::{Answer, Ground, Lookup},
    pin::{self, Pin},
    plan::Step,
    publication::{self, Publication},
    reason::{Level, Reason, State, StateKind},
    source::SourceId,
};

/// What a plan does with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Patch what is published.
    Patch,
    /// Release the tip.
    Release,
    /// Build the tip for this machine only.
    Local,
    /// Take it as it is published.
    AsPublished,
}

/// What evaluating a target came to.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// The published manifest stays.
    Kept(Digest),
    /// It is built.
    Step(Box<Step>),
    /// Nothing is done; a state says why. As a base it is what its tag holds.
    Left,
    /// Nothing is published.
    Absent,
}

/// Options that all evaluations share.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// The images' roles; others are taken as published.
    pub(super) roles: BTreeMap<String, Role>,
    /// What unpublished images get that a release needs as parents.
    pub(super) unpublished: Option<Role>,
    /// Rebuild although nothing changed.
    pub(super) force: bool,
    /// Look at this base only.
    pub(super) base: Option<Reference>,
    /// Write over what somebody else published.
    pub(super) take_over: bool,
}

/// Evaluates targets, each once.
pub(super) struct Evaluator<'a> {
    pub(super) lookup: Lookup<'a>,
    pub(super) scope: Scope,
    /// None: being evaluated.
    verdicts: RefCell<BTreeMap<Target, Option<Verdict>>>,
    publications: RefCell<BTreeMap<String, Publication>>,
    pub(super) states: RefCell<Vec<State>>,
}

/// One way a manifest is known to have been built.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) source: Option<SourceId>,
    pub(super) pins: Vec<Pin>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(ground: &'a Ground<'a>, scope: Scope) -> Self {
        Self {
            lookup: Lookup::new(ground),
            scope,
            verdicts: RefCell::default(),
            publications: RefCell::default(),
            states: RefCell::default(),
        }
    }

    /// The verdict on a target; none while something is unknown.
    pub(super) fn target(&self, image: &Image, platform: &Platform) -> Option<Verdict> {
        let target = Target {
            image: image.name.clone(),
            platform: platform.clone(),
        };
        if let Some(known) = self.verdicts.borrow().get(&target) {
            // A target that is being evaluated depends on itself; the graph's problems name the cycle.
            return known.clone().or(Some(Verdict::Left));
        }
        self.verdicts.borrow_mut().insert(target.clone(), None);
        let verdict = match self.role(image) {
            None => None,
            Some(Role::Patch) => self.patch(image, platform),
            Some(Role::Release) => self.release(image, platform),
            Some(Role::Local) => self.local(image, platform),
            Some(Role::AsPublished) => self.as_published(image, platform),
        };
        match &verdict {
            Some(verdict) => self
                .verdicts
                .borrow_mut()
                .insert(target, Some(verdict.clone())),
            None => self.verdicts.borrow_mut().remove(&target),
        };
        verdict
    }

    fn role(&self, image: &Image) -> Option<Role> {
        match (self.scope.roles.get(&image.name), self.scope.unpublished) {
            (Some(role), _) => Some(*role),
            (None, Some(Role::Local)) => Some(Role::Local),
            (None, Some(role)) => match self.publication(image)? {
                Publication::Never => Some(role),
                _ => Some(Role::AsPublished),
            },
            (None, None) => Some(Role::AsPublished),
        }
    }

    fn as_published(&self, image: &Image, platform: &Platform) -> Option<Verdict> {
        Some(match self.publication(image)? {
            Publication::Never => Verdict::Absent,
            Publication::Ours(published) => match published.platforms.get(platform) {
                Some(manifest) => Verdict::Kept(manifest.clone()),
                None => Verdict::Left,
            },
            Publication::Other(_) => Verdict::Left,
        })
    }

    pub(super) fn publication(&self, image: &Image) -> Option<Publication> {
        if let Some(known) = self.publications.borrow().get(&image.name) {
            return Some(known.clone());
        }
        let found = publication::publication(&self.lookup, image)?;
        self.publications
            .borrow_mut()
            .insert(image.name.clone(), found.clone());
        Some(found)
    }

    pub(super) fn state(
        &self,
        image: &str,
        platform: Option<&Platform>,
        kind: StateKind,
    ) -> Verdict {
        let state = State {
            image: image.to_owned(),
            platform: platform.cloned(),
            kind,
        };
        let mut states = self.states.borrow_mut();
        if !states.contains(&state) {
            states.push(state);
        }
        Verdict::Left
    }

    /// The ways `manifest` is known to have been built: records that name it, else its own annotations.
    pub(super) fn candidates(
        &self,
        image: &Image,
        platform: &Platform,
        manifest: &Digest,
    ) -> Option<Vec<Candidate>> {
        let records = self.lookup.ground.records.builds_of(&image.name, manifest);
        let recorded: Vec<Candidate> = records
            .filter(|build| build.platform == *platform)
            .map(|build| Candidate {
                source: Some(build.source.clone()),
                pins: build.deps.clone(),
            })
            .collect();
        if !recorded.is_empty() {
            return Some(recorded);
        }
        let Answer::Found(document) = self.lookup.document(image.destination(), manifest)? else {
            return Some(Vec::new());
        };
        let written = document.annotations();
        let pins = written
            .get(annotations::PINS)
            .and_then(|text| pin::from_annotation(text));
        let source = written
            .get(annotations::SOURCE)
            .and_then(|text| text.parse().ok());
        Some(
            pins.map(|pins| Candidate { source, pins })
                .into_iter()
                .collect(),
        )
    }

    /// What all dependencies of a target resolve to now. An error is a state of the target. Everything unknown is
    /// asked for before the first `None`.
    pub(super) fn pins(
        &self,
        image: &Image,
        file: &ResolvedFile,
        candidates: &[Candidate],
    ) -> Option<Result<Vec<PlannedPin>, StateKind>> {
        let all: Vec<_> = file
            .found
            .iter()
            .map(|found| self.pin(image, found, candidates))
            .collect();
        let mut pins = Vec::new();
        let mut problem = None;
        for pin in all {
            match pin? {
                Ok(pin) if pins.contains(&pin) => {}
                Ok(pin) => pins.push(pin),
                Err(kind) => problem = problem.or(Some(kind)),
            }
        }
        Some(problem.map_or(Ok(pins), Err))
    }

    fn pin(
        &self,
        child: &Image,
        found: &Found,
        candidates: &[Candidate],
    ) -> Option<Result<PlannedPin, StateKind>> {
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
            let current = self.external(reference, found, child.pinned, candidates)?;
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
        match self.target(parent, &found.platform)? {
            Verdict::Kept(manifest) => {
                Some(Ok(known(&reference, parent.destination(), None, manifest)))
            }
            Verdict::Step(step) => Some(Ok(PlannedPin::Step {
                kind: found.kind,
                platform: found.platform.clone(),
                target: step.target,
                repository: step.repository,
                reference,
            })),
            Verdict::Absent => Some(Err(StateKind::MissingTag {
                tag: lead.unwrap_or(reference),
            })),
            Verdict::Left => {
                let current = self.external(
                    &lead.unwrap_or_else(|| reference.clone()),
                    found,
                    Pinned::Report,
                    candidates,
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
        candidates: &[Candidate],
    ) -> Option<Result<(Option<Digest>, Digest), StateKind>> {
        let platform = &found.platform;
        let pins = || {
            candidates
                .iter()
                .flat_map(|c| &c.pins)
                .filter(|p| p.same_dependency(reference, platform))
        };
        if self
            .scope
            .base
            .as_ref()
            .is_some_and(|base| base != reference)
            && let Some((index, manifest)) =
                pins().find_map(|p| Some((p.index.clone(), p.manifest.clone()?)))
        {
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
                    }));
                }
                Answer::Failed(message) => return Some(Err(unreachable(reference, message))),
            },
        };
        // The cheapest level: the index that a build recorded is still the tag's.
        if let Some(manifest) = pins()
            .filter(|p| p.index.as_ref() == Some(digest))
            .find_map(|p| p.manifest.clone())
        {
            return Some(Ok((Some(digest.clone()), manifest)));
        }
        if pins().any(|p| p.index.is_none() && p.manifest.as_ref() == Some(digest)) {
            return Some(Ok((None, digest.clone())));
        }
        let missing_platform = || {
            Err(StateKind::MissingPlatform {
                reference: reference.clone(),
                platform: platform.clone(),
            })
        };
        let missing_tag = || {
            Err(StateKind::MissingTag {
                tag: reference.clone(),
            })
        };
        let (index, manifest, says_platform) =
            match self.lookup.document(reference.repository(), digest)? {
                Answer::Found(document) => match document.as_ref() {
                    Document::Index(index) => match best_match(&index.value, platform) {
                        Some(entry) => (
                            Some(digest.clone()),
                            &entry.digest,
                            entry.platform.is_some(),
                        ),
                        None => return Some(missing_platform()),
                    },
                    Document::Manifest(_) => (None, digest, false),
                },
                Answer::Missing => return Some(missing_tag()),
                Answer::Failed(message) => return Some(Err(unreachable(reference, message))),
            };
        // Files may be copied from an image of any platform; what a stage executes must be of its own.
        if !says_platform && matches!(found.kind, Kind::Base | Kind::Stage) {
            match self.lookup.config(reference.repository(), manifest)? {
                Answer::Found(config) if !pin::fits(config, platform) => {
                    return Some(missing_platform());
                }
                Answer::Found(_) => {}
                Answer::Missing => return Some(missing_tag()),
                Answer::Failed(message) => return Some(Err(unreachable(reference, message))),
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
            let (Some(pinned), Some(tag)) = (reference.digest(), reference.without_digest()) else {
                continue;
            };
            if image.pinned == Pinned::Follow {
                continue;
            }
            match self.lookup.tag(&tag) {
                None => complete = None,
                Some(Answer::Found(current)) if current != pinned => {
                    let (pinned, current) = (pinned.clone(), current.clone());
                    self.state(
                        &image.name,
                        Some(platform),
                        StateKind::Pinned {
                            reference: tag,
                            pinned,
                            current,
                        },
                    );
                }
                Some(_) => {}
            }
        }
        complete
    }
}

fn unreachable(reference: &Reference, message: &str) -> StateKind {
    StateKind::Unreachable {
        reference: reference.clone(),
        message: message.to_owned(),
    }
}

/// Why a target differs from the nearest way it is known to have been built; empty if one is the same.
pub(super) fn base_reasons(pins: &[PlannedPin], candidates: &[Candidate]) -> Vec<Reason> {
    let against = |candidate: Option<&Candidate>| -> Vec<Reason> {
        let mut seen = BTreeSet::new();
        let reasons = pins.iter().filter_map(|pin| match pin {
            PlannedPin::Step { target, .. } => Some(Reason::ParentRebuilt {
                parent: target.clone(),
            }),
            PlannedPin::Known { pin, .. } => {
                let to = pin.manifest.clone()?;
                let was = candidate.and_then(|c| {
                    c.pins
                        .iter()
                        .find(|p| p.same_dependency(&pin.reference, &pin.platform))
                });
                let from = was.and_then(|p| p.manifest.clone());
                let differs = from.as_ref() != Some(&to);
                let reason = Reason::BaseChanged {
                    reference: pin.reference.clone(),
                    level: Level::Manifest,
                    from,
                    to,
                };
                differs.then_some(reason)
            }
        });
        reasons
            .filter(|reason| seen.insert(format!("{reason:?}")))
            .collect()
    };
    candidates
        .iter()
        .map(|c| against(Some(c)))
        .min_by_key(Vec::len)
        .unwrap_or_else(|| against(None))
}
