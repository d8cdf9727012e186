//! Who builds what: each wave is spread over as many shards as there may be, by the runner that a platform needs.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use refit_oci::Platform;
use refit_platform::Target;

use super::{Place, PlanFile, file::PlannedStep};

/// Fewer shards than kinds of runners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the targets need {runners} kinds of runners, and there are to be {shards} shards")]
pub struct TooFew {
    /// How many kinds of runners are needed.
    pub runners: usize,
    /// How many shards there may be.
    pub shards: usize,
}

/// A job: a shard in one wave, with something to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Which.
    pub place: Place,
    /// The platform whose runner it needs.
    pub runner: Platform,
    /// How many targets it builds.
    pub targets: usize,
}

/// What is placed as one: a step, or in the last wave of jobs all that are built on each other.
struct Unit {
    runner: Platform,
    steps: Vec<usize>,
}

/// Gives each step its place. Up to the last wave of jobs a step's parents are in an earlier one, wherever they are
/// built; those of the plan's further waves are built in the last, by the shard that builds their parents there.
/// `runner` is the platform whose runner a target needs.
pub fn place(file: &mut PlanFile, runner: impl Fn(&Platform) -> Platform) -> Result<(), TooFew> {
    let (shards, last) = (file.shards.max(1), file.waves.max(1));
    for wave in 1..=last {
        let here: Vec<usize> = (0..file.steps.len())
            .filter(|at| file.steps[*at].wave.clamp(1, last) == wave)
            .collect();
        let units = units(&file.steps, &here, &runner);
        for (shard, unit) in spread(units, shards)? {
            for at in unit.steps {
                file.steps[at].place = Place { wave, shard };
            }
        }
    }
    Ok(())
}

/// The jobs that have something to do, in order.
pub fn jobs(file: &PlanFile, runner: impl Fn(&Platform) -> Platform) -> Vec<Job> {
    let mut jobs: BTreeMap<Place, Job> = BTreeMap::new();
    for step in &file.steps {
        let job = jobs.entry(step.place).or_insert_with(|| Job {
            place: step.place,
            runner: runner(&step.target.platform),
            targets: 0,
        });
        job.targets += 1;
    }
    jobs.into_values().collect()
}

/// Steps of one wave of jobs that are built on each other, together.
fn units(
    steps: &[PlannedStep],
    here: &[usize],
    runner: impl Fn(&Platform) -> Platform,
) -> Vec<Unit> {
    let by_target: HashMap<(&str, &Target), usize> = here
        .iter()
        .map(|at| ((steps[*at].line.as_str(), &steps[*at].target), *at))
        .collect();
    let mut near: HashMap<usize, Vec<usize>> = HashMap::new();
    for child in here {
        for parent in steps[*child].parents() {
            if let Some(parent) = by_target.get(&(steps[*child].line.as_str(), parent)) {
                near.entry(*child).or_default().push(*parent);
                near.entry(*parent).or_default().push(*child);
            }
        }
    }
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut units = Vec::new();
    for first in here {
        let mut of_unit = BTreeSet::new();
        let mut open = vec![*first];
        while let Some(at) = open.pop() {
            if seen.insert(at) {
                of_unit.insert(at);
                open.extend(near.get(&at).into_iter().flatten());
            }
        }
        if !of_unit.is_empty() {
            units.push(Unit {
                runner: runner(&steps[*first].target.platform),
                steps: of_unit.into_iter().collect(),
            });
        }
    }
    units
}

/// Each unit with its shard. A kind of runner gets shards by how much it has to build, and at least one.
fn spread(units: Vec<Unit>, shards: usize) -> Result<Vec<(usize, Unit)>, TooFew> {
    let mut kinds: BTreeMap<String, Vec<Unit>> = BTreeMap::new();
    for unit in units {
        kinds.entry(unit.runner.to_string()).or_default().push(unit);
    }
    if kinds.len() > shards {
        return Err(TooFew {
            runners: kinds.len(),
            shards,
        });
    }
    let mut kinds: Vec<(usize, Vec<Unit>)> = kinds.into_values().map(|units| (1, units)).collect();
    for _ in kinds.len()..shards {
        let load = |(n, units): &(usize, Vec<Unit>)| {
            let steps: usize = units.iter().map(|unit| unit.steps.len()).sum();
            steps.div_ceil(*n)
        };
        let fullest = kinds.iter_mut().filter(|(n, units)| *n < units.len());
        match fullest.max_by_key(|kind| load(kind)) {
            Some((n, _)) => *n += 1,
            None => break,
        }
    }
    let mut placed = Vec::new();
    let mut first = 1;
    for (n, mut units) in kinds {
        // The largest first, each to the shard with the least: sorted in a stable way, so that all agree.
        units.sort_by_key(|unit| std::cmp::Reverse(unit.steps.len()));
        let mut loads = vec![0; n];
        for unit in units {
            let at = (0..n).min_by_key(|at| loads[*at]).unwrap_or(0);
            loads[at] += unit.steps.len();
            placed.push((first + at, unit));
        }
        first += n;
    }
    Ok(placed)
}
