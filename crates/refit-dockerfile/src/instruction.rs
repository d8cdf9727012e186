//! The rules of each instruction: a shape becomes an instruction, or an error that points at what is wrong.

use std::ops::Range;

use crate::{
    SyntaxError, flags,
    heredoc::{self, Heredoc},
    model::{Args, Flag, Instruction, Keyword, Spanned, Trigger},
    mount::Mount,
    shape::{Operands, Shape},
    suggest::nearest,
    words,
};

impl Shape<'_> {
    /// Applies the instruction's rules. `end` is where it ends in the Dockerfile, its here-documents included.
    pub(crate) fn check(
        &self,
        heredocs: Vec<Heredoc>,
        end: usize,
    ) -> Result<Instruction, SyntaxError> {
        let Some(keyword) = self.keyword else {
            return Err(self.unknown());
        };
        let start = words::trim(&self.line.text, self.range.clone()).start;
        let start = self.line.source(start);
        let mut instruction = Instruction {
            keyword,
            line: self.line.number,
            span: start..end,
            code: self.line.text[self.range.clone()].trim().into(),
            flags: self.flags.iter().map(|word| word.flag(self.line)).collect(),
            args: Args::NoHealthcheck,
            heredocs,
            mounts: self.mounts(keyword)?,
        };
        if !self.is_no_healthcheck() {
            flags::check(self.text, keyword, &instruction.flags)?;
        }
        instruction.args = match &self.operands {
            Operands::Onbuild(inner) => {
                // The body belongs to the instruction that reads it.
                self.trigger(inner, std::mem::take(&mut instruction.heredocs), end)?
            }
            _ => self.operands_of(keyword)?,
        };
        Ok(instruction)
    }

    fn unknown(&self) -> SyntaxError {
        let word = &self.word.value;
        let shown: String = word.chars().take(40).collect();
        let message = format!("unknown instruction `{shown}`");
        let error = SyntaxError::new(self.text, self.word.span.clone(), message);
        let names = Keyword::ALL.iter().map(|keyword| keyword.as_str());
        match nearest(&word.to_uppercase(), names) {
            Some(name) => error.hint(format!("did you mean `{name}`?")),
            None => error,
        }
    }

    /// BuildKit does not look at the flags of HEALTHCHECK NONE.
    fn is_no_healthcheck(&self) -> bool {
        let rest = &self.line.text[self.rest.clone()];
        self.keyword == Some(Keyword::Healthcheck) && rest.eq_ignore_ascii_case("NONE")
    }

    fn mounts(&self, keyword: Keyword) -> Result<Vec<Mount>, SyntaxError> {
        let prefix = "--mount=";
        let flags = self.flags.iter().filter(|w| w.text.starts_with(prefix));
        let mounts = flags.map(|word| Mount::parse(self.text, self.line, word, prefix.len()));
        match keyword {
            Keyword::Run => mounts.collect(),
            _ => Ok(Vec::new()),
        }
    }

    fn operands_of(&self, keyword: Keyword) -> Result<Args, SyntaxError> {
        let rest = &self.line.text[self.rest.clone()];
        match keyword {
            Keyword::Add | Keyword::Copy => self.transfer(),
            Keyword::Arg | Keyword::Env | Keyword::Label => self.named(),
            Keyword::Cmd | Keyword::Entrypoint | Keyword::Run => Ok(match &self.operands {
                Operands::Json(words) => Args::Exec(words.clone()),
                _ => Args::Shell(rest.to_owned()),
            }),
            Keyword::Expose | Keyword::Volume => {
                let words = self.word_list();
                match words.iter().find(|word| word.value.trim().is_empty()) {
                    Some(_) => Err(self.needs("paths that are not empty")),
                    None if words.is_empty() => Err(self.needs("at least one argument")),
                    None => Ok(Args::Words(words)),
                }
            }
            Keyword::From => Ok(Args::Words(self.word_list())),
            Keyword::Healthcheck => self.healthcheck(),
            Keyword::Maintainer | Keyword::Stopsignal | Keyword::User | Keyword::Workdir => {
                match &self.operands {
                    Operands::Text => Ok(Args::Words(vec![self.word(&self.rest)])),
                    _ => Err(self.needs("exactly one argument")),
                }
            }
            Keyword::Onbuild => Err(self.needs("an instruction")),
            Keyword::Shell => match &self.operands {
                Operands::Json(words) if !words.is_empty() => Ok(Args::Exec(words.clone())),
                Operands::Text => Err(self.needs("its arguments as a JSON array")),
                _ => Err(self.needs("at least one argument")),
            },
        }
    }

    fn needs(&self, what: &str) -> SyntaxError {
        let keyword = self.keyword.map_or("", Keyword::as_str);
        self.error(self.rest.clone(), format!("{keyword} requires {what}"))
    }

    fn word(&self, range: &Range<usize>) -> Spanned<String> {
        Spanned {
            value: self.line.text[range.clone()].to_owned(),
            span: self.line.span(range.clone()),
        }
    }

    fn word_list(&self) -> Vec<Spanned<String>> {
        match &self.operands {
            Operands::Words(ranges) => ranges.iter().map(|range| self.word(range)).collect(),
            // The strings of a JSON array share its span: nothing in it is ever replaced.
            Operands::Json(words) => {
                let span = self.line.span(self.rest.clone());
                let word = |value: &String| Spanned {
                    value: value.clone(),
                    span: span.clone(),
                };
                words.iter().map(word).collect()
            }
            _ => Vec::new(),
        }
    }

    fn transfer(&self) -> Result<Args, SyntaxError> {
        let words = self.word_list();
        match &words[..] {
            [] | [_] => Err(self.needs("at least one source and a destination")),
            [.., last] if heredoc::name(&last.value).is_some() => {
                let message = "a here-document cannot be the destination";
                Err(SyntaxError::new(self.text, last.span.clone(), message))
            }
            _ => Ok(Args::Words(words)),
        }
    }

    fn named(&self) -> Result<Args, SyntaxError> {
        let Operands::Pairs(pairs) = &self.operands else {
            return Err(self.needs("at least one argument"));
        };
        match pairs.iter().find(|pair| pair.name.is_empty()) {
            Some(pair) => {
                let keyword = self.keyword.map_or("", Keyword::as_str);
                let message = format!("{keyword} has a blank name");
                Err(SyntaxError::new(self.text, pair.span.clone(), message))
            }
            None if pairs.is_empty() => Err(self.needs("at least one argument")),
            None => Ok(Args::Pairs(pairs.clone())),
        }
    }

    fn healthcheck(&self) -> Result<Args, SyntaxError> {
        let rest = &self.line.text[self.rest.clone()];
        let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let command = command.trim();
        match (kind.to_uppercase().as_str(), &self.operands) {
            ("", _) => Err(self.needs("at least one argument")),
            ("NONE", _) if command.is_empty() => Ok(Args::NoHealthcheck),
            ("NONE", _) => {
                Err(self.error(self.rest.clone(), "HEALTHCHECK NONE takes no arguments"))
            }
            ("CMD", Operands::Json(words)) if !words.is_empty() => Ok(Args::Exec(words.clone())),
            ("CMD", Operands::Text) if !command.is_empty() => Ok(Args::Shell(command.to_owned())),
            ("CMD", _) => Err(self.needs("a command after CMD")),
            _ => {
                let message = format!("`{kind}` is no kind of HEALTHCHECK (`CMD`, `NONE`)");
                Err(self.error(self.rest.clone(), message))
            }
        }
    }

    fn trigger(
        &self,
        inner: &Shape<'_>,
        heredocs: Vec<Heredoc>,
        end: usize,
    ) -> Result<Args, SyntaxError> {
        if let Some(keyword @ (Keyword::Onbuild | Keyword::Maintainer | Keyword::From)) =
            inner.keyword
        {
            let message = format!("{} cannot be an ONBUILD trigger", keyword.as_str());
            let span = inner.word.span.clone();
            return Err(SyntaxError::new(self.text, span, message));
        }
        let mut expression = self.line.text[inner.range.start..].to_owned();
        for heredoc in &heredocs {
            expression.push('\n');
            expression.push_str(&heredoc.content);
            expression.push_str(&heredoc.name);
        }
        let instruction = inner.check(heredocs, end);
        Ok(Args::Trigger(Box::new(Trigger {
            expression,
            instruction,
        })))
    }
}

impl Flag {
    /// Whether the text between its bounds is the flag itself, without quotes and escapes.
    pub(crate) fn is_plain(&self, text: &str) -> bool {
        let value = self.value.as_ref();
        let plain = match value {
            Some(value) => format!("--{}={}", self.name, value.value),
            None => format!("--{}", self.name),
        };
        text.get(self.span.clone()) == Some(plain.as_str())
    }
}
