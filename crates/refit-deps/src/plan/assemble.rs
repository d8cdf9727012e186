//! From verdicts to a plan: waves, publications, order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hashbrown::{HashMap, HashSet};
use refit_oci::{Digest, Reference};
use refit_platform::Target;

use super::{
    Plan, PlannedPin, PlannedPublication, Step,
    evaluate::{Evaluator, Role, Verdict},
};
use crate::{
    image::Image,
    observe::{Answer, Resolved},
    publication::Publication,
    reason::StateKind,
};

/// What evaluating came to.
struct Verdicts {
    /// Sorted by target, each once.
    all: Vec<(Target, Verdict)>,
}

impl Evaluator<'_> {
    /// Evaluates every target of `images` and puts the plan together.
    pub(super) fn plan(mut self, images: &[&Image]) -> Resolved<Plan> {
        let mut verdicts = self.collect(images);
        let mut plan = Plan::default();
        self.drop_partial_releases(&mut verdicts);
        let mut steps: Vec<&Step> = Vec::new();
        for (target, verdict) in &verdicts.all {
            match verdict {
                Verdict::Step(step) => steps.push(step),
                Verdict::Kept(_) => plan.kept.push(target.clone()),
                Verdict::Left | Verdict::Absent => {}
            }
        }
        let waves = waves(&steps);
        let inventory = self.lookup.ground.inventory;
        let order = publication_order(&steps);
        drop(steps);
        let published: Vec<&Image> = order.iter().filter_map(|n| inventory.image(n)).collect();
        let publications = self.at_once(&published, &|evaluator, images| {
            let all = images
                .iter()
                .map(|image| evaluator.publish(image, &verdicts));
            all.flatten().collect::<Vec<_>>()
        });
        plan.publications = publications.into_iter().flatten().collect();
        self.forget_verdicts();
        let steps = verdicts
            .all
            .into_iter()
            .filter_map(|(_, verdict)| match verdict {
                Verdict::Step(step) => Some(step),
                _ => None,
            });
        let mut steps: Vec<(usize, Arc<Step>)> = waves.into_iter().zip(steps).collect();
        // They are sorted by target already.
        steps.sort_by_key(|(wave, _)| *wave);
        // Steps are large: each is moved once.
        plan.steps.reserve_exact(steps.len());
        for (wave, step) in steps {
            let mut step = Arc::unwrap_or_clone(step);
            step.wave = wave;
            plan.steps.push(step);
        }
        plan.states = self.take_states();
        self.queue(&mut plan);
        plan.states
            .sort_by(|a, b| (&a.image, &a.platform).cmp(&(&b.image, &b.platform)));
        plan.unaffected = self.unaffected.take();
        plan.unaffected.sort_by_cached_key(|u| {
            let reference = u.reference.to_string();
            (u.target.clone(), reference, u.from.clone(), u.to.clone())
        });
        plan.unaffected.dedup();
        plan.seen = self.seen_first();
        // Last, as everything before looks for a base where the Dockerfile says that it is.
        self.mirror_bases(&mut plan);
        plan.n_evaluated = self.n_evaluated.get();
        self.lookup.finish(plan)
    }

    /// The targets of `images`, and the in-repo parents that their pins pulled into the plan.
    fn collect(&mut self, images: &[&Image]) -> Verdicts {
        let selected: HashSet<&str> = images.iter().map(|image| image.name.as_str()).collect();
        let shares = self.in_shares(images, |evaluator, images| {
            evaluator.collect_share(images, &selected)
        });
        let mut all: Vec<_> = shares.into_iter().flatten().collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.dedup_by(|(a, _), (b, _)| a == b);
        Verdicts { all }
    }

    /// `selected` are come to anyway.
    fn collect_share(&self, images: &[&Image], selected: &HashSet<&str>) -> Vec<(Target, Verdict)> {
        let inventory = self.lookup.ground.inventory;
        let mut verdicts = Vec::new();
        let mut pulled: HashSet<&str> = HashSet::new();
        let mut open: Vec<&Image> = images.iter().rev().copied().collect();
        while let Some(image) = open.pop() {
            for platform in &image.platforms {
                let Some(verdict) = self.verdict(image, platform) else {
                    continue;
                };
                if let Verdict::Step(step) = &verdict {
                    let parents = step.pins.iter().filter_map(parent_of);
                    let others = parents.filter(|parent| !selected.contains(parent.image.as_str()));
                    let others = others.filter_map(|parent| inventory.image(&parent.image));
                    open.extend(others.filter(|parent| pulled.insert(&parent.name)));
                }
                let target = image.on(platform);
                verdicts.push((target, verdict));
            }
        }
        verdicts
    }

    /// A release publishes all platforms or none: one platform that can't be built takes the others along, and
    /// whatever was to be built on them.
    fn drop_partial_releases(&self, verdicts: &mut Verdicts) {
        let released = |name: &str| {
            !matches!(
                self.scope.roles.get(name),
                Some(Role::Patch | Role::AsPublished)
            )
        };
        loop {
            let left = verdicts.all.iter().filter(|(t, v)| {
                matches!(v, Verdict::Left | Verdict::Absent) && released(&t.image)
            });
            let incomplete: BTreeSet<String> =
                left.map(|(target, _)| target.image.clone()).collect();
            if incomplete.is_empty() {
                return; // each parent that a step names has a step
            }
            let mut dropped: Vec<(Target, String)> = Vec::new();
            for (target, verdict) in &verdicts.all {
                let Verdict::Step(step) = verdict else {
                    continue;
                };
                let parent = step
                    .pins
                    .iter()
                    .filter_map(parent_of)
                    .find(|p| !matches!(verdicts.get(p), Some(Verdict::Step(_))));
                if incomplete.contains(&target.image) {
                    dropped.push((
                        target.clone(),
                        "another of its platforms can't be built".to_owned(),
                    ));
                } else if let Some(parent) = parent {
                    dropped.push((
                        target.clone(),
                        format!("its parent {parent} can't be built"),
                    ));
                }
            }
            if dropped.is_empty() {
                return;
            }
            for (target, message) in dropped {
                self.state(
                    &target.image,
                    Some(&target.platform),
                    StateKind::Broken { message },
                );
                verdicts.leave(&target);
            }
        }
    }

    fn publish(&self, image: &Image, verdicts: &Verdicts) -> Option<PlannedPublication> {
        let of_image = verdicts.of_image(&image.name);
        let steps: Vec<&Step> = of_image
            .iter()
            .filter_map(|(_, verdict)| match verdict {
                Verdict::Step(step) => Some(step.as_ref()),
                _ => None,
            })
            .collect();
        let patch = self.scope.roles.get(&image.name) == Some(&Role::Patch);
        let local = self.is_local(&image.name);
        let mut released = None;
        let publication = Publication::clone(&*self.publication(image)?);
        let (expects, mut kept, after, over) = match publication {
            Publication::Ours(published) => {
                released = published.commit;
                let (index, record) = (published.index, published.record);
                (Some(index), published.platforms, record, None)
            }
            Publication::Never => (None, BTreeMap::new(), None, None),
            Publication::Other(kind) => {
                let expects = digest_of(&kind);
                let over = expects.is_some().then_some(kind);
                (expects, BTreeMap::new(), self.last_record(image), over)
            }
        };
        if !patch {
            // A release has one commit: what stays is what is equal at that commit.
            let same = |(target, verdict): &(Target, Verdict)| match verdict {
                Verdict::Kept(manifest) => Some((target.platform.clone(), manifest.clone())),
                _ => None,
            };
            kept = of_image.iter().filter_map(same).collect();
        }
        for step in &steps {
            kept.remove(&step.target.platform);
        }
        let commit = steps.first()?.commit.clone();
        // They are part of the source: a patch has those that were released.
        let annotations = match self.lookup.release(&image.name, commit.as_ref())? {
            Answer::Found(release) => release.image.annotations.clone(),
            Answer::Missing | Answer::Failed(_) => image.annotations.clone(),
        };
        let unique = image.unique_tags.iter().filter_map(|tag| {
            let tag = tag.replace("{{.Run.Commit}}", commit.as_ref()?.as_str());
            image
                .destination()
                .tagged(&tag.replace("{{.Line}}", self.line()))
                .ok()
        });
        let nothing: Vec<Reference> = Vec::new();
        Some(PlannedPublication {
            image: image.name.clone(),
            line: self.line().to_owned(),
            tags: if local {
                nothing.clone()
            } else {
                image.moving_tags()
            },
            unique_tags: if local || patch {
                nothing
            } else {
                unique.collect()
            },
            expects: if local { None } else { expects },
            over: over.filter(|_| !local),
            released,
            last_moved: self.last_moved(image),
            kept: if local { BTreeMap::new() } else { kept },
            after,
            promotes: steps.iter().find_map(|step| step.promotes()),
            release: !patch,
            partial: self.lookup.ground.inventory.sweep.partial(),
            provenance: image.provenance,
            attested: !image.attest.is_empty(),
            annotations,
            commit,
        })
    }

    /// Whether an image with steps is built for this machine only.
    pub(super) fn is_local(&self, image: &str) -> bool {
        let role = self.scope.roles.get(image).copied();
        role.or(self.scope.unpublished) == Some(Role::Local)
    }

    fn last_moved(&self, image: &Image) -> Vec<(Reference, Digest)> {
        let Some(lead) = image.lead_tag() else {
            return Vec::new();
        };
        let records = self.lookup.ground.records;
        let moved = image.moving_tags().into_iter().filter_map(|tag| {
            let index = records.last_moved(&image.name, &lead, &tag)?.clone();
            Some((tag, index))
        });
        moved.collect()
    }

    fn last_record(&self, image: &Image) -> Option<String> {
        let lead = image.lead_tag()?;
        self.lookup
            .ground
            .records
            .heads(&image.name, &lead)
            .last()
            .map(|head| head.id.clone())
    }
}

