//! What a story comes to, in the words that its file expects.

use refit_deps::{
    observe::{Ground, Resolved},
    plan::{self, Action, BaseCopy, Plan, PlannedPin, ReleaseOptions, SweepOptions},
    reason::{Level, Reason},
};
use refit_oci::{Digest, Reference};

use crate::{
    apply::{Applied, apply},
    format::{Expect, Scenario, short},
    world::World,
};

/// The plan of a story.
pub(crate) fn plan_of(ground: &Ground<'_>, scenario: &Scenario) -> Resolved<Plan> {
    let images = scenario.images.clone();
    let sweep = || SweepOptions {
        images: images.clone(),
        base: scenario.base.clone(),
        force: scenario.force,
        with_adoptable: scenario.with_adoptable,
        checks: true,
        backs_off: images.is_empty(),
        queues: images.is_empty(),
        take_over: scenario.take_over,
        ..SweepOptions::default()
    };
    let release = |push, patient| ReleaseOptions {
        images: images.clone(),
        dependents: scenario.dependents.clone(),
        push,
        take_over: scenario.take_over,
        patient,
        backs_off: patient && images.is_empty(),
        queues: patient && images.is_empty(),
    };
    match scenario.run.as_str() {
        "sweep" => {
            let whole = plan::sweep(ground, &sweep());
            let share = Some(1);
            let shared = plan::sweep(ground, &SweepOptions { share, ..sweep() });
            assert_eq!(told(whole.clone()), told(shared), "in shares");
            whole
        }
        "build" => plan::release(ground, &release(true, false)),
        "local" => plan::release(ground, &release(false, false)),
        "tip" => plan::release(ground, &release(true, true)),
        other => panic!("unknown run `{other}`"),
    }
}

/// All of a plan but how often it took to look.
fn told(mut resolved: Resolved<Plan>) -> String {
    if let Resolved::Done(plan) = &mut resolved {
        plan.n_evaluated = 0;
    }
    format!("{resolved:#?}")
}

pub(crate) fn outcome(world: &World) -> Expect {
    let expect = &world.scenario.expect;
    let (plan, asked) = world.resolve(|ground| plan_of(ground, &world.scenario));
    let words = Words { world };
    let states = plan.states.iter().map(|state| match &state.platform {
        Some(platform) => format!("{}@{platform} {}", state.image, state.kind.word()),
        None => format!("{} {}", state.image, state.kind.word()),
    });
    let applied = apply(&plan, &world.scenario.failed);
    let asked_for = |expected: Option<usize>, got| expected.map(|_| got);
    Expect {
        steps: plan.steps.iter().map(|step| words.step(step)).collect(),
        states: states.collect(),
        kept: said(expect.kept.as_ref(), || {
            plan.kept.iter().map(ToString::to_string).collect()
        }),
        moves: said(expect.moves.as_ref(), || words.moves(&plan)),
        unaffected: said(expect.unaffected.as_ref(), || words.unaffected(&plan)),
        seen: said(expect.seen.as_ref(), || {
            let seen = plan.seen.iter();
            seen.map(|s| format!("{} {}", s.reference.familiar(), words.name(&s.digest)))
                .collect()
        }),
        mirrors: said(expect.mirrors.as_ref(), || {
            let mirrors = plan.mirrors.iter();
            let copy = |copy: &BaseCopy| {
                let (from, manifest) = (copy.from.familiar(), words.name(&copy.manifest));
                format!("{from} {manifest} → {}", copy.to)
            };
            mirrors.map(copy).collect()
        }),
        without_cache: said(expect.without_cache.as_ref(), || {
            let fresh = plan.steps.iter().filter(|step| step.no_cache);
            fresh.map(|step| step.target.to_string()).collect()
        }),
        rebases: said(expect.rebases.as_ref(), || {
            let rebase = |step: &plan::Step| match (&step.action, &step.in_the_way) {
                (Action::Rebase(rebase), _) => {
                    let base = words.name(rebase.was.manifest.as_ref()?);
                    Some(format!("{} from {base}, {:?}", step.target, rebase.or_else))
                }
                (_, Some(why)) => Some(format!("{} not: {why}", step.target)),
                _ => None,
            };
            plan.steps.iter().filter_map(rebase).collect()
        }),
        unique_tags: said(expect.unique_tags.as_ref(), || {
            let tags = plan.publications.iter().flat_map(|p| &p.unique_tags);
            tags.map(Reference::familiar).collect()
        }),
        published: said(expect.published.as_ref(), || published(&applied)),
        skipped: said(expect.skipped.as_ref(), || {
            applied.skipped.iter().map(ToString::to_string).collect()
        }),
        tags_asked: asked_for(expect.tags_asked, asked.tags),
        documents_asked: asked_for(expect.documents_asked, asked.documents),
        configs_asked: asked_for(expect.configs_asked, asked.configs),
    }
}

