//! What a rollback took back is not published again, neither by a patch nor by a release of the same source.

use refit_oci::{Digest, Platform};

use super::{
    PlannedPin,
    evaluate::{Candidate, Evaluator},
    onbuild::Whole,
};
use crate::{image::Image, publication::Published, reason::StateKind, source::SourceId};

/// What is about to be built in the place of what is published.
struct Successor<'s> {
    image: &'s Image,
    platform: &'s Platform,
    source: &'s SourceId,
    pins: &'s [PlannedPin],
}

impl Evaluator<'_> {
    /// An error is the state of a target whose build would come to what a rollback took back. The same source on other
    /// bases is something new for a patch; for a release that changes the source it is not.
    pub(super) fn not_taken_back(
        &self,
        (image, platform): (&Image, &Platform),
        published: Option<&Published>,
        whole: &Whole,
    ) -> Option<Result<(), StateKind>> {
        let record = published.and_then(|published| published.record.as_ref());
        let (Some(lead), Some(head), false) = (image.lead_tag(), record, self.scope.take_over)
        else {
            return Some(Ok(()));
        };
        let records = self.lookup.ground.records;
        let Some(rollback) = records.rolled_back(&image.name, &lead, head) else {
            return Some(Ok(()));
        };
        let next = Successor {
            image,
            platform,
            source: &whole.source,
            pins: &whole.pins,
        };
        let over = rollback.over.get(platform).into_iter().flatten();
        let over = self.built_from(&next, over)?;
        if over.is_empty() {
            return Some(Ok(()));
        }
        let current = rollback.platforms.get(platform);
        let is_current = !self.built_from(&next, current.into_iter())?.is_empty();
        if is_current && !self.compare(next.pins, &over)?.reasons.is_empty() {
            return Some(Ok(()));
        }
        let from = rollback.replaces.as_ref();
        let from = from.map_or_else(String::new, |from| format!(" from {}", from.short()));
        let reason = format!("rolled back{from} to {}", rollback.index.short());
        Some(Err(StateKind::Held { reason }))
    }

    /// The ways in which these manifests were built from its source.
    fn built_from<'d>(
        &self,
        next: &Successor<'_>,
        manifests: impl Iterator<Item = &'d Digest>,
    ) -> Option<Vec<Candidate<'_>>> {
        let mut found = Vec::new();
        for manifest in manifests {
            let built = self.candidates(next.image, next.platform, manifest)?;
            found.extend(built.into_iter().filter(|c| c.is_from(next.source)));
        }
        Some(found)
    }
}
