//! ONBUILD: what the configs of its bases add to a target.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hashbrown::HashSet;
use refit_dockerfile::{Found, FoundSource, Resolved as ResolvedFile, Source as From};
use refit_oci::{Digest, ObjectId, Platform, Reference, Repository};
use refit_platform::Target;

use super::{
    PlannedPin,
    adopted::Evidence,
    compare::Comparison,
    dependencies::Hints,
    evaluate::{Candidate, Evaluator, Verdict},
    wait::Known,
};
use crate::{
    image::Image,
    observe::{Answer, SourceKey},
    pin::Pin,
    reason::{StateKind, TagOwner},
    scan::Triggers,
    source::SourceId,
};

/// A target that is going to be built, as far as its Dockerfile alone tells.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The image's entry at `commit`.
    pub(super) image: &'a Image,
    pub(super) platform: &'a Platform,
    /// None: the tip, or the working tree.
    pub(super) commit: Option<&'a ObjectId>,
    /// The source of what the Dockerfile itself copies.
    pub(super) source: &'a SourceId,
}

/// The same with what its bases make it execute first.
pub(super) struct Whole {
    pub(super) file: Arc<ResolvedFile>,
    pub(super) triggers: Triggers,
    pub(super) pins: Vec<PlannedPin>,
    /// How those compare with what it was built on.
    pub(super) compared: Comparison,
    /// The source of what triggers copy, too.
    pub(super) source: SourceId,
}

/// What a target is built on, as far as its Dockerfile and the records of its builds tell.
pub(super) struct Recorded {
    pub(super) pins: Vec<PlannedPin>,
    /// How that compares with how it was built; none if nobody knows that.
    pub(super) compared: Option<Comparison>,
    /// Whether it is what the indexes themselves hold: no record was asked.
    pub(super) is_verified: bool,
}

impl Recorded {
    /// What need not be looked up again.
    pub(super) fn known(self, file: &ResolvedFile, compared: Comparison) -> Option<Known<'_>> {
        let pins = self.pins;
        self.is_verified.then_some(Known {
            file,
            pins,
            compared,
        })
    }
}

/// None while something is unknown; a state if it can't be had.
pub(super) type Answered<T> = Option<Result<T, StateKind>>;

/// Tells what the dependencies of a Dockerfile are pinned to, in their order.
type Pinning<'p> = dyn Fn(&ResolvedFile) -> Answered<(Vec<PlannedPin>, Comparison)> + 'p;

