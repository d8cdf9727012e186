//! Why a build failed, and where in the Dockerfile.

use std::ops::Range;

use refit_dockerfile::{Dockerfile, WindowsPathError, expand::ExpandError};

use super::{
    bases::BaseError, contents::ContentError, metadata::MetadataError, transfer::TransferError,
};
use crate::engine::{EngineError, Refusal};

/// Why an instruction failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Expand(#[from] ExpandError),
    #[error(transparent)]
    Base(#[from] BaseError),
    #[error(transparent)]
    WindowsPath(#[from] WindowsPathError),
    #[error("the context cannot be read")]
    Context(#[from] refit_context::TarError),
    #[error("{message}")]
    Refused { message: String, hint: String },
}

impl StepError {
    /// Tells the error of the bytes `span` of `file`.
    pub(crate) fn told(self, file: &Dockerfile, span: &Range<usize>) -> EngineError {
        let line = file.position(span.start).0;
        let refused = |message, hint| {
            let (span, hint) = (span.clone(), Some(hint));
            EngineError::Refused(Refusal {
                line,
                span,
                message,
                hint,
            })
        };
        match self {
            Self::Refused { message, hint }
            | Self::Transfer(TransferError::Refused { message, hint }) => refused(message, hint),
            Self::Base(error)
            | Self::Transfer(
                TransferError::Base(error) | TransferError::Content(ContentError::Base(error)),
            ) => base_error(error),
            Self::Transfer(TransferError::Content(ContentError::Io { path, source })) => {
                EngineError::Io { path, source }
            }
            error => EngineError::Instruction {
                line,
                span: span.clone(),
                message: told(&error),
            },
        }
    }
}

fn base_error(error: BaseError) -> EngineError {
    match error {
        BaseError::Registry { repository, source } => EngineError::Base {
            repository,
            source: Box::new(source),
        },
        error => failed(&told(&error)),
    }
}

/// An error with all that caused it, in one sentence.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

pub(crate) fn failed(message: &str) -> EngineError {
    EngineError::Failed {
        message: message.to_owned(),
    }
}

pub(crate) fn later_stage(name: &str) -> StepError {
    StepError::Refused {
        message: format!("the stage `{name}` comes later"),
        hint: "put the stage before the one that needs it".to_owned(),
    }
}

pub(crate) fn files(name: &str) -> StepError {
    StepError::Refused {
        message: format!(
            "the build context `{name}` holds files that the native engine cannot read"
        ),
        hint: "copy from the main context, or from an image".to_owned(),
    }
}
