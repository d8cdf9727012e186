//! Why a target is a step of a plan: the ways from it to what changed.

use refit_platform::Target;

use crate::{plan::Plan, reason::Reason};

/// More causes than anybody reads: a plan of many diamonds has no end of ways through it.
const MOST: usize = 500;

/// One reason of a target, and the reasons of the parent that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Whose reason it is.
    pub target: Target,
    /// The reason.
    pub reason: Reason,
    /// Why that parent is rebuilt.
    pub causes: Vec<Cause>,
}

/// All reasons of a target with their causes.
pub fn causes(plan: &Plan, target: &Target) -> Vec<Cause> {
    let mut left = MOST;
    below(plan, target, &mut left)
}

fn below(plan: &Plan, target: &Target, left: &mut usize) -> Vec<Cause> {
    let Some(step) = plan.step(target) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for reason in &step.reasons {
        let Some(rest) = left.checked_sub(1) else {
            break;
        };
        *left = rest;
        // A parent is built in an earlier wave, so this ends.
        let parent = match reason {
            Reason::ParentRebuilt { parent } => plan.step(parent).filter(|p| p.wave < step.wave),
            _ => None,
        };
        found.push(Cause {
            target: target.clone(),
            reason: reason.clone(),
            causes: parent.map_or_else(Vec::new, |parent| below(plan, &parent.target, left)),
        });
    }
    found
}

/// Every way from the target to a reason that has no further cause.
pub fn chains(causes: &[Cause]) -> Vec<Vec<&Cause>> {
    let mut chains = Vec::new();
    for cause in causes {
        if cause.causes.is_empty() {
            chains.push(vec![cause]);
        }
        for mut chain in self::chains(&cause.causes) {
            chain.insert(0, cause);
            chains.push(chain);
        }
    }
    chains
}
