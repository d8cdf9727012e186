//! Sweeps: patch what is published, from the source that was released.

use std::{borrow::Cow, collections::BTreeSet, rc::Rc, sync::Arc};

use refit_oci::{ObjectId, Platform, Reference};
use refit_platform::Target;

use super::{
    Action, OrElse, Plan, PlannedPin, Step,
    adopted::Evidence,
    checks::Checked,
    evaluate::{Adopting, Candidate, Evaluator, Role, Scope, Verdict},
    onbuild::{Answered, Wanted},
    rebase::Moved,
    wait::Compared,
};
use crate::{
    image::{Image, RebaseChoice},
    key::EngineKind,
    observe::{Answer, Ground, Relation, Release, Resolved},
    pin::Pin,
    publication::{Publication, Published, Unrecorded, proven},
    reason::{Reason, StateKind},
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
        let (pins, compared) = match recorded {
            Ok(found) => found,
            Err(kind) => return Some(self.state(&image.name, Some(platform), kind)),
        };
        watched?;
        let candidates = match manifest {
            Some(manifest) if published.adopted => {
                let tag = (&published.index, manifest);
                let evidence = Evidence::new((image, &entry), (platform, &file), tag);
                vec![self.candidate(&evidence, &pins)?]
            }
            _ => candidates,
        };
        let mut checked = Checked::Fine;
        if let Some(manifest) = manifest {
            if candidates.is_empty() {
                return Some(self.state(&image.name, Some(platform), StateKind::source_unknown()));
            }
            let compared = match compared {
                Some(compared) => compared,
                None => self.compare(&pins, &candidates)?,
            };
            if !self.scope.force && compared.reasons.is_empty() {
                checked = self.verdict_of_check(image, platform, manifest, &pins)?;
                if checked == Checked::Fine {
                    if let Some(kind) = gone {
                        return Some(self.state(&image.name, of_source, kind));
                    }
                    self.note_unaffected(image, platform, &compared);
                    return Some(Verdict::Kept(manifest.clone()));
                }
            }
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
            gone,
        })
    }

    /// Builds a target anew, unless what its bases make it execute shows that nothing differs.
    fn built_anew(&self, suspect: Suspect<'_>) -> Option<Verdict> {
        let Suspect {
            image,
            entry,
            platform,
            published,
            release,
            commit,
            candidates,
            mut checked,
            gone,
        } = suspect;
        let manifest = published.platforms.get(platform);
        let Some(source) = release.sources.get(platform) else {
            let kind = unlisted(published, platform);
            return Some(self.state(&image.name, Some(platform), kind));
        };
        let wanted = Wanted {
            image: entry,
            platform,
            commit: commit.as_ref(),
            source: &source.id,
        };
        let target = Compared {
            image: entry,
            platform,
            candidates,
            published: Some(published),
        };
        // While that is not known it is asked for, and children go on as if it were: a chain needs no rounds of its own.
        if !published.adopted
            && let Some(Err(kind)) = proven(&self.lookup, image, published)
        {
            return Some(self.state(&image.name, None, kind));
        }
        let whole = match self.whole(wanted, &|file| self.taken(&target, file))? {
            Ok(whole) => whole,
            Err(kind) => return Some(self.state(&image.name, Some(platform), kind)),
        };
        let added = vec![Reason::PlatformAdded];
        let mut reasons = manifest.map_or(added, |_| whole.compared.reasons.clone());
        if let (true, Checked::Fine, Some(manifest)) = (reasons.is_empty(), checked, manifest) {
            checked = self.verdict_of_check(image, platform, manifest, &whole.pins)?;
        }
        reasons.extend((checked == Checked::Stale).then_some(Reason::CheckFailed));
        reasons.extend(self.scope.force.then_some(Reason::Forced));
        if let (true, Some(manifest)) = (reasons.is_empty(), manifest) {
            if let Some(kind) = gone {
                return Some(self.state(&image.name, None, kind));
            }
            self.note_unaffected(image, platform, &whole.compared);
            return Some(Verdict::Kept(manifest.clone()));
        }
        if let Err(kind) = self.not_taken_back((image, platform), Some(published), &whole)? {
            return Some(self.state(&image.name, Some(platform), kind));
        }
        let engine = EngineKind::choose(image.engine, entry, &whole.file);
        let moved = Moved {
            policy: match image.rebase {
                RebaseChoice::Never if self.scope.rebase => RebaseChoice::Auto,
                policy => policy,
            },
            entry,
            whole: &whole,
            candidates,
            published: manifest,
            reasons: &reasons,
        };
        let rebase = moved.rebase();
        if let (Ok(_), Some(kind)) = (&rebase, &gone) {
            // It can be patched in this way only, and somebody ought to know.
            self.state(&image.name, None, kind.clone());
        }
        let (action, in_the_way) = match (rebase, gone) {
            (Ok(rebase), gone)
                if rebase.or_else == OrElse::Rebuild && (gone.is_some() || self.scope.rebase) =>
            {
                (Action::Rebase(rebase.or_nothing()), None)
            }
            (Ok(rebase), _) => (Action::Rebase(rebase), None),
            (Err(_), Some(kind)) => return Some(self.state(&image.name, None, kind)),
            (Err(in_the_way), None) => (Action::Rebuild, in_the_way),
        };
        let step = Step {
            target: Target {
                image: image.name.clone(),
                platform: platform.clone(),
            },
            action,
            in_the_way,
            wave: 0,
            line: Some(self.line().to_owned()),
            commit,
            source: whole.source,
            pins: whole.pins,
            triggers: whole.triggers,
            engine,
            repository: image.destination().clone(),
            replaces: manifest.cloned(),
            // With layers from a cache the result would be what the check found fault with.
            no_cache: self.scope.force || checked == Checked::Stale,
            reasons,
        };
        self.staged(step)
    }

    /// The Dockerfile as it is compared. No record has what triggers of its bases brought into what another tool made.
    fn file_as_built(
        &self,
        (image, entry): (&Image, &Image),
        platform: &Platform,
        published: &Published,
    ) -> Option<Result<Arc<refit_dockerfile::Resolved>, StateKind>> {
        let triggers = match published.platforms.get(platform) {
            Some(manifest) if published.adopted => {
                let tag = (&published.index, manifest);
                self.triggers_as_built((image, entry), platform, tag)?
            }
            _ => Ok(Triggers::new()),
        };
        Some(triggers.and_then(|triggers| self.scanned(entry, platform, &triggers)))
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
        Some(Verdict::Step(Rc::new(step)))
    }

    /// The source that made what is published: at its commit, or at the tip if that has the same source id.
    fn released(
        &self,
        image: &Image,
        platform: &Platform,
        published: &Published,
    ) -> Option<Result<Source, StateKind>> {
        if published.adopted {
            return self.adopted_source(image, platform, published);
        }
        let Some(commit) = &published.commit else {
            return Some(Err(StateKind::source_unknown()));
        };
        let gone = |message| StateKind::ReleaseSourceGone { message };
        let state = match self.lookup.release(&image.name, Some(commit))? {
            Answer::Found(release) => match release.relation {
                Relation::Tip | Relation::Ancestor => {
                    return Some(Ok((release.clone(), Some(commit.clone()))));
                }
                // The line as it is known here is older than what was released from it.
                Relation::Newer => StateKind::NewerIsPublished {
                    commit: commit.clone(),
                },
                Relation::Elsewhere => gone(format!(
                    "commit {} is not in the history of `{}`",
                    commit.short(),
                    self.line()
                )),
            },
            Answer::Missing => gone(format!(
                "commit {} has no image `{}`",
                commit.short(),
                image.name
            )),
            Answer::Failed(failure) => gone(failure.message.clone()),
        };
        let Some(manifest) = published.platforms.get(platform) else {
            return Some(Err(state));
        };
        let candidates = self.candidates(image, platform, manifest)?;
        Some(match self.lookup.release(&image.name, None)? {
            Answer::Found(tip) if has_source(tip, platform, &candidates) => {
                Ok((tip.clone(), self.lookup.ground.line.commit.clone()))
            }
            _ => Err(state),
        })
    }

    /// What was released from a commit that can be read, and that the line no longer has: nothing is built from it, and
    /// what it says of the published layers is as true as it was.
    fn no_longer_on_the_line(
        &self,
        image: &Image,
        published: &Published,
        kind: StateKind,
    ) -> Answered<(Source, StateKind)> {
        let commit = published.commit.as_ref().filter(|_| !published.adopted);
        let (StateKind::ReleaseSourceGone { .. }, Some(commit)) = (&kind, commit) else {
            return Some(Err(kind));
        };
        Some(match self.lookup.release(&image.name, Some(commit))? {
            Answer::Found(release) => Ok(((release.clone(), Some(commit.clone())), kind)),
            Answer::Missing | Answer::Failed(_) => Err(kind),
        })
    }

    pub(super) fn line(&self) -> &str {
        &self.lookup.ground.line.name
    }
}

