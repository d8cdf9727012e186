//! Bases whose new digest is not taken: held, younger than the cooldown, or with platforms still to come. What is built
//! on the digest before stays on it.

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};
use refit_dockerfile::Resolved as ResolvedFile;
use refit_oci::{Digest, Platform, Reference};

use super::{
    PlannedPin, Seen,
    compare::Comparison,
    dependencies::manifest_for,
    evaluate::{Candidate, Evaluator},
};
use crate::{
    image::{Image, Pinned},
    observe::Answer,
    pin::Pin,
    publication::Published,
    reason::{Reason, StateKind, Wait},
};

/// A target whose dependencies are compared.
pub(super) struct Compared<'c> {
    pub(super) image: &'c Image,
    pub(super) platform: &'c Platform,
    pub(super) candidates: &'c [Candidate<'c>],
    /// What is published of it.
    pub(super) published: Option<&'c Published>,
    /// What was seen of its dependencies, until it is used.
    pub(super) known: Cell<Option<Known<'c>>>,
}

/// What the dependencies of a Dockerfile resolve to, without a record's help, and how that compares.
pub(super) struct Known<'c> {
    pub(super) file: &'c ResolvedFile,
    pub(super) pins: Vec<PlannedPin>,
    pub(super) compared: Comparison,
}

/// A base's new digest: its tag, and what that resolves to.
struct New<'p> {
    tag: Reference,
    digest: &'p Digest,
    pin: &'p Pin,
}

impl<'a> Evaluator<'a> {
    /// What a target is built on, and how that compares with what it was built on, once the bases that are not taken
    /// are left out of it. An error is a state of the target.
    pub(super) fn taken(
        &self,
        target: &Compared<'_>,
        file: &ResolvedFile,
    ) -> Option<Result<(Vec<PlannedPin>, Comparison), StateKind>> {
        let known = target.known.take();
        let known = known.filter(|known| std::ptr::eq(known.file, file));
        let (pins, mut compared) = match known {
            Some(known) => (known.pins, known.compared),
            None => match self.verified(target.image, file, target.candidates)? {
                Ok(pins) => {
                    let compared = self.compare(&pins, target.candidates)?;
                    (pins, compared)
                }
                Err(kind) => return Some(Err(kind)),
            },
        };
        let (pins, any_waits) = match self.without_waiting(target, pins, &compared)? {
            Ok(taken) => taken,
            Err(kind) => return Some(Err(kind)),
        };
        if any_waits {
            compared = self.compare(&pins, target.candidates)?;
        }
        Some(Ok((pins, compared)))
    }

    /// The pins with the bases that are not taken replaced by what the target was built on, and whether there are any.
    /// An error is a base without a digest before: the target is left alone. None while something is unknown.
    fn without_waiting(
        &self,
        target: &Compared<'_>,
        pins: Vec<PlannedPin>,
        found: &Comparison,
    ) -> Option<Result<(Vec<PlannedPin>, bool), StateKind>> {
        let nearest = found.nearest.map(|at| &target.candidates[at]);
        let mut taken = Vec::with_capacity(pins.len());
        let mut any_waits = false;
        let mut blocked = None;
        let mut complete = Some(());
        for planned in pins {
            let Some(wait) = self.wait(target, &planned, found) else {
                complete = None;
                continue;
            };
            let (
                Err(kind),
                PlannedPin::Known {
                    pin, repository, ..
                },
            ) = (wait, &planned)
            else {
                taken.push(planned);
                continue;
            };
            let before = nearest
                .and_then(|candidate| candidate.pin_of(pin))
                .filter(|before| before.manifest.is_some());
            let Some((before, manifest)) =
                before.and_then(|before| Some((before, before.manifest.as_ref()?)))
            else {
                // A first release has nothing to wait on but a decision.
                if target.published.is_some() || matches!(kind, StateKind::BaseHeld { .. }) {
                    blocked = blocked.or(Some(kind));
                } else {
                    taken.push(planned);
                }
                continue;
            };
            match self.lookup.document(repository, manifest) {
                None => complete = None,
                Some(Answer::Found(_)) => {
                    self.state(&target.image.name, Some(target.platform), kind);
                    any_waits = true;
                    let pin = Pin {
                        kind: pin.kind,
                        ..before.clone()
                    };
                    taken.push(PlannedPin::Known {
                        pin,
                        repository: repository.clone(),
                        parent: None,
                    });
                }
                Some(Answer::Missing | Answer::Failed(_)) => blocked = blocked.or(Some(kind)),
            }
        }
        complete?;
        Some(blocked.map_or(Ok((taken, any_waits)), Err))
    }

