//! What resolving asks for and answers with.

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use refit_oci::{Digest, Platform, Reference};

use super::{NamedContext, globals::GlobalScope};
use crate::model::{Instruction, Spanned};

/// What a Dockerfile is resolved for.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The stage to build, in any case; none means the last.
    pub target: Option<&'a str>,
    /// The platform of the result.
    pub platform: &'a Platform,
    /// The platform that executes: `BUILDPLATFORM`, and what frontends are pulled for.
    pub build_platform: &'a Platform,
    /// Build arguments.
    pub build_args: &'a BTreeMap<String, String>,
    /// Named contexts by name, which may be `name::os/arch`.
    pub contexts: &'a BTreeMap<String, NamedContext>,
}

/// What a target depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The target's stage.
    pub target: usize,
    /// The stages it reaches, itself included, in file order.
    pub stages: Vec<usize>,
    /// The target's stage, the stage it is built on, and so on to the root.
    pub chain: Vec<usize>,
    /// Every reference of the reached stages to something outside of the file: the frontend first, then by stage, its
    /// base, its triggers, its own instructions.
    pub found: Vec<Found>,
    /// What the build reads of its main context: sorted, without repetition, and only [`ContextInput::Everything`] if
    /// that is in it.
    pub inputs: Vec<ContextInput>,
    /// For each of them the first instruction that reads it; for a trigger of an external base, the FROM that brings it.
    /// None for a file in another language.
    pub input_spans: Vec<Range<usize>>,
    /// What its instructions must find in the main context, in the order of execution.
    pub required: Vec<RequiredInput>,
    /// URLs and git repositories that ADD fetches.
    pub remote: Vec<RemoteSource>,
    /// RUN instructions of the reached stages, their triggers' included.
    pub executes: Vec<Execution>,
    /// The root of the target's chain.
    pub base: StageBase,
    /// The reached stages one by one, as `stages` names them.
    pub(super) views: Vec<StageView>,
    /// What each `COPY --from` and each mount's `from` of the reached stages means.
    pub links: Vec<Link>,
    /// The variables that FROM sees, and that an ARG without default takes over.
    pub globals: GlobalScope,
    /// Nothing in it but the platforms themselves would be another on another platform of the target.
    pub(super) any_platform: bool,
    /// The frontend is not Docker's: nothing but the frontend is known.
    pub opaque: bool,
}

impl Resolved {
    /// What is known of a file in another language.
    pub(super) fn opaque(found: Vec<Found>, settings: &Settings<'_>) -> Self {
        Self {
            target: 0,
            stages: Vec::new(),
            chain: Vec::new(),
            found,
            inputs: vec![ContextInput::Everything],
            input_spans: Vec::new(),
            required: Vec::new(),
            remote: Vec::new(),
            executes: Vec::new(),
            base: StageBase::Opaque,
            views: Vec::new(),
            links: Vec::new(),
            globals: GlobalScope::empty(settings),
            any_platform: true,
            opaque: true,
        }
    }

    /// The same file resolved for another platform of the target, with all else equal; none if that must be resolved by
    /// itself.
    pub fn on(&self, platform: &Platform) -> Option<Self> {
        if !self.any_platform {
            return None;
        }
        let mut on = self.clone();
        let of_target = on
            .found
            .iter_mut()
            .filter(|found| found.kind != Kind::Frontend);
        of_target.for_each(|found| found.platform = platform.clone());
        let views = on.views.iter_mut();
        views.for_each(|view| view.platform = platform.clone());
        on.globals = on.globals.on(platform);
        Some(on)
    }

    /// A stage that the target reaches.
    pub fn view(&self, stage: usize) -> Option<&StageView> {
        let at = self.stages.binary_search(&stage).ok()?;
        self.views.get(at)
    }

    /// The stages that the target reaches, by number, in file order.
    pub fn views(&self) -> impl Iterator<Item = (usize, &StageView)> {
        self.stages.iter().copied().zip(&self.views)
    }
}

