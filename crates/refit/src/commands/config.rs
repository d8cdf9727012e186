//! `refit config check`: whether the configuration and the Dockerfiles can be used.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{App, report};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    project::Snapshot,
    ui::{Format, count},
};

/// Check the configuration
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    Check(CheckArgs),
}

/// Check `.config/refit.toml`, the user's configuration and every Dockerfile
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit config check\n  \
    refit config check --at main")]
pub(crate) struct CheckArgs {
    /// Check this revision instead of the working tree
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct CheckView<'a> {
    format_version: u32,
    images: usize,
    problems: Vec<ProblemView<'a>>,
    unlisted: &'a [String],
}

#[derive(Debug, Serialize)]
struct ProblemView<'a> {
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    hint: Option<&'a str>,
}

pub(crate) fn run(app: &App, verb: ConfigVerb) -> Result<Exit, CommandError> {
    let ConfigVerb::Check(args) = verb;
    let project = app.project()?;
    let snapshot = super::deps::snapshot(&project, args.at.as_deref())?;
    if args.format.format == Format::Json {
        app.ui.json(&view(&snapshot));
    }
    let exit = report::snapshot(app, &snapshot);
    let images = count(snapshot.inventory.images.len(), "image");
    app.ui.note(&match snapshot.problems.len() {
        0 => format!("{images}, nothing wrong"),
        n => format!("{images}, {}", count(n, "problem")),
    });
    Ok(exit)
}

fn view(snapshot: &Snapshot) -> CheckView<'_> {
    let problems = snapshot.problems.iter().map(|problem| ProblemView {
        file: &problem.file,
        line: problem.position.map(|(line, _)| line),
        column: problem.position.map(|(_, column)| column),
        message: &problem.message,
        hint: problem.hint.as_deref(),
    });
    CheckView {
        format_version: 1,
        images: snapshot.inventory.images.len(),
        problems: problems.collect(),
        unlisted: &snapshot.inventory.unlisted,
    }
}
