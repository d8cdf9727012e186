//! `refit deps users` for people.

use std::collections::BTreeSet;

use anstyle::Style;
use jiff::Timestamp;
use refit_deps::{lineage::users::Use, problem::nearest, record::Records};
use refit_oci::{Platform, Reference};

use super::Referring;
use crate::{
    commands::App,
    project::Snapshot,
    ui::{self, DIM, GOOD, Table, count, platforms},
};

const TITLES: [&str; 8] = [
    "IMAGE",
    "PLATFORM",
    "KIND",
    "REFERENCE",
    "DIGEST",
    "COMMIT",
    "WHEN",
    "THROUGH",
];

/// A line for the targets of an image of which the same is to be said.
pub(super) fn table(snapshot: &Snapshot, now: &[Referring<'_>], uses: &[Use]) -> Table {
    let mut rows: Vec<([String; 7], Style, BTreeSet<&Platform>)> = Vec::new();
    let mut add = |cells: [String; 7], style: Style, platform: BTreeSet<_>| match rows
        .iter_mut()
        .find(|(there, ..)| *there == cells)
    {
        Some((_, _, platforms)) => platforms.extend(platform),
        None => rows.push((cells, style, platform)),
    };
    for of in uses {
        let short = |digest: &refit_oci::Digest| digest.short().to_owned();
        let mut through: Vec<String> = of.through.iter().map(|t| t.image.clone()).collect();
        through.dedup();
        let cells = [
            of.target.image.clone(),
            of.kind.to_owned(),
            ui::reference(&of.reference),
            of.digest.as_ref().map(short).unwrap_or_default(),
            of.commit
                .as_ref()
                .map(|c| c.short().to_owned())
                .unwrap_or_default(),
            when(of),
            through.join(", "),
        ];
        let style = if is_published(of) { GOOD } else { DIM };
        add(cells, style, BTreeSet::from([&of.target.platform]));
    }
    for of in now {
        let is_current = |platform: &Platform| {
            let of_target =
                |known: &&Use| known.target.image == of.image && known.target.platform == *platform;
            uses.iter().filter(of_target).any(is_published)
        };
        let missing: BTreeSet<&Platform> = of
            .platforms
            .iter()
            .copied()
            .filter(|p| !is_current(p))
            .collect();
        if missing.is_empty() {
            continue;
        }
        let reference: Option<Reference> = of.reference.parse().ok();
        let cells = [
            of.image.to_owned(),
            of.kind.to_owned(),
            reference.map_or_else(|| of.reference.clone(), |r| ui::reference(&r)),
            String::new(),
            String::new(),
            "in the Dockerfile, not published".to_owned(),
            of.through.join(", "),
        ];
        add(cells, Style::new(), missing);
    }
    let mut table = Table::with_header(&TITLES);
    for ([image, kind, reference, digest, commit, when, through], style, on) in rows {
        let all = snapshot.inventory.image(&image);
        let all = all.map_or(&[][..], |image| &image.platforms);
        let on = platforms(on, all);
        table.row(
            vec![image, on, kind, reference, digest, commit, when, through],
            style,
        );
    }
    table
}

/// Whether the records have it as what is published now.
pub(super) fn is_published(of: &Use) -> bool {
    of.published
        .as_ref()
        .is_some_and(|span| span.until.is_none())
}

fn when(of: &Use) -> String {
    match (&of.published, &of.manifest) {
        (Some(span), _) => match &span.until {
            Some(until) => format!("{} to {}", day(&span.from), day(until)),
            None => format!("since {}", day(&span.from)),
        },
        (None, Some(_)) => format!("built {}, not published", day(&of.built)),
        (None, None) => format!("recorded {}", day(&of.built)),
    }
}

/// `2026-11-22 10:00`, UTC. What is no time came from somebody else's hands.
fn day(at: &str) -> String {
    let time: Result<Timestamp, _> = at.parse();
    time.map_or_else(
        |_| "?".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

/// How many images, now and ever.
pub(super) fn summary(app: &App, now: &[Referring<'_>], uses: &[Use]) {
    let images = |names: BTreeSet<&str>| count(names.len(), "image");
    let published = uses.iter().filter(|of| is_published(of));
    let published = images(published.map(|of| of.target.image.as_str()).collect());
    let refer = images(now.iter().map(|of| of.image).collect());
    app.ui.note(&format!(
        "{published} published on it, {refer} built on it by the Dockerfiles"
    ));
}

/// Nothing was found: says so, and what may have been meant.
pub(super) fn nothing(app: &App, what: &str, snapshot: &Snapshot, records: &Records) {
    app.ui
        .note(&format!("no image here is or was built on `{what}`"));
    let recorded = refit_deps::lineage::users::known_digests(records);
    let recorded = recorded.into_values().flatten();
    let known = snapshot.graph.externals.iter().chain(recorded);
    let known: BTreeSet<String> = known
        .flat_map(|reference| [reference.familiar(), reference.repository().familiar()])
        .collect();
    match nearest(what, known.iter().map(String::as_str)) {
        Some(near) => app.ui.hint(&format!("did you mean `{near}`?")),
        None => app
            .ui
            .hint("`refit deps list` lists what the Dockerfiles refer to"),
    }
}
