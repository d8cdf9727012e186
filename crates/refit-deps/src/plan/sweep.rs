//! Sweeps: patch what is published, from the source that was released.

use std::{collections::BTreeSet, sync::Arc};

use refit_oci::{Platform, Reference};
use refit_platform::Target;

use super::{
    Action, Plan, PlannedPin, Step,
    adopted::Evidence,
    checks::Checked,
    evaluate::{Adopting, Evaluator, Role, Scope, Verdict},
    released_source::patched,
    suspect::Suspect,
};
use crate::{
    image::Image,
    observe::{Answer, Ground, Resolved},
    pin::Pin,
    publication::{Publication, Published, Unrecorded},
    reason::StateKind,
    scan::Triggers,
};

/// The only layer format so far.
pub const LAYER_FORMAT: &str = "gzip";

/// What a sweep looks at.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent choices of the command line"
)]
pub struct SweepOptions {
    /// Images by name; empty: all.
    pub images: BTreeSet<String>,
    /// Only what this base changes.
    pub base: Option<Reference>,
    /// Rebuild although nothing changed, without layer caches.
    pub force: bool,
    /// Plan for what other tools published as well, as if it were adopted: only to look at.
    pub with_adoptable: bool,
    /// Ask the images' `stale-when` commands.
    pub checks: bool,
    /// Leave alone for a while what failed in another sweep.
    pub backs_off: bool,
    /// Let canaries go first, and leave what is over the limit to another sweep.
    pub queues: bool,
    /// Patch what the tags of the images hold, whoever moved them there.
    pub take_over: bool,
    /// Put published layers on other bases, and build nothing: the user asks for that, whatever the images' policy.
    pub rebase: bool,
    /// The base that they are put on, in the place of the Dockerfile's.
    pub onto: Option<Reference>,
    /// How many images one thread looks at; none: that depends on how many there are. The plan does not depend on it.
    pub share: Option<usize>,
}

/// The plan that patches everything that is stale.
pub fn sweep(ground: &Ground<'_>, options: &SweepOptions) -> Resolved<Plan> {
    let selected =
        |image: &&Image| options.images.is_empty() || options.images.contains(&image.name);
    let images: Vec<&Image> = ground.inventory.images.iter().filter(selected).collect();
    let roles = images
        .iter()
        .map(|image| (image.name.clone(), Role::Patch))
        .collect();
    let scope = Scope {
        roles,
        force: options.force,
        // A sweep for one base's sake is about nothing else.
        checks: options.checks && options.base.is_none(),
        base: options.base.clone(),
        patient: !options.force && !options.rebase,
        backs_off: options.backs_off && !options.force,
        queues: options.queues,
        rebase: options.rebase,
        onto: options.onto.clone(),
        share: options.share,
        adopting: Adopting {
            unrecorded: if options.take_over {
                Unrecorded::TakeOver
            } else if options.with_adoptable {
                Unrecorded::Read
            } else {
                Unrecorded::Leave
            },
            ..Adopting::default()
        },
        ..Scope::default()
    };
    let evaluator = Evaluator::new(ground, scope);
    evaluator.plan(&images)
}

