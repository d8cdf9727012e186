//! What is wrong with one file of the repository, beside the result for all the others.

use std::{fmt, ops::Range};

/// Something malformed in a file that a user wrote; the other files go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the repository's root.
    pub file: String,
    /// 1-based line and column, where there is one.
    pub position: Option<(usize, usize)>,
    /// What is wrong and what would be right.
    pub message: String,
    /// The line with the span underlined, for a terminal.
    pub excerpt: Option<String>,
    /// A way out, best a command.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of a whole file.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            position: None,
            message: message.into(),
            excerpt: None,
            hint: None,
        }
    }

    /// A problem at `span` (bytes) of `text`.
    pub fn at(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let start = floor_char_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[..start].matches('\n').count() + 1;
        let before = &text[line_start..start];
        let end = floor_char_boundary(text, span.end.min(line_end)).max(start);
        let width = text[start..end].chars().count().max(1);
        let number = line.to_string();
        let pad: String = before
            .chars()
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let source = text[line_start..line_end].trim_end_matches('\r');
        let excerpt = format!(
            "{number} | {source}\n{} | {pad}{}",
            " ".repeat(number.len()),
            "^".repeat(width)
        );
        Self {
            position: Some((line, before.chars().count() + 1)),
            excerpt: Some(excerpt),
            ..Self::of_file(file, message)
        }
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|i| text.is_char_boundary(*i))
        .unwrap_or(0)
}

impl fmt::Display for Problem {
    /// `file:line:column: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The known word nearest to a misspelt one, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (word.chars().count() / 3).max(1) + 1;
    known
        .into_iter()
        .map(|k| (distance(word, k), k))
        .filter(|(d, _)| *d <= bound)
        .min()
        .map(|(_, k)| k)
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_line_and_span() {
        let problem = Problem::at(
            "web/Dockerfile",
            "FROM a\nFORM é b\n",
            7..11,
            "unknown instruction `FORM`",
        );
        assert_eq!(
            problem.to_string(),
            "web/Dockerfile:2:1: unknown instruction `FORM`"
        );
        assert_eq!(problem.excerpt.unwrap(), "2 | FORM é b\n  | ^^^^");
    }

    #[test]
    fn a_span_outside_the_text_is_no_panic() {
        assert_eq!(Problem::at("f", "é", 1..9, "x").position, Some((1, 1)));
        assert_eq!(Problem::at("f", "", 5..9, "x").position, Some((1, 1)));
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        assert_eq!(
            nearest("platfroms", ["platforms", "tags"]),
            Some("platforms")
        );
        assert_eq!(nearest("tag", ["platforms", "tags"]), Some("tags"));
        assert_eq!(nearest("xyzzy", ["platforms", "tags"]), None);
    }
}
