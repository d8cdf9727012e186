//! What the published manifest of a target is built on, and since when, by the records.

use jiff::Timestamp;
use refit_deps::{pin::Pin, record::Records};
use refit_oci::{Digest, ObjectId};
use refit_platform::Target;

use super::{instruction, is_reference};
use crate::{
    commands::deps::outline::Outline,
    project::Snapshot,
    ui::{self, age},
};

/// How the manifest came to be that was published last.
pub(super) struct Built {
    /// The manifest.
    pub(super) manifest: Digest,
    /// The commit that it was built from.
    pub(super) commit: Option<ObjectId>,
    /// When it was published first.
    pub(super) since: String,
    /// What it is built on, each with its line at the tip.
    pub(super) pins: Vec<(Pin, Option<String>)>,
}

/// None where no record knows.
pub(super) fn built(records: &Records, tip: &Snapshot, target: &Target) -> Option<Built> {
    let image = tip.inventory.image(&target.image)?;
    let lead = image.lead_tag()?;
    let heads = records.heads(&image.name, &lead);
    let manifest = heads.last()?.platforms.get(&target.platform)?;
    let builds = records.builds_of(&image.name, manifest);
    let build = builds.max_by(|a, b| a.at.cmp(&b.at))?;
    let publishes = records
        .publishes_of(&image.name, &lead)
        .filter(|publish| publish.platforms.get(&target.platform) == Some(manifest));
    let since = publishes.map(|publish| &publish.at).min()?;
    let resolved = tip.scans.target(&image.name, &target.platform);
    let place = |pin: &Pin| {
        let mut found = resolved.into_iter().flat_map(|resolved| &resolved.found);
        let found = found.find(|f| f.kind == pin.kind && is_reference(f, &pin.reference))?;
        Some(format!("{}:{}", image.dockerfile, found.line))
    };
    Some(Built {
        manifest: manifest.clone(),
        commit: build.commit.clone(),
        since: since.clone(),
        pins: build
            .deps
            .iter()
            .map(|pin| (pin.clone(), place(pin)))
            .collect(),
    })
}

impl Built {
    pub(super) fn outlines(&self, now: Timestamp) -> Vec<Outline> {
        let since = match self.since.parse::<Timestamp>() {
            Ok(then) => format!("published {}", age(then, now)),
            Err(_) => "published".to_owned(),
        };
        let commit = self.commit.as_ref();
        let commit = commit.map(|commit| format!("from commit {}", commit.short()));
        let published = Outline::new(since, anstyle::Style::new()).with(commit);
        let pins = self.pins.iter().map(|(pin, place)| {
            let digest = pin.manifest.as_ref();
            let place = place
                .as_ref()
                .map(|place| format!("{} at {place}", instruction(pin.kind)));
            Outline::new(
                format!("built on {}", ui::reference(&pin.reference)),
                anstyle::Style::new(),
            )
            .with(digest.map(|digest| digest.short().to_owned()))
            .with(place)
        });
        pins.chain([published]).collect()
    }
}
