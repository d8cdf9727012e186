//! What is wrong with a Dockerfile, and where: line, column and span.

use std::{fmt, ops::Range};

/// A refusal that points into the text. A problem of the whole file has an empty span at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// A lowercase fragment without a period.
    pub message: String,
    /// The line it starts in, from 1.
    pub line: usize,
    /// The character in that line it starts at, from 1.
    pub column: usize,
    /// The bytes of the text it is about.
    pub span: Range<usize>,
    /// What helps, for a line of its own.
    pub hint: Option<String>,
}

/// The characters of a source line that fit a terminal.
const WINDOW: usize = 120;

impl SyntaxError {
    /// An error about `span` of `text`.
    pub(crate) fn new(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let (line, column) = position(text, span.start);
        Self {
            message: message.into(),
            line,
            column,
            span,
            hint: None,
        }
    }

    /// The same error with a hint.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// `file:3:6: message`, the source line and carets below what it is about; `text` is what was parsed.
    ///
    /// Control characters of the source are not passed on to the terminal, and a long line is cut to what is near.
    pub fn render(&self, file: &str, text: &str) -> String {
        let head = format!("{file}:{}:{}: {}", self.line, self.column, self.message);
        let Some(source) = text.split('\n').nth(self.line - 1) else {
            return head;
        };
        if self.span.is_empty() {
            return head;
        }
        let source = source.trim_end_matches('\r');
        let from = self.column.saturating_sub(1 + WINDOW / 2);
        let shown: Vec<char> = source.chars().skip(from).take(WINDOW).collect();
        let line: String = shown.iter().copied().map(printable).collect();
        let before = (self.column - 1 - from).min(shown.len());
        let pad: String = shown[..before].iter().map(|c| blank(*c)).collect();
        let marked = text.get(self.span.clone()).unwrap_or_default();
        let n_marked = marked.split('\n').next().unwrap_or_default();
        let n_marked = n_marked.trim_end().chars().count();
        let carets = "^".repeat(n_marked.min(shown.len() - before).max(1));
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let (left, right) = (
            if from > 0 { "…" } else { "" },
            if source.chars().count() > from + WINDOW {
                "…"
            } else {
                ""
            },
        );
        let shift = if from > 0 { " " } else { "" };
        format!("{head}\n  {number} | {left}{line}{right}\n  {gutter} | {shift}{pad}{carets}")
    }
}

fn printable(c: char) -> char {
    if c.is_control() && c != '\t' {
        '\u{fffd}'
    } else {
        c
    }
}

fn blank(c: char) -> char {
    if c == '\t' { '\t' } else { ' ' }
}

/// Line and column of a byte offset, both from 1, the column in characters.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let offset = (0..=offset.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    // A byte order mark is no column.
    let column = before[start..].chars().filter(|c| *c != '\u{feff}').count();
    (before.matches('\n').count() + 1, column + 1)
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for SyntaxError {}