fn digest_of(kind: &StateKind) -> Option<Digest> {
    match kind {
        StateKind::Foreign { digest, .. }
        | StateKind::Adoptable { digest, .. }
        | StateKind::MovedElsewhere { digest, .. } => Some(digest.clone()),
        _ => None,
    }
}

fn parent_of(pin: &PlannedPin) -> Option<&Target> {
    match pin {
        PlannedPin::Step { target, .. } => Some(target),
        PlannedPin::Known { .. } => None,
    }
}

impl Verdicts {
    fn get(&self, target: &Target) -> Option<&Verdict> {
        let at = self.all.binary_search_by(|(known, _)| known.cmp(target));
        at.ok().map(|at| &self.all[at].1)
    }

    fn leave(&mut self, target: &Target) {
        let at = self.all.binary_search_by(|(known, _)| known.cmp(target));
        if let Ok(at) = at {
            self.all[at].1 = Verdict::Left;
        }
    }

    /// Those on an image's targets.
    fn of_image(&self, image: &str) -> &[(Target, Verdict)] {
        let from = self.all.partition_point(|(t, _)| t.image.as_str() < image);
        let behind = &self.all[from..];
        &behind[..behind.partition_point(|(t, _)| t.image == image)]
    }
}

/// The wave of each step: one more than the latest of its parents'. Verdicts of a cycle never become steps of each other.
fn waves(steps: &[&Step]) -> Vec<usize> {
    let at: HashMap<&Target, usize> = steps.iter().map(|step| &step.target).zip(0..).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    let mut n_parents = vec![0_usize; steps.len()];
    for (child, step) in steps.iter().enumerate() {
        for parent in step.pins.iter().filter_map(parent_of) {
            if let Some(parent) = at.get(parent) {
                children[*parent].push(child);
                n_parents[child] += 1;
            }
        }
    }
    let mut waves = vec![1; steps.len()];
    let mut ready: Vec<usize> = (0..steps.len()).filter(|at| n_parents[*at] == 0).collect();
    while let Some(parent) = ready.pop() {
        for child in &children[parent] {
            waves[*child] = waves[*child].max(waves[parent] + 1);
            n_parents[*child] -= 1;
            if n_parents[*child] == 0 {
                ready.push(*child);
            }
        }
    }
    waves
}

