//! What a target was built on against what its dependencies resolve to, level by level: index, manifest, content.

use jiff::Timestamp;
use refit_oci::{Digest, Platform, Repository};

use super::{
    PlannedPin,
    evaluate::{Candidate, Evaluator},
};
use crate::{
    content::{self, Contents},
    image::Image,
    observe::Answer,
    pin::Pin,
    reason::{Level, Reason, Unaffected},
};

/// How a target's pins compare with the nearest way that it is known to have been built.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison {
    /// Why it is stale; empty: it is not.
    pub(super) reasons: Vec<Reason>,
    /// What moved without a change for it.
    unaffected: Vec<Unmoved>,
    /// Which candidate is the nearest.
    pub(super) nearest: Option<usize>,
}

/// A pin that resolves to something else of the same content.
#[derive(Clone, Debug)]
struct Unmoved {
    pin: Pin,
    level: Level,
    from: Digest,
    to: Digest,
}

/// How one pin compares.
enum Difference {
    None,
    Unaffected(Level, Digest, Digest),
    Changed(Level),
}

impl Evaluator<'_> {
    /// Compares. None while something is unknown.
    pub(super) fn compare(
        &self,
        pins: &[PlannedPin],
        candidates: &[Candidate<'_>],
    ) -> Option<Comparison> {
        let exact = |candidate: &Candidate<'_>| pins.iter().all(|pin| candidate.has(pin));
        if let Some(at) = candidates.iter().position(exact) {
            return self.against(pins, candidates.get(at), Some(at));
        }
        let all: Vec<Option<Comparison>> = candidates
            .iter()
            .enumerate()
            .map(|(at, candidate)| self.against(pins, Some(candidate), Some(at)))
            .collect();
        let all: Option<Vec<Comparison>> = all.into_iter().collect();
        match all?.into_iter().min_by_key(|c| c.reasons.len()) {
            Some(nearest) => Some(nearest),
            None => self.against(pins, None, None),
        }
    }

    fn against(
        &self,
        pins: &[PlannedPin],
        candidate: Option<&Candidate<'_>>,
        nearest: Option<usize>,
    ) -> Option<Comparison> {
        let mut compared = Comparison {
            nearest,
            ..Comparison::default()
        };
        let mut complete = true;
        for planned in pins {
            let reason = match planned {
                PlannedPin::Step { target, .. } => Reason::ParentRebuilt {
                    parent: target.clone(),
                },
                PlannedPin::Known {
                    pin, repository, ..
                } => {
                    let Some(to) = pin.manifest.clone() else {
                        continue;
                    };
                    let was = candidate.and_then(|c| {
                        let is_swapped = self.scope.onto.as_ref() == Some(&pin.reference);
                        let base = || c.pins.iter().find(|was| is_swapped && was.kind == pin.kind);
                        c.pin_of(pin).or_else(base)
                    });
                    let level = match self.difference(repository, was, pin) {
                        None => {
                            complete = false;
                            continue;
                        }
                        Some(Difference::None) => continue,
                        Some(Difference::Unaffected(level, from, to)) => {
                            let pin = pin.clone();
                            let unmoved = Unmoved {
                                pin,
                                level,
                                from,
                                to,
                            };
                            compared.unaffected.push(unmoved);
                            continue;
                        }
                        Some(Difference::Changed(level)) => level,
                    };
                    Reason::BaseChanged {
                        reference: pin.reference.clone(),
                        level,
                        from: was.and_then(|was| was.manifest.clone()),
                        to,
                        seen: self.first_seen(pin),
                    }
                }
            };
            if !compared.reasons.contains(&reason) {
                compared.reasons.push(reason);
            }
        }
        complete.then_some(compared)
    }

    /// When what a base's tag resolves to was seen first.
    fn first_seen(&self, pin: &Pin) -> Option<Timestamp> {
        let ground = self.lookup.ground;
        let digest = pin.index.as_ref().or(pin.manifest.as_ref())?;
        let tag = match pin.reference.digest() {
            Some(_) => pin.reference.without_digest()?,
            None => pin.reference.clone(),
        };
        ground.records.first_seen(&tag, digest, ground.now)
    }

    /// How what a dependency resolves to differs from what it was built on.
    fn difference(
        &self,
        repository: &Repository,
        was: Option<&Pin>,
        now: &Pin,
    ) -> Option<Difference> {
        let (Some(was), Some(to)) = (was, &now.manifest) else {
            return Some(Difference::Changed(Level::Manifest));
        };
        let Some(from) = &was.manifest else {
            return Some(Difference::Changed(Level::Manifest));
        };
        if from == to {
            return Some(match (&was.index, &now.index) {
                (Some(from), Some(to)) if from != to => {
                    Difference::Unaffected(Level::Index, from.clone(), to.clone())
                }
                _ => Difference::None,
            });
        }
        Some(match self.contents(repository, (from, to), now.kind)? {
            Contents::Same => Difference::Unaffected(Level::Manifest, from.clone(), to.clone()),
            Contents::Differ => Difference::Changed(Level::Content),
            Contents::Unknown => Difference::Changed(Level::Manifest),
        })
    }

    /// How what two manifests hold compares, as far as a build can tell.
    pub(super) fn contents(
        &self,
        repository: &Repository,
        (a, b): (&Digest, &Digest),
        kind: refit_dockerfile::Kind,
    ) -> Option<Contents> {
        // Both are asked for in one round.
        let configs = (
            self.lookup.config(repository, a),
            self.lookup.config(repository, b),
        );
        Some(match (configs.0?, configs.1?) {
            (Answer::Found(a), Answer::Found(b)) => content::compare(a, b, kind),
            _ => Contents::Unknown,
        })
    }

    /// Notes what moved without a change for a target that is kept.
    pub(super) fn note_unaffected(&self, image: &Image, platform: &Platform, found: &Comparison) {
        let target = || image.on(platform);
        let mut all = self.unaffected.borrow_mut();
        for unmoved in &found.unaffected {
            let unaffected = Unaffected {
                target: target(),
                reference: unmoved.pin.reference.clone(),
                level: unmoved.level,
                from: unmoved.from.clone(),
                to: unmoved.to.clone(),
            };
            all.push(unaffected);
        }
    }
}

impl Candidate<'_> {
    /// What a dependency was pinned to: the pin of its own kind first, since one reference can be used in many ways.
    pub(super) fn pin_of(&self, now: &Pin) -> Option<&Pin> {
        let same = || {
            self.pins
                .iter()
                .filter(|pin| pin.same_dependency(&now.reference, &now.platform))
        };
        same()
            .find(|pin| pin.kind == now.kind)
            .or_else(|| same().next())
    }

    /// Whether it was built on the very manifest.
    fn has(&self, pin: &PlannedPin) -> bool {
        match pin {
            PlannedPin::Known { pin, .. } => {
                let was = self.pin_of(pin).and_then(|was| was.manifest.as_ref());
                was.is_some() && was == pin.manifest.as_ref()
            }
            PlannedPin::Step { .. } => false,
        }
    }
}
