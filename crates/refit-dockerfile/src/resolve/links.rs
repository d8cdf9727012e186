//! What `COPY --from` and mounts refer to.

use std::{cell::RefCell, collections::BTreeMap, ops::Range};

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
    /// What was referred to so far and is no stage: BuildKit numbers it, too, behind the stages.
    numbered: RefCell<Vec<To<'a>>>,
}

impl<'s, 'a> Linker<'s, 'a> {
    pub(super) fn new(file: &'s Dockerfile, settings: &'s Settings<'a>) -> Self {
        let stages = file.stages.iter();
        let names = stages.filter_map(|stage| Some((stage.name.as_deref()?, stage.index)));
        Self {
            file,
            settings,
            names: names.collect(),
            numbered: RefCell::default(),
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
                let copy = self.copy(from)?;
                self.number([copy.to.clone()]);
                links.push(copy);
            }
            let mut mounted = Vec::new();
            for mount in &instruction.mounts {
                let Some(from) = mount.from() else {
                    mounted.push(To::Scratch);
                    continue;
                };
                let to = self.name(from)?;
                mounted.push(to.clone());
                links.push(Linked {
                    kind: Kind::Mount,
                    written: from.clone(),
                    to,
                    by_index: false,
                });
            }
            self.number(mounted);
        }
        Ok(links)
    }

    fn number(&self, referred: impl IntoIterator<Item = To<'a>>) {
        let others = referred
            .into_iter()
            .filter(|to| !matches!(to, To::Stage(_)));
        self.numbered.borrow_mut().extend(others);
    }

    /// What a number means.
    fn numbered(&self, index: i64) -> Option<To<'a>> {
        let index = usize::try_from(index).ok()?;
        match index.checked_sub(self.file.stages.len()) {
            None => Some(To::Stage(index)),
            Some(further) => self.numbered.borrow().get(further).cloned(),
        }
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
                let last = self.file.stages.len() - 1;
                let message = || format!("there is no stage {index}, the last is {last}");
                self.numbered(index)
                    .ok_or_else(|| self.error(&from.span, message()))?
            }
            None => self.name(from)?,
        };
        Ok(Linked {
            kind: Kind::Copy,
            written: from.clone(),
            by_index: index.is_some() && matches!(to, To::Stage(_)),
            to,
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
