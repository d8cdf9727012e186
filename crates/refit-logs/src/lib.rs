//! The log archive: what every run did, and what its targets printed, in plain files under the git directory.
//!
//! Nothing here reads a clock, randomness or the environment: they are arguments.
//!
//! ```
//! use std::io::Write;
//! use jiff::Timestamp;
//! use refit_logs::{Archive, Outcome, RunId, RunKind, RunSettings, Secrets};
//!
//! # let dir = tempfile::tempdir()?;
//! let archive = Archive::open(dir.path());
//! let settings = RunSettings { clock: Timestamp::now, secrets: Secrets::new(["hunter2"]) };
//! let run = archive.start(RunId::new(Timestamp::now(), [7; 10]), RunKind::Build, settings)?;
//! let mut log = run.recorder("web@linux/arm64", "rebuild")?;
//! writeln!(log, "logging in with hunter2")?;
//! log.finish()?;
//! let record = run.finish(Outcome::Succeeded)?;
//!
//! let log = archive.target_log(&record, "web@linux/arm64")?.expect("it was recorded");
//! assert_eq!(log.tail(1)?[0].text, "logging in with ***");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod error;
mod frames;
mod journal;
mod reader;
mod record;
mod recorder;
mod redact;
mod retention;
mod run;
mod run_id;
mod secrets;

pub use archive::Archive;
pub use error::LogError;
pub use reader::{Line, Lines, LogReader};
pub use record::{Outcome, RunKind, RunRecord, TargetRecord};
pub use recorder::Recorder;
pub use redact::Redactor;
pub use retention::{Removal, Retention};
pub use run::{Run, RunSettings};
pub use run_id::{RunId, RunIdError};
pub use secrets::Secrets;