impl Evaluator<'_> {
    /// Patches a published target.
    pub(super) fn patch(&self, image: &Image, platform: &Platform) -> Option<Verdict> {
        let publication = self.publication(image)?;
        let published = match self.patchable(image, &publication)? {
            Ok(published) => published,
            Err(verdict) => return Some(verdict),
        };
        // What was released is one commit's; what an image says of itself, each platform says.
        let of_source = published.adopted.then_some(platform);
        let mut gone = None;
        let (release, commit) = match self.released(image, platform, published)? {
            Ok(found) => found,
            Err(kind) => match self.no_longer_on_the_line(image, published, kind)? {
                Ok((found, kind)) => {
                    gone = Some(kind);
                    found
                }
                Err(kind) => return Some(self.state(&image.name, of_source, kind)),
            },
        };
        let entry = patched(image, &release);
        let manifest = published.platforms.get(platform);
        let file = match self.file_as_built((image, &entry), platform, published)? {
            Ok(file) => file,
            Err(kind) => return Some(self.state(&image.name, Some(platform), kind)),
        };
        let candidates = match manifest {
            Some(manifest) if !published.adopted => self.candidates(image, platform, manifest)?,
            _ => Vec::new(),
        };
        let watched = self.report_pinned(&entry, platform, &file);
        let recorded = self.recorded_pins(&entry, &file, &candidates, &candidates)?;
        let mut recorded = match recorded {
            Ok(found) => found,
            Err(kind) => return Some(self.state(&image.name, Some(platform), kind)),
        };
        watched?;
        let candidates = match manifest {
            Some(manifest) if published.adopted => {
                let tag = (&published.index, manifest);
                let evidence = Evidence::new((image, &entry), (platform, &file), tag);
                vec![self.candidate(&evidence, &recorded.pins)?]
            }
            _ => candidates,
        };
        let mut checked = Checked::Fine;
        let mut known = None;
        if let Some(manifest) = manifest {
            if candidates.is_empty() {
                return Some(self.state(&image.name, Some(platform), StateKind::source_unknown()));
            }
            let compared = match recorded.compared.take() {
                Some(compared) => compared,
                None => self.compare(&recorded.pins, &candidates)?,
            };
            if !self.scope.force && compared.reasons.is_empty() {
                checked = self.verdict_of_check(image, platform, manifest, &recorded.pins)?;
                if checked == Checked::Fine {
                    if let Some(kind) = gone {
                        return Some(self.state(&image.name, of_source, kind));
                    }
                    self.note_unaffected(image, platform, &compared);
                    return Some(Verdict::Kept(manifest.clone()));
                }
            }
            known = recorded.known(&file, compared);
        }
        self.built_anew(Suspect {
            image,
            entry: &entry,
            platform,
            published,
            release: &release,
            commit,
            candidates: &candidates,
            checked,
            known,
            gone,
        })
    }

    /// What is published of an image, if a sweep may patch it.
    fn patchable<'p>(
        &self,
        image: &Image,
        publication: &'p Publication,
    ) -> Option<Result<&'p Published, Verdict>> {
        let published = match publication {
            Publication::Ours(published) => published,
            Publication::Never => {
                self.state(&image.name, None, StateKind::Unpublished);
                return Some(Err(Verdict::Absent));
            }
            Publication::Other(kind) => {
                return Some(Err(self.state(&image.name, None, kind.clone())));
            }
        };
        self.report_behind(image, published)?;
        if let Some(reason) = self.hold_of(image) {
            let held = self.state(&image.name, None, StateKind::Held { reason });
            return Some(Err(held));
        }
        Some(Ok(published))
    }

    /// Why nothing of an image is patched: the configuration's words, or a record's.
    fn hold_of(&self, image: &Image) -> Option<String> {
        let by_record = || {
            let mut holds = self.holds.iter();
            let hold = holds.find(|hold| hold.reference.is_none() && hold.image == image.name)?;
            Some(match &hold.until {
                Some(until) if hold.reason.is_empty() => format!("until {until}"),
                Some(until) => format!("until {until}: {}", hold.reason),
                None => hold.reason.clone(),
            })
        };
        image.hold.clone().or_else(by_record)
    }

    /// Reports further tags that the last publication did not reach. Only those are asked for: what the records say
    /// was moved is not looked after.
    fn report_behind(&self, image: &Image, published: &Published) -> Option<()> {
        let records = self.lookup.ground.records;
        let (Some(lead), true) = (image.lead_tag(), published.record.is_some()) else {
            return Some(());
        };
        let mut complete = Some(());
        for tag in image.moving_tags() {
            let as_last = || records.last_moved(&image.name, &lead, &tag) == Some(&published.index);
            if tag == lead || as_last() {
                continue;
            }
            let digest = match self.lookup.tag(&tag) {
                None => {
                    complete = None;
                    continue;
                }
                Some(Answer::Found(digest)) if *digest == published.index => continue,
                Some(Answer::Found(digest)) => Some(digest.clone()),
                Some(Answer::Missing | Answer::Failed(_)) => None,
            };
            let published = published.index.clone();
            self.state(
                &image.name,
                None,
                StateKind::Behind {
                    tag,
                    digest,
                    published,
                },
            );
        }
        complete
    }

    /// The Dockerfile of a target, with what its bases make it execute; an error is its state.
    pub(super) fn scanned(
        &self,
        image: &Image,
        platform: &Platform,
        triggers: &Triggers,
    ) -> Result<Arc<refit_dockerfile::Resolved>, StateKind> {
        match self.lookup.ground.scans.scan(image, platform, triggers) {
            Some(Ok(file)) => Ok(file),
            Some(Err(problem)) => Err(StateKind::Broken {
                message: problem.to_string(),
            }),
            None => Err(StateKind::Broken {
                message: format!("`{}` could not be read", image.dockerfile),
            }),
        }
    }

    /// The step, as `publish` where it lies under its staging tag already; kept where that is what is published.
    pub(super) fn staged(&self, mut step: Step) -> Option<Verdict> {
        if let Some(pins) = known(&step.pins) {
            let reference = step.key(&pins).reference(&step.repository);
            match self.lookup.tag(&reference)? {
                // A forced build that came to the same says nothing of the next one.
                Answer::Found(manifest) if step.replaces.as_ref() == Some(manifest) => {
                    if !step.no_cache {
                        return Some(Verdict::Kept(manifest.clone()));
                    }
                }
                Answer::Found(manifest) => {
                    step.action = Action::Publish {
                        manifest: manifest.clone(),
                    }
                }
                Answer::Missing | Answer::Failed(_) => {}
            }
        }
        if let Some(kind) = self.backing_off(&step) {
            let Target { image, platform } = &step.target;
            return Some(self.state(image, Some(platform), kind));
        }
        Some(Verdict::Step(Arc::new(step)))
    }

    pub(super) fn line(&self) -> &str {
        &self.lookup.ground.line.name
    }
}

/// The pins, if all of them are known.
pub(super) fn known(pins: &[PlannedPin]) -> Option<Vec<Pin>> {
    let known = pins.iter().map(|pin| match pin {
        PlannedPin::Known { pin, .. } => Some(pin.clone()),
        PlannedPin::Step { .. } => None,
    });
    known.collect()
}
