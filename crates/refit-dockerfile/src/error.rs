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
    /// The build argument that would help.
    pub build_arg: Option<String>,
}

/// The characters of a source line that fit a terminal.
const WINDOW: usize = 120;

impl SyntaxError {
    /// An error about `span` of `text`. What a message quotes of it keeps no control characters.
    pub(crate) fn new(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let (line, column) = position(text, span.start);
        Self {
            message: message.into().chars().map(printable).collect(),
            line,
            column,
            span,
            hint: None,
            build_arg: None,
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

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use crate::{parse, resolve::resolve_plainly};

    /// Every way to be wrong, as people see it.
    const WRONG: &[&str] = &[
        "",
        "# only a comment\n",
        "ARG X=1\n",
        "RUN x\nFROM a\n",
        "FROM a\nRUM x\n",
        "FROM a\nhello world\n",
        "FROM\n",
        "FROM a b\n",
        "FROM a AS\n",
        "FROM a AS b c\n",
        "FROM a AS 1st\n",
        "FROM a AS b/c\n",
        "FROM --platfrom=linux/amd64 a\n",
        "FROM --platform=linux/amd64 --platform=x a\n",
        "FROM --platform a\n",
        "FROM --platform=what/ever/it/is a\n",
        "ARG TAG\nFROM ${TAG}\n",
        "FROM debian:$TAG\nARG TAG=12\n",
        "ARG VERSION=1\nFROM $VERSOIN\n",
        "FROM ${X:=1}\n",
        "FROM \"a\n",
        "FROM a AS Base\nFROM Base\n",
        "FROM a:b:c/d\n",
        "# syntax=a\n# syntax=b\nFROM a\n",
        "# escape=x\nFROM a\n",
        "FROM a\nCOPY --from=$X a b\n",
        "FROM a\nCOPY --from=7 a b\n",
        "FROM a\nCOPY --from=Upper a b\n",
        "FROM a\nCOPY --from=0 a b\n",
        "FROM a AS x\nCOPY --from=y a b\nFROM b AS y\nFROM x\n",
        "FROM a AS x\nCOPY --from=y a b\nFROM b AS y\nCOPY --from=x a b\n",
        "FROM a\nADD --from=b a b\n",
        "FROM a\nCOPY a\n",
        "FROM a\nCOPY a <<E\nE\n",
        "FROM a\nCOPY [\"a\", 1]\n",
        "FROM a\nCOPY --chown=1 --chown=2 a b\n",
        "FROM a\nCOPY --link=maybe a b\n",
        "FROM a\nCOPY https://example.com/x y\n",
        "FROM a\nRUN <<E\nx\n",
        "FROM a\nRUN --mount=type=disk x\n",
        "FROM a\nRUN --mount=type=bind,from=$X x\n",
        "FROM a\nRUN --mount=typ=bind x\n",
        "FROM a\nRUN --mount=target x\n",
        "FROM a\nRUN --network=lan x\n",
        "FROM a\nENV x\n",
        "FROM a\nENV x=1 y\n",
        "FROM a\nENV =1\n",
        "FROM a\nLABEL\n",
        "FROM a\nUSER\n",
        "FROM a\nEXPOSE\n",
        "FROM a\nVOLUME [\"\"]\n",
        "FROM a\nSHELL sh -c\n",
        "FROM a\nSHELL []\n",
        "FROM a\nHEALTHCHECK\n",
        "FROM a\nHEALTHCHECK CMD\n",
        "FROM a\nHEALTHCHECK TRY x\n",
        "FROM a\nHEALTHCHECK --interval=soon CMD x\n",
        "FROM a\nONBUILD\n",
        "FROM a\nONBUILD FROM b\n",
        "FROM a AS b\nONBUILD RUM x\nFROM b\n",
        "FROM a\nWORKDIR ${X\n",
        "FROM a\n\tRUN \\\n\t\t--mount=type=disk \\\n\t\tx\n",
        "FROM a\nRUN é --x\nCOPY --from=É a b\n",
        "FROM a\nRUM \u{1b}[31m\n",
    ];

    #[test]
    fn errors_show_their_place() {
        let mut out = String::new();
        for text in WRONG {
            let result = parse(text).and_then(|file| resolve_plainly(&file));
            let error = result.map(drop).expect_err(text);
            writeln!(out, "{}", error.render("Dockerfile", text)).unwrap();
            if let Some(hint) = &error.hint {
                writeln!(out, "hint: {hint}").unwrap();
            }
            out.push('\n');
        }
        insta::with_settings!({ snapshot_path => "../../../snapshots/dockerfile", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("errors", out);
        });
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let long = "wé".repeat(300);
        let text = format!("FROM a\nCOPY --exclude={long} --fram=x y {long}\n");
        let error = parse(&text).unwrap_err();
        let rendered = error.render("D", &text);
        let lines: Vec<_> = rendered.lines().collect();
        assert_eq!(lines.len(), 3, "{rendered}");
        let shortest = |line: &&str| line.chars().count() < 150;
        assert!(lines.iter().all(shortest), "{rendered}");
        let column = lines[2].chars().position(|c| c == '^').unwrap();
        let pointed: String = lines[1].chars().skip(column).take(8).collect();
        assert_eq!(pointed, "--fram=x", "{rendered}");
    }
}
