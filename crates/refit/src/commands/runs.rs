//! `refit runs`: what was built and swept here.

use anstyle::Style;
use clap::Args;
use refit_logs::{Outcome, RunRecord};
use serde::Serialize;

use super::App;
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit, chain},
    ui::{DIM, ERROR, Format, GOOD, Table, WARNING, age, count},
};

/// List the runs of builds and sweeps, newest first
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit runs\n  \
    refit runs -n 100 --format json")]
pub(crate) struct RunsArgs {
    /// How many to list; 0 is all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct RunsView<'a> {
    format_version: u32,
    runs: &'a [RunRecord],
}

pub(crate) fn run(app: &App, args: &RunsArgs) -> Result<Exit, CommandError> {
    let (mut runs, problems) = app.project()?.archive().runs()?;
    if args.limit > 0 {
        runs.truncate(args.limit);
    }
    for run in &mut runs {
        // What is built at the same time begins in any order.
        run.targets.sort_by(|a, b| a.target.cmp(&b.target));
    }
    match args.format.format {
        Format::Json => app.ui.json(&RunsView {
            format_version: 1,
            runs: &runs,
        }),
        Format::Human => app.ui.table(&table(app, &runs)),
    }
    for problem in &problems {
        app.ui.error(&chain(problem));
    }
    if runs.is_empty() && problems.is_empty() {
        app.ui.note("nothing was built or swept here yet");
    }
    Ok(if problems.is_empty() {
        Exit::Fine
    } else {
        Exit::Partial
    })
}

fn table(app: &App, runs: &[RunRecord]) -> Table {
    let now = app.environment.now();
    let mut table = Table::with_header(&["RUN", "KIND", "OUTCOME", "STARTED", "TARGETS"]);
    for run in runs {
        let cells = vec![
            run.id.to_string(),
            run.kind.as_str().to_owned(),
            run.outcome.as_str().to_owned(),
            age(run.started, now),
            targets(run),
        ];
        table.row(cells, style(run.outcome));
    }
    table
}

/// How an outcome looks.
pub(super) fn style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Succeeded => GOOD,
        Outcome::Failed => ERROR,
        Outcome::Interrupted => WARNING,
        Outcome::Running => Style::new(),
        Outcome::Skipped => DIM,
    }
}

/// `3 succeeded, 1 failed`.
fn targets(run: &RunRecord) -> String {
    if run.targets.is_empty() {
        return "none".to_owned();
    }
    let outcomes = [
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::Skipped,
        Outcome::Interrupted,
        Outcome::Running,
    ];
    // A test's output is a log of its own, and no target.
    let targets = run.targets.iter().filter(|t| t.action != "test");
    let targets: Vec<_> = targets.collect();
    let counted = outcomes.map(|outcome| {
        let of_outcome = targets.iter().filter(|t| t.outcome == outcome);
        (outcome, of_outcome.count())
    });
    let parts: Vec<String> = counted
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(outcome, n)| format!("{n} {}", outcome.as_str()))
        .collect();
    match parts.as_slice() {
        [_] => format!(
            "{} {}",
            count(targets.len(), "target"),
            parts[0].split_once(' ').map_or("", |(_, o)| o)
        ),
        _ => parts.join(", "),
    }
}
