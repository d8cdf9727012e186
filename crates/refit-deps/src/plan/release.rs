//! Releases: build the tip's source where it is unpublished, changed or stale; and builds for this machine only.

use std::{collections::BTreeSet, sync::Arc};

use refit_oci::{Digest, ObjectId, Platform};
use refit_platform::Target;

use super::{
    Action, OrElse, Plan, Step,
    compare::Comparison,
    dependencies::Hints,
    evaluate::{Candidate, Evaluator, Role, Scope, Verdict},
    onbuild::{Answered, Wanted, Whole},
    rebase::Moved,
    suspect::ungenerated,
    wait::Compared,
};
use crate::{
    image::{EMBEDDED_HOST, Image},
    key::Chosen,
    observe::{Answer, Ground, Relation, Release, Resolved},
    publication::{Publication, Published},
    reason::{Reason, StateKind},
    scan::Triggers,
    source::{Source, SourceId},
};

/// What is released.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent choices of the command line"
)]
pub struct ReleaseOptions {
    /// Images by name; empty: all.
    pub images: BTreeSet<String>,
    /// Images that are patched in the same plan because a parent of theirs is released.
    pub dependents: BTreeSet<String>,
    /// Whether tags are to move. Without it everything is built for the embedded store, untagged there.
    pub push: bool,
    /// Write over tags that somebody else moved.
    pub take_over: bool,
    /// Let bases cool down and settle before they are taken, as a sweep does.
    pub patient: bool,
    /// Leave alone for a while what failed in another sweep.
    pub backs_off: bool,
    /// Let canaries go first, and leave what is over the limit to another sweep.
    pub queues: bool,
}

/// The plan that releases the tip.
pub fn release(ground: &Ground<'_>, options: &ReleaseOptions) -> Resolved<Plan> {
    let selected = |image: &&Image| {
        options.images.contains(&image.name)
            || options.dependents.contains(&image.name)
            || (options.images.is_empty() && !image.tags.is_empty())
    };
    let images: Vec<&Image> = ground.inventory.images.iter().filter(selected).collect();
    let role = if options.push {
        Role::Release
    } else {
        Role::Local
    };
    let role_of = |image: &Image| {
        let asked = options.images.contains(&image.name);
        if options.dependents.contains(&image.name) && !asked {
            Role::Patch
        } else {
            role
        }
    };
    let scope = Scope {
        roles: images
            .iter()
            .map(|image| (image.name.clone(), role_of(image)))
            .collect(),
        unpublished: Some(role),
        take_over: options.take_over,
        patient: options.patient,
        backs_off: options.backs_off,
        queues: options.queues,
        ..Scope::default()
    };
    Evaluator::new(ground, scope).plan(&images)
}

