//! What `COPY --from` and mounts refer to.

use std::{collections::BTreeMap, ops::Range};

use refit_oci::Reference;

use super::{Kind, NamedContext, Settings, contexts};
use crate::{
    SyntaxError, expand,
    model::{Dockerfile, Instruction, Keyword, Spanned},
    mount::ALIAS,
};

/// What a name means.
#[derive(Clone, Debug)]
pub(super) enum To<'a> {
    Stage(usize),
    Scratch,
    Image(Reference),
    /// A named context and its key.
    Context(&'a str, &'a NamedContext),
}

/// A reference of an instruction.
#[derive(Clone, Debug)]
pub(super) struct Linked<'a> {
    pub(super) kind: Kind,
    pub(super) written: Spanned<String>,
    pub(super) to: To<'a>,
    pub(super) by_index: bool,
}

impl Linked<'_> {
    pub(super) fn stage(&self) -> Option<usize> {
        match self.to {
            To::Stage(stage) => Some(stage),
            _ => None,
        }
    }
}

/// Looks names up among all stages of a file: of several with one name, the last.
pub(super) struct Linker<'s, 'a> {
    file: &'s Dockerfile,
    settings: &'s Settings<'a>,
    names: BTreeMap<&'s str, usize>,
}

impl<'s, 'a> Linker<'s, 'a> {
    pub(super) fn new(file: &'s Dockerfile, settings: &'s Settings<'a>) -> Self {
        let stages = file.stages.iter();
        let names = stages.filter_map(|stage| Some((stage.name.as_deref()?, stage.index)));
        Self {
            file,
            settings,
            names: names.collect(),
        }
    }

    /// What instructions refer to, in order.
    pub(super) fn links<'i>(
        &self,
        instructions: impl IntoIterator<Item = &'i Instruction>,
    ) -> Result<Vec<Linked<'a>>, SyntaxError> {
        let mut links = Vec::new();
        for instruction in instructions {
            if instruction.keyword == Keyword::Copy
                && let Some(from) = instruction.flag("from").filter(|f| !f.value.is_empty())
            {
                links.push(self.copy(from)?);
            }
            for from in instruction.mounts.iter().filter_map(|mount| mount.from()) {
                links.push(Linked {
                    kind: Kind::Mount,
                    written: from.clone(),
                    to: self.name(from)?,
                    by_index: false,
                });
            }
        }
        Ok(links)
    }

    /// A stage by name or by number, or an image.
    fn copy(&self, from: &Spanned<String>) -> Result<Linked<'a>, SyntaxError> {
        let expanded = expand::word(&from.value, self.file.escape, &|_| None);
        if expanded.as_ref() != Ok(&from.value) {
            let message = "`COPY --from` does not expand variables";
            return Err(self.error(&from.span, message.to_owned()).hint(ALIAS));
        }
        let index = from.value.parse::<i64>().ok();
        let to = match index {
            Some(index) => {
                let n_stages = self.file.stages.len();
                let stage = usize::try_from(index)
                    .ok()
                    .filter(|index| *index < n_stages);
                let message = || format!("there is no stage {index}, the last is {}", n_stages - 1);
                To::Stage(stage.ok_or_else(|| self.error(&from.span, message()))?)
            }
            None => self.name(from)?,
        };
        Ok(Linked {
            kind: Kind::Copy,
            written: from.clone(),
            to,
            by_index: index.is_some(),
        })
    }

    /// A stage in any case, or an image.
    fn name(&self, from: &Spanned<String>) -> Result<To<'a>, SyntaxError> {
        let name = from.value.as_str();
        if let Some(stage) = self.names.get(name.to_lowercase().as_str()) {
            return Ok(To::Stage(*stage));
        }
        if name == "scratch" {
            return Ok(To::Scratch);
        }
        let reference = name.parse().map_err(|e: refit_oci::ReferenceError| {
            self.error(&from.span, format!("no stage is named `{name}`, and {e}"))
        })?;
        let context = contexts::find(self.settings.contexts, name, self.settings.platform);
        Ok(match context {
            Some((key, context)) => To::Context(key, context),
            None => To::Image(reference),
        })
    }

    fn error(&self, span: &Range<usize>, message: String) -> SyntaxError {
        SyntaxError::new(&self.file.text, span.clone(), message)
    }
}
