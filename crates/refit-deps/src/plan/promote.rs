//! The plan of `refit promote`: what a run has built, and did not publish, is published now.

use std::{collections::BTreeMap, sync::Arc};

use refit_oci::{Digest, ObjectId, Platform};
use refit_platform::Target;

use super::{
    Action, Plan, PlannedPin, Step,
    evaluate::{Evaluator, Role, Scope, Verdict},
};
use crate::{
    image::{EMBEDDED_HOST, Image},
    key::{Because, EngineKind},
    observe::{Answer, Ground, Relation, Resolved},
    pin::Pin,
    publication::Publication,
    reason::{Reason, StateKind},
    record::BuildRecord,
    scan::Triggers,
};

/// What is promoted.
#[derive(Clone, Debug, Default)]
pub struct PromoteOptions {
    /// What the run has built, by target.
    pub builds: BTreeMap<Target, BuildRecord>,
    /// The images of which something was released meanwhile that is no ancestor of what was built: the commit.
    pub newer: BTreeMap<String, ObjectId>,
}

/// The plan that publishes what a run has built: nothing is built for it, and what is published of an image that has
/// moved on stays.
pub fn promote(ground: &Ground<'_>, options: PromoteOptions) -> Resolved<Plan> {
    let images = ground.inventory.images.iter();
    let of_run = |image: &&Image| {
        let mut targets = options.builds.keys();
        targets.any(|target| target.image == image.name)
    };
    let images: Vec<&Image> = images.filter(of_run).collect();
    let role = |image: &Image| {
        let lead = image.lead_tag();
        let heads = lead.map(|lead| {
            let heads = ground.records.heads(&image.name, &lead);
            heads.last().and_then(|head| head.commit.clone())
        });
        let mut builds = options.builds.iter();
        let build = builds.find(|(target, _)| target.image == image.name);
        let same = build.is_some_and(|(_, build)| Some(&build.commit) == heads.as_ref());
        // Another commit is a release: of all platforms, or none.
        if same { Role::Patch } else { Role::Release }
    };
    let roles = images.iter().map(|image| (image.name.clone(), role(image)));
    let scope = Scope {
        roles: roles.collect(),
        promoted: Some(options),
        ..Scope::default()
    };
    Evaluator::new(ground, scope).plan(&images)
}

