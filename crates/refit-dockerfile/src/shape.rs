//! A logical line split by its instruction's grammar: what decides whether here-documents follow.

use std::ops::Range;

use crate::{
    SyntaxError,
    expand::ExpandError,
    heredoc::{self, Heredoc},
    lines::Logical,
    model::{Keyword, Pair, Spanned},
    words::{self, Word},
};

/// A line split by its instruction's grammar, nothing checked yet.
#[derive(Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: &'a Logical,
    /// The instruction's part of the logical line.
    pub(crate) range: Range<usize>,
    /// Its first word.
    pub(crate) word: Spanned<String>,
    pub(crate) keyword: Option<Keyword>,
    pub(crate) flags: Vec<Word>,
    /// What follows the flags.
    pub(crate) rest: Range<usize>,
    pub(crate) operands: Operands<'a>,
}

/// What follows the flags, split.
#[derive(Debug)]
pub(crate) enum Operands<'a> {
    None,
    Text,
    Json(Vec<String>),
    Words(Vec<Range<usize>>),
    Pairs(Vec<Pair>),
    Onbuild(Box<Shape<'a>>),
}

impl<'a> Shape<'a> {
    /// Splits `range` of a logical line. BuildKit fails here even in an ONBUILD that nobody executes.
    pub(crate) fn read(
        text: &'a str,
        line: &'a Logical,
        range: Range<usize>,
        escape: char,
    ) -> Result<Self, SyntaxError> {
        let mut shape = Self::unsplit(text, line, range, escape);
        if !shape.rest.is_empty() {
            shape.operands = shape.split(escape)?;
        }
        Ok(shape)
    }

    fn unsplit(text: &'a str, line: &'a Logical, range: Range<usize>, escape: char) -> Self {
        let all = words::trim(&line.text, range.clone());
        let part = &line.text[all.clone()];
        let end = all.start + part.find(words::is_separator).unwrap_or(part.len());
        let (flags, rest) = words::flags(&line.text, end..all.end, escape);
        Self {
            text,
            line,
            range,
            word: Spanned {
                value: line.text[all.start..end].to_owned(),
                span: line.span(all.start..end),
            },
            keyword: Keyword::named(&line.text[all.start..end]),
            flags,
            rest: words::trim(&line.text, rest..all.end),
            operands: Operands::None,
        }
    }

