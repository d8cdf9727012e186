//! What `stale-when` commands add to a verdict.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use refit_oci::{Digest, Platform};

use super::{
    PlannedPin,
    evaluate::{Candidate, Evaluator},
};
use crate::{
    check::{Check, CheckKey},
    image::Image,
    reason::{Reason, StateKind},
};

/// How long a rebuild that did not help is not tried again.
const RETRY_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What a check makes of a target that is fresh otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// It stays; a state says what there is to say.
    Fine,
    /// It is rebuilt.
    Stale,
}

impl Evaluator<'_> {
    /// Asks the image's command about a manifest that is built on what its dependencies resolve to. One that was
    /// rebuilt for failing the check within the last day, on the very same, would come out the same again: it is reported
    /// instead.
    pub(super) fn verdict_of_check(
        &self,
        image: &Image,
        platform: &Platform,
        manifest: &Digest,
        pins: &[PlannedPin],
    ) -> Option<Checked> {
        if !self.scope.checks || image.stale_when.is_empty() {
            return Some(Checked::Fine);
        }
        let key = CheckKey {
            image: image.name.clone(),
            platform: platform.clone(),
            repository: image.destination().clone(),
            manifest: manifest.clone(),
        };
        let state = match self.lookup.check(key)? {
            Check::Fine => return Some(Checked::Fine),
            Check::Stale if !self.rebuilt_for_its_check(image, platform, manifest, pins)? => {
                return Some(Checked::Stale);
            }
            Check::Stale => StateKind::CheckStillFails,
            Check::NotAccepted => StateKind::CheckNotAccepted,
            Check::Failed(message) => StateKind::CheckError {
                message: message.clone(),
            },
        };
        self.state(&image.name, Some(platform), state);
        Some(Checked::Fine)
    }

    fn rebuilt_for_its_check(
        &self,
        image: &Image,
        platform: &Platform,
        manifest: &Digest,
        pins: &[PlannedPin],
    ) -> Option<bool> {
        let builds = self.lookup.ground.records.builds_of(&image.name, manifest);
        let for_its_check = |word: &String| word == Reason::CheckFailed.word();
        let builds = builds
            .filter(|build| build.platform == *platform)
            .filter(|build| build.reasons.iter().any(for_its_check))
            .filter(|build| !self.is_long_ago(&build.at));
        for build in builds {
            let built = Candidate {
                source: Some(Cow::Borrowed(&build.source)),
                pins: Cow::Borrowed(&build.deps),
            };
            if self.compare(pins, &[built])?.reasons.is_empty() {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Whether what a build installs may have changed since, without any base having moved.
    fn is_long_ago(&self, at: &str) -> bool {
        let at: Option<Timestamp> = at.parse().ok();
        at.is_some_and(|at| self.lookup.ground.now.duration_since(at) >= RETRY_AFTER)
    }
}
