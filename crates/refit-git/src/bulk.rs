//! Many blobs at once, in the order in which packs hold them and on every core.
//!
//! An object of a pack is often told by the difference to one before it, that one by the difference to another, and so on
//! for dozens. In the order of the packs each is decoded once; in any other, most of them are decoded again and again.

use std::{collections::HashMap, fs, num::NonZero, path::Path, thread};

use gix::odb::pack::index::File as Index;

use crate::{GitError, Repo, id, tree};

/// Fewer are read as they come: to look where they lie costs more.
const SORTED_FROM: usize = 32;
/// Fewer are done before a thread has begun.
const THREADS_FROM: usize = 32;
/// Threads beyond this many wait for each other.
const MAX_THREADS: usize = 8;

/// What is made of each blob, by its number among those asked for, in their order.
pub(crate) fn blobs<T: Send>(
    git: &Repo,
    ids: &[gix::ObjectId],
    made: impl Fn(usize, Result<Vec<u8>, GitError>) -> T + Sync,
) -> Vec<T> {
    let order = in_pack_order(git, ids);
    each(
        &order,
        || git.handle(),
        |repo, at| made(at, tree::blob(repo, &id::ours(ids[at]))),
    )
}

/// Works through numbers below their count on every core, neighbours on one; the results are in the numbers' own order.
pub(crate) fn each<S, T: Send>(
    order: &[usize],
    begin: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    let n_threads = match order.len() {
        0..THREADS_FROM => 1,
        _ => thread::available_parallelism().map_or(1, NonZero::get),
    };
    let share = order.len().div_ceil(n_threads.min(MAX_THREADS)).max(1);
    let on = |share: &[usize]| -> Vec<(usize, T)> {
        let mut state = begin();
        let done = share.iter().map(|&at| (at, work(&mut state, at)));
        done.collect()
    };
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let on = &on;
        let mut shares = order.chunks(share);
        let own = shares.next().unwrap_or_default();
        let others: Vec<_> = shares.map(|share| scope.spawn(move || on(share))).collect();
        let mut done = on(own);
        for other in others {
            match other.join() {
                Ok(other) => done.extend(other),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, made)| made).collect()
}

/// The blobs' numbers in the order of where they lie; those that lie in no pack come last.
fn in_pack_order(git: &Repo, ids: &[gix::ObjectId]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    if ids.len() < SORTED_FROM {
        return order;
    }
    let repo = git.handle();
    let mut places: HashMap<usize, (usize, u64)> = HashMap::new();
    let mut folders = vec![repo.objects.store_ref().path().to_owned()];
    folders.extend(
        repo.objects
            .store_ref()
            .alternate_db_paths()
            .unwrap_or_default(),
    );
    let indexes = folders
        .iter()
        .flat_map(|folder| indexes(folder, repo.object_hash()));
    for (pack, index) in indexes.enumerate() {
        if places.len() == ids.len() {
            break;
        }
        for (at, id) in ids.iter().enumerate() {
            if let Some(found) = index.lookup(id) {
                let offset = index.pack_offset_at_index(found);
                places.entry(at).or_insert((pack, offset));
            }
        }
    }
    let last = (usize::MAX, 0);
    order.sort_by_key(|at| places.get(at).copied().unwrap_or(last));
    order
}

/// The indexes of an object database's packs. Where one cannot be read, reading its objects says so.
fn indexes(
    objects: &Path,
    hash: gix::hash::Kind,
) -> impl Iterator<Item = Index<impl gix::odb::pack::FileData>> {
    let files = fs::read_dir(objects.join("pack"))
        .into_iter()
        .flatten()
        .flatten();
    let paths = files.map(|file| file.path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "idx"))
        .filter_map(move |path| Index::at(path, hash).ok())
}
