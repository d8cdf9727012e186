//! What can go wrong with the archive on disk.

use std::{io, path::PathBuf};

use refit_oci::Digest;

use crate::RunId;

/// Why the archive could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file or folder of the archive.
    #[error("could not {action} `{}`", path.display())]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A run's record is no JSON of ours.
    #[error("`{}` is no run record", path.display())]
    Record {
        /// The record's file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Two runs with one id.
    #[error("run `{0}` exists already")]
    Exists(RunId),
    /// The bytes of a log are not those its name promises.
    #[error("log `{0}` is damaged: its content has another digest")]
    Damaged(Digest),
}

impl LogError {
    /// For `map_err`: keeps the path beside the system's error.
    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