impl Evaluator<'_> {
    /// The pins of a Dockerfile, and of what triggers of its bases brought in when it was last built on the same bases:
    /// `built` has that, and the bases' configs need not be asked for. They are compared with `built`.
    pub(super) fn recorded_pins(
        &self,
        image: &Image,
        file: &ResolvedFile,
        candidates: &[Candidate<'_>],
        built: &[Candidate<'_>],
    ) -> Answered<Recorded> {
        let hints = Hints::of(candidates);
        let mut pins = match self.pins(image, file, &hints)? {
            Ok(pins) => pins,
            Err(kind) => return Some(Err(kind)),
        };
        // Where other bases are left out of account, records are all there is.
        let is_verified = hints.are_unused() || self.scope.base.is_some();
        let recorded = |pins, compared| {
            Some(Ok(Recorded {
                pins,
                compared,
                is_verified,
            }))
        };
        if built.is_empty() {
            return recorded(pins, None);
        }
        let compared = self.compare(&pins, built)?;
        let nearest = compared.nearest.and_then(|at| built.get(at));
        let Some(same) = nearest.filter(|_| compared.reasons.is_empty()) else {
            return recorded(pins, Some(compared));
        };
        let written = |pin: &&Pin| {
            pins.iter()
                .any(|there| pin.same_dependency(there.reference(), there.platform()))
        };
        let more = same.pins.iter().filter(|pin| !written(pin));
        let more: Vec<_> = more
            .map(|pin| self.pin(image, &as_written(pin), &hints))
            .collect();
        if more.is_empty() {
            return recorded(pins, Some(compared));
        }
        for pin in more {
            match pin? {
                Ok(pin) => pins.push(pin),
                Err(kind) => return Some(Err(kind)),
            }
        }
        let compared = self.compare(&pins, built)?;
        Some(Ok(Recorded {
            pins,
            compared: Some(compared),
            is_verified: false,
        }))
    }

    /// All that a target is built from.
    pub(super) fn whole(&self, wanted: Wanted<'_>, pins: &Pinning<'_>) -> Answered<Whole> {
        let Wanted {
            image, platform, ..
        } = wanted;
        let mut triggers = Triggers::new();
        let mut read = BTreeSet::new();
        loop {
            let file = match self.scanned(image, platform, &triggers) {
                Ok(file) => file,
                Err(kind) => return Some(Err(kind)),
            };
            let (pins, compared) = match pins(&file)? {
                Ok(pinned) => pinned,
                Err(kind) => return Some(Err(kind)),
            };
            let bases = bases(&file, &pins);
            let unread: BTreeMap<usize, &PlannedPin> = bases
                .into_iter()
                .filter(|(stage, _)| read.insert(*stage))
                .collect();
            let answers: Vec<_> = unread
                .into_iter()
                .map(|(stage, pin)| (stage, self.triggers(pin)))
                .collect();
            let mut grown = false;
            for (stage, answer) in answers {
                match answer? {
                    Ok(expressions) if expressions.is_empty() => {}
                    Ok(expressions) => {
                        triggers.insert(stage, expressions);
                        grown = true;
                    }
                    Err(kind) => return Some(Err(kind)),
                }
            }
            if !grown {
                let source = self.source(wanted, &triggers)?;
                return Some(source.map(|source| Whole {
                    pins: distinct(pins),
                    compared,
                    file,
                    triggers,
                    source,
                }));
            }
        }
    }

    /// Whether something changed that only a trigger of a base copies.
    pub(super) fn changed_by_triggers(
        &self,
        wanted: Wanted<'_>,
        candidates: &[Candidate<'_>],
    ) -> Option<bool> {
        let plain = |file: &ResolvedFile| {
            let pins = self.pins(wanted.image, file, &Hints::of(candidates))?;
            Some(pins.map(|pins| (pins, Comparison::default())))
        };
        let Ok(whole) = self.whole(wanted, &plain)? else {
            return Some(false);
        };
        let built = candidates
            .iter()
            .any(|candidate| candidate.is_from(&whole.source));
        let widened = whole.source != *wanted.source;
        Some(widened && !built)
    }

    /// What its bases made an image of another tool execute when it was built: the triggers of what it is known to be
    /// built on; of a base that only could be it, or is gone, those it has now.
    pub(super) fn triggers_as_built(
        &self,
        (image, entry): (&Image, &Image),
        platform: &Platform,
        published: (&Digest, &Digest),
    ) -> Answered<Triggers> {
        let mut triggers = Triggers::new();
        let mut read = BTreeSet::new();
        loop {
            let file = match self.scanned(entry, platform, &triggers) {
                Ok(file) => file,
                Err(kind) => return Some(Err(kind)),
            };
            let pins = match self.pins(entry, &file, &Hints::none())? {
                Ok(pins) => pins,
                Err(kind) => return Some(Err(kind)),
            };
            let evidence = Evidence::new((image, entry), (platform, &file), published);
            let mut bases = bases(&file, &pins);
            bases.retain(|(stage, _)| read.insert(*stage));
            if bases.is_empty() {
                return Some(Ok(triggers));
            }
            let answers: Vec<_> = bases
                .into_iter()
                .map(|(stage, pin)| (stage, self.triggers_of_built(&evidence, pin)))
                .collect();
            for (stage, answer) in answers {
                match answer? {
                    Ok(expressions) if expressions.is_empty() => {}
                    Ok(expressions) => _ = triggers.insert(stage, expressions),
                    Err(kind) => return Some(Err(kind)),
                }
            }
        }
    }

    fn triggers_of_built(&self, of: &Evidence<'_>, today: &PlannedPin) -> Answered<Vec<String>> {
        if let PlannedPin::Known {
            pin, repository, ..
        } = today
            && let Ok(built) = self.proven(of, today)?
            && built.manifest != pin.manifest
            && let Some(manifest) = &built.manifest
            && let Answer::Found(config) = self.lookup.config(repository, manifest)?
        {
            return Some(Ok(config.config.on_build.clone()));
        }
        self.triggers(today)
    }

    /// What a base makes its children execute.
    fn triggers(&self, base: &PlannedPin) -> Answered<Vec<String>> {
        match base {
            PlannedPin::Known {
                pin, repository, ..
            } => self.triggers_of_config(pin, repository),
            PlannedPin::Step { target, .. } => self.triggers_of_step(target),
        }
    }

    fn triggers_of_config(&self, pin: &Pin, repository: &Repository) -> Answered<Vec<String>> {
        let Some(manifest) = &pin.manifest else {
            return Some(Ok(Vec::new()));
        };
        Some(match self.lookup.config(repository, manifest)? {
            Answer::Found(config) => Ok(config.config.on_build.clone()),
            Answer::Missing => Err(StateKind::MissingTag {
                tag: pin.reference.clone(),
                owner: TagOwner::Base,
            }),
            Answer::Failed(failure) => Err(StateKind::of_failure(&pin.reference, failure)),
        })
    }

    /// An image of the repository that the same plan builds: its Dockerfile says what its config will.
    fn triggers_of_step(&self, target: &Target) -> Answered<Vec<String>> {
        let parent = self.lookup.ground.inventory.image(&target.image)?;
        let Verdict::Step(step) = self.target(parent, &target.platform)? else {
            return Some(Ok(Vec::new()));
        };
        let release = self.lookup.release(&target.image, step.commit.as_ref())?;
        let Answer::Found(release) = release else {
            return Some(Ok(Vec::new())); // the step itself could not have been planned
        };
        let scans = self.lookup.ground.scans;
        let scanned = scans.scan(&release.image, &target.platform, &Triggers::new());
        let (Some(file), Some(Ok(resolved))) = (&release.image.file, scanned) else {
            return Some(Ok(Vec::new()));
        };
        Some(Ok(refit_dockerfile::on_build(file, &resolved)))
    }

    /// The source with what triggers copy of the context.
    pub(super) fn source(&self, wanted: Wanted<'_>, triggers: &Triggers) -> Answered<SourceId> {
        if triggers.is_empty() {
            return Some(Ok(wanted.source.clone()));
        }
        let key = SourceKey {
            image: wanted.image.name.clone(),
            commit: wanted.commit.cloned(),
            platform: wanted.platform.clone(),
            triggers: triggers.clone(),
        };
        Some(match self.lookup.source(key)? {
            Answer::Found(source) => Ok(source.id.clone()),
            Answer::Missing => Err(StateKind::Broken {
                message: format!("the context `{}` could not be listed", wanted.image.context),
            }),
            Answer::Failed(failure) => Err(StateKind::Broken {
                message: failure.message.clone(),
            }),
        })
    }
}

/// The images that the reached stages start from.
fn bases<'p>(file: &ResolvedFile, pins: &'p [PlannedPin]) -> Vec<(usize, &'p PlannedPin)> {
    let live = file.views().filter(|(_, view)| !view.replaced);
    let bases = live.filter_map(|(stage, view)| match view.from {
        From::Found(found) => Some((stage, pins.get(found)?)),
        From::Stage(_) | From::Scratch | From::Files(_) => None,
    });
    bases.collect()
}

/// Each pin once, in their order.
fn distinct(mut pins: Vec<PlannedPin>) -> Vec<PlannedPin> {
    let is_new: Vec<bool> = {
        let mut known = HashSet::with_capacity(pins.len());
        pins.iter().map(|pin| known.insert(pin)).collect()
    };
    let mut is_new = is_new.into_iter();
    pins.retain(|_| is_new.next() == Some(true));
    pins
}

/// A recorded dependency as if the Dockerfile had it.
fn as_written(pin: &Pin) -> Found {
    Found {
        kind: pin.kind,
        written: pin.reference.to_string(),
        source: FoundSource::Reference(Reference::clone(&pin.reference)),
        platform: pin.platform.clone(),
        line: 0,
        span: 0..0,
        stage: 0,
    }
}
