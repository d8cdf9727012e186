//! How a run is steered: how long a target may take, what becomes of the rest once one failed, what is said of failures.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use refit_deps::{
    plan::Step,
    record::{FailureClass, FailureRecord, Record},
};
use refit_oci::Digest;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::{Failed, Site};
use crate::engine::EngineError;

/// How long an image's targets may take each; none: as long as they take.
pub type Timeouts<'a> = &'a (dyn Fn(&str) -> Option<Duration> + Sync);

/// How often in a row what would have had a staging tag has failed before.
pub type Failures<'a> = &'a (dyn Fn(&str) -> u32 + Sync);

/// What a run's caller decides.
#[derive(Default)]
pub struct Control<'a> {
    fail_fast: bool,
    timeout: Option<Timeouts<'a>>,
    failures: Option<Failures<'a>>,
    /// Set once something failed.
    failed: AtomicBool,
    /// A permit for each target that may be built at the same time.
    turns: OnceLock<Semaphore>,
}

impl<'a> Control<'a> {
    /// The same, beginning nothing once a target failed.
    #[must_use]
    pub fn failing_fast(self, fail_fast: bool) -> Self {
        Self { fail_fast, ..self }
    }

    /// The same, with limits of time.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts<'a>) -> Self {
        Self {
            timeout: Some(timeouts),
            ..self
        }
    }

    /// The same, recording failures.
    #[must_use]
    pub fn recording(self, failures: Failures<'a>) -> Self {
        Self {
            failures: Some(failures),
            ..self
        }
    }

    /// Why nothing is begun any more.
    pub(super) fn stopped(&self) -> Option<String> {
        let stopped = self.fail_fast && self.failed.load(Ordering::Relaxed);
        stopped.then(|| "not begun: another target failed, and `--fail-fast` was given".to_owned())
    }

    /// Something failed.
    pub(super) fn note_failure(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Waits until fewer than `slots` targets are built. Others only move what is there, and wait for no turn.
    pub(super) async fn turn(&self, slots: usize) -> Option<SemaphorePermit<'_>> {
        let turns = self.turns.get_or_init(|| Semaphore::new(slots.max(1)));
        // Nobody closes it.
        turns.acquire().await.ok()
    }

    /// How long the image's targets may take.
    pub(super) fn timeout_of(&self, image: &str) -> Option<Duration> {
        self.timeout.and_then(|timeout| timeout(image))
    }
}

/// What of a target's time is not its own: until a node has a slot for it, and on nodes that went away.
#[derive(Default)]
pub(super) struct Waited {
    so_far: Mutex<(Duration, Option<Instant>)>,
}

impl Waited {
    /// Waits for something.
    pub(super) async fn during<T>(&self, waiting: impl Future<Output = T>) -> T {
        self.so_far().1 = Some(Instant::now());
        let done = waiting.await;
        let mut so_far = self.so_far();
        let waited = so_far
            .1
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        so_far.0 += waited;
        drop(so_far);
        done
    }

    /// This was for nothing.
    pub(super) fn add(&self, time: Duration) {
        self.so_far().0 += time;
    }

    fn total(&self) -> Duration {
        let (before, since) = *self.so_far();
        before + since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn so_far(&self) -> std::sync::MutexGuard<'_, (Duration, Option<Instant>)> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A build that takes too long is given up: what it holds goes with it, and the engine stops.
pub(super) async fn in_time<T>(
    step: &Step,
    waited: &Waited,
    site: &Site<'_>,
    build: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    let Some(timeout) = site.control.timeout_of(&step.target.image) else {
        return build.await;
    };
    within(timeout, waited, build).await.unwrap_or_else(|| {
        Err(Broken {
            class: FailureClass::Timeout,
            failed: Failed {
                message: format!("it took longer than its `timeout`, {}s", timeout.as_secs()),
                excerpt: None,
                hint: None,
            },
        })
    })
}

/// None if it takes longer, what it waits not counted.
async fn within<T>(limit: Duration, waited: &Waited, work: impl Future<Output = T>) -> Option<T> {
    let began = Instant::now();
    tokio::pin!(work);
    loop {
        let worked = began.elapsed().saturating_sub(waited.total());
        let left = limit.checked_sub(worked).filter(|left| !left.is_zero())?;
        if let Ok(done) = tokio::time::timeout(left, work.as_mut()).await {
            return Some(done);
        }
    }
}

/// A failure, and what kind it is.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What kind.
    pub class: FailureClass,
    /// In words.
    pub failed: Failed,
}

impl From<Failed> for Broken {
    /// What is not known to be the build's own fault is the world's.
    fn from(failed: Failed) -> Self {
        Self {
            class: FailureClass::Environment,
            failed,
        }
    }
}

/// The kind of an engine's failure.
pub(super) fn class_of(error: &EngineError) -> FailureClass {
    match error {
        EngineError::Refused(_) | EngineError::Failed { .. } | EngineError::Instruction { .. } => {
            FailureClass::Build
        }
        _ => FailureClass::Environment,
    }
}

/// The record of a failure, where they are recorded.
pub(super) fn record(
    step: &Step,
    key: String,
    (class, log): (FailureClass, Option<Digest>),
    site: &Site<'_>,
) -> Option<Record> {
    let before = site.control.failures?(&key);
    let count = before.saturating_add(1);
    let now = (site.clock)();
    Some(Record::Failure(FailureRecord {
        image: step.target.image.clone(),
        platform: step.target.platform.clone(),
        line: step.line.clone(),
        key,
        class: class.as_str().to_owned(),
        count,
        not_before: (now + class.back_off(count)).to_string(),
        log,
        run: site.run.id().to_string(),
        at: now.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_waited_is_not_of_the_limit() {
        let limit = Duration::from_millis(1);
        let waited = Waited::default();
        assert_eq!(waited.during(async { 1 }).await, 1);
        let never = within(limit, &waited, std::future::pending::<()>());
        assert_eq!(never.await, None);

        let work = async {
            // As on a node that is gone after an hour.
            waited.add(Duration::from_hours(1));
            let began = Instant::now();
            while began.elapsed() < 2 * limit {
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(within(limit, &waited, work).await, Some(()));
    }
}
