//! What the instructions of the reached stages read, fetch and execute.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use refit_oci::Digest;

use super::{
    ContextInput, Execution, RemoteSource, RequiredInput, Settings,
    globals::Globals,
    links::To,
    scope::{Expanded, Scope},
    stages::Base,
    types,
};
use crate::{
    NamedContext, SyntaxError,
    expand::ExpandError,
    model::{Args, Dockerfile, Instruction, Keyword, Spanned, TransferSource},
    port,
    windows_path::{clean, windows_slashes},
};

/// Where an instruction is executed, and where this file has it.
pub(super) struct Place {
    pub(super) stage: usize,
    /// The instruction, or for a trigger of an external base the FROM that brings it.
    pub(super) span: Range<usize>,
    /// The instruction's text is elsewhere, and so are its spans.
    pub(super) outside: bool,
}

impl Place {
    fn error<'a>(&'a self, file: &'a Dockerfile) -> impl Fn(ExpandError) -> SyntaxError + 'a {
        |e| SyntaxError::new(&file.text, self.span.clone(), e.to_string())
    }
}

/// What was collected, as [`super::Resolved`] has it.
pub(super) struct Finished {
    pub(super) inputs: Vec<ContextInput>,
    pub(super) input_spans: Vec<Range<usize>>,
    pub(super) required: Vec<RequiredInput>,
    pub(super) remote: Vec<RemoteSource>,
    pub(super) executes: Vec<Execution>,
}

/// Goes through the instructions in order, and collects.
pub(super) struct Effects<'a> {
    file: &'a Dockerfile,
    settings: &'a Settings<'a>,
    globals: &'a Globals,
    /// The environment of each stage so far.
    scopes: BTreeMap<usize, Scope>,
    /// The stages of Windows images.
    windows: BTreeSet<usize>,
    /// With the first instruction that reads it.
    inputs: BTreeMap<ContextInput, Range<usize>>,
    required: Vec<RequiredInput>,
    remote: Vec<RemoteSource>,
    executes: Vec<Execution>,
}

impl<'a> Effects<'a> {
    pub(super) fn new(
        file: &'a Dockerfile,
        settings: &'a Settings<'a>,
        globals: &'a Globals,
    ) -> Self {
        Self {
            file,
            settings,
            globals,
            scopes: BTreeMap::new(),
            windows: BTreeSet::new(),
            inputs: BTreeMap::new(),
            required: Vec::new(),
            remote: Vec::new(),
            executes: Vec::new(),
        }
    }

    /// Starts a stage; its base, if a stage, must be through.
    pub(super) fn enter(&mut self, stage: usize, base: &Base<'_>) {
        let scope = match &base.to {
            To::Stage(parent) => self.scopes.get(parent).cloned(),
            To::Scratch | To::Context(_, NamedContext::Scratch | NamedContext::Files) => {
                Some(self.scope(false))
            }
            To::Image(_) | To::Context(..) => None,
        };
        let scope = scope.unwrap_or_else(|| self.scope(true));
        self.scopes.insert(stage, scope);
        if base.platform.os == "windows" {
            self.windows.insert(stage);
        }
    }

    /// An empty environment; an open one may have been filled by the base image.
    fn scope(&self, open: bool) -> Scope {
        Scope::new(self.file.escape, open, self.globals.budget.clone())
    }

    /// Applies an instruction of a stage that was entered.
    pub(super) fn apply(
        &mut self,
        place: &Place,
        instruction: &Instruction,
    ) -> Result<(), SyntaxError> {
        // `enter` came first; without it an open scope would only be less precise.
        let scope = self.scopes.remove(&place.stage);
        let mut scope = scope.unwrap_or_else(|| self.scope(true));
        let result = self.apply_in(&mut scope, place, instruction);
        self.scopes.insert(place.stage, scope);
        result
    }

