//! A parsed Dockerfile: directives, global arguments, stages and their instructions, each with its bytes in the text.

use std::{ops::Range, sync::Arc};

use crate::{
    SyntaxError,
    heredoc::{self, Heredoc},
    mount::Mount,
};

/// A value and the bytes of the text it was read from, quotes and line continuations included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Byte offsets into [`Dockerfile::text`].
    pub span: Range<usize>,
}

/// A Dockerfile, its text beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// The exact text; every span points into it.
    pub text: String,
    /// The reference that `# syntax=` names, without its arguments.
    pub syntax: Option<Spanned<String>>,
    /// The whole line of the syntax directive, with its line ending.
    pub(crate) syntax_line: Option<Range<usize>>,
    /// Where the block of parser directives ends: the start of the first line that is none.
    pub(crate) directives_end: usize,
    /// The escape character, `\` or `` ` ``.
    pub escape: char,
    /// The frontend is not Docker's: the body may be in another language, and is not to be relied on.
    pub opaque: bool,
    /// `ARG`s before the first `FROM`, in order; of one name the last counts.
    pub global_args: Vec<Arg>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// Where each line starts.
    pub(crate) line_starts: Vec<usize>,
}

/// One variable that `ARG` declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// The variable's name.
    pub name: String,
    /// Its default, quotes and variables as written.
    pub value: Option<String>,
    /// The line of its instruction, from 1.
    pub line: usize,
    /// The bytes of `name=value`.
    pub span: Range<usize>,
}

/// `FROM` and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The place in the file, from 0: what `COPY --from=0` means.
    pub index: usize,
    /// What `AS` names, in lower case.
    pub name: Option<String>,
    /// The `FROM` itself.
    pub from: FromLine,
    /// Everything up to the next `FROM`.
    pub instructions: Vec<Instruction>,
    /// From the `FROM` keyword to the end of the last instruction, without its line ending.
    pub span: Range<usize>,
}

/// `FROM [--platform=…] image [AS name]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromLine {
    /// The image word as written: quotes and variables unprocessed.
    pub image: Spanned<String>,
    /// The value of `--platform`, variables unprocessed.
    pub platform: Option<Spanned<String>>,
    /// The line, from 1.
    pub line: usize,
    /// The whole instruction.
    pub span: Range<usize>,
}

/// An instruction of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Which.
    pub keyword: Keyword,
    /// The line it starts in, from 1.
    pub line: usize,
    /// Its bytes, here-documents included, without the last line ending.
    pub span: Range<usize>,
    /// The instruction on one line, continuations joined: what BuildKit writes into the history.
    pub code: Arc<str>,
    /// `--name=value`, checked to be flags that BuildKit knows for this instruction.
    pub flags: Vec<Flag>,
    /// What follows the flags.
    pub args: Args,
    /// The here-documents of RUN, COPY and ADD, in order.
    pub heredocs: Vec<Heredoc>,
    /// The parsed `--mount` flags of RUN.
    pub mounts: Vec<Mount>,
}

/// Everything that BuildKit's frontend knows as an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are the instructions' names")]
pub enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

/// One `--name[=value]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The name without its dashes.
    pub name: String,
    /// The value, quotes removed; none without `=`.
    pub value: Option<Spanned<String>>,
    /// The whole word.
    pub span: Range<usize>,
}

/// What follows the flags, by the instruction's grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Args {
    /// RUN, CMD, ENTRYPOINT and HEALTHCHECK CMD as one text for the shell. Empty for a bare CMD or ENTRYPOINT.
    Shell(String),
    /// The same as a JSON array, and SHELL.
    Exec(Vec<String>),
    /// ADD, COPY, EXPOSE and VOLUME word by word; USER, WORKDIR, STOPSIGNAL and MAINTAINER as one text, blanks included.
    Words(Vec<Spanned<String>>),
    /// ARG, ENV and LABEL, quotes and variables unprocessed.
    Pairs(Vec<Pair>),
    /// HEALTHCHECK NONE.
    NoHealthcheck,
    /// ONBUILD.
    Trigger(Box<Trigger>),
}

/// `name=value` of ARG, ENV and LABEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The name; may hold quotes and variables in ENV and LABEL.
    pub name: String,
    /// The value as written; none only for an ARG without default.
    pub value: Option<String>,
    /// The bytes of both.
    pub span: Range<usize>,
}

