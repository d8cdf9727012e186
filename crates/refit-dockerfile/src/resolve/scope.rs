//! The variables of a stage as far as the file tells them: the base image's environment is not known here.

use std::{cell::Cell, collections::BTreeMap};

use super::{Settings, globals::Globals};
use crate::{
    expand::{self, ExpandError},
    model::Pair,
};

/// The environment of a stage at one of its instructions.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// What is set; none for a value that nobody knows here.
    values: BTreeMap<String, Option<String>>,
    /// Whether a variable that is not in `values` may be set by the base image.
    open: bool,
    escape: char,
}

/// An expanded word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expanded {
    Known(String),
    /// It depends on the base image's environment.
    Unknown,
}

impl Scope {
    pub(super) fn new(escape: char, open: bool) -> Self {
        Self {
            values: BTreeMap::new(),
            open,
            escape,
        }
    }

    /// Fails only if the word fails whatever the base image sets.
    pub(super) fn expand(&self, word: &str) -> Result<Expanded, ExpandError> {
        let unknown = Cell::new(false);
        let result = expand::word(word, self.escape, &|name| match self.values.get(name) {
            Some(Some(value)) => Some(value.clone()),
            Some(None) => {
                unknown.set(true);
                None
            }
            None => {
                unknown.set(unknown.get() || self.open);
                None
            }
        });
        match result {
            // Which of these it comes to depends on the values; every other error is in the word itself.
            Ok(_) | Err(ExpandError::Required { .. } | ExpandError::TooLong) if unknown.get() => {
                Ok(Expanded::Unknown)
            }
            Ok(value) => Ok(Expanded::Known(value)),
            Err(error) => Err(error),
        }
    }

    /// ENV: every name and value sees the environment before the instruction.
    pub(super) fn env(&mut self, pairs: &[Pair]) -> Result<(), ExpandError> {
        let mut set = Vec::new();
        for pair in pairs {
            let name = self.expand(&pair.name)?;
            let value = self.expand(pair.value.as_deref().unwrap_or_default())?;
            set.push((name, value));
        }
        for (name, value) in set {
            match (name, value) {
                (Expanded::Known(name), Expanded::Known(value)) => {
                    self.values.insert(name, Some(value));
                }
                (Expanded::Known(name), Expanded::Unknown) => {
                    self.values.insert(name, None);
                }
                // Any variable may have been set.
                (Expanded::Unknown, _) => {
                    self.values.clear();
                    self.open = true;
                }
            }
        }
        Ok(())
    }

    /// ARG: a build argument, else the default, else the global of that name.
    pub(super) fn arg(
        &mut self,
        pair: &Pair,
        settings: &Settings<'_>,
        globals: &Globals,
    ) -> Result<(), ExpandError> {
        let value = match (settings.build_args.get(&pair.name), &pair.value) {
            (Some(given), _) => Expanded::Known(given.clone()),
            (None, Some(default)) => self.expand(default)?,
            (None, None) => match globals.values.get(&pair.name) {
                Some(value) => Expanded::Known(value.clone()),
                None => return Ok(()),
            },
        };
        let value = match value {
            Expanded::Known(value) => Some(value),
            Expanded::Unknown => None,
        };
        self.values.insert(pair.name.clone(), value);
        Ok(())
    }
}
