//! A plan applied to the world of a story: who built and pushed what is left out, what is decided is not.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    pin::{self, Pin},
    plan::{
        Action, Plan, PlannedPin, PlannedPublication, Step,
        outcome::{self, Parts},
    },
    record::{BuildRecord, PublishRecord, Record},
};
use refit_oci::Digest;
use refit_platform::Target;

use crate::{
    format::Publication,
    world::{Index, World, digest},
};

/// What became of a plan.
pub(crate) struct Applied<'p> {
    pub(crate) results: BTreeMap<Target, Digest>,
    pub(crate) skipped: Vec<&'p Target>,
    /// What each image's index is put together from, or why nothing is published.
    pub(crate) published: Vec<(&'p PlannedPublication, Result<Parts, String>)>,
}

/// Applies a plan: what `failed` names fails, everything else comes out as something new.
pub(crate) fn apply<'p>(plan: &'p Plan, failed: &BTreeSet<String>) -> Applied<'p> {
    let mut results = BTreeMap::new();
    let mut skipped = Vec::new();
    for step in &plan.steps {
        if outcome::missing_parent(step, |parent| results.get(parent)).is_some() {
            skipped.push(&step.target);
        } else if !failed.contains(&step.target.to_string()) {
            let result = match &step.action {
                Action::Rebuild | Action::Rebase(_) => digest(&new_name(&step.target)),
                Action::Publish { manifest } => manifest.clone(),
            };
            results.insert(step.target.clone(), result);
        }
    }
    let mut stuck = BTreeSet::new();
    let mut published = Vec::new();
    for publication in &plan.publications {
        let steps: Vec<&Step> = plan
            .steps
            .iter()
            .filter(|step| step.target.image == publication.image)
            .collect();
        let parts = match outcome::stuck_parent(&steps, &stuck) {
            Some(parent) => Err(format!("skipped: its parent {parent} did not move")),
            None => outcome::parts(publication, &steps, |target| results.get(target)),
        };
        if parts.is_err() {
            stuck.insert(publication.image.as_str());
        }
        published.push((publication, parts));
    }
    Applied {
        results,
        skipped,
        published,
    }
}

fn new_name(target: &Target) -> String {
    format!("{target}-new")
}

/// The world after a plan was applied: manifests pushed, records kept, tags moved.
pub(crate) fn after(world: &mut World, plan: &Plan) {
    let applied = apply(plan, &BTreeSet::new());
    let mut names: BTreeMap<Digest, String> = BTreeMap::new();
    for step in &plan.steps {
        let manifest = &applied.results[&step.target];
        let pins: Vec<Pin> = step.pins.iter().map(|p| settled(p, &applied)).collect();
        let name = match &step.action {
            Action::Rebuild | Action::Rebase(_) => {
                let name = new_name(&step.target);
                let how = Publication::default();
                world.registry.built(&name, (&step.source, &pins), &how);
                name
            }
            Action::Publish { manifest } => world.registry.name_of(manifest),
        };
        names.insert(manifest.clone(), name);
        let line = Record::Build(BuildRecord {
            image: step.target.image.clone(),
            platform: step.target.platform.clone(),
            line: step.line.clone(),
            source: step.source.clone(),
            commit: step.commit.clone(),
            deps: pins,
            base_diff_ids: Vec::new(),
            manifest: manifest.clone(),
            how: "rebuild".to_owned(),
            engine: step.engine.as_str().to_owned(),
            reasons: step.reasons.iter().map(|r| r.word().to_owned()).collect(),
            run: "second".to_owned(),
            log: None,
            at: "2026-06-01T00:00:00Z".to_owned(),
        });
        world.notes.push(line.to_line());
    }
    for (publication, parts) in &applied.published {
        let parts = parts.as_ref().unwrap();
        let all = parts.kept.iter().chain(&parts.new);
        let platforms: BTreeMap<_, _> = all.map(|(p, d)| (p.clone(), d.clone())).collect();
        let entries = platforms.iter().map(|(platform, manifest)| {
            let name = names.get(manifest).cloned();
            let name = name.unwrap_or_else(|| world.registry.name_of(manifest));
            (platform.clone(), name)
        });
        let commits = world.git.commits();
        let index = Index {
            name: format!("{}-new", publication.image),
            image: Some(publication.image.clone()),
            commit: publication
                .commit
                .as_ref()
                .and_then(|id| commits.get(id).cloned()),
            replaces: None,
            said: BTreeMap::new(),
            platforms: entries.collect(),
        };
        world.registry.publish(&index, &publication.tags);
        let line = Record::Publish(PublishRecord {
            id: format!("second-{}", publication.image),
            after: publication.after.clone(),
            image: publication.image.clone(),
            line: publication.line.clone(),
            commit: publication.commit.clone(),
            index: digest(&index.name),
            replaces: publication.expects.clone(),
            platforms,
            tags: publication.tags.clone(),
            promotes: None,
            run: "second".to_owned(),
            at: "2026-06-01T00:00:00Z".to_owned(),
        });
        world.notes.push(line.to_line());
    }
    world.scenario.staged.clear();
}

/// A pin once the parents are built.
fn settled(planned: &PlannedPin, applied: &Applied<'_>) -> Pin {
    let mut pins = match planned {
        PlannedPin::Known { pin, .. } => vec![pin.clone()],
        PlannedPin::Step {
            kind,
            reference,
            platform,
            target,
            ..
        } => vec![Pin {
            kind: *kind,
            reference: reference.clone(),
            platform: platform.clone(),
            index: None,
            manifest: applied.results.get(target).cloned(),
        }],
    };
    pin::sort(&mut pins);
    pins.remove(0)
}