    /// An error is why a pin's new digest is not taken.
    fn wait(
        &self,
        target: &Compared<'_>,
        planned: &PlannedPin,
        found: &Comparison,
    ) -> Option<Result<(), StateKind>> {
        let PlannedPin::Known {
            pin, parent: None, ..
        } = planned
        else {
            return Some(Ok(()));
        };
        let changed = |reason: &Reason| {
            matches!(reason, Reason::BaseChanged { reference, to, .. }
                if *reference == pin.reference && pin.manifest.as_ref() == Some(to))
        };
        let Some(manifest) = pin.manifest.as_ref() else {
            return Some(Ok(()));
        };
        if !found.reasons.iter().any(changed) {
            return Some(Ok(()));
        }
        let follows = target.image.pinned == Pinned::Follow;
        let tag = match pin.reference.digest() {
            Some(_) => pin.reference.without_digest(),
            None => Some(pin.reference.clone()),
        };
        let Some(tag) = tag else {
            return Some(Ok(())); // a digest alone has no tag to wait for
        };
        let new = New {
            tag,
            digest: pin.index.as_ref().unwrap_or(manifest),
            pin,
        };
        if let Some(kind) = self.held(&new) {
            return Some(Err(kind));
        }
        if pin.reference.digest().is_some() && !follows {
            return Some(Ok(())); // whoever wrote the digest has chosen it
        }
        self.deferred(target, &new)
    }

    fn held(&self, new: &New<'_>) -> Option<StateKind> {
        let hold = self.holds.iter().find(|hold| {
            let held = hold.digest.as_ref();
            hold.reference.as_ref() == Some(&new.tag)
                && held.is_none_or(|held| {
                    held == new.digest || new.pin.manifest.as_ref() == Some(held)
                })
        })?;
        Some(StateKind::BaseHeld {
            reference: new.tag.clone(),
            digest: new.digest.clone(),
            until: hold.until.clone(),
            reason: hold.reason.clone(),
        })
    }

    fn deferred(&self, target: &Compared<'_>, new: &New<'_>) -> Option<Result<(), StateKind>> {
        let ground = self.lookup.ground;
        if self.is_taken(target, new)? {
            return Some(Ok(()));
        }
        let first_seen = ground.records.first_seen(&new.tag, new.digest, ground.now);
        if first_seen.is_none() {
            self.note_seen(target.image, new);
        }
        if !self.scope.patient {
            return Some(Ok(()));
        }
        let first_seen = first_seen.unwrap_or(ground.now);
        let sweep = &ground.inventory.sweep;
        let over = |wait: SignedDuration| {
            let until = first_seen.saturating_add(wait).unwrap_or(Timestamp::MAX);
            (until > ground.now).then_some(until)
        };
        let cooldown = over(sweep.cooldown());
        let settling = match over(sweep.wait_for_platforms()) {
            // The longer wait is all that is said: whether the other is one need not be known.
            Some(until) if cooldown.is_none_or(|cooldown| cooldown < until) => {
                self.is_settling(target, new)?.then_some(until)
            }
            _ => None,
        };
        let (until, wait) = match (settling, cooldown) {
            (Some(until), _) => (until, Wait::Platforms),
            (None, Some(until)) => (until, Wait::Cooldown),
            (None, None) => return Some(Ok(())),
        };
        Some(Err(StateKind::Deferred {
            reference: new.tag.clone(),
            digest: new.digest.clone(),
            until,
            wait,
        }))
    }

    /// Whether other platforms of the image are built on what the base's index still holds for them, or on what it
    /// does not hold any more: they are to come.
    fn is_settling(&self, target: &Compared<'_>, new: &New<'_>) -> Option<bool> {
        let siblings = self.siblings(target)?;
        let pins = siblings.iter().flat_map(|candidate| candidate.pins.iter());
        let of_base = pins.filter(|pin| pin.reference == new.pin.reference);
        let mut others = of_base.filter(|pin| pin.platform != new.pin.platform);
        let document = self.lookup.document(new.tag.repository(), new.digest)?;
        let Answer::Found(document) = document else {
            return Some(false);
        };
        Some(others.any(|was| {
            let now = manifest_for(document, &was.platform);
            now.is_none() || now == was.manifest.as_ref()
        }))
    }

    /// Whether another platform of the image was built on the digest: what is taken is not waited for.
    fn is_taken(&self, target: &Compared<'_>, new: &New<'_>) -> Option<bool> {
        let siblings = self.siblings(target)?;
        let mut pins = siblings.iter().flat_map(|candidate| candidate.pins.iter());
        Some(pins.any(|pin| {
            let digest = pin.index.as_ref().or(pin.manifest.as_ref());
            pin.reference == new.pin.reference && digest == Some(new.digest)
        }))
    }

    /// How the image's other platforms were built.
    fn siblings(&self, target: &Compared<'_>) -> Option<Vec<Candidate<'a>>> {
        let mut all = Some(Vec::new());
        let platforms = target.published.iter().flat_map(|p| &p.platforms);
        for (platform, manifest) in platforms {
            if platform == target.platform || !target.image.platforms.contains(platform) {
                continue;
            }
            match (self.candidates(target.image, platform, manifest), &mut all) {
                (Some(more), Some(all)) => all.extend(more),
                (Some(_), None) => {}
                (None, _) => all = None,
            }
        }
        all
    }

    fn note_seen(&self, image: &Image, new: &New<'_>) {
        let key = (new.tag.clone(), new.digest.clone());
        let mut seen = self.seen.borrow_mut();
        let by = seen.entry(key).or_insert_with(|| image.name.clone());
        if image.name < *by {
            by.clone_from(&image.name);
        }
    }

    /// Every digest that bases were seen to have moved to for the first time.
    pub(super) fn seen_first(&self) -> Vec<Seen> {
        let seen = self.seen.take().into_iter();
        seen.map(|((reference, digest), image)| Seen {
            image,
            reference,
            digest,
        })
        .collect()
    }
}
