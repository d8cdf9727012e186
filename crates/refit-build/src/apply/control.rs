//! How a run is steered: how long a target may take, what becomes of the rest once one failed, what is said of failures.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use refit_deps::{
    plan::Step,
    record::{FailureClass, FailureRecord, Record},
};
use refit_oci::Digest;

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

    /// How long the image's targets may take.
    pub(super) fn timeout_of(&self, image: &str) -> Option<Duration> {
        self.timeout.and_then(|timeout| timeout(image))
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