/// A reference to something outside of the file, at one place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The part it plays.
    pub kind: Kind,
    /// As written, variables and quotes unprocessed.
    pub written: String,
    /// What it is, expanded and normalised.
    pub source: FoundSource,
    /// The platform it is pulled for.
    pub platform: Platform,
    /// The line of `span`, from 1.
    pub line: usize,
    /// The bytes to replace: FROM's image word, the value of `--from` or of a mount's `from`, the syntax directive's
    /// reference. For a trigger of an external base, that base's word, which is not to be replaced by it; empty for a
    /// frontend that a build argument names.
    pub span: Range<usize>,
    /// The stage that needs it; the target's for a frontend.
    pub stage: usize,
}

/// What a reference leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundSource {
    /// An image in a registry.
    Reference(Reference),
    /// Another image of the inventory, by its name.
    InRepo(String),
}

impl fmt::Display for FoundSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(reference) => reference.fmt(f),
            Self::InRepo(name) => write!(f, "image:{name}"),
        }
    }
}

/// The part a dependency plays: `base` is what the result contains, everything else is used to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The external base at the root of the target's chain.
    Base,
    /// The base of another stage.
    Stage,
    /// `COPY --from`.
    Copy,
    /// `RUN --mount=…,from=`.
    Mount,
    /// The syntax directive.
    Frontend,
    /// A trigger that a base left.
    Onbuild,
    /// A named context, whatever it replaces.
    Context,
}

impl Kind {
    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Stage => "stage",
            Self::Copy => "copy",
            Self::Mount => "mount",
            Self::Frontend => "frontend",
            Self::Onbuild => "onbuild",
            Self::Context => "context",
        }
    }
}

/// What a build reads of its main context.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContextInput {
    /// The whole context, or a source that only the base's environment could tell.
    Everything,
    /// A path or pattern of Go's `filepath.Match`, relative to the context's root, cleaned.
    Pattern(String),
}

/// Something that an instruction must find in the main context: a build without it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredInput {
    /// A path; or patterns of an instruction that copies nothing else, as in [`ContextInput::Pattern`], of which one is
    /// enough.
    pub any_of: Vec<String>,
    /// The instruction; for a trigger of an external base, the FROM that brings it.
    pub span: Range<usize>,
}

impl RequiredInput {
    /// What of each must be there: the path itself, or the folder that a pattern looks into.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.any_of.iter().map(|path| place(path))
    }
}

/// The part of a path before its first wildcard; all of it where there is none.
pub(super) fn place(path: &str) -> &str {
    let Some(wildcard) = path.find(['*', '?', '[', '\\']) else {
        return path;
    };
    path[..wildcard]
        .rfind('/')
        .map_or("", |slash| &path[..slash])
}

/// What ADD fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSource {
    /// The stage that adds it.
    pub stage: usize,
    /// The URL, expanded as far as known.
    pub url: Spanned<String>,
    /// A git repository, not a file.
    pub is_git: bool,
    /// What `--checksum` says of a file: nothing else can come of it then.
    pub digest: Option<Digest>,
}

/// A RUN instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The stage that executes it.
    pub stage: usize,
    /// The instruction on one line; the span of a trigger of an external base is that base's word.
    pub command: Spanned<Arc<str>>,
}

/// The root of a chain of stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageBase {
    /// An image; the index into [`Resolved::found`].
    External(usize),
    /// Nothing.
    Scratch,
    /// Files of a named context.
    Files(String),
    /// Not known: the file is in another language.
    Opaque,
}

/// Where a stage or a copy takes its files from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Another stage.
    Stage(usize),
    /// An image; the index into [`Resolved::found`].
    Found(usize),
    /// Nothing.
    Scratch,
    /// Files of the named context.
    Files(String),
}

/// A stage that the target reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageView {
    /// What it starts from.
    pub from: Source,
    /// The platform it is for; its base's, if that is a stage.
    pub platform: Platform,
    /// A named context stands for the whole stage: its instructions are dead.
    pub replaced: bool,
    /// What its base's ONBUILD makes it execute first.
    pub triggers: Vec<Instruction>,
}

/// What a `COPY --from` or a mount's `from` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The stage.
    pub stage: usize,
    /// None for the stage's own instructions, else the index into [`StageView::triggers`].
    pub trigger: Option<usize>,
    /// The bytes of the flag's value, in the text that the instruction was read from.
    pub span: Range<usize>,
    /// What it means.
    pub source: Source,
    /// The stage is given by its number.
    pub by_index: bool,
}
