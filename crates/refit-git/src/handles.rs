//! A pool of library handles, so that a shared `Repo` keeps the object caches warm on every thread.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use gix::odb::pack::cache::lru::MemoryCappedHashmap;

/// Handles beyond this many at rest are dropped.
const AT_REST: usize = 16;
/// Bytes of decoded objects that a handle remembers.
const OBJECT_CACHE: usize = 8 << 20;
/// Bytes of objects that others in a pack are told by the difference to: without them, each is decoded from the start of
/// its chain.
const PACK_CACHE: usize = 64 << 20;

/// One opened repository and its idle handles.
pub(crate) struct Pool {
    shared: gix::ThreadSafeRepository,
    idle: Mutex<Vec<gix::Repository>>,
}

/// A handle that returns to its pool.
pub(crate) struct Handle {
    pool: Arc<Pool>,
    repo: Option<gix::Repository>,
}

impl Pool {
    pub(crate) fn new(shared: gix::ThreadSafeRepository) -> Arc<Self> {
        Arc::new(Self {
            shared,
            idle: Mutex::default(),
        })
    }

    /// A handle nobody else will see: its in-memory configuration may be changed.
    pub(crate) fn private(&self) -> gix::Repository {
        self.shared.to_thread_local()
    }

    pub(crate) fn handle(self: &Arc<Self>) -> Handle {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let repo = idle.unwrap_or_else(|| {
            let mut repo = self.shared.to_thread_local();
            repo.object_cache_size_if_unset(OBJECT_CACHE);
            repo.objects
                .set_pack_cache(|| Box::new(MemoryCappedHashmap::new(PACK_CACHE)));
            repo
        });
        Handle {
            pool: Arc::clone(self),
            repo: Some(repo),
        }
    }
}

impl Deref for Handle {
    type Target = gix::Repository;

    fn deref(&self) -> &gix::Repository {
        self.repo.as_ref().expect("taken only on drop")
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut idle = self
            .pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if idle.len() < AT_REST {
            idle.extend(self.repo.take());
        }
    }
}
