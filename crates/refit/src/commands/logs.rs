//! `refit logs`: what builds printed.

use clap::Args;
use refit_logs::{Archive, Line, LogReader, RunRecord, TargetRecord};
use serde::Serialize;

use super::App;
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    ui::{DIM, Format},
};

/// Show what the builds of a run or image printed
///
/// Without an argument the newest run. A run may be named by the first or last characters of its id.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit logs\n  \
    refit logs web                     the newest build of an image\n  \
    refit logs web@linux/arm64 --tail 20\n  \
    refit logs 01JDM9Z2ZKQ8ZV0X3R5T7W9Y1B")]
pub(crate) struct LogsArgs {
    /// A run's id, an image, or a target such as `web@linux/arm64`
    #[arg(value_name = "RUN|IMAGE")]
    what: Option<String>,
    /// Only the last lines of each target
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// When each line was printed
    #[arg(long)]
    timestamps: bool,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct LogsView<'a> {
    format_version: u32,
    run: String,
    targets: Vec<TargetView<'a>>,
}

#[derive(Debug, Serialize)]
struct TargetView<'a> {
    #[serde(flatten)]
    target: &'a TargetRecord,
    lines: Vec<LineView>,
}

#[derive(Debug, Serialize)]
struct LineView {
    at: Option<String>,
    text: String,
}

pub(crate) fn run(app: &App, args: &LogsArgs) -> Result<Exit, CommandError> {
    let archive = app.project()?.archive();
    let (runs, _) = archive.runs()?;
    if runs.is_empty() {
        return Err(CommandError::new("nothing was built or swept here yet"));
    }
    let (run, targets) = select(&runs, args.what.as_deref())?;
    match args.format.format {
        Format::Json => {
            let mut views = Vec::new();
            for target in targets {
                let lines = lines(&archive, run, target, args.tail)?;
                let lines = lines.map(|line| {
                    line.map(|l| LineView {
                        at: l.at.map(|at| at.to_string()),
                        text: l.text,
                    })
                });
                views.push(TargetView {
                    target,
                    lines: lines.collect::<Result<_, _>>()?,
                });
            }
            app.ui.json(&LogsView {
                format_version: 1,
                run: run.id.to_string(),
                targets: views,
            });
        }
        Format::Human => {
            for target in &targets {
                print(app, args, &archive, run, target)?;
            }
            if targets.is_empty() {
                app.ui.note(&format!("run {} had no target", run.id));
            }
        }
    }
    Ok(Exit::Fine)
}

/// The run and those of its targets that are meant.
fn select<'r>(
    runs: &'r [RunRecord],
    what: Option<&str>,
) -> Result<(&'r RunRecord, Vec<&'r TargetRecord>), CommandError> {
    let newest = runs
        .first()
        .ok_or_else(|| CommandError::new("nothing was built or swept here yet"))?;
    let Some(what) = what else {
        return Ok((newest, newest.targets.iter().collect()));
    };
    let is_meant = |target: &TargetRecord| {
        target.target == what
            || target
                .target
                .rsplit_once('@')
                .is_some_and(|(image, _)| image == what)
    };
    for run in runs {
        let meant: Vec<_> = run
            .targets
            .iter()
            .filter(|target| is_meant(target))
            .collect();
        if !meant.is_empty() {
            return Ok((run, meant));
        }
    }
    let id = what.to_ascii_uppercase();
    let named = |run: &&RunRecord| {
        let run = run.id.to_string();
        run == id || (id.len() >= 4 && (run.starts_with(&id) || run.ends_with(&id)))
    };
    let named: Vec<&RunRecord> = runs.iter().filter(named).collect();
    match named.as_slice() {
        [run] => Ok((run, run.targets.iter().collect())),
        [] => Err(CommandError::new(format!(
            "no run, and no image that was built here, is called `{what}`"
        ))
        .hint("`refit runs` lists the runs")),
        many => {
            let ids: Vec<String> = many.iter().map(|run| format!("`{}`", run.id)).collect();
            Err(
                CommandError::new(format!("`{what}` may be any of {}", ids.join(", ")))
                    .hint("give more of the id"),
            )
        }
    }
}

fn print(
    app: &App,
    args: &LogsArgs,
    archive: &Archive,
    run: &RunRecord,
    target: &TargetRecord,
) -> Result<(), CommandError> {
    let style = super::runs::style(target.outcome);
    let outcome = target.outcome.as_str();
    app.ui.data(&format!(
        "{DIM}==>{DIM:#} {} ({} {style}{outcome}{style:#})",
        target.target, target.action
    ));
    for line in lines(archive, run, target, args.tail)? {
        let line = line?;
        let at = line.at.filter(|_| args.timestamps);
        app.ui.data(&match at {
            Some(at) => format!("{DIM}{at:.3}{DIM:#} {}\n", line.text),
            None => format!("{}\n", line.text),
        });
        if app.ui.is_closed() {
            return Ok(());
        }
    }
    if let Some(message) = &target.message {
        app.ui.data(&format!("{style}{message}{style:#}"));
    }
    Ok(())
}

type Lines = Box<dyn Iterator<Item = Result<Line, CommandError>>>;

fn lines(
    archive: &Archive,
    run: &RunRecord,
    target: &TargetRecord,
    tail: Option<usize>,
) -> Result<Lines, CommandError> {
    let unreadable =
        |error: std::io::Error| CommandError::new(format!("the log cannot be read: {error}"));
    let reader: Option<LogReader> = archive.target_log(run, &target.target)?;
    Ok(match (reader, tail) {
        (None, _) => Box::new(std::iter::empty()),
        (Some(reader), Some(n)) => {
            Box::new(reader.tail(n).map_err(unreadable)?.into_iter().map(Ok))
        }
        (Some(reader), None) => Box::new(reader.lines().map(move |line| line.map_err(unreadable))),
    })
}
