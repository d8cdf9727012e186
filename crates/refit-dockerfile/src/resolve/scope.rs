//! The variables of a stage as far as the file tells them: the base image's environment is not known here.

use std::cell::Cell;

use rpds::RedBlackTreeMap;

use super::{Settings, budget::Budget, globals::Globals};
use crate::{
    expand::{self, ExpandError},
    model::Pair,
};

/// Expands something, given how to look a variable up.
type Expand<'a, T> = &'a dyn Fn(&dyn Fn(&str) -> Option<String>) -> Result<T, ExpandError>;

/// The environment of a stage at one of its instructions. A clone shares what it has with the original: each stage has
/// its base's.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// What is set; none for a value that nobody knows here.
    values: RedBlackTreeMap<String, Option<String>>,
    /// Whether a variable that is not in `values` may be set by the base image.
    open: bool,
    escape: char,
    budget: Budget,
}

/// An expanded word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expanded {
    Known(String),
    /// It depends on the base image's environment.
    Unknown,
}

impl Scope {
    pub(super) fn new(escape: char, open: bool, budget: Budget) -> Self {
        Self {
            values: RedBlackTreeMap::new(),
            open,
            escape,
            budget,
        }
    }

    /// Fails only if the word fails whatever the base image sets.
    pub(super) fn expand(&self, word: &str) -> Result<Expanded, ExpandError> {
        let expanded = self.known(&|lookup| expand::word(word, self.escape, lookup))?;
        Ok(expanded.map_or(Expanded::Unknown, Expanded::Known))
    }

    /// The words that one comes to; none if they depend on the base image's environment.
    pub(super) fn words(&self, word: &str) -> Result<Option<Vec<String>>, ExpandError> {
        self.known(&|lookup| expand::words(word, self.escape, lookup))
    }

    fn known<T>(&self, expand: Expand<'_, T>) -> Result<Option<T>, ExpandError> {
        let unknown = Cell::new(false);
        let result = expand(&|name| match self.values.get(name) {
            Some(Some(value)) => self.budget.copy(value),
            Some(None) => {
                unknown.set(true);
                None
            }
            None => {
                unknown.set(unknown.get() || self.open);
                None
            }
        });
        match self.budget.check(result) {
            // Which of these it comes to depends on the values; every other error is in the word itself.
            Ok(_) | Err(ExpandError::Required { .. } | ExpandError::TooLong) if unknown.get() => {
                Ok(None)
            }
            Ok(value) => Ok(Some(value)),
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
                    self.values.insert_mut(name, Some(value));
                }
                (Expanded::Known(name), Expanded::Unknown) => {
                    self.values.insert_mut(name, None);
                }
                // Any variable may have been set.
                (Expanded::Unknown, _) => {
                    self.values = RedBlackTreeMap::new();
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
            (None, None) => match globals.get(&pair.name) {
                Some(value) => Expanded::Known(self.budget.copy(&value).unwrap_or_default()),
                None => return Ok(()),
            },
        };
        let value = self.budget.check(Ok(value))?;
        let value = match value {
            Expanded::Known(value) => Some(value),
            Expanded::Unknown => None,
        };
        self.values.insert_mut(pair.name.clone(), value);
        Ok(())
    }
}
