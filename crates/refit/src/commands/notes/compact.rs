//! `refit notes compact`: history on fewer lines.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;
use clap::Args;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use refit_deps::record::{Cutoff, Folded, Live, Record, fold};
use refit_git::notes::{self, Batch, compacted};
use refit_oci::ObjectId;
use serde_json::json;

use super::App;
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    project::Project,
    ui::{Format, Table, count},
};

/// What is younger than this is not folded unless it is asked for.
const DAYS: i64 = 90;

/// Say what records say of long ago on fewer lines
///
/// Builds, publications and dependencies that are no longer what is published are folded, those with the same
/// dependencies together: nothing of them is lost, and `deps users` and `status` answer as before. Holds that have ended
/// and later sightings of the same digest are dropped. Replicas that still have the old lines come to the same notes
/// when they are united, whoever compacts first. Nothing is pushed: `refit notes push` does.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit notes compact --dry-run\n  \
    refit notes compact --before 2030-01-31")]
pub(crate) struct CompactArgs {
    /// What was recorded before this day, or time as RFC 3339 has it [default: 90 days ago]
    #[arg(long, value_name = "DATE")]
    before: Option<String>,
    /// Say what would be folded, and write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(app: &App, args: &CompactArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let cutoff = Cutoff {
        before: before(args.before.as_deref(), app.environment.now())?,
    };
    let plan = plan(&project, cutoff)?;
    if !args.dry_run && !plan.is_empty() {
        project.repo.notes_append(&batch(&plan))?;
    }
    show(app, args, cutoff, &plan);
    Ok(Exit::Fine)
}

/// A note that changes.
struct Note {
    on: ObjectId,
    /// Its lines as they are.
    lines: Vec<String>,
    images: BTreeSet<String>,
    folded: Folded,
}

fn plan(project: &Project, cutoff: Cutoff) -> Result<Vec<Note>, CommandError> {
    let live = Live::of(&project.records()?, cutoff);
    let all = project.repo.notes_all(notes::RECORDS)?;
    let notes = all.into_iter().filter_map(|(on, lines)| {
        let folded = fold(lines.iter().map(String::as_str), &live, cutoff)?;
        let dropped = folded.dropped.iter();
        let images = dropped.filter_map(|line| Some(Record::parse(line)?.image().to_owned()));
        Some(Note {
            images: images.collect(),
            on,
            lines,
            folded,
        })
    });
    Ok(notes.collect())
}

fn batch(plan: &[Note]) -> Batch {
    let notes = plan.iter().map(|note| {
        let dropped = note.folded.dropped.iter().map(String::as_str);
        let mut lines: BTreeSet<String> = note.folded.added.iter().cloned().collect();
        lines.insert(compacted(&note.lines, dropped));
        (note.on.clone(), lines)
    });
    Batch {
        records: notes.collect(),
        sentences: BTreeMap::new(),
        message: "refit: compact".to_owned(),
    }
}

fn show(app: &App, args: &CompactArgs, cutoff: Cutoff, plan: &[Note]) {
    if args.format.format == Format::Json {
        let notes = plan.iter().map(|note| {
            let (from, to) = note.folded.sizes();
            json!({
                "annotated": note.on, "images": note.images, "lines": note.folded.dropped.len(),
                "folded": note.folded.n_folded, "bytes": from, "bytes_after": to,
            })
        });
        app.ui.json(&json!({
            "format_version": 1, "before": cutoff.before.to_string(), "dry_run": args.dry_run,
            "notes": notes.collect::<Vec<_>>(),
        }));
        return;
    }
    let mut table = Table::new();
    for note in plan {
        let (from, to) = note.folded.sizes();
        let names: Vec<&str> = note.images.iter().map(String::as_str).collect();
        let cells = vec![
            names.join(", "),
            note.on.short().to_owned(),
            count(note.folded.dropped.len(), "line"),
            format!("{from} → {to} bytes"),
        ];
        table.row(cells, Style::new());
    }
    app.ui.table(&table);
    let n_lines = plan.iter().map(|note| note.folded.dropped.len()).sum();
    let day = cutoff.before.strftime("%Y-%m-%d");
    app.ui.note(&match (plan, args.dry_run) {
        ([], _) => format!("nothing from before {day} is to be folded"),
        (_, true) => format!(
            "{} from before {day} would be folded",
            count(n_lines, "line")
        ),
        (_, false) => format!("{} from before {day} are folded", count(n_lines, "line")),
    });
}

/// A day in UTC, or a time; in the past, so that no hold that still holds is over by it.
fn before(text: Option<&str>, now: Timestamp) -> Result<Timestamp, CommandError> {
    let Some(text) = text else {
        return Ok(now - jiff::SignedDuration::from_hours(24 * DAYS));
    };
    let date = || -> Option<Timestamp> {
        let date: Date = text.parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let Some(time) = text.parse().ok().or_else(date) else {
        return Err(CommandError::new(format!("`{text}` is no date"))
            .hint("give it as `2030-01-31` or `2030-01-31T12:00:00Z`"));
    };
    if time > now {
        return Err(CommandError::new(format!("`{text}` is still to come")));
    }
    Ok(time)
}