    fn apply_in(
        &mut self,
        scope: &mut Scope,
        place: &Place,
        instruction: &Instruction,
    ) -> Result<(), SyntaxError> {
        let error = place.error(self.file);
        match (instruction.keyword, &instruction.args) {
            (Keyword::Env, Args::Pairs(pairs)) => scope.env(pairs).map_err(&error)?,
            (Keyword::Arg, Args::Pairs(pairs)) => {
                for pair in pairs {
                    scope
                        .arg(pair, self.settings, self.globals)
                        .map_err(&error)?;
                }
            }
            (Keyword::Label, Args::Pairs(pairs)) => {
                for pair in pairs {
                    scope.expand(&pair.name).map_err(&error)?;
                    let value = pair.value.as_deref().unwrap_or_default();
                    scope.expand(value).map_err(&error)?;
                }
            }
            (
                Keyword::User | Keyword::Workdir | Keyword::Stopsignal | Keyword::Volume,
                Args::Words(words),
            ) => {
                for word in words {
                    scope.expand(&word.value).map_err(&error)?;
                }
            }
            (Keyword::Expose, Args::Words(words)) => {
                for word in words {
                    let ports = scope.words(&word.value).map_err(&error)?;
                    if let Some(problem) = ports.iter().flatten().find_map(|p| port::problem(p)) {
                        let span = if place.outside {
                            &place.span
                        } else {
                            &word.span
                        };
                        return Err(SyntaxError::new(&self.file.text, span.clone(), problem));
                    }
                }
            }
            (Keyword::Add | Keyword::Copy, _) => {
                for flag in ["chown", "chmod", "checksum"] {
                    if let Some(value) = instruction.flag(flag) {
                        scope.expand(&value.value).map_err(&error)?;
                    }
                }
                self.transfer(scope, place, instruction)?;
            }
            (Keyword::Run, _) => self.run(scope, place, instruction)?,
            _ => {}
        }
        Ok(())
    }

    fn transfer(
        &mut self,
        scope: &Scope,
        place: &Place,
        instruction: &Instruction,
    ) -> Result<(), SyntaxError> {
        let Some(transfer) = instruction.transfer() else {
            return Ok(());
        };
        let error = place.error(self.file);
        let expand = |word: &str| scope.expand(word).map_err(&error);
        expand(&transfer.destination.value)?;
        let from = instruction
            .flag("from")
            .filter(|from| !from.value.is_empty());
        let is_add = instruction.keyword == Keyword::Add;
        let checksum = instruction.flag("checksum");
        let checksum = checksum.map(|value| expand(&value.value)).transpose()?;
        let digest: Option<Digest> = match checksum {
            Some(Expanded::Known(text)) => text.parse().ok(),
            Some(Expanded::Unknown) | None => None,
        };
        // Beside something else, a pattern may match nothing.
        let (mut patterns, mut n_others) = (Vec::new(), 0);
        for source in &transfer.sources {
            n_others += 1;
            let TransferSource::Path(word) = source else {
                continue;
            };
            let path = match expand(&word.value)? {
                Expanded::Known(path) => path,
                // A variable that only the base knows, within a URL, is a URL still.
                Expanded::Unknown if remote(&word.value).is_some() => word.value.clone(),
                Expanded::Unknown if from.is_none() => {
                    self.reads(ContextInput::Everything, place);
                    continue;
                }
                Expanded::Unknown => continue,
            };
            match remote(&path) {
                Some(kind) if is_add => self.remote.push(RemoteSource {
                    stage: place.stage,
                    url: Spanned {
                        value: path,
                        span: if place.outside {
                            place.span.clone()
                        } else {
                            word.span.clone()
                        },
                    },
                    is_git: kind == Remote::Git,
                    digest: digest.clone(),
                }),
                Some(_) => {
                    let message = format!("COPY cannot fetch `{path}`");
                    let span = place.span.clone();
                    let error = SyntaxError::new(&self.file.text, span, message);
                    return Err(error.hint("ADD fetches URLs and git repositories"));
                }
                None if from.is_none() => {
                    let input = self.input(&path, place);
                    match &input {
                        // A pattern that matches nothing copies nothing, unless not even its folder is there.
                        ContextInput::Pattern(path) if wildcards(path) => {
                            if !types::place(path).is_empty() {
                                patterns.push(path.clone());
                                n_others -= 1;
                            }
                        }
                        input => self.requires(input, place),
                    }
                    self.reads(input, place);
                }
                None => {}
            }
        }
        if n_others == 0 && !patterns.is_empty() {
            self.required.push(RequiredInput {
                any_of: patterns,
                span: place.span.clone(),
            });
        }
        Ok(())
    }

    fn run(
        &mut self,
        scope: &Scope,
        place: &Place,
        instruction: &Instruction,
    ) -> Result<(), SyntaxError> {
        let error = place.error(self.file);
        for mount in &instruction.mounts {
            let mut values = Vec::new();
            for field in &mount.fields {
                let value = field.value.as_ref().map(|value| scope.expand(&value.value));
                values.push(match value.transpose().map_err(&error)? {
                    Some(Expanded::Known(value)) => Some(value),
                    Some(Expanded::Unknown) | None => None,
                });
            }
            mount.check(&values).map_err(|(span, message)| {
                let span = if place.outside {
                    place.span.clone()
                } else {
                    span
                };
                SyntaxError::new(&self.file.text, span, message)
            })?;
            if mount.from().is_some() {
                continue;
            }
            let kind = match mount.kind() {
                Some(kind) => scope.expand(&kind.value).map_err(&error)?,
                None => Expanded::Known("bind".to_owned()),
            };
            // An unknown type may be a bind.
            if matches!(kind, Expanded::Known(kind) if !kind.eq_ignore_ascii_case("bind")) {
                continue;
            }
            let source = match mount.source() {
                Some(source) => scope.expand(&source.value).map_err(&error)?,
                None => Expanded::Unknown,
            };
            let read = match source {
                Expanded::Known(path) => {
                    let input = self.input(&path, place);
                    self.requires(&input, place);
                    input
                }
                Expanded::Unknown => ContextInput::Everything,
            };
            self.reads(read, place);
        }
        self.executes.push(Execution {
            stage: place.stage,
            command: Spanned {
                value: instruction.code.clone(),
                span: place.span.clone(),
            },
        });
        Ok(())
    }

