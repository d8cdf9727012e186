//! Physical lines to logical ones: continuations joined, comments inside them dropped, offsets kept.

use std::ops::Range;

use crate::SyntaxError;

/// The longest physical line that BuildKit's scanner takes, in bytes without the line feed.
const MAX_LINE: usize = 65_535;

/// The text and how far it is read.
pub(crate) struct Lines<'a> {
    text: &'a str,
    at: usize,
    /// The number of the next line, from 1.
    number: usize,
}

/// A physical line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Where it starts in the text.
    pub(crate) start: usize,
    /// Where its content ends, before any `\r` and `\n`.
    pub(crate) end: usize,
    /// With its line ending.
    pub(crate) raw: &'a str,
}

impl<'a> Line<'a> {
    /// The line without its ending.
    pub(crate) fn content(&self) -> &'a str {
        &self.raw[..self.end - self.start]
    }

    /// Its first character that is no blank is `#`.
    pub(crate) fn is_comment(&self) -> bool {
        self.content().trim_start().starts_with('#')
    }
}

/// A line with its continuations joined, and the way back from its offsets to those of the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logical {
    pub(crate) text: String,
    /// Pairs of an offset into `text` and the offset in the Dockerfile that it comes from, ascending.
    pieces: Vec<(usize, usize)>,
    /// The end of the last physical line's content.
    pub(crate) end: usize,
    /// The number of the first physical line, from 1.
    pub(crate) number: usize,
}

impl Logical {
    fn push(&mut self, piece: &str, start: usize) {
        self.pieces.push((self.text.len(), start));
        self.text.push_str(piece);
    }

    /// The offset in the Dockerfile of the byte at `offset`.
    pub(crate) fn source(&self, offset: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= offset);
        match piece.checked_sub(1).and_then(|i| self.pieces.get(i)) {
            Some((start, source)) => source + (offset - start),
            None => offset,
        }
    }

    /// The bytes of the Dockerfile from the first to the last byte of `range`.
    pub(crate) fn span(&self, range: Range<usize>) -> Range<usize> {
        let start = self.source(range.start);
        if range.is_empty() {
            return start..start;
        }
        start..self.source(range.end - 1) + 1
    }
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self {
            text,
            at,
            number: 1,
        }
    }

    /// Where the next line starts.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// The next physical line.
    pub(crate) fn physical(&mut self) -> Result<Option<Line<'a>>, SyntaxError> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let length = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        let raw = &rest[..length];
        let start = self.at;
        if raw.trim_end_matches('\n').len() > MAX_LINE {
            let message = format!("a line has more than {MAX_LINE} bytes");
            return Err(SyntaxError::new(self.text, start..start + length, message));
        }
        self.at += length;
        self.number += 1;
        let end = start + raw.trim_end_matches(['\r', '\n']).len();
        Ok(Some(Line { start, end, raw }))
    }

    /// The next logical line; blank lines and comments are passed over.
    pub(crate) fn logical(&mut self, escape: char) -> Result<Option<Logical>, SyntaxError> {
        while let Some(line) = self.physical()? {
            if line.is_comment() {
                continue;
            }
            let content = line.content().trim_start();
            let start = line.end - content.len();
            let (piece, mut continues) = continuation(content, escape);
            if piece.is_empty() && !continues {
                continue;
            }
            let mut logical = Logical::default();
            logical.push(piece, start);
            logical.end = line.end;
            logical.number = self.number - 1;
            while continues {
                let Some(line) = self.physical()? else { break };
                logical.end = line.end;
                // BuildKit warns of an empty continuation line, and drops it.
                if line.is_comment() || line.content().trim_start().is_empty() {
                    continue;
                }
                let (piece, more) = continuation(line.content(), escape);
                logical.push(piece, line.start);
                continues = more;
            }
            return Ok(Some(logical));
        }
        Ok(None)
    }
}

/// The line without the escape character that ends it, and whether there was one. BuildKit's regular expression: one
/// preceded by another does not count, blanks behind it do not matter.
fn continuation(line: &str, escape: char) -> (&str, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    match trimmed.strip_suffix(escape) {
        Some(piece) if !piece.ends_with(escape) => (piece, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logical(text: &str, escape: char) -> Vec<String> {
        let mut lines = Lines::new(text);
        let mut out = Vec::new();
        while let Some(line) = lines.logical(escape).unwrap() {
            out.push(line.text);
        }
        out
    }

    #[test]
    fn continuations_join_and_comments_between_them_vanish() {
        for (text, expect) in [
            ("A b\nC d", &["A b", "C d"][..]),
            ("A b \\\n  c\n", &["A b   c"]),
            ("A b \\  \t\nc\n", &["A b c"]),
            ("A b \\\r\n c\r\n", &["A b  c"]),
            ("A b \\\n# no\n   # neither \\\n c\n", &["A b  c"]),
            ("A b \\\n\n  \n c\n", &["A b  c"]),
            ("A b \\\\\nC d\n", &["A b \\\\", "C d"]),
            ("A b \\", &["A b "]),
            ("\\\nA b\n", &["A b"]),
            ("# x \\\nA b\n", &["A b"]),
            ("\n\n  A b\n", &["A b"]),
            ("\u{feff}A b\n", &["A b"]),
            ("", &[]),
            ("# only\n", &[]),
        ] {
            assert_eq!(logical(text, '\\'), expect, "{text:?}");
        }
        assert_eq!(logical("A b `\nc \\\nD", '`'), ["A b c \\", "D"]);
    }

    #[test]
    fn offsets_lead_back_over_continuations() {
        let text = "RUN a \\\n# comment\n  bc\n";
        let line = Lines::new(text).logical('\\').unwrap().unwrap();
        let at = line.text.find("bc").unwrap();
        assert_eq!(&text[line.span(at..at + 2)], "bc");
        assert_eq!(&text[line.span(4..at + 2)], "a \\\n# comment\n  bc");
        assert_eq!(line.end, text.len() - 1);
    }

    #[test]
    fn a_line_beyond_the_scanner_is_refused() {
        let long = "x".repeat(MAX_LINE);
        assert!(logical(&format!("{long}\n"), '\\') == [long.clone()]);
        let text = format!("\n{long}x\n");
        let mut lines = Lines::new(&text);
        lines.physical().unwrap();
        assert_eq!(lines.physical().unwrap_err().line, 2);
    }
}