/// What ONBUILD leaves to the images built on this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The text for the image config's `OnBuild`, here-documents included.
    pub expression: String,
    /// The instruction. BuildKit checks it only where it is executed: so a wrong one is an error of the child's build.
    pub instruction: Result<Instruction, SyntaxError>,
}

/// The operands of COPY and ADD, unexpanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer<'a> {
    /// Everything but the last word.
    pub sources: Vec<TransferSource<'a>>,
    /// The last word.
    pub destination: &'a Spanned<String>,
}

/// One source of COPY and ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferSource<'a> {
    /// A path or pattern; for ADD also a URL.
    Path(&'a Spanned<String>),
    /// A file written in the Dockerfile.
    Heredoc(&'a Heredoc),
}

impl Dockerfile {
    /// Line and column of a byte offset, both from 1, the column in characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let number = self.line_number(offset);
        let start = self.line_starts.get(number - 1).copied().unwrap_or(0);
        let (_, column) = crate::error::position(&self.text[start..], offset.saturating_sub(start));
        (number, column)
    }

    /// The line of a byte offset, from 1.
    pub(crate) fn line_number(&self, offset: usize) -> usize {
        let starts = self.line_starts.partition_point(|start| *start <= offset);
        starts.max(1)
    }
}

impl Instruction {
    /// The value of a flag that takes one.
    pub fn flag(&self, name: &str) -> Option<&Spanned<String>> {
        let flag = self.flags.iter().find(|flag| flag.name == name)?;
        flag.value.as_ref()
    }

    /// The values of a flag that may be repeated.
    pub fn flag_values<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Spanned<String>> + 'a {
        let flags = self.flags.iter().filter(move |flag| flag.name == name);
        flags.filter_map(|flag| flag.value.as_ref())
    }

    /// A boolean flag: none if it is not written.
    pub fn switch(&self, name: &str) -> Option<bool> {
        let flag = self.flags.iter().find(|flag| flag.name == name)?;
        let value = flag.value.as_ref();
        Some(value.is_none_or(|value| value.value.eq_ignore_ascii_case("true")))
    }

    /// Sources and destination of COPY and ADD.
    pub fn transfer(&self) -> Option<Transfer<'_>> {
        let (Keyword::Copy | Keyword::Add, Args::Words(words)) = (self.keyword, &self.args) else {
            return None;
        };
        let (destination, sources) = words.split_last()?;
        Some(Transfer {
            sources: sources
                .iter()
                .map(|word| self.transfer_source(word))
                .collect(),
            destination,
        })
    }

    fn transfer_source<'a>(&'a self, word: &'a Spanned<String>) -> TransferSource<'a> {
        // Of several here-documents with one name BuildKit takes the last.
        let heredoc = heredoc::name(&word.value)
            .and_then(|name| self.heredocs.iter().rev().find(|h| h.name == name));
        heredoc.map_or(TransferSource::Path(word), TransferSource::Heredoc)
    }

    /// The trigger of an ONBUILD.
    pub fn trigger(&self) -> Option<&Trigger> {
        match &self.args {
            Args::Trigger(trigger) => Some(trigger),
            _ => None,
        }
    }
}

impl Keyword {
    /// Every instruction, in alphabetical order.
    pub const ALL: [Self; 18] = [
        Self::Add,
        Self::Arg,
        Self::Cmd,
        Self::Copy,
        Self::Entrypoint,
        Self::Env,
        Self::Expose,
        Self::From,
        Self::Healthcheck,
        Self::Label,
        Self::Maintainer,
        Self::Onbuild,
        Self::Run,
        Self::Shell,
        Self::Stopsignal,
        Self::User,
        Self::Volume,
        Self::Workdir,
    ];

    /// The name in upper case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Cmd => "CMD",
            Self::Copy => "COPY",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::From => "FROM",
            Self::Healthcheck => "HEALTHCHECK",
            Self::Label => "LABEL",
            Self::Maintainer => "MAINTAINER",
            Self::Onbuild => "ONBUILD",
            Self::Run => "RUN",
            Self::Shell => "SHELL",
            Self::Stopsignal => "STOPSIGNAL",
            Self::User => "USER",
            Self::Volume => "VOLUME",
            Self::Workdir => "WORKDIR",
        }
    }

    /// The instruction that a word in any case names.
    pub fn named(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|keyword| keyword.as_str().eq_ignore_ascii_case(word))
    }
}
