//! The shell lexer behind word expansion, with the modes that here-document detection needs.

mod output;
mod substitution;

use self::output::Output;
use super::{ExpandError, MAX_BYTES, MAX_DEPTH};

/// The characters of a word that an error message shows.
const MAX_SHOWN: usize = 80;

/// Reads one text; made anew for each.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the modes of BuildKit's lexer are independent of each other"
)]
pub(crate) struct Lexer<'a> {
    escape: char,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    raw_quotes: bool,
    raw_escapes: bool,
    quotes_unread: bool,
    keep_unset: bool,
    source: String,
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(escape: char, lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            escape,
            lookup,
            raw_quotes: false,
            raw_escapes: false,
            quotes_unread: false,
            keep_unset: false,
            source: String::new(),
            chars: Vec::new(),
            at: 0,
            depth: 0,
        }
    }

    /// Quotes keep their characters in the result.
    pub(crate) fn keep_quotes(&mut self) {
        self.raw_quotes = true;
    }

    /// Escapes keep their character in the result.
    pub(crate) fn keep_escapes(&mut self) {
        self.raw_escapes = true;
    }

    /// Quotes are characters like any other.
    pub(crate) fn keep_quotes_unread(&mut self) {
        self.quotes_unread = true;
    }

    /// Variables that are not set stay as they are written.
    pub(crate) fn keep_unset(&mut self) {
        self.keep_unset = true;
    }

    pub(crate) fn process(mut self, text: &str) -> Result<(String, Vec<String>), ExpandError> {
        text.clone_into(&mut self.source);
        self.chars = text.chars().collect();
        self.until(None, self.raw_escapes)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    /// The text for an error message.
    fn shown(&self) -> String {
        match self.chars.get(..MAX_SHOWN) {
            Some(start) => start.iter().chain(&['…']).collect(),
            None => self.source.clone(),
        }
    }

    fn unterminated(&self, missing: char) -> ExpandError {
        let word = self.shown();
        ExpandError::Unterminated { word, missing }
    }

    fn unsupported(&self, modifier: &str) -> ExpandError {
        ExpandError::Modifier {
            word: self.shown(),
            modifier: modifier.to_owned(),
        }
    }

    /// Reads up to `stop`, which is taken, or to the end.
    fn until(
        &mut self,
        stop: Option<char>,
        raw_escapes: bool,
    ) -> Result<(String, Vec<String>), ExpandError> {
        if self.depth > MAX_DEPTH {
            return Err(ExpandError::TooDeep(self.shown()));
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        let result = self.until_stop(stop);
        self.raw_escapes = outer;
        self.depth -= 1;
        result
    }

    fn until_stop(&mut self, stop: Option<char>) -> Result<(String, Vec<String>), ExpandError> {
        let mut out = Output::default();
        while let Some(c) = self.peek() {
            if out.text.len() > MAX_BYTES {
                return Err(ExpandError::TooLong);
            }
            if Some(c) == stop {
                self.at += 1;
                return Ok(out.finish());
            }
            match c {
                '$' => out.push_value(&self.dollar()?),
                '<' => out.push_quoted(&self.angle()),
                '\'' if !self.quotes_unread => out.push_quoted(&self.single_quoted()?),
                '"' if !self.quotes_unread => out.push_quoted(&self.double_quoted()?),
                c if c == self.escape => {
                    self.at += 1;
                    if self.raw_escapes {
                        out.push_raw(c);
                    }
                    if let Some(escaped) = self.next() {
                        out.push_raw(escaped);
                    }
                }
                c => {
                    self.at += 1;
                    out.push(c);
                }
            }
        }
        match stop {
            Some(missing) => Err(self.unterminated(missing)),
            None if out.text.len() > MAX_BYTES => Err(ExpandError::TooLong),
            None => Ok(out.finish()),
        }
    }

    /// `<<` holds the blanks behind it, so that `<< EOF` is one word.
    fn angle(&mut self) -> String {
        self.at += 1;
        let mut text = String::from("<");
        if self.peek() == Some('<') {
            self.at += 1;
            text.push('<');
            while let Some(c @ ('\t' | '\r' | ' ')) = self.peek() {
                self.at += 1;
                text.push(c);
            }
        }
        text
    }

    fn single_quoted(&mut self) -> Result<String, ExpandError> {
        self.at += 1;
        let rest = &self.chars[self.at..];
        let Some(end) = rest.iter().position(|c| *c == '\'') else {
            return Err(self.unmatched("single"));
        };
        let inner: String = rest[..end].iter().collect();
        self.at += end + 1;
        Ok(if self.raw_quotes {
            format!("'{inner}'")
        } else {
            inner
        })
    }

    fn double_quoted(&mut self) -> Result<String, ExpandError> {
        self.at += 1;
        let mut text = String::new();
        if self.raw_quotes {
            text.push('"');
        }
        loop {
            if text.len() > MAX_BYTES {
                return Err(ExpandError::TooLong);
            }
            match self.peek() {
                None => return Err(self.unmatched("double")),
                Some('"') => {
                    self.at += 1;
                    if self.raw_quotes {
                        text.push('"');
                    }
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(c) if c == self.escape => {
                    self.at += 1;
                    if self.raw_escapes {
                        text.push(c);
                    }
                    match self.peek() {
                        None => {}
                        Some(escaped) if escaped == '"' || escaped == '$' || escaped == c => {
                            self.at += 1;
                            text.push(escaped);
                        }
                        // Any other escape stays as it is.
                        Some(_) => text.push(c),
                    }
                }
                Some(c) => {
                    self.at += 1;
                    text.push(c);
                }
            }
        }
    }

    fn unmatched(&self, quote: &'static str) -> ExpandError {
        let word = self.shown();
        ExpandError::Quote { word, quote }
    }
}
