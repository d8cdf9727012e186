//! The shell lexer behind word expansion, with the modes that here-document detection needs.

use super::{
    ExpandError, MAX_BYTES, MAX_DEPTH,
    pattern::{self, Reach},
};

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

/// The result so far, as one text and as words.
#[derive(Default)]
struct Output {
    text: String,
    words: Vec<String>,
    word: String,
}

impl Output {
    /// Blanks end a word.
    fn push(&mut self, c: char) {
        self.text.push(c);
        self.split(c);
    }

    /// Part of a word whatever it is.
    fn push_raw(&mut self, c: char) {
        self.text.push(c);
        self.word.push(c);
    }

    /// The value of a variable: its blanks end words too.
    fn push_value(&mut self, value: &str) {
        self.text.push_str(value);
        value.chars().for_each(|c| self.split(c));
    }

    fn push_quoted(&mut self, value: &str) {
        self.text.push_str(value);
        self.word.push_str(value);
    }

    fn split(&mut self, c: char) {
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    fn finish(mut self) -> (String, Vec<String>) {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        (self.text, self.words)
    }
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

    fn dollar(&mut self) -> Result<String, ExpandError> {
        self.at += 1;
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match (self.lookup)(&name) {
                Some(value) => value,
                None if self.keep_unset => format!("${name}"),
                None => String::new(),
            });
        }
        self.at += 1;
        match self.peek() {
            None => return Err(self.unterminated('}')),
            Some('{' | '}' | ':') => return Err(ExpandError::BadSubstitution(self.shown())),
            Some(_) => {}
        }
        let name = self.name();
        match self.next() {
            Some('}') => Ok(match (self.lookup)(&name) {
                Some(value) => value,
                None if self.keep_unset => format!("${{{name}}}"),
                None => String::new(),
            }),
            Some(':') => {
                let operator = self.next();
                let chars = format!(":{}", operator.map(String::from).unwrap_or_default());
                match operator {
                    Some('#' | '%') => Err(self.unsupported(&chars)),
                    operator => self.operator(&name, operator, true, &chars),
                }
            }
            Some(operator @ ('+' | '-' | '?' | '#' | '%')) => {
                self.operator(&name, Some(operator), false, &operator.to_string())
            }
            Some('/') => self.replace(&name),
            Some(other) => Err(self.unsupported(&other.to_string())),
            None => Err(self.unterminated('}')),
        }
    }

    /// `${name<operator>word}`; with `null_is_unset` the operator followed a colon.
    fn operator(
        &mut self,
        name: &str,
        operator: Option<char>,
        null_is_unset: bool,
        chars: &str,
    ) -> Result<String, ExpandError> {
        let is_pattern = matches!(operator, Some('#' | '%'));
        let (word, _) = self.until(Some('}'), is_pattern)?;
        let value = (self.lookup)(name);
        if self.keep_unset && value.is_none() {
            return Ok(format!("${{{name}{chars}{word}}}"));
        }
        let is_set = value.is_some();
        let usable = value.filter(|value| !(null_is_unset && value.is_empty()));
        match operator {
            Some('-') => Ok(usable.unwrap_or(word)),
            Some('+') => Ok(usable.map(|_| word).unwrap_or_default()),
            Some('?') => usable.ok_or_else(|| {
                let default = if is_set { "empty" } else { "unset" };
                let message = if word.is_empty() {
                    format!("is not allowed to be {default}")
                } else {
                    word
                };
                let name = name.to_owned();
                ExpandError::Required { name, message }
            }),
            Some(operator @ ('#' | '%')) => {
                let value = usable.unwrap_or_default();
                let (pattern, reach) = match word.strip_prefix(operator) {
                    Some(rest) => (rest, Reach::Longest),
                    None => (word.as_str(), Reach::Shortest),
                };
                let trimmed = match operator {
                    '%' => pattern::trim_suffix(pattern, &value, reach),
                    _ => pattern::trim_prefix(pattern, &value, reach),
                };
                trimmed.ok_or_else(|| self.bad_pattern(pattern))
            }
            _ => Err(self.unsupported(chars)),
        }
    }

    /// `${name/pattern/replacement}` and `${name//pattern/replacement}`.
    fn replace(&mut self, name: &str) -> Result<String, ExpandError> {
        let all = self.peek() == Some('/');
        self.at += usize::from(all);
        let (pattern, _) = self.until(Some('/'), true)?;
        let (replacement, _) = self.until(Some('}'), true)?;
        let value = (self.lookup)(name);
        if self.keep_unset && value.is_none() {
            return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
        }
        let value = value.unwrap_or_default();
        let replaced = if all {
            pattern::replace_all(&pattern, &value, &replacement)
        } else {
            pattern::replace_first(&pattern, &value, &replacement)
        };
        replaced.ok_or_else(|| self.bad_pattern(&pattern))
    }

    fn bad_pattern(&self, pattern: &str) -> ExpandError {
        ExpandError::Pattern {
            word: self.shown(),
            pattern: pattern.to_owned(),
        }
    }

    /// Letters, digits and `_`; or digits alone; or one special parameter, which is never set.
    fn name(&mut self) -> String {
        let rest = &self.chars[self.at..];
        let length = match rest.first() {
            Some(c) if c.is_numeric() => rest.iter().take_while(|c| c.is_numeric()).count(),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => {
                let part = |c: &&char| c.is_alphanumeric() || **c == '_';
                rest.iter().take_while(part).count()
            }
        };
        let name = rest[..length].iter().collect();
        self.at += length;
        name
    }
}