/// What a story says something of.
fn said(expected: Option<&Vec<String>>, got: impl Fn() -> Vec<String>) -> Option<Vec<String>> {
    expected.map(|_| got())
}

struct Words<'w> {
    world: &'w World,
}

impl Words<'_> {
    fn name(&self, digest: &Digest) -> String {
        self.world.registry.name_of(digest)
    }

    fn step(&self, step: &plan::Step) -> String {
        let action = match &step.action {
            // `rebases` tells which.
            Action::Rebuild | Action::Rebase(_) => "rebuild".to_owned(),
            Action::Publish { manifest } => format!("publish {}", self.name(manifest)),
        };
        let reasons: Vec<String> = step.reasons.iter().map(|r| self.reason(r)).collect();
        let pins: Vec<String> = step.pins.iter().map(|p| self.pin(p)).collect();
        let (reasons, pins) = (reasons.join(", "), pins.join(", "));
        format!(
            "{} {action} {}: {reasons} | on {pins}",
            step.wave, step.target
        )
    }

    fn reason(&self, reason: &Reason) -> String {
        match reason {
            Reason::BaseChanged {
                reference,
                from,
                to,
                level,
                ..
            } => {
                let from = from
                    .as_ref()
                    .map_or_else(|| "nothing".to_owned(), |from| self.name(from));
                // Content is what everything is compared down to, if it can be had.
                let level = match level {
                    Level::Content => String::new(),
                    level => format!(" ({})", level.as_str()),
                };
                let name = reference.without_digest();
                let name = name.as_ref().unwrap_or(reference).familiar();
                format!("{name} {from} → {}{level}", self.name(to))
            }
            Reason::ParentRebuilt { parent } => format!("parent {parent}"),
            other => serde_json::to_value(other).unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned(),
        }
    }

    fn pin(&self, pin: &PlannedPin) -> String {
        match pin {
            PlannedPin::Known { pin, .. } => {
                let manifest = pin.manifest.as_ref();
                manifest.map_or_else(String::new, |manifest| self.name(manifest))
            }
            PlannedPin::Step { target, .. } => target.to_string(),
        }
    }

    fn moves(&self, plan: &Plan) -> Vec<String> {
        let moves = plan.publications.iter().map(|p| {
            let expects = p.expects.as_ref();
            let expects = expects.map_or_else(|| "nothing".to_owned(), |e| self.name(e));
            let kept: Vec<String> = p.kept.values().map(|kept| self.name(kept)).collect();
            let over = p.over.as_ref();
            let over = over.map(|kind| format!(", over {}", kind.word()));
            let over = over.unwrap_or_default();
            format!(
                "{} from {expects}, keeps [{}], after {}{over}",
                p.image,
                kept.join(", "),
                p.after.as_deref().unwrap_or("nothing")
            )
        });
        moves.collect()
    }

    fn unaffected(&self, plan: &Plan) -> Vec<String> {
        let unaffected = plan.unaffected.iter().map(|u| {
            let (from, to) = (self.name(&u.from), self.name(&u.to));
            let (target, base) = (&u.target, u.reference.familiar());
            format!("{target}: {base} {from} → {to} ({})", u.level.as_str())
        });
        unaffected.collect()
    }
}

fn published(applied: &Applied<'_>) -> Vec<String> {
    let published = applied.published.iter().map(|(publication, parts)| {
        let image = &publication.image;
        let parts = match parts {
            Ok(parts) => parts,
            Err(why) => return format!("{image}: {why}"),
        };
        let new = parts.new.keys().map(|p| format!("{} new", short(p)));
        let kept = parts.kept.keys().map(|p| format!("{} kept", short(p)));
        let parts: Vec<String> = new.chain(kept).collect();
        format!("{image}: {}", parts.join(", "))
    });
    published.collect()
}
