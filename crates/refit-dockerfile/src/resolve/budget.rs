//! How much text the words of one file may expand to, all together.

use std::{cell::Cell, rc::Rc};

use crate::expand::{ExpandError, MAX_TOTAL};

/// What is spent so far, shared by all scopes of a resolution.
///
/// A word has a bound of its own; but a file of many words, each of them `$A$A`, would still cost the square of its
/// length.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Rc<Cell<usize>>);

impl Budget {
    /// The value, if there is enough left to copy it.
    pub(super) fn copy(&self, value: &str) -> Option<String> {
        self.0.set(self.0.get().saturating_add(value.len()));
        (self.0.get() <= MAX_TOTAL).then(|| value.to_owned())
    }

    /// The result of an expansion, unless too much was spent on it.
    pub(super) fn check<T>(&self, result: Result<T, ExpandError>) -> Result<T, ExpandError> {
        if self.0.get() > MAX_TOTAL {
            return Err(ExpandError::TooMuch);
        }
        result
    }
}
