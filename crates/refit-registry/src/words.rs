//! Why something planned can't be had, in one line.

use std::error::Error;

use crate::RegistryError;

/// An error and its causes: the engine shows these words in its log.
pub(crate) fn words(error: &RegistryError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}
