//! The log archive: what every run did, and what its targets printed, in plain files under the git directory.
//!
//! Nothing here reads a clock, randomness or the environment: they are arguments.

mod archive;
mod error;
mod frames;
mod reader;
mod record;
mod recorder;
mod redact;
mod run;
mod run_id;
mod secrets;

pub use archive::Archive;
pub use error::LogError;
pub use reader::{Line, Lines, LogReader};
pub use record::{Outcome, RunKind, RunRecord, TargetRecord};
pub use recorder::Recorder;
pub use redact::Redactor;
pub use run::{Run, RunSettings};
pub use run_id::{RunId, RunIdError};
pub use secrets::Secrets;
