//! From verdicts to a plan: waves, publications, order.

use std::collections::{BTreeMap, BTreeSet};

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

impl Evaluator<'_> {
    /// Evaluates every target of `images` and puts the plan together.
    pub(super) fn plan(self, images: &[&Image]) -> Resolved<Plan> {
        let mut verdicts: BTreeMap<Target, Verdict> = BTreeMap::new();
        for image in images {
            self.collect(image, &mut verdicts);
        }
        let mut plan = Plan::default();
        self.drop_partial_releases(&mut verdicts);
        let mut steps: BTreeMap<Target, Step> = BTreeMap::new();
        for (target, verdict) in &verdicts {
            match verdict {
                Verdict::Step(step) => {
                    steps.insert(target.clone(), (**step).clone());
                }
                Verdict::Kept(_) => plan.kept.push(target.clone()),
                Verdict::Left | Verdict::Absent => {}
            }
        }
        set_waves(&mut steps);
        plan.steps = steps.into_values().collect();
        plan.steps
            .sort_by(|a, b| (a.wave, &a.target).cmp(&(b.wave, &b.target)));
        for name in publication_order(&plan.steps) {
            if let Some(image) = self.lookup.ground.inventory.image(&name) {
                plan.publications
                    .extend(self.publish(image, &plan.steps, &verdicts));
            }
        }
        plan.states = self.states.take();
        plan.states
            .sort_by(|a, b| (&a.image, &a.platform).cmp(&(&b.image, &b.platform)));
        plan.unaffected = self.unaffected.take();
        plan.unaffected.sort_by(|a, b| {
            (&a.target, a.reference.to_string()).cmp(&(&b.target, b.reference.to_string()))
        });
        plan.seen = self.seen_first();
        self.lookup.finish(plan)
    }

    /// A target, and the in-repo parents that its pins pulled into the plan.
    fn collect(&self, image: &Image, verdicts: &mut BTreeMap<Target, Verdict>) {
        for platform in &image.platforms {
            let target = Target {
                image: image.name.clone(),
                platform: platform.clone(),
            };
            if verdicts.contains_key(&target) {
                continue;
            }
            let Some(verdict) = self.target(image, platform) else {
                continue;
            };
            let parents = match &verdict {
                Verdict::Step(step) => step.pins.iter().filter_map(parent_of).cloned().collect(),
                _ => Vec::new(),
            };
            verdicts.insert(target, verdict);
            for parent in parents {
                if let Some(parent) = self.lookup.ground.inventory.image(&parent.image) {
                    self.collect(parent, verdicts);
                }
            }
        }
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
        steps: &[Step],
        verdicts: &BTreeMap<Target, Verdict>,
    ) -> Option<PlannedPublication> {
        let of_image: Vec<&Step> = steps
            .iter()
            .filter(|step| step.target.image == image.name)
            .collect();
        let patch = self.scope.roles.get(&image.name) == Some(&Role::Patch);
        let role = self
            .scope
            .roles
            .get(&image.name)
            .copied()
            .or(self.scope.unpublished);
        let local = role == Some(Role::Local);
        let mut released = None;
        let (expects, mut kept, after, over) = match self.publication(image)? {
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
                Verdict::Kept(manifest) if target.image == image.name => {
                    Some((target.platform.clone(), manifest.clone()))
                }
                _ => None,
            };
            kept = verdicts.iter().filter_map(same).collect();
        }
        for step in &of_image {
            kept.remove(&step.target.platform);
        }
        let commit = of_image.first()?.commit.clone();
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
            release: !patch,
            annotations,
            commit,
        })
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
        StateKind::Foreign { digest, .. } | StateKind::MovedElsewhere { digest, .. } => {
            Some(digest.clone())
        }
        _ => None,
    }
}

fn parent_of(pin: &PlannedPin) -> Option<&Target> {
    match pin {
        PlannedPin::Step { target, .. } => Some(target),
        PlannedPin::Known { .. } => None,
    }
}

/// A step's wave is one more than the latest of its parents'.
fn set_waves(steps: &mut BTreeMap<Target, Step>) {
    let parents: BTreeMap<Target, Vec<Target>> = steps
        .iter()
        .map(|(target, step)| {
            (
                target.clone(),
                step.pins.iter().filter_map(parent_of).cloned().collect(),
            )
        })
        .collect();
    let mut waves: BTreeMap<&Target, usize> = BTreeMap::new();
    // At most as many rounds as there are steps: verdicts of a cycle never become steps of each other.
    for _ in 0..parents.len() {
        let mut changed = false;
        for (target, parents) in &parents {
            let wave = 1 + parents
                .iter()
                .filter_map(|p| waves.get(p))
                .max()
                .copied()
                .unwrap_or(0);
            changed |= waves.insert(target, wave) != Some(wave);
        }
        if !changed {
            break;
        }
    }
    for (target, step) in steps.iter_mut() {
        step.wave = waves.get(target).copied().unwrap_or(1);
    }
}

/// Images with steps, parents before children.
fn publication_order(steps: &[Step]) -> Vec<String> {
    let mut parents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
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
    let mut order: Vec<String> = Vec::new();
    let mut open: Vec<&str> = parents.keys().copied().collect();
    while !open.is_empty() {
        let ready = |name: &&str| parents[*name].iter().all(|p| !open.contains(p));
        let (now, later): (Vec<&str>, Vec<&str>) = open.iter().partition(|name| ready(name));
        // Images that depend on each other on different platforms: any order is as good.
        let (now, later) = if now.is_empty() {
            (later, now)
        } else {
            (now, later)
        };
        order.extend(now.into_iter().map(str::to_owned));
        open = later;
    }
    order
}
