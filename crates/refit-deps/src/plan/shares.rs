//! Many images are evaluated by several threads, each for a share of them.

use std::{cell::RefCell, collections::btree_map::Entry, sync::Arc, thread};

use super::evaluate::{Evaluator, States};
use crate::image::Image;

/// How many images a share has at least: fewer are done before a thread runs.
const LEAST_SHARE: usize = 512;

impl Evaluator<'_> {
    /// Does `work` for all of `images`, share by share, and returns what it came to in their order. What is noted by the
    /// way is what one thread would have noted: it is added up in the same order, each thing once.
    pub(super) fn in_shares<T: Send>(
        &self,
        images: &[&Image],
        work: impl Fn(&Self, &[&Image]) -> T + Sync,
    ) -> Vec<T> {
        let share = self.scope.share.unwrap_or_else(|| {
            let n_threads = thread::available_parallelism().map_or(1, usize::from);
            images.len().div_ceil(n_threads).max(LEAST_SHARE)
        });
        // What is said of images that are built on themselves depends on where one begins.
        if share >= images.len() || !self.cyclic().is_empty() {
            return vec![work(self, images)];
        }
        let mut shares = images.chunks(share.max(1));
        let own = shares.next().unwrap_or_default();
        thread::scope(|threads| {
            let work = &work;
            let others: Vec<_> = shares
                .map(|share| {
                    let other = self.fork();
                    threads.spawn(move || (work(&other, share), other))
                })
                .collect();
            let mut all = vec![work(self, own)];
            for other in others {
                let (done, other) = other.join().expect("evaluating never panics");
                self.add(other);
                all.push(done);
            }
            all
        })
    }

    /// One that begins with what is known of publications.
    fn fork(&self) -> Self {
        let mut other = Self::new(self.lookup.ground, Arc::clone(&self.scope));
        other.publications.clone_from(&self.publications);
        other
    }

    /// Takes over what another one noted.
    fn add(&self, other: Self) {
        self.lookup.ask(other.lookup.take_needs());
        let n_evaluated = self.n_evaluated.get() + other.n_evaluated.get();
        self.n_evaluated.set(n_evaluated);
        self.publications
            .borrow_mut()
            .extend(other.publications.into_inner());
        merge_states(&self.states, other.states.into_inner());
        self.unaffected
            .borrow_mut()
            .extend(other.unaffected.into_inner());
        let mut seen = self.seen.borrow_mut();
        for (what, by) in other.seen.into_inner() {
            match seen.entry(what) {
                Entry::Vacant(first) => _ = first.insert(by),
                Entry::Occupied(mut known) if by < *known.get() => _ = known.insert(by),
                Entry::Occupied(_) => {}
            }
        }
    }
}

fn merge_states(into: &RefCell<States>, more: States) {
    let mut into = into.borrow_mut();
    more.all.into_iter().for_each(|state| into.add(state));
}