impl Evaluator<'_> {
    /// Releases the tip's source.
    pub(super) fn release(&self, image: &Image, platform: &Platform) -> Option<Verdict> {
        let publication = self.publication(image)?;
        let (tip, source, file) = match self.tip(image, platform)? {
            Ok(tip) => tip,
            Err(kind) => return Some(self.state(&image.name, Some(platform), kind)),
        };
        let mut known_source = false;
        let published = match &*publication {
            Publication::Ours(published) => Some(published),
            Publication::Never
            | Publication::Other(StateKind::NoMovingTag | StateKind::MissingTag { .. }) => None,
            Publication::Other(kind) => {
                let lead = image.lead_tag()?;
                let records = self.lookup.ground.records;
                known_source = records.ever_published(&image.name, &lead, &source.id);
                let moved = matches!(kind, StateKind::MovedElsewhere { .. });
                let foreign = matches!(
                    kind,
                    StateKind::Foreign { .. } | StateKind::Adoptable { .. }
                );
                if !((moved && !known_source) || ((moved || foreign) && self.scope.take_over)) {
                    return Some(self.state(&image.name, None, kind.clone()));
                }
                None // the publication says what it writes over
            }
        };
        let manifest = published.and_then(|p| p.platforms.get(platform));
        let candidates = match manifest {
            Some(manifest) => self.candidates(image, platform, manifest)?,
            None => Vec::new(),
        };
        if let Some(commit) = published.and_then(|p| p.commit.as_ref())
            && let Answer::Found(released) = self.lookup.release(&image.name, Some(commit))?
            && released.relation == Relation::Newer
        {
            let commit = commit.clone();
            let newer = StateKind::NewerIsPublished { commit };
            return Some(self.state(&image.name, None, newer));
        }
        let same = of_source(&candidates, &source.id);
        let mut recorded = match self.recorded_pins(&tip.image, &file, &candidates, &same)? {
            Ok(found) => found,
            Err(kind) => return Some(self.state(&image.name, Some(platform), kind)),
        };
        let nearest = if same.is_empty() { &candidates } else { &same };
        let compared = match recorded.compared.take() {
            Some(compared) => compared,
            None => self.compare(&recorded.pins, nearest)?,
        };
        if let Some(manifest) = manifest.filter(|_| !same.is_empty() && compared.reasons.is_empty())
        {
            self.note_unaffected(image, platform, &compared);
            return Some(Verdict::Kept(manifest.clone()));
        }
        let wanted = Wanted {
            image: &tip.image,
            platform,
            commit: None,
            source: &source.id,
        };
        let target = Compared {
            image: &tip.image,
            platform,
            candidates: nearest,
            published,
            known: recorded.known(&file, compared).into(),
        };
        let whole = match self.whole(wanted, &|file| self.taken(&target, file))? {
            Ok(whole) => whole,
            Err(kind) => return Some(self.state(&image.name, Some(platform), kind)),
        };
        let reasons = match (published, manifest) {
            (None, _) if known_source => vec![Reason::Forced],
            (None, _) => vec![Reason::NeverBuilt],
            (Some(_), None) => vec![Reason::PlatformAdded],
            (Some(published), Some(_)) => {
                let mut reasons = Vec::new();
                if of_source(&candidates, &whole.source).is_empty() {
                    reasons.extend(self.changes(image, platform, published, &source)?);
                    if reasons.is_empty() && whole.source != source.id {
                        reasons.push(Reason::ContextChanged); // what a trigger of its base copies
                    }
                }
                reasons.extend(whole.compared.reasons.iter().cloned());
                reasons
            }
        };
        if let (true, Some(manifest)) = (reasons.is_empty(), manifest) {
            self.note_unaffected(image, platform, &whole.compared);
            return Some(Verdict::Kept(manifest.clone()));
        }
        if let Err(kind) = self.not_taken_back((image, platform), published, &whole)? {
            return Some(self.state(&image.name, None, kind));
        }
        let from = (&tip.image, nearest.as_slice(), manifest);
        let step = self.released_step((image, platform), from, whole, reasons);
        self.staged_where_possible(step, ungenerated(&tip.image, &source, self.at_commit()))
    }

    /// The step, staged; only as a rebase where there is a reason not to build.
    fn staged_where_possible(&self, mut step: Step, gone: Option<StateKind>) -> Option<Verdict> {
        if let Some(kind) = gone {
            let Target { image, platform } = &step.target;
            let state = self.state(image, Some(platform), kind);
            let Action::Rebase(rebase) = step.action else {
                return Some(state);
            };
            step.action = Action::Rebase(match rebase.or_else {
                OrElse::Rebuild => rebase.or_nothing().into(),
                OrElse::Merge | OrElse::Nothing => rebase,
            });
        }
        self.staged(step)
    }

    /// The commit that is built; none for the working tree.
    fn at_commit(&self) -> Option<&ObjectId> {
        self.lookup.ground.line.commit.as_ref()
    }

    /// The step of a target whose tip is released: on what is published, if that is all it takes.
    fn released_step(
        &self,
        (image, platform): (&Image, &Platform),
        (entry, candidates, published): (&Image, &[Candidate<'_>], Option<&Digest>),
        whole: Whole,
        reasons: Vec<Reason>,
    ) -> Step {
        let chosen = Chosen::of(image.engine, image, &whole.file);
        let moved = Moved {
            policy: image.rebase,
            entry,
            whole: &whole,
            candidates,
            published,
            reasons: &reasons,
        };
        let (action, in_the_way) = moved.action();
        Step {
            action,
            in_the_way,
            pins: whole.pins,
            triggers: whole.triggers,
            replaces: published.cloned(),
            reasons,
            ..self.step_at_tip(image, platform, whole.source, chosen)
        }
    }

    /// Builds the tip for this machine: staged in the embedded store, no tag that a person reads moves.
    pub(super) fn local(&self, image: &Image, platform: &Platform) -> Option<Verdict> {
        let (tip, source, _) = match self.tip(image, platform)? {
            Ok(tip) => tip,
            Err(kind) => return Some(self.state(&image.name, Some(platform), kind)),
        };
        let wanted = Wanted {
            image: &tip.image,
            platform,
            commit: None,
            source: &source.id,
        };
        if let Some(kind) = ungenerated(&tip.image, &source, self.at_commit()) {
            return Some(self.state(&image.name, Some(platform), kind));
        }
        let plain = |file: &refit_dockerfile::Resolved| {
            let pins = self.pins(&tip.image, file, &Hints::none())?;
            Some(pins.map(|pins| (pins, Comparison::default())))
        };
        let whole = match self.whole(wanted, &plain)? {
            Ok(whole) => whole,
            Err(kind) => return Some(self.state(&image.name, Some(platform), kind)),
        };
        let repository = format!("{EMBEDDED_HOST}/{}", image.name).parse();
        let chosen = Chosen::of(image.engine, image, &whole.file);
        self.staged(Step {
            pins: whole.pins,
            triggers: whole.triggers,
            repository: repository.expect("an image's name is a repository component"),
            reasons: vec![Reason::NeverBuilt],
            ..self.step_at_tip(image, platform, whole.source, chosen)
        })
    }

    /// A rebuild of the tip's source; on what and why is the caller's to say.
    fn step_at_tip(
        &self,
        image: &Image,
        platform: &Platform,
        source: SourceId,
        chosen: Chosen,
    ) -> Step {
        let commit = self.lookup.ground.line.commit.clone();
        Step {
            target: image.on(platform),
            action: Action::Rebuild,
            in_the_way: None,
            wave: 0,
            line: commit.is_some().then(|| self.line().to_owned()),
            commit,
            source,
            pins: Vec::new(),
            triggers: Triggers::new(),
            engine: chosen.kind,
            because: chosen.because,
            repository: image.destination().clone(),
            replaces: None,
            no_cache: false,
            reasons: Vec::new(),
        }
    }

    /// The tip's entry, source and Dockerfile of a target.
    pub(super) fn tip(
        &self,
        image: &Image,
        platform: &Platform,
    ) -> Answered<(Arc<Release>, Arc<Source>, Arc<refit_dockerfile::Resolved>)> {
        let broken = |message: String| Some(Err(StateKind::Broken { message }));
        let file = match self.scanned(image, platform, &Triggers::new()) {
            Ok(file) => file,
            Err(kind) => return Some(Err(kind)),
        };
        match self.lookup.release(&image.name, None)? {
            Answer::Found(tip) => match tip.sources.get(platform) {
                Some(source) => Some(Ok((tip.clone(), Arc::clone(source), file))),
                None => broken(format!(
                    "the context `{}` could not be listed",
                    image.context
                )),
            },
            Answer::Missing => broken(format!("`{}` is not committed", image.dockerfile)),
            Answer::Failed(failure) => broken(failure.message.clone()),
        }
    }

    /// How the tip's source differs from the released one.
    pub(super) fn changes(
        &self,
        image: &Image,
        platform: &Platform,
        published: &Published,
        now: &Source,
    ) -> Option<Vec<Reason>> {
        let Some(commit) = &published.commit else {
            return Some(vec![Reason::SourceChanged]);
        };
        let Answer::Found(released) = self.lookup.release(&image.name, Some(commit))? else {
            return Some(vec![Reason::SourceChanged]);
        };
        let Some(was) = released.sources.get(platform) else {
            return Some(vec![Reason::SourceChanged]);
        };
        // None: the record's source id is of an older rule, or of a forgotten working tree.
        Some(differences(was, now))
    }
}

/// The ways of having been built from one source.
fn of_source<'a>(candidates: &[Candidate<'a>], source: &SourceId) -> Vec<Candidate<'a>> {
    let same = candidates.iter().filter(|c| c.is_from(source));
    same.cloned().collect()
}

/// How a source differs from another one.
pub(super) fn differences(was: &Source, now: &Source) -> Vec<Reason> {
    let parts = [
        (was.dockerfile != now.dockerfile, Reason::SourceChanged),
        (was.settings != now.settings, Reason::ConfigChanged),
        (was.context != now.context, Reason::ContextChanged),
    ];
    let differing = parts.into_iter().filter(|(differs, _)| *differs);
    differing.map(|(_, reason)| reason).collect()
}
