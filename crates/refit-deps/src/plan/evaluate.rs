//! One target's verdict: kept, a step, or reported and left alone. Shared by sweeps, releases and `status`.

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hashbrown::HashMap;
use refit_oci::{Digest, Platform, Reference, annotations};
use refit_platform::Target;

use crate::{
    adopt::UserSource,
    image::Image,
    observe::{Answer, Ground, Lookup},
    pin::{self, Pin},
    plan::{PromoteOptions, Step},
    publication::{self, Publication, Unrecorded},
    reason::{State, StateKind, Unaffected},
    record::HoldRecord,
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
    Step(Arc<Step>),
    /// Nothing is done; a state says why. As a base it is what its tag holds.
    Left,
    /// Nothing is published.
    Absent,
}

/// Options that all evaluations share.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent choices of the command line"
)]
pub(super) struct Scope {
    /// The images' roles; others are taken as published.
    pub(super) roles: BTreeMap<String, Role>,
    /// What unpublished images get that a release needs as parents.
    pub(super) unpublished: Option<Role>,
    /// Rebuild although nothing changed.
    pub(super) force: bool,
    /// Ask the images' `stale-when` commands.
    pub(super) checks: bool,
    /// Look at this base only.
    pub(super) base: Option<Reference>,
    /// Let bases cool down and settle before they are taken.
    pub(super) patient: bool,
    /// Leave alone for a while what failed.
    pub(super) backs_off: bool,
    /// Let canaries go first, and leave what is over the limit to another sweep.
    pub(super) queues: bool,
    /// Put published layers on other bases, and build nothing.
    pub(super) rebase: bool,
    /// The base that they are put on, in the place of the Dockerfile's.
    pub(super) onto: Option<Reference>,
    /// Write over what somebody else published.
    pub(super) take_over: bool,
    /// How many images a thread evaluates; none: that depends on how many there are.
    pub(super) share: Option<usize>,
    /// How what other tools published is looked at.
    pub(super) adopting: Adopting,
    /// Nothing is built: what a run has built is published.
    pub(super) promoted: Option<PromoteOptions>,
}

/// How what other tools published is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Adopting {
    /// What is done with what nobody recorded.
    pub(super) unrecorded: Unrecorded,
    /// Images whose tags are taken as they are.
    pub(super) taken: BTreeSet<String>,
    /// The source that the user names.
    pub(super) source: Option<UserSource>,
    /// Look for what an image was built on among the base's other tags.
    pub(super) search_tags: bool,
}

/// Chains of images that are longer than this are evaluated in parts, so that none exhausts the stack.
const DEEPEST: usize = 64;

/// Evaluates targets, each once.
pub(super) struct Evaluator<'a> {
    pub(super) lookup: Lookup<'a>,
    pub(super) scope: Arc<Scope>,
    /// What was found out before others began to share it with this one.
    pub(super) shared: Arc<Findings>,
    /// What was found out since.
    pub(super) own: RefCell<Findings>,
    /// How many targets were evaluated.
    pub(super) n_evaluated: Cell<usize>,
    /// How many targets are being evaluated, each for the one before.
    depth: Cell<usize>,
    /// What is to be evaluated first: it is too deep below what is being evaluated.
    postponed: RefCell<Option<Target>>,
    /// Images that are built on themselves.
    cyclic: OnceCell<BTreeSet<&'a str>>,
    pub(super) states: RefCell<States>,
    pub(super) unaffected: RefCell<Vec<Unaffected>>,
    /// Digests that no record knows yet, and the first image that is built on them.
    pub(super) seen: RefCell<BTreeMap<(Reference, Digest), String>>,
    pub(super) holds: Vec<&'a HoldRecord>,
}

/// What is looked up or evaluated once.
#[derive(Default)]
pub(super) struct Findings {
    /// By image and platform.
    verdicts: HashMap<String, Vec<(Platform, Progress)>>,
    /// By image.
    publications: HashMap<String, Arc<Publication>>,
}

/// How far the evaluation of a target has come.
#[derive(Clone)]
enum Progress {
    /// It has begun.
    Underway,
    /// Something is unknown, and was asked for.
    Unknown,
    /// It is done.
    Known(Verdict),
}

/// What was reported, each thing once.
#[derive(Default)]
pub(super) struct States {
    pub(super) all: Vec<State>,
    by_image: HashMap<String, Vec<usize>>,
}

