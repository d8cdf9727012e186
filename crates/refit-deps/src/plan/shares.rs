//! Many images are evaluated by several threads, each for a share of them.

use std::{cell::RefCell, collections::btree_map::Entry, sync::Arc, thread};

use hashbrown::HashMap;

use super::evaluate::{Evaluator, States};
use crate::image::Image;

/// How many images a share has at least: fewer are done before a thread runs.
const LEAST_SHARE: usize = 512;

impl Evaluator<'_> {
    /// Does `work` for all of `images`, share by share, parents before what is built on them: what a thread finds out of
    /// a parent is not found out again by others. What is noted by the way is what one thread would have noted, each
    /// thing once.
    pub(super) fn in_shares<T: Send>(
        &mut self,
        images: &[&Image],
        work: impl Fn(&Self, &[&Image]) -> T + Sync,
    ) -> Vec<T> {
        // What is said of images that are built on themselves depends on where one begins.
        if self.share_of(images) >= images.len() || !self.cyclic().is_empty() {
            return vec![work(self, images)];
        }
        let mut all = Vec::new();
        let mut few = Vec::new();
        for mut level in self.by_level(images) {
            // Those of one level need nothing of each other. Few of them are not worth a thread, nor is waiting for them.
            if self.share_of(&level) >= level.len() {
                few.append(&mut level);
                continue;
            }
            if !few.is_empty() {
                all.push(work(self, &std::mem::take(&mut few)));
            }
            all.extend(self.at_once(&level, &work));
        }
        if !few.is_empty() {
            all.push(work(self, &few));
        }
        all
    }

    /// How many of `images` a thread gets.
    fn share_of(&self, images: &[&Image]) -> usize {
        self.scope.share.unwrap_or_else(|| {
            let n_threads = thread::available_parallelism().map_or(1, usize::from);
            images.len().div_ceil(n_threads).max(LEAST_SHARE)
        })
    }

    /// Those on nothing of ours, those on them alone, and so on, by the Dockerfiles as they are now: where a released one
    /// is on another parent, that is evaluated when it is come to.
    fn by_level<'i>(&self, images: &[&'i Image]) -> Vec<Vec<&'i Image>> {
        let levels: HashMap<&str, usize> = self.lookup.ground.graph.levels().collect();
        let mut all: Vec<Vec<&Image>> = Vec::new();
        for image in images {
            let level = levels.get(image.name.as_str()).copied().unwrap_or_default();
            if all.len() <= level {
                all.resize_with(level + 1, Vec::new);
            }
            all[level].push(image);
        }
        all
    }

    /// Does `work` for shares of `images` at once, and returns what it came to in their order.
    pub(super) fn at_once<T: Send>(
        &mut self,
        images: &[&Image],
        work: &(impl Fn(&Self, &[&Image]) -> T + Sync),
    ) -> Vec<T> {
        self.share();
        let mut shares = images.chunks(self.share_of(images).max(1));
        let own = shares.next().unwrap_or_default();
        thread::scope(|threads| {
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

    /// One that knows what this one has shared.
    fn fork(&self) -> Self {
        let mut other = Self::new(self.lookup.ground, Arc::clone(&self.scope));
        other.shared = Arc::clone(&self.shared);
        other
    }

    /// Lets others know what was found out.
    pub(super) fn share(&mut self) {
        let own = self.own.take();
        // While a fork looks on, it is kept for later.
        match Arc::get_mut(&mut self.shared) {
            Some(shared) => shared.add(own),
            None => *self.own.get_mut() = own,
        }
    }

    /// Takes over what another one noted.
    fn add(&self, other: Self) {
        self.lookup.ask(other.lookup.take_needs());
        let n_evaluated = self.n_evaluated.get() + other.n_evaluated.get();
        self.n_evaluated.set(n_evaluated);
        drop(other.shared);
        self.own.borrow_mut().add(other.own.into_inner());
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