impl Evaluator<'_> {
    /// The verdict on a target of a run that is promoted.
    pub(super) fn promoted(
        &self,
        image: &Image,
        platform: &Platform,
        options: &PromoteOptions,
    ) -> Option<Verdict> {
        let target = image.on(platform);
        let publication = self.publication(image)?;
        let published = match &*publication {
            Publication::Never => None,
            Publication::Ours(published) => Some(published),
            Publication::Other(kind) => {
                return Some(self.state(&image.name, None, kind.clone()));
            }
        };
        let manifest = published.and_then(|published| published.platforms.get(platform));
        let Some(build) = options.builds.get(&target) else {
            let stays =
                manifest.filter(|_| self.scope.roles.get(&image.name) == Some(&Role::Patch));
            return Some(match stays {
                Some(manifest) => Verdict::Kept(manifest.clone()),
                None => Verdict::Left,
            });
        };
        if let Some(commit) = options.newer.get(&image.name) {
            let commit = commit.clone();
            let newer = StateKind::NewerIsPublished { commit };
            return Some(self.state(&image.name, None, newer));
        }
        if manifest == Some(&build.manifest) {
            return Some(Verdict::Kept(build.manifest.clone()));
        }
        let broken = |message: String| {
            Some(self.state(&image.name, Some(platform), StateKind::Broken { message }))
        };
        let Some(commit) = &build.commit else {
            return broken("it was built from a working tree, of no commit".to_owned());
        };
        if let Err(kind) = self.is_on_the_line(image, commit)? {
            return Some(self.state(&image.name, None, kind));
        }
        if !self.is_there(image, &build.manifest)? {
            let (manifest, repository) = (build.manifest.short(), image.destination());
            return broken(format!("`{repository}` does not have {manifest} any more"));
        }
        let mut pins = Vec::new();
        for pin in &build.deps {
            match self.pin_of_run(image, pin, options)? {
                Ok(pin) => pins.push(pin),
                Err(message) => return broken(message),
            }
        }
        Some(Verdict::Step(Arc::new(Step {
            target,
            action: Action::Publish {
                manifest: build.manifest.clone(),
            },
            in_the_way: None,
            wave: 0,
            line: Some(self.line().to_owned()),
            commit: Some(commit.clone()),
            source: build.source.clone(),
            pins,
            triggers: Triggers::new(),
            // What another version calls differently was built all the same.
            engine: EngineKind::of(&build.engine).unwrap_or(EngineKind::Native),
            because: Because::Named,
            repository: image.destination().clone(),
            replaces: manifest.cloned(),
            no_cache: false,
            reasons: vec![Reason::Promoted {
                run: build.run.clone(),
            }],
        })))
    }

    /// Whether a commit is in the line's history.
    fn is_on_the_line(&self, image: &Image, commit: &ObjectId) -> Option<Result<(), StateKind>> {
        let gone = |message: String| Err(StateKind::ReleaseSourceGone { message });
        let short = commit.short();
        Some(match self.lookup.release(&image.name, Some(commit))? {
            Answer::Found(release) => match release.relation {
                Relation::Tip | Relation::Ancestor => Ok(()),
                Relation::Newer | Relation::Elsewhere => gone(format!(
                    "commit {short} is not in the history of `{}`",
                    self.line()
                )),
            },
            Answer::Missing => gone(format!("commit {short} has no image `{}`", image.name)),
            Answer::Failed(failure) => gone(failure.message.clone()),
        })
    }

    /// Whether a manifest is where it is published, or in the embedded store.
    fn is_there(&self, image: &Image, manifest: &Digest) -> Option<bool> {
        if let Answer::Found(_) = self.lookup.document(image.destination(), manifest)? {
            return Some(true);
        }
        let local = format!("{EMBEDDED_HOST}/{}", image.name).parse();
        let local = local.expect("an image's name is a repository component");
        let local = self.lookup.document(&local, manifest)?;
        Some(matches!(local, Answer::Found(_)))
    }

    /// A pin of what was built: a parent must be published, or be promoted as well.
    fn pin_of_run(
        &self,
        image: &Image,
        pin: &Pin,
        options: &PromoteOptions,
    ) -> Option<Result<PlannedPin, String>> {
        let ground = self.lookup.ground;
        let parent = ground
            .edges
            .parent_of_reference(&image.name, &pin.reference);
        let parent = parent.and_then(|parent| ground.inventory.image(parent.image));
        let known = |repository: &refit_oci::Repository| PlannedPin::Known {
            pin: pin.clone(),
            repository: repository.clone(),
            parent: parent.map(|parent| parent.name.clone()),
        };
        let Some(parent) = parent else {
            return Some(Ok(known(pin.reference.repository())));
        };
        if let Publication::Ours(published) = &*self.publication(parent)?
            && published.platforms.get(&pin.platform) == pin.manifest.as_ref()
        {
            return Some(Ok(known(parent.destination())));
        }
        let target = parent.on(&pin.platform);
        let of_run = options.builds.get(&target);
        if of_run.is_some_and(|build| Some(&build.manifest) == pin.manifest.as_ref())
            && let Verdict::Step(_) = self.target(parent, &pin.platform)?
        {
            return Some(Ok(PlannedPin::Step {
                kind: pin.kind,
                reference: pin.reference.clone(),
                platform: pin.platform.clone(),
                target,
                repository: parent.destination().clone(),
            }));
        }
        let manifest = pin.manifest.as_ref().map_or("nothing", Digest::short);
        Some(Err(format!(
            "it was built on {manifest} of `{}`, which is not published",
            parent.name
        )))
    }
}