/// One way a manifest is known to have been built.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) source: Option<Cow<'a, SourceId>>,
    pub(super) pins: Cow<'a, [Pin]>,
}

impl Findings {
    fn progress(&self, image: &Image, platform: &Platform) -> Option<&Progress> {
        // Most often there is nothing at all.
        if self.verdicts.is_empty() {
            return None;
        }
        let mut of_image = self.verdicts.get(&image.name)?.iter();
        of_image
            .find(|(of, _)| of == platform)
            .map(|(_, progress)| progress)
    }

    /// Takes over what another one has and this one has not.
    pub(super) fn add(&mut self, other: Self) {
        if self.verdicts.is_empty() && self.publications.is_empty() {
            *self = other;
            return;
        }
        for (image, of_image) in other.verdicts {
            let known = self.verdicts.entry(image).or_default();
            for (platform, progress) in of_image {
                if !known.iter().any(|(of, _)| *of == platform) {
                    known.push((platform, progress));
                }
            }
        }
        for (image, publication) in other.publications {
            self.publications.entry(image).or_insert(publication);
        }
    }
}

impl States {
    /// Adds one unless it is there.
    pub(super) fn add(&mut self, state: State) {
        let Self { all, by_image } = self;
        let of_image = by_image.entry_ref(state.image.as_str()).or_default();
        if !of_image.iter().any(|at| all[*at] == state) {
            of_image.push(all.len());
            all.push(state);
        }
    }
}

