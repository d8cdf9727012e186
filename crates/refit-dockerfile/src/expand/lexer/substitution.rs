//! `$name` and `${…}` with every operator.

use super::Lexer;
use crate::expand::{
    ExpandError,
    pattern::{self, Reach},
};

impl Lexer<'_> {
    /// What `$` and the name or braces behind it stand for.
    pub(super) fn dollar(&mut self) -> Result<String, ExpandError> {
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
            let replaced = pattern::replace_all(&pattern, &value, &replacement);
            replaced.transpose().map_err(|_| ExpandError::TooLong)?
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
