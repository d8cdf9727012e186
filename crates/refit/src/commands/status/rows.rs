//! `refit status` for people: one line for the targets of an image that stand alike.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anstyle::Style;
use jiff::Timestamp;
use refit_deps::{
    plan::{Status, StatusRow, Word},
    reason::{Reason, StateKind},
};
use refit_dockerfile::{FoundSource, Kind};
use refit_oci::Platform;
use refit_platform::Target;

use crate::{
    commands::App,
    project::Snapshot,
    ui::{self, DIM, ERROR, GOOD, Table, WARNING, age, count, platforms},
};

/// Targets of one image that stand alike.
struct Group<'a> {
    image: &'a str,
    word: Word,
    platforms: BTreeSet<&'a Platform>,
    text: String,
}

/// Prints what is not as it should be; with `-v` everything.
pub(super) fn print(app: &App, snapshot: &Snapshot, status: &Status, n_stale: usize) {
    let pad = status
        .rows
        .iter()
        .flat_map(|row| row.reasons.iter().filter_map(base_name))
        .map(|n| n.len())
        .max();
    let shown = |row: &&StatusRow| row.word != Word::Fresh || app.ui.is_verbose();
    let widespread = ui::widespread(status.rows.iter().filter_map(said));
    let mut folded: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let now = app.environment.now();
    let facts = facts(status);
    for row in status.rows.iter().filter(shown) {
        let image = row.target.image.as_str();
        if let Some(StateKind::Unreachable { message, .. }) = said(row)
            && widespread.contains(message.as_str())
        {
            folded.entry(message).or_default().insert(image);
            continue;
        }
        let mut text = text(snapshot, row, pad.unwrap_or(0), now);
        if let Some(mark) = row.states.iter().find_map(ui::adopted) {
            text = format!("{text}  {mark}");
        }
        let fresh = Some(&row.target).filter(|_| row.word == Word::Fresh);
        let facts = fresh.and_then(|target| facts.get(target));
        for fact in facts.into_iter().flatten() {
            text = format!("{text}; {fact}");
        }
        // Rows are sorted: those of an image follow each other.
        let of_image = groups.iter_mut().rev().take_while(|g| g.image == image);
        let mut alike = of_image.filter(|group| group.word == row.word && group.text == text);
        if let Some(group) = alike.next() {
            group.platforms.insert(&row.target.platform);
        } else {
            let platforms = BTreeSet::from([&row.target.platform]);
            groups.push(Group {
                image,
                word: row.word,
                platforms,
                text,
            });
        }
    }
    // What is stale in the order in which it would be built.
    let mut waves: HashMap<&str, usize> = HashMap::new();
    for step in &status.plan.steps {
        let wave = waves.entry(&step.target.image).or_insert(step.wave);
        *wave = step.wave.min(*wave);
    }
    groups.sort_by_key(|group| (rank(group.word), waves.get(group.image)));
    let mut table = Table::new();
    for (message, images) in folded {
        let word = Word::Reported("unreachable");
        let images = count(images.len(), "image");
        let cells = [word.as_str(), &images, "", message];
        table.row(cells.map(str::to_owned).to_vec(), style(word));
    }
    for group in groups {
        let all = snapshot
            .inventory
            .image(group.image)
            .map_or(&[][..], |image| &image.platforms);
        let platforms = platforms(group.platforms, all);
        let cells = vec![
            group.word.as_str().to_owned(),
            group.image.to_owned(),
            platforms,
            group.text,
        ];
        table.row(cells, style(group.word));
    }
    app.ui.table(&table);
    if !status.rows.is_empty() {
        app.ui.data(&summary(n_stale, status.rows.len()));
    }
}

/// What moved without a change for the targets that are fresh.
fn facts(status: &Status) -> BTreeMap<&Target, Vec<String>> {
    let mut facts: BTreeMap<&Target, Vec<String>> = BTreeMap::new();
    for fact in &status.plan.unaffected {
        let of_target = facts.entry(&fact.target).or_default();
        of_target.push(ui::unaffected(fact));
    }
    facts
}

