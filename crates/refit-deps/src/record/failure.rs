//! Failures: what could not be built, and when it is worth trying again.

use jiff::{SignedDuration, Timestamp};
use refit_oci::{Digest, Platform};
use serde::{Deserialize, Serialize};

/// A target that a sweep could not build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// The image's name.
    pub image: String,
    /// The target's platform.
    pub platform: Platform,
    /// The line it was built for.
    pub line: Option<String>,
    /// The staging tag that it would have had: what was tried. On another base, or from another source, it is another.
    pub key: String,
    /// What kind of failure it was, by [`FailureClass`]'s words.
    pub class: String,
    /// How often in a row, from 1.
    pub count: u32,
    /// Until then no sweep tries it again, RFC 3339.
    pub not_before: String,
    /// The log's digest in the archive of whoever ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Digest>,
    /// The run's id.
    pub run: String,
    /// RFC 3339, UTC.
    pub at: String,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// An instruction failed, or the Dockerfile asks for what the engine can't do: it fails again until something
    /// changes outside, such as a package's mirror.
    Build,
    /// It took longer than the image's `timeout`.
    Timeout,
    /// Its `prepare` failed.
    Prepare,
    /// Its `test` failed.
    Test,
    /// Registries, the engine, the disk: it was not the Dockerfile's fault. What registries answer for a moment only
    /// was tried again already.
    Environment,
}

impl FailureClass {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Timeout => "timeout",
            Self::Prepare => "prepare",
            Self::Test => "test",
            Self::Environment => "environment",
        }
    }

    /// How long nothing is tried after the `count`th failure in a row: twice as long each time, up to less than a day,
    /// so that a nightly sweep tries each night. What was not the build's fault is tried by the very next sweep, once.
    pub fn back_off(self, count: u32) -> SignedDuration {
        let (first, longest, doubled) = match self {
            Self::Environment if count <= 1 => return SignedDuration::ZERO,
            Self::Environment => (
                SignedDuration::from_mins(15),
                SignedDuration::from_hours(4),
                count - 2,
            ),
            Self::Build | Self::Timeout | Self::Prepare | Self::Test => (
                SignedDuration::from_hours(1),
                SignedDuration::from_hours(22),
                count.saturating_sub(1),
            ),
        };
        let factor = 1_i32 << doubled.min(16);
        first.checked_mul(factor).unwrap_or(longest).min(longest)
    }
}

impl FailureRecord {
    /// When it is tried again; none if the record does not say, and then at once.
    pub fn until(&self) -> Option<Timestamp> {
        self.not_before.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_time_up_to_a_night() {
        let hours = |count| FailureClass::Build.back_off(count).as_hours();
        assert_eq!(
            [1, 2, 3, 5, 6, 40, u32::MAX].map(hours),
            [1, 2, 4, 16, 22, 22, 22]
        );
        let minutes = |count| FailureClass::Environment.back_off(count).as_mins();
        assert_eq!([0, 1, 2, 3, 9].map(minutes), [0, 0, 15, 30, 240]);
    }
}