    /// A source of the main context; for a Windows image, a backslash parts folders.
    fn input(&self, source: &str, place: &Place) -> ContextInput {
        if source.contains(['\\', ':']) {
            self.globals.platform_counts.set(true);
        }
        if !self.windows.contains(&place.stage) {
            return input(source);
        }
        match windows_slashes(source) {
            Ok(path) => input(&path),
            // The build will refuse it.
            Err(_) => ContextInput::Everything,
        }
    }

    fn requires(&mut self, input: &ContextInput, place: &Place) {
        if let ContextInput::Pattern(path) = input {
            self.required.push(RequiredInput {
                any_of: vec![path.clone()],
                span: place.span.clone(),
            });
        }
    }

    fn reads(&mut self, input: ContextInput, place: &Place) {
        let span = || place.span.clone();
        self.inputs.entry(input).or_insert_with(span);
    }

    pub(super) fn finish(self) -> Finished {
        let (mut inputs, mut input_spans): (Vec<_>, Vec<_>) = self.inputs.into_iter().unzip();
        if inputs.first() == Some(&ContextInput::Everything) {
            inputs.truncate(1);
            input_spans.truncate(1);
        }
        Finished {
            inputs,
            input_spans,
            required: self.required,
            remote: self.remote,
            executes: self.executes,
        }
    }
}

fn wildcards(path: &str) -> bool {
    types::place(path) != path
}

/// What ADD fetches a source as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A file, by its URL.
    File,
    /// A git repository.
    Git,
}

/// What a source of ADD is fetched as; none if it is a path.
pub fn remote(source: &str) -> Option<Remote> {
    let lower = source.to_ascii_lowercase();
    let is_http = lower.starts_with("http://") || lower.starts_with("https://");
    if is_http {
        let path = source.split(['#', '?']).next().unwrap_or_default();
        let is_git = path.rsplit('.').next() == Some("git");
        return Some(if is_git { Remote::Git } else { Remote::File });
    }
    let is_git = lower.starts_with("git://") || lower.starts_with("ssh://") || is_scp(source);
    is_git.then_some(Remote::Git)
}

/// `user@host:path`.
fn is_scp(source: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    source.split_once(':').is_some_and(|(before, path)| {
        let (user, host) = before.split_once('@').unwrap_or_default();
        word(user) && word(host) && !path.is_empty()
    })
}

/// A source of the main context, cleaned as Go's `path.Join("/", source)` does.
fn input(source: &str) -> ContextInput {
    match clean(source).split_off(1) {
        path if path.is_empty() => ContextInput::Everything,
        path => ContextInput::Pattern(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_cleaned_as_go_cleans_paths() {
        for (source, expect) in [
            ("a/b", Some("a/b")),
            ("/a//b/", Some("a/b")),
            ("./a/../b*", Some("b*")),
            ("../../a", Some("a")),
            ("a/./b/*.c", Some("a/b/*.c")),
            (".", None),
            ("/", None),
            ("a/..", None),
            ("", None),
        ] {
            let expect = match expect {
                Some(pattern) => ContextInput::Pattern(pattern.to_owned()),
                None => ContextInput::Everything,
            };
            assert_eq!(input(source), expect, "{source}");
        }
    }

    #[test]
    fn urls_and_git_repositories_are_told_apart() {
        for (source, expect) in [
            ("https://example.com/a.tar.gz", Some(Remote::File)),
            ("HTTP://example.com/a", Some(Remote::File)),
            ("https://example.com/a.git", Some(Remote::Git)),
            ("https://example.com/a.git#v1:sub", Some(Remote::Git)),
            ("https://example.com/a.git?tag=v1", Some(Remote::Git)),
            ("git@github.com:a/b.git", Some(Remote::Git)),
            ("git://example.com/a", Some(Remote::Git)),
            ("ssh://git@example.com/a", Some(Remote::Git)),
            ("github.com/a/b", None),
            ("a/b", None),
            ("C:/x", None),
            ("a@b", None),
        ] {
            assert_eq!(remote(source), expect, "{source}");
        }
    }
}
