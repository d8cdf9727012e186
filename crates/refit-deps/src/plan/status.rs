//! `status`: the sweep's verdicts on every target, and what of the tip is unreleased.

use hashbrown::{HashMap, HashSet};
use refit_oci::Platform;
use refit_platform::Target;

use super::{
    Plan, Step,
    evaluate::{Adopting, Evaluator, Role, Scope},
    onbuild::Wanted,
};
use crate::{
    image::Image,
    observe::{Ground, Resolved},
    publication::{Publication, Unrecorded},
    reason::{Reason, State, StateKind},
    scan::Triggers,
};

/// Every target of the inventory.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Sorted by target.
    pub rows: Vec<StatusRow>,
    /// The plan of a sweep at this moment.
    pub plan: Plan,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRow {
    /// Which.
    pub target: Target,
    /// How it stands.
    pub word: Word,
    /// Why it is stale.
    pub reasons: Vec<Reason>,
    /// What is reported of it or of its image, most pressing first.
    pub states: Vec<StateKind>,
}

/// How a target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Published, and built from what its dependencies resolve to.
    Fresh,
    /// A sweep would rebuild it.
    Stale,
    /// A state says what it is.
    Reported(&'static str),
}

impl Word {
    /// For people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Reported(word) => word,
        }
    }
}

/// How every target stands.
pub fn status(ground: &Ground<'_>) -> Resolved<Status> {
    let images: Vec<&Image> = ground.inventory.images.iter().collect();
    let roles = images
        .iter()
        .map(|image| (image.name.clone(), Role::Patch))
        .collect();
    let mut evaluator = Evaluator::new(
        ground,
        Scope {
            roles,
            patient: true,
            backs_off: true,
            adopting: Adopting {
                unrecorded: Unrecorded::Read,
                ..Adopting::default()
            },
            ..Scope::default()
        },
    );
    evaluator.in_shares(&images, |evaluator, images| {
        for image in images {
            for platform in &image.platforms {
                evaluator.unreleased(image, platform);
            }
        }
    });
    match evaluator.plan(&images) {
        Resolved::Needs(needs) => Resolved::Needs(needs),
        Resolved::Done(plan) => {
            let targets = images.iter().flat_map(|image| {
                image.platforms.iter().map(|p| Target {
                    image: image.name.clone(),
                    platform: p.clone(),
                })
            });
            let by_target = ByTarget::of(&plan);
            let mut rows: Vec<StatusRow> = targets.map(|target| by_target.row(target)).collect();
            rows.sort_by(|a, b| a.target.cmp(&b.target));
            drop(by_target);
            Resolved::Done(Status { rows, plan })
        }
    }
}

impl Evaluator<'_> {
    /// Notes a target whose tip differs from what is published. None while something is unknown.
    fn unreleased(&self, image: &Image, platform: &Platform) -> Option<()> {
        let publication = self.publication(image)?;
        let published = match &*publication {
            Publication::Ours(published) => published,
            Publication::Never => {
                // What can't be built is more than unpublished.
                if let Err(kind) = self.scanned(image, platform, &Triggers::new()) {
                    self.state(&image.name, Some(platform), kind);
                }
                return Some(());
            }
            Publication::Other(_) => return Some(()),
        };
        let Some(manifest) = published.platforms.get(platform) else {
            return Some(());
        };
        if published.adopted {
            return self.unreleased_adopted(image, platform, published);
        }
        let candidates = self.candidates(image, platform, manifest)?;
        let Ok((tip, source, _)) = self.tip(image, platform)? else {
            return Some(());
        };
        if candidates.iter().any(|c| c.is_from(&source.id)) {
            return Some(());
        }
        let mut reasons = self.changes(image, platform, published, &source)?;
        if reasons.is_empty() {
            let wanted = Wanted {
                image: &tip.image,
                platform,
                commit: None,
                source: &source.id,
            };
            if self.changed_by_triggers(wanted, &candidates)? {
                reasons.push(Reason::ContextChanged);
            }
        }
        if !reasons.is_empty() {
            self.state(
                &image.name,
                Some(platform),
                StateKind::Unreleased { reasons },
            );
        }
        Some(())
    }
}

/// A plan, to be asked about one target after the other.
struct ByTarget<'p> {
    steps: HashMap<&'p Target, &'p Step>,
    kept: HashSet<&'p Target>,
    states: HashMap<&'p str, Vec<&'p State>>,
}

impl<'p> ByTarget<'p> {
    fn of(plan: &'p Plan) -> Self {
        let mut states: HashMap<&str, Vec<&State>> = HashMap::new();
        for state in &plan.states {
            states.entry(&state.image).or_default().push(state);
        }
        Self {
            steps: plan.steps.iter().map(|step| (&step.target, step)).collect(),
            kept: plan.kept.iter().collect(),
            states,
        }
    }

    fn row(&self, target: Target) -> StatusRow {
        let of_image = self.states.get(target.image.as_str());
        let concerns = |state: &&&State| {
            let platform = state.platform.as_ref();
            platform.is_none_or(|p| *p == target.platform)
        };
        let states: Vec<StateKind> = of_image
            .into_iter()
            .flatten()
            .filter(concerns)
            .map(|state| state.kind.clone())
            .collect();
        let step = self.steps.get(&target);
        let of_unknown_source = states.iter().find_map(|state| match state {
            StateKind::ReleaseSourceUnknown { reasons } if !reasons.is_empty() => Some(reasons),
            _ => None,
        });
        let word = match (step, self.kept.contains(&target)) {
            (Some(_), _) => Word::Stale,
            (None, _) if of_unknown_source.is_some() => Word::Stale,
            (None, true) => {
                let waits = |s: &&StateKind| {
                    matches!(s, StateKind::BaseHeld { .. } | StateKind::Deferred { .. })
                };
                let told = |s: &&StateKind| {
                    matches!(s, StateKind::Unreleased { .. } | StateKind::Pinned { .. })
                };
                let state = states
                    .iter()
                    .find(waits)
                    .or_else(|| states.iter().find(told));
                state.map_or(Word::Fresh, |state| Word::Reported(state.word()))
            }
            (None, false) => {
                let broken = states
                    .iter()
                    .find(|s| matches!(s, StateKind::Broken { .. }));
                // That it is another tool's is said beside what is the matter with it.
                let pressing = |s: &&StateKind| !matches!(s, StateKind::Adoptable { .. });
                let state = broken.or_else(|| states.iter().find(pressing));
                let state = state.or_else(|| states.first());
                Word::Reported(state.map_or("unpublished", StateKind::word))
            }
        };
        StatusRow {
            reasons: step
                .map(|s| &s.reasons)
                .or(of_unknown_source)
                .cloned()
                .unwrap_or_default(),
            target,
            word,
            states,
        }
    }
}
