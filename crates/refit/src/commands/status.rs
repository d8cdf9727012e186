//! `refit status`: how every target stands. Read-only; what cannot be reached is a state, not a failure.

use std::collections::BTreeSet;

use anstyle::Style;
use clap::Args;
use refit_deps::{
    plan::{PlanView, Status, StatusRow, Word},
    reason::{Reason, StateKind},
};
use refit_dockerfile::Kind;
use refit_oci::Platform;
use refit_registry::Requests;
use serde::Serialize;
use serde_json::{Value, json};

use super::{App, report};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    observe,
    project::{Project, Snapshot},
    run,
    ui::{self, DIM, ERROR, Format, GOOD, Table, WARNING, count, platforms},
};

/// Show which images are stale, and why
///
/// Asks registries what the bases and the published images are now, and changes nothing. A target is stale once a
/// base on its platform is another one than what it was built on. What is fresh is shown with `-v`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit status\n  \
    refit status --exit-code || refit sweep\n  \
    refit status --format json")]
pub(crate) struct StatusArgs {
    /// End with exit code 1 if a target is stale
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct StatusView<'a> {
    format_version: u32,
    targets: Vec<TargetView<'a>>,
    states: Value,
    stale: usize,
    total: usize,
    requests: Value,
}

#[derive(Debug, Serialize)]
struct TargetView<'a> {
    target: String,
    image: &'a str,
    platform: &'a Platform,
    status: &'static str,
    reasons: &'a [Reason],
}

pub(crate) async fn run(app: &App, args: &StatusArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let snapshot = tip(&project)?;
    let (status, requests) = observe::status(&project).await?;
    let n_stale = status
        .rows
        .iter()
        .filter(|row| row.word == Word::Stale)
        .count();
    match args.format.format {
        Format::Json => app.ui.json(&view(&status, n_stale, requests)),
        Format::Human => print(app, &snapshot, &status, n_stale),
    }
    let exit = report::snapshot(app, &snapshot);
    if args.format.format == Format::Human {
        hints(app, &snapshot, &status, n_stale);
    }
    Ok(if args.exit_code && n_stale > 0 {
        Exit::Partial
    } else {
        exit
    })
}

/// What is asked about: the commit that is checked out, else the working tree.
fn tip(project: &Project) -> Result<Snapshot, CommandError> {
    match project.repo.head()? {
        refit_git::Head::Commit { id, .. } => project.at(&id),
        refit_git::Head::Unborn { .. } => project.working(),
    }
}

fn view(status: &Status, stale: usize, requests: Requests) -> StatusView<'_> {
    let targets = status.rows.iter().map(|row| TargetView {
        target: row.target.to_string(),
        image: &row.target.image,
        platform: &row.target.platform,
        status: row.word.as_str(),
        reasons: &row.reasons,
    });
    let plan = serde_json::to_value(PlanView::of(&status.plan, "release")).unwrap_or_default();
    StatusView {
        format_version: 1,
        targets: targets.collect(),
        states: plan.get("states").cloned().unwrap_or_else(|| json!([])),
        stale,
        total: status.rows.len(),
        requests: json!({ "head": requests.head, "get": requests.get }),
    }
}

/// Targets of one image that stand alike.
struct Group<'a> {
    image: &'a str,
    word: Word,
    platforms: BTreeSet<&'a Platform>,
    text: String,
}

fn print(app: &App, snapshot: &Snapshot, status: &Status, n_stale: usize) {
    let pad = status
        .rows
        .iter()
        .flat_map(|row| row.reasons.iter().filter_map(base_name))
        .map(|n| n.len())
        .max();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in status
        .rows
        .iter()
        .filter(|row| row.word != Word::Fresh || app.ui.is_verbose())
    {
        let text = text(snapshot, row, pad.unwrap_or(0));
        let image = row.target.image.as_str();
        let alike = |group: &&mut Group<'_>| {
            group.image == image && group.word == row.word && group.text == text
        };
        if let Some(group) = groups.iter_mut().find(alike) {
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
    groups.sort_by_key(|group| rank(group.word));
    let mut table = Table::new();
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
    app.ui.data(&table.render());
    if !status.rows.is_empty() {
        app.ui.data(&summary(n_stale, status.rows.len()));
    }
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
        Word::Reported("pinned" | "unreleased" | "held") => 2,
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

fn text(snapshot: &Snapshot, row: &StatusRow, pad: usize) -> String {
    if row.word == Word::Stale {
        let reasons: Vec<String> = row
            .reasons
            .iter()
            .map(|reason| reason_text(reason, pad))
            .collect();
        return reasons.join("; ");
    }
    match said(row) {
        Some(StateKind::Unpublished) | None => bases(snapshot, row),
        Some(state) => run::state_words(state).0,
    }
}

/// The state that a row's word is about.
fn said(row: &StatusRow) -> Option<&StateKind> {
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
            refit_dockerfile::FoundSource::Reference(reference) => ui::reference(reference),
            refit_dockerfile::FoundSource::InRepo(name) => format!("{name} of this repository"),
        },
    }
}

fn base_name(reason: &Reason) -> Option<String> {
    match reason {
        Reason::BaseChanged { reference, .. } => Some(ui::reference(reference)),
        _ => None,
    }
}

fn reason_text(reason: &Reason, pad: usize) -> String {
    match reason {
        Reason::BaseChanged {
            reference,
            from: Some(from),
            to,
            ..
        } => {
            format!(
                "{:pad$}  {} → {}",
                ui::reference(reference),
                from.short(),
                to.short()
            )
        }
        other => run::reason(other),
    }
}

fn hints(app: &App, snapshot: &Snapshot, status: &Status, n_stale: usize) {
    if n_stale > 0 {
        app.ui.hint("run `refit sweep --dry-run` to see the plan");
    }
    let unpublished = |row: &StatusRow| row.word == Word::Reported("unpublished");
    if !status.rows.is_empty() && status.rows.iter().all(unpublished) {
        if !snapshot.inventory.configured {
            app.ui.hint("run `refit init` to write the configuration");
        }
        app.ui.hint("run `refit build --push` to publish");
    }
    let hint = |row: &StatusRow| {
        let state = said(row).filter(|_| !unpublished(row))?;
        Some(
            run::state_words(state)
                .1?
                .replace("IMAGE", &row.target.image),
        )
    };
    let hints: BTreeSet<String> = status.rows.iter().filter_map(hint).collect();
    for hint in &hints {
        app.ui.hint(hint);
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
        let reference = "debian:12-slim".parse().unwrap();
        let level = refit_deps::reason::Level::Manifest;
        let reason = Reason::BaseChanged {
            reference,
            level,
            from: Some(digest("1")),
            to: digest("9"),
        };
        assert_eq!(
            reason_text(&reason, 0),
            "debian:12-slim  111111111111 → 999999999999"
        );
    }
}