impl Candidate<'_> {
    /// Whether it was built from that source.
    pub(super) fn is_from(&self, source: &SourceId) -> bool {
        self.source.as_deref() == Some(source)
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(ground: &'a Ground<'a>, scope: impl Into<Arc<Scope>>) -> Self {
        Self {
            lookup: Lookup::new(ground),
            scope: scope.into(),
            shared: Arc::default(),
            own: RefCell::default(),
            n_evaluated: Cell::default(),
            depth: Cell::default(),
            postponed: RefCell::default(),
            cyclic: OnceCell::new(),
            states: RefCell::default(),
            unaffected: RefCell::default(),
            seen: RefCell::default(),
            holds: ground.records.holds(ground.now),
        }
    }

    /// The verdict on a target, however many images it is built on; none while something is unknown.
    pub(super) fn verdict(&self, image: &Image, platform: &Platform) -> Option<Verdict> {
        let mut open: Vec<Target> = Vec::new();
        loop {
            let verdict = match open.last() {
                None => self.target(image, platform),
                Some(target) => {
                    self.progress(&target.image, &target.platform, None);
                    let image = self.lookup.ground.inventory.image(&target.image)?;
                    self.target(image, &target.platform)
                }
            };
            // What waits for another one depends on itself if that depends on it.
            let waits = |target: &Target| {
                self.progress(&target.image, &target.platform, Some(Progress::Underway));
            };
            match self.postponed.take() {
                Some(next) => {
                    open.last().into_iter().for_each(waits);
                    open.push(next);
                }
                None if open.pop().is_none() => return verdict,
                None => {}
            }
        }
    }

    /// The same within the evaluation of another target. None also if it is too deep below that: then it is postponed.
    pub(super) fn target(&self, image: &Image, platform: &Platform) -> Option<Verdict> {
        let own = self.own.borrow();
        match { self.shared.progress(image, platform) }.or_else(|| own.progress(image, platform)) {
            Some(Progress::Known(verdict)) => return Some(verdict.clone()),
            Some(Progress::Unknown) => return None,
            // It depends on itself; the graph's problems name the cycle.
            Some(Progress::Underway) => return Some(Verdict::Left),
            None => drop(own),
        }
        let depth = self.depth.get();
        if self.postponed.borrow().is_some() {
            return None;
        }
        if depth == DEEPEST {
            *self.postponed.borrow_mut() = Some(image.on(platform));
            return None;
        }
        self.depth.set(depth + 1);
        self.progress(&image.name, platform, Some(Progress::Underway));
        self.n_evaluated.set(self.n_evaluated.get() + 1);
        let verdict = match (&self.scope.promoted, self.role(image)) {
            (Some(options), _) => self.promoted(image, platform, options),
            (None, role) => self.by_role(image, platform, role),
        };
        self.depth.set(depth);
        let verdict = match verdict {
            // Each build would make the next one stale, without end.
            Some(Verdict::Step(_)) if self.cyclic().contains(image.name.as_str()) => {
                let message = "it is built on itself, by way of other images".to_owned();
                Some(self.state(&image.name, Some(platform), StateKind::Broken { message }))
            }
            verdict => verdict,
        };
        let progress = match &verdict {
            Some(verdict) => Some(Progress::Known(verdict.clone())),
            None if self.postponed.borrow().is_some() => None,
            None => Some(Progress::Unknown),
        };
        self.progress(&image.name, platform, progress);
        verdict
    }

    fn by_role(&self, image: &Image, platform: &Platform, role: Option<Role>) -> Option<Verdict> {
        match role? {
            Role::Patch => self.patch(image, platform),
            Role::Release => self.release(image, platform),
            Role::Local => self.local(image, platform),
            Role::AsPublished => self.as_published(image, platform),
        }
    }

    /// Images that are built on themselves.
    pub(super) fn cyclic(&self) -> &BTreeSet<&'a str> {
        let graph = self.lookup.ground.graph;
        self.cyclic.get_or_init(|| graph.cyclic())
    }

    /// Notes how far the evaluation of a target has come; none: it has not begun.
    fn progress(&self, image: &str, platform: &Platform, progress: Option<Progress>) {
        let mut own = self.own.borrow_mut();
        let of_image = own.verdicts.entry_ref(image).or_default();
        match (of_image.iter_mut().find(|(of, _)| of == platform), progress) {
            (Some((_, known)), Some(progress)) => *known = progress,
            (Some(_), None) => of_image.retain(|(of, _)| of != platform),
            (None, Some(progress)) => of_image.push((platform.clone(), progress)),
            (None, None) => {}
        }
    }

    fn role(&self, image: &Image) -> Option<Role> {
        match (self.scope.roles.get(&image.name), self.scope.unpublished) {
            (Some(role), _) => Some(*role),
            (None, Some(Role::Local)) => Some(Role::Local),
            (None, Some(role)) => match &*self.publication(image)? {
                Publication::Never => Some(role),
                _ => Some(Role::AsPublished),
            },
            (None, None) => Some(Role::AsPublished),
        }
    }

    fn as_published(&self, image: &Image, platform: &Platform) -> Option<Verdict> {
        Some(match &*self.publication(image)? {
            Publication::Never => Verdict::Absent,
            Publication::Ours(published) => match published.platforms.get(platform) {
                Some(manifest) => Verdict::Kept(manifest.clone()),
                None => Verdict::Left,
            },
            Publication::Other(_) => Verdict::Left,
        })
    }

    pub(super) fn publication(&self, image: &Image) -> Option<Arc<Publication>> {
        let known = {
            let own = self.own.borrow();
            let shared = self.shared.publications.get(&image.name);
            shared
                .or_else(|| own.publications.get(&image.name))
                .map(Arc::clone)
        };
        if known.is_some() {
            return known;
        }
        let unrecorded = if self.scope.adopting.taken.contains(&image.name) {
            Unrecorded::Take
        } else {
            self.scope.adopting.unrecorded
        };
        let found = publication::publication(&self.lookup, image, unrecorded)?;
        let found = Arc::new(found);
        let mut own = self.own.borrow_mut();
        own.publications
            .insert(image.name.clone(), Arc::clone(&found));
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
        self.states.borrow_mut().add(state);
        Verdict::Left
    }

    /// Lets go of all verdicts: what they hold is then the plan's alone.
    pub(super) fn forget_verdicts(&mut self) {
        self.share();
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.verdicts = HashMap::new();
        }
    }

    /// Everything that was reported.
    pub(super) fn take_states(&self) -> Vec<State> {
        self.states.take().all
    }

    /// The ways `manifest` is known to have been built: records that name it, else its own annotations.
    pub(super) fn candidates(
        &self,
        image: &Image,
        platform: &Platform,
        manifest: &Digest,
    ) -> Option<Vec<Candidate<'a>>> {
        let records = self.lookup.ground.records.builds_of(&image.name, manifest);
        let recorded: Vec<Candidate<'a>> = records
            .filter(|build| build.platform == *platform)
            .map(|build| Candidate {
                source: Some(Cow::Borrowed(&build.source)),
                pins: Cow::Borrowed(&build.deps),
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
            .and_then(|text| text.parse().ok())
            .map(Cow::Owned);
        Some(
            pins.map(Cow::Owned)
                .map(|pins| Candidate { source, pins })
                .into_iter()
                .collect(),
        )
    }
}
