//! Why an image can't be put on another base as it is.

use std::{fmt, ops::Range};

/// A refusal: what is in the way, and where the Dockerfile asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// One sentence, a lowercase fragment.
    pub message: String,
    /// The instruction's bytes in the Dockerfile, where it is one.
    pub span: Option<Range<usize>>,
}

impl Refused {
    pub(super) fn of(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
        }
    }

    pub(super) fn at(span: &Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: Some(span.clone()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl std::error::Error for Refused {}
