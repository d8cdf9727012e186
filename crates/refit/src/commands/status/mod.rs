//! `refit status`: how every target stands. Read-only; what cannot be reached is a state, not a failure.

mod rows;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use clap::Args;
use jiff::Timestamp;
use refit_deps::{
    plan::{Status, StatusRow, Word},
    reason::StateKind,
};

use super::{App, report};
use crate::{
    cli::{FormatArgs, TrustArgs},
    error::{CommandError, Exit},
    observe::{self, LastSweeps},
    packages::{self, Insides},
    project::Snapshot,
    summary,
    ui::{self, Format, Severity, count},
};

/// Show which images are stale, and why
///
/// Asks registries what the bases and the published images are now, and changes nothing. A target is stale once a
/// base on its platform is another one than what it was built on. What is fresh is shown with `-v`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit status\n  \
    refit status --exit-code || refit sweep\n  \
    refit status --trust-records       asks for the bases only\n  \
    refit status --packages            also what changed inside of the bases\n  \
    refit status --format json")]
pub(crate) struct StatusArgs {
    /// End with exit code 1 if a target is stale
    #[arg(long)]
    exit_code: bool,
    /// Also show the packages that changed inside of the bases that moved; reads their layers
    #[arg(long)]
    packages: bool,
    /// Append how everything stands to this file, as Markdown: for an issue that is kept current
    ///
    /// Its first line is `<!-- refit:status -->`, by which the issue is found again.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    summary: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(app: &App, args: &StatusArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let standing = observe::status(&project, args.trust.own_tags()).await?;
    app.ui.unreadable_notes(standing.damaged);
    let (status, tip) = (&standing.status, &standing.tip);
    let n_stale = status
        .rows
        .iter()
        .filter(|row| row.word == Word::Stale)
        .count();
    let insides = if args.packages {
        let moves = packages::moves(&status.plan);
        packages::compare(&project, &project.registries(), moves).await
    } else {
        Insides::new()
    };
    match args.format.format {
        Format::Json => {
            let view = view::view(&standing, n_stale);
            if args.packages {
                let mut document = serde_json::to_value(view).unwrap_or_default();
                packages::annotate(&mut document, &insides);
                app.ui.json(&document);
            } else {
                app.ui.json(&view);
            }
        }
        Format::Human => {
            rows::print(app, tip, status, n_stale);
            if let Some(said) = last_sweep(&standing.swept, app.environment.now()) {
                app.ui.data(&said);
            }
            packages::show(&app.ui, &insides);
        }
    }
    if let Some(path) = &args.summary {
        let text = summary::status(&standing, n_stale, app.environment.now());
        summary::append(&app.dir.join(path), &text)?;
    }
    for row in status.rows.iter().filter(|row| row.word == Word::Stale) {
        if let Some(place) = tip.base_place(&row.target) {
            let why: Vec<String> = row.reasons.iter().map(ui::reason).collect();
            let message = format!("{} is stale: {}", row.target, why.join("; "));
            app.ui.annotate(Severity::Warning, place, &message);
        }
    }
    let exit = report::snapshot(app, tip);
    if args.format.format == Format::Human {
        hints(app, tip, status, n_stale);
    }
    // What failed and is left alone for a while is stale all the same.
    let backs_off = |state: &StateKind| matches!(state, StateKind::BackingOff { .. });
    let mut said = status.rows.iter().flat_map(|row| &row.states);
    Ok(if args.exit_code && (n_stale > 0 || said.any(backs_off)) {
        Exit::Partial
    } else {
        exit
    })
}

/// `last sweep 3 hours ago`; a sweep without anything to do is recorded once an hour.
fn last_sweep(swept: &LastSweeps, now: Timestamp) -> Option<String> {
    let (other, at) = swept.last()?;
    let of = other.map_or_else(String::new, |line| format!(" of `{line}`"));
    Some(format!("last sweep{of} {}", ui::age(at, now)))
}

/// Says what nobody patches yet, and how that is changed.
fn adoptable(app: &App, status: &Status) {
    let is_adoptable = |state: &&StateKind| matches!(state, StateKind::Adoptable { .. });
    let others: BTreeSet<&str> = status
        .rows
        .iter()
        .filter(|row| row.states.iter().any(|state| is_adoptable(&state)))
        .map(|row| row.target.image.as_str())
        .collect();
    if others.is_empty() {
        return;
    }
    let images = count(others.len(), "image");
    let (were, them) = match others.len() {
        1 => ("was", "it"),
        _ => ("were", "them"),
    };
    app.ui.note(&format!(
        "{images} {were} published by another tool: no sweep patches {them} yet"
    ));
    app.ui.hint(&format!(
        "run `refit adopt --dry-run` to see what is known of {them}"
    ));
    let unknown: BTreeSet<&str> = status
        .rows
        .iter()
        .filter(|row| {
            row.states
                .iter()
                .any(|s| matches!(s, StateKind::ReleaseSourceUnknown { .. }))
        })
        .map(|row| row.target.image.as_str())
        .collect();
    if !unknown.is_empty() {
        let hint = "`refit adopt IMAGE --source REV` says which commit was released";
        app.ui.hint(&ui::for_images(hint, &unknown));
    }
}

fn hints(app: &App, snapshot: &Snapshot, status: &Status, n_stale: usize) {
    if n_stale > 0 {
        app.ui.hint("run `refit sweep --dry-run` to see the plan");
    }
    adoptable(app, status);
    let unpublished = |row: &StatusRow| row.word == Word::Reported("unpublished");
    if !status.rows.is_empty() && status.rows.iter().all(unpublished) {
        if !snapshot.inventory.configured {
            app.ui.hint("run `refit init` to write the configuration");
        }
        app.ui.hint("run `refit build --push` to publish");
        return;
    }
    let mut hints: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for row in status.rows.iter().filter(|row| !unpublished(row)) {
        if let Some(hint) = rows::said(row).and_then(ui::hint) {
            hints.entry(hint).or_default().insert(&row.target.image);
        }
    }
    for (hint, images) in &hints {
        app.ui.hint(&ui::for_images(hint, images));
    }
}
