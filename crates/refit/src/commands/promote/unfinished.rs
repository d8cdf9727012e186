//! Promotions that were recorded and whose tags did not come to move: they are moved now.

use std::collections::BTreeSet;

use refit_build::apply::{Applied, Published};
use refit_deps::{
    plan::Plan,
    record::{BuildRecord, PublishRecord, Records},
};
use refit_logs::RunId;
use refit_registry::Registries;

use crate::{commands::moved::Mover, error::CommandError, project::Snapshot, run::Ran};

/// Where tags are, and what is said of them.
pub(super) struct Site<'a> {
    pub(super) tip: &'a Snapshot,
    pub(super) records: &'a Records,
    pub(super) registries: &'a Registries,
    /// Whether tags move, or are only shown.
    pub(super) dry_run: bool,
}

/// Moves the tags of what was promoted before and is not where the record says, parents first: each with the run that
/// recorded it.
pub(super) async fn finish(
    site: &Site<'_>,
    builds: &[&BuildRecord],
) -> Result<Vec<Ran>, CommandError> {
    let mut finished = Vec::new();
    for head in decided(site, builds) {
        let head = &head;
        let image = site.tip.image(&head.image)?;
        let again = format!(
            "refit promote {}",
            head.promotes.as_deref().unwrap_or_default()
        );
        let mover = Mover::new(site.registries, site.records, (image, again))?;
        let holds = mover.lead_holds().await?;
        // Whoever moved it meanwhile is not written over; that is said where it is planned.
        if holds.as_ref() == Some(&head.index) || holds != head.replaces {
            continue;
        }
        let Ok(id) = head.run.parse::<RunId>() else {
            continue; // no run of ours has such an id
        };
        mover.is_whole(head).await?;
        let mut tags = mover.plan(holds.as_ref(), head).await;
        if !site.dry_run {
            mover.fill_further(head, &mut tags).await;
            mover.move_tags(holds.as_ref(), head, &mut tags).await?;
        }
        let published = Published {
            image: image.name.clone(),
            reference: Some(mover.lead().repository().at(&head.index)),
            previous: holds,
            tags,
            platforms: head.platforms.clone(),
            failed: None,
        };
        let applied = Applied {
            published: vec![published],
            ..Applied::default()
        };
        finished.push(Ran { id, applied });
    }
    Ok(finished)
}

/// Takes what a plan says of images that would be finished out of it, and of what is built on them: it knows their tags
/// as they are now.
pub(super) fn forget(plan: &mut Plan, unfinished: &[Ran], tip: &Snapshot) {
    let published = unfinished.iter().flat_map(|ran| &ran.applied.published);
    let images: BTreeSet<&str> = published.map(|p| p.image.as_str()).collect();
    let on_them = images.iter().flat_map(|image| tip.graph.descendants(image));
    let all: BTreeSet<&str> = images.iter().copied().chain(on_them).collect();
    plan.states
        .retain(|state| !all.contains(state.image.as_str()));
}

/// The last publication of each image, where it promotes what is asked for; in the order in which they were decided.
fn decided(site: &Site<'_>, builds: &[&BuildRecord]) -> Vec<PublishRecord> {
    let images: BTreeSet<(&str, &str)> = builds
        .iter()
        .map(|build| (build.image.as_str(), build.run.as_str()))
        .collect();
    let head = |(name, run): (&str, &str)| {
        let lead = site.tip.inventory.image(name)?.lead_tag()?;
        let heads = site.records.heads(name, &lead);
        let head = heads.last()?;
        (head.promotes.as_deref() == Some(run)).then(|| PublishRecord::clone(head))
    };
    let mut decided: Vec<PublishRecord> = images.into_iter().filter_map(head).collect();
    decided.sort_by(|a, b| (&a.at, &a.image).cmp(&(&b.at, &b.image)));
    decided
}
