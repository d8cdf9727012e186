//! Walks over stages: cycles, what a target reaches, its chain of bases.

use std::collections::BTreeSet;

use super::{links::Linked, stages::Base};
use crate::{SyntaxError, model::Dockerfile};

/// Refuses stages that copy from or mount each other in a circle, reached or not.
pub(super) fn refuse_cycles(
    file: &Dockerfile,
    links: &[Vec<Linked<'_>>],
) -> Result<(), SyntaxError> {
    // Without an edge to itself or a later stage there is no circle; and every circle has one.
    let mut done = vec![false; links.len()];
    for start in 0..links.len() {
        // The stages on the way from `start`, each with the place of its next link.
        let mut path = vec![(start, 0)];
        let mut on_path = BTreeSet::from([start]);
        while let Some((stage, next)) = path.last_mut() {
            let (at, link) = (*stage, links[*stage].get(*next));
            *next += 1;
            let Some(link) = link.filter(|_| !done[at]) else {
                done[at] = true;
                on_path.remove(&at);
                path.pop();
                continue;
            };
            let Some(to) = link.stage() else { continue };
            if on_path.contains(&to) {
                let message = if to == at {
                    "a stage cannot use itself".to_owned()
                } else {
                    format!(
                        "stages use each other in a circle, by `{}`",
                        link.written.value
                    )
                };
                let span = link.written.span.clone();
                return Err(SyntaxError::new(&file.text, span, message));
            }
            if !done[to] {
                on_path.insert(to);
                path.push((to, 0));
            }
        }
    }
    Ok(())
}

/// What is reached so far, and what of it is not yet looked at.
pub(super) struct Reach {
    seen: BTreeSet<usize>,
    open: Vec<usize>,
}

impl Reach {
    pub(super) fn new(target: usize) -> Self {
        Self {
            seen: BTreeSet::from([target]),
            open: vec![target],
        }
    }

    /// The next stage to look at.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.open.pop()
    }

    /// What that stage needs.
    pub(super) fn add(&mut self, base: Option<usize>, others: impl Iterator<Item = usize>) {
        for stage in others.chain(base) {
            if self.seen.insert(stage) {
                self.open.push(stage);
            }
        }
    }
}

/// The stage, its base, and so on; FROM sees only earlier stages, so it ends.
pub(super) fn chain(target: usize, bases: &[Base<'_>]) -> Vec<usize> {
    std::iter::successors(Some(target), |stage| bases[*stage].stage()).collect()
}