/// A published target that is not plainly fresh.
struct Suspect<'s> {
    image: &'s Image,
    /// What was released, as it is treated now.
    entry: &'s Image,
    platform: &'s Platform,
    published: &'s Published,
    release: &'s Release,
    commit: Option<ObjectId>,
    /// How it may have been built.
    candidates: &'s [Candidate<'s>],
    checked: Checked,
    /// Why nothing may be built from its release.
    gone: Option<StateKind>,
}

/// What a patch is built from, and the commit that has it.
pub(super) type Source = (Arc<Release>, Option<ObjectId>);

/// What is built is the release's; how it is treated is the tip's.
pub(super) fn patched<'r>(tip: &Image, release: &'r Release) -> Cow<'r, Image> {
    let released = &release.image;
    if (&released.platforms, released.pinned) == (&tip.platforms, tip.pinned) {
        return Cow::Borrowed(released);
    }
    Cow::Owned(Image {
        platforms: tip.platforms.clone(),
        pinned: tip.pinned,
        ..released.clone()
    })
}

fn has_source(release: &Release, platform: &Platform, candidates: &[Candidate<'_>]) -> bool {
    let source = release.sources.get(platform);
    source.is_some_and(|source| candidates.iter().any(|c| c.is_from(&source.id)))
}

fn unlisted(published: &Published, platform: &Platform) -> StateKind {
    let commit = short(published);
    let message = format!("its source at {commit} can't be listed for {platform}");
    StateKind::ReleaseSourceGone { message }
}

fn short(published: &Published) -> String {
    published.commit.as_ref().map_or_else(
        || "an unknown commit".to_owned(),
        |commit| commit.short().to_owned(),
    )
}

/// The pins, if all of them are known.
pub(super) fn known(pins: &[PlannedPin]) -> Option<Vec<Pin>> {
    let known = pins.iter().map(|pin| match pin {
        PlannedPin::Known { pin, .. } => Some(pin.clone()),
        PlannedPin::Step { .. } => None,
    });
    known.collect()
}
