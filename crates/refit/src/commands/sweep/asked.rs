//! What of a line a sweep is asked to plan.

use std::collections::BTreeSet;

use refit_deps::{
    config::RebuildFrom,
    image::Image,
    plan::{self, Plan, ReleaseOptions, SweepOptions},
};
use refit_oci::Reference;

use super::SweepArgs;
use crate::{error::CommandError, observe::Observer};

/// What is to be planned.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent choices of the command line"
)]
pub(super) struct Asked {
    /// Images by name; empty: all.
    pub(super) images: BTreeSet<String>,
    pub(super) base: Option<Reference>,
    pub(super) force: bool,
    pub(super) with_adoptable: bool,
    pub(super) checks: bool,
    pub(super) backs_off: bool,
    pub(super) queues: bool,
    pub(super) take_over: bool,
}

impl Asked {
    pub(super) fn of(args: &SweepArgs) -> Self {
        Self {
            images: args.images.iter().cloned().collect(),
            base: args.base.clone(),
            force: args.force,
            with_adoptable: args.dry_run,
            checks: true,
            backs_off: args.images.is_empty(),
            queues: args.images.is_empty(),
            take_over: args.take_over,
        }
    }

    /// The plan of a line, without the images that it may not write.
    pub(super) async fn plan(
        self,
        observer: &Observer<'_>,
        not_ours: &BTreeSet<String>,
    ) -> Result<Plan, CommandError> {
        let from_tip = observer.tip.inventory.sweep.rebuild_from() == RebuildFrom::Tip;
        let named = |image: &&Image| {
            if self.images.is_empty() {
                return !(from_tip && image.tags.is_empty());
            }
            self.images.contains(&image.name)
        };
        let images = observer.tip.inventory.images.iter().filter(named);
        let images = images.map(|image| image.name.clone());
        let images: BTreeSet<String> = images.filter(|name| !not_ours.contains(name)).collect();
        if images.is_empty() {
            return Ok(Plan::default());
        }
        if from_tip {
            let options = ReleaseOptions {
                images,
                push: true,
                patient: !self.force,
                backs_off: self.backs_off && !self.force,
                queues: self.queues,
                take_over: self.take_over,
                ..ReleaseOptions::default()
            };
            return observer
                .resolve(|ground| plan::release(ground, &options))
                .await;
        }
        let options = SweepOptions {
            images,
            base: self.base,
            force: self.force,
            with_adoptable: self.with_adoptable,
            checks: self.checks,
            backs_off: self.backs_off,
            queues: self.queues,
            take_over: self.take_over,
            ..SweepOptions::default()
        };
        observer
            .resolve(|ground| plan::sweep(ground, &options))
            .await
    }
}