/// `2 of 7 targets are stale`.
fn summary(n_stale: usize, total: usize) -> String {
    let targets = count(total, "target");
    match n_stale {
        0 => format!("none of {targets} is stale"),
        1 => format!("1 of {targets} is stale"),
        n => format!("{n} of {targets} are stale"),
    }
}

/// Most pressing first.
fn rank(word: Word) -> u8 {
    match word {
        Word::Stale => 0,
        Word::Reported("pinned" | "unreleased" | "held" | "deferred") => 2,
        Word::Reported("unpublished") => 3,
        Word::Reported(_) => 1,
        Word::Fresh => 4,
    }
}

fn style(word: Word) -> Style {
    match rank(word) {
        0 => WARNING,
        1 => ERROR,
        4 => GOOD,
        _ => DIM,
    }
}

fn text(snapshot: &Snapshot, row: &StatusRow, pad: usize, now: Timestamp) -> String {
    if row.word == Word::Stale {
        let reasons: Vec<String> = row
            .reasons
            .iter()
            .map(|reason| reason_text(reason, pad, now))
            .collect();
        return reasons.join("; ");
    }
    match said(row) {
        Some(StateKind::Unpublished) | None => bases(snapshot, row),
        Some(state) => ui::state_words(state),
    }
}

/// The state that a row's word is about.
pub(super) fn said(row: &StatusRow) -> Option<&StateKind> {
    row.states
        .iter()
        .find(|state| row.word == Word::Reported(state.word()))
}

/// What the Dockerfile says, where nothing else is to be said.
fn bases(snapshot: &Snapshot, row: &StatusRow) -> String {
    let Some(resolved) = snapshot
        .scans
        .target(&row.target.image, &row.target.platform)
    else {
        return String::new();
    };
    let base = resolved.found.iter().find(|found| found.kind == Kind::Base);
    let Some(base) = base else {
        return "scratch".to_owned();
    };
    match snapshot.edges.parent(&row.target.image, base) {
        Some(parent) => format!("{} of this repository", parent.image),
        None => match &base.source {
            FoundSource::Reference(reference) => ui::reference(reference),
            FoundSource::InRepo(name) => format!("{name} of this repository"),
        },
    }
}

fn base_name(reason: &Reason) -> Option<String> {
    match reason {
        Reason::BaseChanged { reference, .. } => Some(ui::reference(reference)),
        _ => None,
    }
}

fn reason_text(reason: &Reason, pad: usize, now: Timestamp) -> String {
    match reason {
        Reason::BaseChanged {
            reference,
            from: Some(from),
            to,
            seen,
            ..
        } => {
            let age = seen.map_or_else(String::new, |seen| {
                format!("  ({})", age(seen, now).trim_end_matches(" ago"))
            });
            format!(
                "{:pad$}  {} → {}{age}",
                ui::reference(reference),
                from.short(),
                to.short()
            )
        }
        other => ui::reason(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_agrees_in_number() {
        assert_eq!(summary(0, 7), "none of 7 targets is stale");
        assert_eq!(summary(1, 1), "1 of 1 target is stale");
        assert_eq!(summary(2, 7), "2 of 7 targets are stale");
    }

    #[test]
    fn a_moved_base_reads_from_and_to() {
        let digest = |c: &str| format!("sha256:{}", c.repeat(64)).parse().unwrap();
        let reference: refit_oci::Reference = "debian:12-slim".parse().unwrap();
        let level = refit_deps::reason::Level::Manifest;
        let now: Timestamp = "2026-06-04T00:00:00Z".parse().unwrap();
        let said = |seen: Option<&str>| {
            let reason = Reason::BaseChanged {
                reference: reference.clone(),
                level,
                from: Some(digest("1")),
                to: digest("9"),
                seen: seen.map(|seen| seen.parse().unwrap()),
            };
            reason_text(&reason, 0, now)
        };
        assert_eq!(said(None), "debian:12-slim  111111111111 → 999999999999");
        assert_eq!(
            said(Some("2026-06-01T00:00:00Z")),
            "debian:12-slim  111111111111 → 999999999999  (3 days)"
        );
    }
}
