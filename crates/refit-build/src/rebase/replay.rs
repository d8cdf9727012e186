//! The Dockerfile replayed on a base's config: what BuildKit would write, and what each instruction would copy where.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use refit_dockerfile::{Dockerfile, Instruction, Keyword, Resolved, Source};
use refit_oci::{ImageConfig, Platform};

use super::refused::Refused;
use crate::native::{
    bases::BaseImage,
    copy::Destination,
    draft::{Draft, working_dir},
    metadata,
    request::Request,
    scope::Arguments,
};

/// What decides the config of an image beside its base.
#[derive(Clone, Copy)]
pub(super) struct Dependant<'a> {
    pub(super) file: &'a Dockerfile,
    pub(super) resolved: &'a Resolved,
    pub(super) platform: &'a Platform,
    pub(super) build_args: &'a BTreeMap<String, String>,
    pub(super) labels: &'a BTreeMap<String, String>,
}

/// A Dockerfile replayed.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    /// The image's config: its layers are the base's only, and no line of its own history has one.
    pub(super) config: ImageConfig,
    /// How many lines of the history are the base's.
    pub(super) n_inherited: usize,
    /// The image's own lines of the history, in order.
    pub(super) steps: Vec<Step>,
}

/// An instruction that leaves a line in the history.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Its bytes in the Dockerfile.
    pub(super) span: Range<usize>,
    pub(super) keyword: Keyword,
    pub(super) makes: Makes,
}

/// What an instruction makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Makes {
    /// No layer.
    Nothing,
    /// A layer of what it copies.
    Copy(Box<Copied>),
    /// A layer if the folder is not there.
    Folder {
        path: String,
        /// Who owns the folder, if USER came before.
        user: Option<String>,
    },
}

/// COPY or ADD, its variables expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) request: Request,
    pub(super) destination: Destination,
}

/// Replays the target's stages on `base`, which the found reference `found` is. RUN is refused, and so are triggers of
/// the base: what they execute is nobody's to know before it is built.
pub(super) fn replay(
    source: Dependant<'_>,
    found: usize,
    base: &BaseImage,
) -> Result<Replay, Refused> {
    let (file, resolved) = (source.file, source.resolved);
    let escape = file.escape;
    let mut draft = None;
    let mut steps = Vec::new();
    let mut n_inherited = 0;
    for stage in resolved.chain.iter().rev() {
        let (Some(view), Some(parsed)) = (resolved.view(*stage), file.stages.get(*stage)) else {
            return Err(Refused::of("a stage was not resolved"));
        };
        let from = &parsed.from.span;
        let mut current = match (&view.from, draft.take()) {
            (Source::Found(index), None) if *index == found => {
                if !base.config.config.on_build.is_empty() {
                    let text = "a base makes the image execute something: it has ONBUILD triggers";
                    return Err(Refused::at(from, text));
                }
                let written = parsed.from.image.value.as_str();
                let draft = Draft::of_base(found, written, base, escape);
                let draft = draft.map_err(|error| Refused::at(from, error.to_string()))?;
                n_inherited = draft.config.history.len();
                draft
            }
            (Source::Stage(_), Some(parent)) => Draft::child(&parent),
            _ => {
                return Err(Refused::at(
                    from,
                    "it does not begin with the base that moved",
                ));
            }
        };
        if !view.replaced {
            for instruction in view.triggers.iter().chain(&parsed.instructions) {
                steps.extend(step(&mut current, instruction, source)?);
            }
        }
        draft = Some(current);
    }
    let draft = draft.ok_or_else(|| Refused::of("the Dockerfile has no stage to replay"))?;
    let (config, _) = draft.finish(source.platform, source.labels);
    Ok(Replay {
        config,
        n_inherited,
        steps,
    })
}

/// Carries an instruction out as far as the config goes. None if it leaves no line in the history.
fn step(
    draft: &mut Draft,
    instruction: &Instruction,
    source: Dependant<'_>,
) -> Result<Option<Step>, Refused> {
    let globals = &source.resolved.globals;
    let arguments = Arguments {
        given: source.build_args,
        globals: &|name| globals.get(name).map(Cow::into_owned),
    };
    let failed = |error: &dyn std::error::Error| Refused::at(&instruction.span, error.to_string());
    let n_lines = draft.config.history.len();
    let mut makes = Makes::Nothing;
    if !metadata::apply(draft, instruction, arguments).map_err(|e| failed(&e))? {
        if draft.is_windows() {
            let text = "nothing is known of what the layer of a Windows image rests on";
            return Err(Refused::at(&instruction.span, text));
        }
        let os = draft.config.os.as_str();
        let current = draft.config.config.working_dir.as_deref().unwrap_or("/");
        match instruction.keyword {
            Keyword::Workdir => {
                let written = draft.scope.word(metadata::word(instruction));
                let written = written.map_err(|e| failed(&e))?;
                let path = working_dir(os, current, &written).map_err(|e| failed(&e))?;
                let user = draft.config.config.user.clone();
                draft.config.config.working_dir = Some(path.clone());
                draft.add_empty(format!("WORKDIR {path}"));
                makes = Makes::Folder { path, user };
            }
            Keyword::Copy | Keyword::Add => {
                let request = Request::read(instruction, &draft.scope).map_err(|e| failed(&e))?;
                let Some(request) = request else {
                    return Err(Refused::at(&instruction.span, "it copies nothing"));
                };
                if let Some(remote) = request.remote() {
                    let text = format!("what `{remote}` holds may have changed");
                    return Err(Refused::at(&instruction.span, text));
                }
                let destination = Destination::parse(current, &request.destination);
                draft.add_empty(request.created_by());
                makes = Makes::Copy(Box::new(Copied {
                    request,
                    destination,
                }));
            }
            _ => return Err(Refused::at(&instruction.span, "it executes on the base")),
        }
    }
    Ok((draft.config.history.len() > n_lines).then(|| Step {
        span: instruction.span.clone(),
        keyword: instruction.keyword,
        makes,
    }))
}

impl Replay {
    /// The image's own lines of the history.
    pub(super) fn own_history(&self) -> &[refit_oci::History] {
        &self.config.history[self.n_inherited..]
    }
}
