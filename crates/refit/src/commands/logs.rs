//! `refit logs`: what builds printed.

use clap::Args;
use refit_logs::{Archive, Line, LogReader, Outcome, RunRecord, TargetRecord};
use serde::Serialize;

use super::App;
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    ui::{DIM, Format, age},
};

/// Show what the builds of a run or image printed
///
/// Without an argument, of the newest run; of an image or target, the newest run in which it printed something: a later
/// one may only have taken what was built before. A run may be named by the first or last characters of its id.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit logs\n  \
    refit logs web                     the newest output of an image\n  \
    refit logs web@linux/arm64 --tail 20\n  \
    refit logs 01JDM9Z2ZKQ8ZV0X3R5T7W9Y1B --timestamps")]
pub(crate) struct LogsArgs {
    /// A run's id, an image, or a target such as `web@linux/arm64`
    #[arg(value_name = "RUN|IMAGE")]
    what: Option<String>,
    /// Only the last lines of each target
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// Say when each line was printed
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
    let targets = in_order(&targets);
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
            let age = age(run.started, app.environment.now());
            app.ui
                .note(&format!("run {}, a {}, {age}", run.id, run.kind.as_str()));
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
    let of_target = |target: &TargetRecord| target.target.split(' ').next() == Some(what);
    let is_meant = |target: &TargetRecord| of_target(target) || image_of(target) == what;
    let mut with_target = runs.iter().filter_map(|run| {
        let meant = run.targets.iter().filter(|target| is_meant(target));
        let meant: Vec<&TargetRecord> = meant.collect();
        (!meant.is_empty()).then_some((run, meant))
    });
    let newest = with_target.next();
    // A run that only took what was built before has nothing to show.
    let with_output = newest.iter().cloned().chain(with_target);
    let mut with_output = with_output.filter(|(_, targets)| targets.iter().any(|t| has_output(t)));
    if let Some(found) = with_output.next().or(newest) {
        return Ok(found);
    }
    let id = what.to_ascii_uppercase();
    let named = |run: &&RunRecord| {
        let run = run.id.to_string();
        run == id || (id.len() >= 4 && (run.starts_with(&id) || run.ends_with(&id)))
    };
    let named: Vec<&RunRecord> = runs.iter().filter(named).collect();
    match named.as_slice() {
        [run] => Ok((run, run.targets.iter().collect())),
        [] => Err(unknown(runs, what)),
        many => {
            let ids: Vec<String> = many.iter().map(|run| format!("`{}`", run.id)).collect();
            Err(
                CommandError::new(format!("`{what}` may be any of {}", ids.join(", ")))
                    .hint("give more of the id"),
            )
        }
    }
}

/// Images in the order in which they began, the platforms of each by name: they are built at the same time.
fn in_order<'r>(targets: &[&'r TargetRecord]) -> Vec<&'r TargetRecord> {
    let first = |target: &TargetRecord| {
        let image = image_of(target);
        targets.iter().position(|other| image_of(other) == image)
    };
    let mut ordered = targets.to_vec();
    ordered.sort_by_key(|target| (first(target), target.target.clone()));
    ordered
}

fn image_of(target: &TargetRecord) -> &str {
    let name = &target.target;
    name.rsplit_once('@').map_or(name, |(image, _)| image)
}

fn unknown(runs: &[RunRecord], what: &str) -> CommandError {
    let error = CommandError::new(format!(
        "no run, and no image that was built here, is called `{what}`"
    ));
    let targets = runs.iter().flat_map(|run| &run.targets);
    match refit_deps::problem::nearest(what, targets.map(image_of)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`refit runs` lists the runs"),
    }
}

/// Whether anything was printed: an unfinished log counts.
fn has_output(target: &TargetRecord) -> bool {
    target.log.is_some() || target.part.is_some()
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
    let silence = match (has_output(target), target.outcome) {
        (true, _) => "",
        (false, Outcome::Succeeded) => ", no output: it was built before",
        (false, _) => ", no output",
    };
    let node = target.node.as_ref();
    let node = node.map_or_else(String::new, |node| format!(" on {node}"));
    app.ui.data(&format!(
        "{DIM}==>{DIM:#} {} ({} {style}{outcome}{style:#}{node}{silence})",
        target.target, target.action
    ));
    let mut says_why = false;
    for line in lines(archive, run, target, args.tail)? {
        let line = line?;
        says_why |= target.message.as_ref() == Some(&line.text);
        let at = line.at.filter(|_| args.timestamps);
        app.ui.data(&match at {
            Some(at) => format!("{DIM}{at:.3}{DIM:#} {}\n", line.text),
            None => format!("{}\n", line.text),
        });
        if app.ui.is_closed() {
            return Ok(());
        }
    }
    if let Some(message) = target.message.as_ref().filter(|_| !says_why) {
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