    fn split(&self, escape: char) -> Result<Operands<'a>, SyntaxError> {
        let (line, rest) = (&self.line.text, self.rest.clone());
        Ok(match self.keyword {
            None => Operands::None,
            Some(Keyword::Add | Keyword::Copy | Keyword::Volume) => {
                let json = self.json(rest.clone())?;
                json.unwrap_or_else(|| Operands::Words(words::fields(line, rest)))
            }
            Some(Keyword::Cmd | Keyword::Entrypoint | Keyword::Run | Keyword::Shell) => {
                self.json(rest)?.unwrap_or(Operands::Text)
            }
            Some(Keyword::Expose | Keyword::From) => Operands::Words(words::fields(line, rest)),
            Some(Keyword::Env | Keyword::Label) => Operands::Pairs(self.pairs(escape)?),
            Some(Keyword::Arg) => Operands::Pairs(self.args(escape)),
            Some(Keyword::Healthcheck) => {
                // The array, if it is one, follows CMD.
                let part = &line[rest.clone()];
                let end = part.find(char::is_whitespace).unwrap_or(part.len());
                let after = words::trim(line, rest.start + end..rest.end);
                self.json(after)?.unwrap_or(Operands::Text)
            }
            Some(Keyword::Onbuild) => {
                let mut inner = Self::unsplit(self.text, self.line, rest, escape);
                // One within another is refused: no need to go down into it, however deep it is.
                if inner.keyword != Some(Keyword::Onbuild) && !inner.rest.is_empty() {
                    inner.operands = inner.split(escape)?;
                }
                Operands::Onbuild(Box::new(inner))
            }
            Some(Keyword::Maintainer | Keyword::Stopsignal | Keyword::User | Keyword::Workdir) => {
                Operands::Text
            }
        })
    }

    /// None if it is no JSON array: then it is plain words.
    fn json(&self, range: Range<usize>) -> Result<Option<Operands<'a>>, SyntaxError> {
        let part = &self.line.text[range.clone()];
        if !part.starts_with('[') {
            return Ok(None);
        }
        let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(part) else {
            return Ok(None);
        };
        let strings = values.into_iter().map(|value| match value {
            serde_json::Value::String(text) => Some(text),
            _ => None,
        });
        let strings: Option<Vec<String>> = strings.collect();
        let error = || self.error(range, "a JSON array of an instruction holds only strings");
        strings.map(Operands::Json).ok_or_else(error).map(Some)
    }

    fn quoted(&self, escape: char) -> Vec<Spanned<String>> {
        let words = words::quoted_words(&self.line.text, self.rest.clone(), escape);
        let words = words.into_iter().map(|word| Spanned {
            span: self.line.span(word.span),
            value: word.value,
        });
        words.collect()
    }

    fn pairs(&self, escape: char) -> Result<Vec<Pair>, SyntaxError> {
        let words = self.quoted(escape);
        let Some(first) = words.first() else {
            return Ok(Vec::new());
        };
        if !first.value.contains('=') {
            return self.legacy_pair().map(|pair| vec![pair]);
        }
        let pair = |word: Spanned<String>| {
            let Some((name, value)) = word.value.split_once('=') else {
                let message = format!("`{}` must be of the form `name=value`", word.value);
                return Err(SyntaxError::new(self.text, word.span, message));
            };
            Ok(Pair {
                name: name.to_owned(),
                value: Some(value.to_owned()),
                span: word.span,
            })
        };
        words.into_iter().map(pair).collect()
    }

    /// `ENV name the whole rest`.
    fn legacy_pair(&self) -> Result<Pair, SyntaxError> {
        let rest = &self.line.text[self.rest.clone()];
        let Some((name, value)) = rest.split_once(words::is_separator) else {
            let message = format!("{} needs a value for `{rest}`", self.name());
            return Err(self.error(self.rest.clone(), message));
        };
        Ok(Pair {
            name: name.to_owned(),
            value: Some(value.trim_start_matches(words::is_separator).to_owned()),
            span: self.line.span(self.rest.clone()),
        })
    }

    fn args(&self, escape: char) -> Vec<Pair> {
        let words = self.quoted(escape).into_iter();
        let pair = |word: Spanned<String>| {
            let (name, value) = match word.value.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.value, None),
            };
            let span = word.span;
            Pair { name, value, span }
        };
        words.map(pair).collect()
    }

    /// The markers of the here-documents that follow this line.
    pub(crate) fn heredocs(&self) -> Result<Vec<Heredoc>, SyntaxError> {
        let holder = match &self.operands {
            Operands::Onbuild(inner) => inner,
            _ => self,
        };
        let takes = matches!(
            holder.keyword,
            Some(Keyword::Add | Keyword::Copy | Keyword::Run)
        );
        let is_json = matches!(holder.operands, Operands::Json(_));
        if !takes || is_json || !self.line.text.contains("<<") {
            return Ok(Vec::new());
        }
        let error = |e: ExpandError| self.error(self.rest.clone(), e.to_string());
        heredoc::markers(&self.line.text).map_err(error)
    }

    fn name(&self) -> &'static str {
        self.keyword.map_or("", Keyword::as_str)
    }

    /// An error about `range` of the logical line, or about the whole instruction if that is empty.
    pub(crate) fn error(&self, range: Range<usize>, message: impl Into<String>) -> SyntaxError {
        let range = if range.is_empty() {
            words::trim(&self.line.text, self.range.clone())
        } else {
            range
        };
        SyntaxError::new(self.text, self.line.span(range), message)
    }
}