/// Images with steps, parents before children.
fn publication_order<'s>(steps: &[&'s Step]) -> Vec<&'s str> {
    // Steps are sorted by target: numbers are in the order of names.
    let mut names: Vec<&str> = steps.iter().map(|s| s.target.image.as_str()).collect();
    names.dedup();
    let numbers: HashMap<&str, usize> = names.iter().copied().zip(0..).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    let mut n_parents = vec![0_usize; names.len()];
    let of_images = steps.chunk_by(|a, b| a.target.image == b.target.image);
    for (child, of_image) in of_images.enumerate() {
        let pins = of_image.iter().flat_map(|step| &step.pins);
        let parents = pins.filter_map(parent_of);
        let parents = parents.filter_map(|parent| numbers.get(parent.image.as_str()));
        let parents: BTreeSet<usize> = parents.copied().filter(|p| *p != child).collect();
        n_parents[child] = parents.len();
        for parent in parents {
            children[parent].push(child);
        }
    }
    let mut waiting: BTreeSet<usize> = (0..names.len()).filter(|n| n_parents[*n] > 0).collect();
    let mut now: Vec<usize> = (0..names.len()).filter(|n| n_parents[*n] == 0).collect();
    let mut order = Vec::with_capacity(names.len());
    loop {
        // Images that depend on each other on different platforms: any order is as good.
        if now.is_empty() {
            now.extend(std::mem::take(&mut waiting));
        }
        if now.is_empty() {
            return order;
        }
        let mut next = Vec::new();
        for parent in now {
            order.push(names[parent]);
            for child in &children[parent] {
                if waiting.contains(child) {
                    n_parents[*child] -= 1;
                    if n_parents[*child] == 0 {
                        waiting.remove(child);
                        next.push(*child);
                    }
                }
            }
        }
        next.sort_unstable();
        now = next;
    }
}
