//! From verdicts to a plan: waves, publications, order.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use hashbrown::HashMap;
use refit_oci::{Digest, Platform, Reference};
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

impl Evaluator<'_> {
    /// Evaluates every target of `images` and puts the plan together.
    pub(super) fn plan(self, images: &[&Image]) -> Resolved<Plan> {
        let mut verdicts = self.collect(images);
        let mut plan = Plan::default();
        self.drop_partial_releases(&mut verdicts);
        let mut steps: Vec<&Step> = Vec::new();
        for (target, verdict) in &verdicts {
            match verdict {
                Verdict::Step(step) => steps.push(step),
                Verdict::Kept(_) => plan.kept.push(target.clone()),
                Verdict::Left | Verdict::Absent => {}
            }
        }
        let waves = waves(&steps);
        for name in publication_order(&steps) {
            if let Some(image) = self.lookup.ground.inventory.image(name) {
                plan.publications.extend(self.publish(image, &verdicts));
            }
        }
        drop(steps);
        self.forget_verdicts();
        let steps = verdicts.into_values().filter_map(|verdict| match verdict {
            Verdict::Step(step) => Some(Rc::unwrap_or_clone(step)),
            _ => None,
        });
        plan.steps = steps
            .zip(waves)
            .map(|(step, wave)| Step { wave, ..step })
            .collect();
        // They are sorted by target already.
        plan.steps.sort_by_key(|step| step.wave);
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
    fn collect(&self, images: &[&Image]) -> BTreeMap<Target, Verdict> {
        let mut verdicts = BTreeMap::new();
        let mut open: Vec<&Image> = images.iter().rev().copied().collect();
        while let Some(image) = open.pop() {
            for platform in &image.platforms {
                let target = Target {
                    image: image.name.clone(),
                    platform: platform.clone(),
                };
                if verdicts.contains_key(&target) {
                    continue;
                }
                let Some(verdict) = self.verdict(image, platform) else {
                    continue;
                };
                if let Verdict::Step(step) = &verdict {
                    let parents = step.pins.iter().filter_map(parent_of);
                    let inventory = self.lookup.ground.inventory;
                    open.extend(parents.filter_map(|parent| inventory.image(&parent.image)));
                }
                verdicts.insert(target, verdict);
            }
        }
        verdicts
    }

    /// A release publishes all platforms or none: one platform that can't be built takes the others along, and
    /// whatever was to be built on them.
    fn drop_partial_releases(&self, verdicts: &mut BTreeMap<Target, Verdict>) {
        let released = |name: &str| {
            !matches!(
                self.scope.roles.get(name),
                Some(Role::Patch | Role::AsPublished)
            )
        };
        loop {
            let left = verdicts.iter().filter(|(t, v)| {
                matches!(v, Verdict::Left | Verdict::Absent) && released(&t.image)
            });
            let incomplete: BTreeSet<String> =
                left.map(|(target, _)| target.image.clone()).collect();
            let mut dropped: Vec<(Target, String)> = Vec::new();
            for (target, verdict) in verdicts.iter() {
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
                verdicts.insert(target, Verdict::Left);
            }
        }
    }

    fn publish(
        &self,
        image: &Image,
        verdicts: &BTreeMap<Target, Verdict>,
    ) -> Option<PlannedPublication> {
        let of_image = of_image(verdicts, &image.name);
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
            let same = |(target, verdict): (&Target, &Verdict)| match verdict {
                Verdict::Kept(manifest) => Some((target.platform.clone(), manifest.clone())),
                _ => None,
            };
            kept = of_image.into_iter().filter_map(same).collect();
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
            annotations,
            commit,
        })
    }

    /// Whether an image with steps is built for this machine only.
    pub(super) fn is_local(&self, image: &str) -> bool {
        let role = self.scope.roles.get(image).copied();
        role.or(self.scope.unpublished) == Some(Role::Local)
    }

    fn last_moved(&self, image: &Image) -> BTreeMap<Reference, Digest> {
        let Some(lead) = image.lead_tag() else {
            return BTreeMap::new();
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

/// The verdicts on an image's targets.
fn of_image<'v>(
    verdicts: &'v BTreeMap<Target, Verdict>,
    image: &str,
) -> Vec<(&'v Target, &'v Verdict)> {
    // No platform sorts before one without a name.
    let first = Target {
        image: image.to_owned(),
        platform: Platform::new("", "", None),
    };
    let from = verdicts.range(first..);
    from.take_while(|(target, _)| target.image == image)
        .collect()
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
    let mut parents: BTreeMap<&'s str, BTreeSet<&'s str>> = BTreeMap::new();
    for step in steps {
        let entry = parents.entry(&step.target.image).or_default();
        entry.extend(
            step.pins
                .iter()
                .filter_map(parent_of)
                .map(|p| p.image.as_str())
                .filter(|p| *p != step.target.image),
        );
    }
    let mut children: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    for (child, of_child) in &parents {
        let of_child = of_child.iter().filter(|p| parents.contains_key(**p));
        waiting.insert(child, of_child.clone().count());
        for parent in of_child {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut order = Vec::new();
    let mut now: Vec<&str> = Vec::new();
    now.extend(waiting.extract_if(.., |_, n| *n == 0).map(|(name, _)| name));
    loop {
        // Images that depend on each other on different platforms: any order is as good.
        if now.is_empty() {
            now = std::mem::take(&mut waiting).into_keys().collect();
        }
        if now.is_empty() {
            return order;
        }
        let mut next = Vec::new();
        for name in now {
            order.push(name);
            for child in children.get(name).into_iter().flatten() {
                if let Some(n) = waiting.get_mut(child) {
                    *n -= 1;
                    if *n == 0 {
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
