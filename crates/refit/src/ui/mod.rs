//! The terminal: data on stdout, everything said about it on stderr. Nothing else in refit prints.

mod annotations;
mod code_quality;
mod states;
mod table;
mod words;

use std::{
    io::{self, ErrorKind, Write},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anstyle::{AnsiColor, Style};
use refit_deps::problem::Problem;
use serde::Serialize;

use crate::{environment::Terminal, error::CommandError};

pub(crate) use annotations::{Annotations, Place, Severity};
pub(crate) use states::{
    adopted, for_images, hint, reason, state_words, states, unaffected, widespread,
};
pub(crate) use table::Table;
pub(crate) use words::{
    age, count, cut, cut_in_the_middle, platforms, reference, sentence_list, width,
};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs: sorted and stable, with a format version.
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Color {
    /// On terminals, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much is said beside the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// Errors, warnings, hints and notes.
    #[default]
    Normal,
    /// Also what is fine.
    Verbose,
}

/// Red: what failed.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Yellow: what wants attention.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Cyan: what to do.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Green: what is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Grey: what stands beside.
pub(crate) const DIM: Style = Style::new().dimmed();

/// One JSON document, as every verb writes them.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("results have only string keys")
}

fn place(problem: &Problem) -> Place<'_> {
    Place {
        file: &problem.file,
        position: problem.position,
    }
}

/// Where results and remarks go.
#[derive(Debug)]
pub(crate) struct Ui {
    stdout: anstream::ColorChoice,
    stderr: anstream::ColorChoice,
    terminal: Terminal,
    verbosity: Verbosity,
    closed: AtomicBool,
    /// What was said of lines of files.
    remarks: Mutex<Vec<code_quality::Remark>>,
}

impl Ui {
    /// The terminal of this process.
    pub(crate) fn new(terminal: Terminal, color: Color, verbosity: Verbosity) -> Self {
        let choose = |is_terminal: bool| match color {
            Color::Always => anstream::ColorChoice::Always,
            Color::Auto if is_terminal && !terminal.no_color => anstream::ColorChoice::Always,
            Color::Auto | Color::Never => anstream::ColorChoice::Never,
        };
        Self {
            stdout: choose(terminal.stdout_width.is_some()),
            stderr: choose(terminal.stderr_width.is_some()),
            terminal,
            verbosity,
            closed: AtomicBool::new(false),
            remarks: Mutex::default(),
        }
    }

    /// How wide results may be; none if they go to a file or pipe.
    pub(crate) fn width(&self) -> Option<usize> {
        self.terminal.stdout_width
    }

    /// Whether `-v` was given.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }

    /// Whether the reader of stdout has gone: what still prints may stop.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Results as text; a line break is added where the text lacks one.
    pub(crate) fn data(&self, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut out = anstream::AutoStream::new(io::stdout().lock(), self.stdout);
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let written = write!(out, "{text}{end}").and_then(|()| out.flush());
        self.note_written(written);
    }

    /// Results as a table, no wider than the terminal where words can be moved to a next line.
    pub(crate) fn table(&self, table: &Table) {
        self.data(&table.render(self.terminal.stdout_width));
    }

    /// Results as one JSON document.
    pub(crate) fn json(&self, value: &impl Serialize) {
        self.data(&json(value));
    }

    /// Something failed; the work goes on.
    pub(crate) fn error(&self, message: &str) {
        self.remark("error", ERROR, message, Verbosity::Quiet);
    }

    /// Something wants attention.
    pub(crate) fn warning(&self, message: &str) {
        self.remark("warning", WARNING, message, Verbosity::Normal);
    }

    /// A command or setting that helps.
    pub(crate) fn hint(&self, message: &str) {
        self.remark("hint", HINT, message, Verbosity::Normal);
    }

    /// That so many notes are damaged: what is decided goes on without what they say.
    pub(crate) fn unreadable_notes(&self, n: usize) {
        if n > 0 {
            let n = count(n, "note");
            self.warning(&format!(
                "{n} can't be read: what else was held or rolled back is unknown"
            ));
            self.hint("`refit notes verify` names what is damaged");
        }
    }

    /// What was done, without a mark.
    pub(crate) fn note(&self, message: &str) {
        if self.verbosity >= Verbosity::Normal {
            self.stderr_line(message);
        }
    }

    /// What is about to be done, as a table without a mark.
    pub(crate) fn note_table(&self, table: &Table) {
        for line in table.render(self.terminal.stderr_width).lines() {
            self.note(line);
        }
    }

    /// The lines of a file that an error is about.
    pub(crate) fn excerpt(&self, excerpt: Option<&str>) {
        for line in excerpt.into_iter().flat_map(str::lines) {
            self.stderr_line(&format!("  {line}"));
        }
    }

    /// A problem of a file as an error, with the lines it is about.
    pub(crate) fn problem(&self, problem: &Problem) {
        self.error(&problem.to_string());
        self.below(problem);
        self.annotate(Severity::Error, place(problem), &problem.message);
    }

    /// The same where the command does its job nevertheless.
    pub(crate) fn problem_as_warning(&self, problem: &Problem) {
        self.warning(&problem.to_string());
        if self.verbosity >= Verbosity::Normal {
            self.below(problem);
        }
        self.annotate(Severity::Warning, place(problem), &problem.message);
    }

    /// Tells CI, where there is one, that something is to be said of a line of a file.
    pub(crate) fn annotate(&self, severity: Severity, place: Place<'_>, message: &str) {
        if let Some(annotations) = self.terminal.annotations {
            self.stderr_line(&annotations.command(severity, place, message));
        }
        let remark = code_quality::Remark::new(severity, place, message);
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        remarks.push(remark);
    }

    /// Adds what was said of lines of files to a report for GitLab.
    pub(crate) fn report(&self, path: &Path) {
        let remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = code_quality::write(path, &remarks) {
            self.warning(&format!("cannot write `{}`: {error}", path.display()));
        }
    }

    /// How a command ended without its result.
    pub(crate) fn command_error(&self, error: &CommandError) {
        for problem in &error.problems {
            self.problem(problem);
        }
        self.error(&error.message);
        for hint in &error.hints {
            self.hint(hint);
        }
    }

    fn below(&self, problem: &Problem) {
        self.excerpt(problem.excerpt.as_deref());
        if let Some(hint) = &problem.hint {
            self.hint(hint);
        }
    }

    fn remark(&self, mark: &str, style: Style, message: &str, from: Verbosity) {
        if self.verbosity >= from {
            self.stderr_line(&format!("{style}{mark}:{style:#} {message}"));
        }
    }

    fn stderr_line(&self, line: &str) {
        let mut err = anstream::AutoStream::new(io::stderr().lock(), self.stderr);
        // Nobody is left to be told that standard error can't be written.
        let _ = writeln!(err, "{line}");
    }

    fn note_written(&self, written: io::Result<()>) {
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Relaxed);
            }
            Err(error) => {
                if !self.closed.swap(true, Ordering::Relaxed) {
                    self.error(&format!("cannot write to standard output: {error}"));
                }
            }
        }
    }
}
