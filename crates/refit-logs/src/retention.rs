//! Which runs and logs may go: a plan first, then the deletion.

use std::collections::BTreeSet;

use jiff::Timestamp;
use refit_oci::Digest;

use crate::{Outcome, RunId, RunRecord};

/// What is kept: every run for which one of these holds, and every run that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// This many of the newest runs.
    pub newest: usize,
    /// The runs that started at this time or later; none if only the number counts.
    pub since: Option<Timestamp>,
}

/// What goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Oldest first.
    pub runs: Vec<RunId>,
    /// The logs that only these runs have.
    pub logs: Vec<Digest>,
}

impl Retention {
    /// Plans over all runs of an archive.
    pub fn plan(&self, runs: &[RunRecord]) -> Removal {
        let mut newest_first: Vec<&RunRecord> = runs.iter().collect();
        newest_first.sort_by_key(|run| std::cmp::Reverse(run.id));
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for (age, run) in newest_first.into_iter().enumerate() {
            let is_kept = age < self.newest
                || self.since.is_some_and(|since| run.started >= since)
                || run.outcome == Outcome::Running;
            if is_kept {
                kept.push(run);
            } else {
                gone.push(run);
            }
        }
        Removal {
            runs: gone.iter().rev().map(|run| run.id).collect(),
            logs: logs(&gone)
                .difference(&logs(&kept))
                .map(|log| (*log).clone())
                .collect(),
        }
    }
}

fn logs<'a>(runs: &[&'a RunRecord]) -> BTreeSet<&'a Digest> {
    let targets = runs.iter().flat_map(|run| &run.targets);
    targets.filter_map(|target| target.log.as_ref()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RunKind, TargetRecord};

    /// A run of that second, with these logs.
    fn run(second: i64, outcome: Outcome, logs: &[&str]) -> RunRecord {
        let started = Timestamp::from_second(second).unwrap();
        let target = |log: &&str| TargetRecord {
            target: (*log).to_owned(),
            action: "rebuild".to_owned(),
            outcome,
            log: Some(Digest::sha256(log.as_bytes())),
            manifest: None,
            message: None,
            part: None,
            node: None,
        };
        RunRecord {
            v: 1,
            id: RunId::new(started, [0; 10]),
            kind: RunKind::Build,
            started,
            finished: None,
            outcome,
            targets: logs.iter().map(target).collect(),
        }
    }

    #[test]
    fn what_neither_the_number_nor_the_time_keeps_goes() {
        let runs = [
            run(4, Outcome::Succeeded, &["d"]),
            run(1, Outcome::Interrupted, &["a"]),
            run(3, Outcome::Failed, &["c", "shared"]),
            run(2, Outcome::Succeeded, &["b", "shared"]),
            run(0, Outcome::Running, &["x"]),
        ];
        for (newest, since, runs_gone, logs_gone) in [
            (2, None, &[1, 2][..], &["a", "b"][..]),
            (9, None, &[], &[]),
            (0, None, &[1, 2, 3, 4], &["a", "b", "c", "d", "shared"]),
            (0, Some(2), &[1], &["a"]),
            (1, Some(3), &[1, 2], &["a", "b"]),
        ] {
            let since = since.map(|second| Timestamp::from_second(second).unwrap());
            let removal = Retention { newest, since }.plan(&runs);
            let seconds: Vec<i64> = removal
                .runs
                .iter()
                .map(|id| id.started().as_second())
                .collect();
            assert_eq!(seconds, runs_gone, "{newest} {since:?}");
            let mut expect: Vec<_> = logs_gone
                .iter()
                .map(|log| Digest::sha256(log.as_bytes()))
                .collect();
            expect.sort();
            assert_eq!(removal.logs, expect, "{newest} {since:?}");
        }
    }
}
