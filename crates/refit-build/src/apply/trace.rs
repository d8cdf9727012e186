//! What a target leaves behind: its build's log, its line in the run's record, the record of how it was made.

use std::io::{self, Write};

use refit_deps::{
    pin::Pin,
    plan::{Action, Step},
    record::{BuildRecord, Record},
};
use refit_logs::{Outcome as LogOutcome, Recorder, TargetRecord};
use refit_oci::Digest;
use refit_platform::Target;

use super::{Site, Workshop};

/// How a rebased manifest came to be.
pub(super) const REBASE: &str = "rebase";

pub(super) fn record(
    step: &Step,
    pins: &[Pin],
    manifest: &Digest,
    base_diff_ids: Vec<Digest>,
    how: &str,
    log: Option<Digest>,
    site: &Site<'_>,
) -> Record {
    Record::Build(BuildRecord {
        image: step.target.image.clone(),
        platform: step.target.platform.clone(),
        line: step.line.clone(),
        source: step.source.clone(),
        commit: step.commit.clone(),
        deps: pins.to_vec(),
        base_diff_ids,
        manifest: manifest.clone(),
        how: how.to_owned(),
        engine: step.engine.as_str().to_owned(),
        reasons: step.reasons.iter().map(|r| r.word().to_owned()).collect(),
        run: site.run.id().to_string(),
        log,
        at: (site.clock)().to_string(),
    })
}

/// What is done, as a word in the run's record.
pub(super) fn action(step: &Step) -> &'static str {
    match step.action {
        Action::Rebuild => "rebuild",
        Action::Rebase(_) => REBASE,
        Action::Publish { .. } => "publish",
    }
}

/// Writes the outcome into the run's record; the log archive is for people, and its loss fails nothing.
pub(super) fn note(
    step: &Step,
    site: &Site<'_>,
    outcome: LogOutcome,
    manifest: Option<&Digest>,
    log: Option<&Digest>,
    message: Option<&str>,
) {
    let _ = site.run.record(TargetRecord {
        target: step.target.to_string(),
        action: action(step).to_owned(),
        outcome,
        log: log.cloned(),
        manifest: manifest.cloned(),
        message: message.map(str::to_owned),
        part: None,
        node: None,
    });
}

/// Writes to the archive, and line by line to the terminal.
pub(super) struct Tee<'a> {
    pub(super) recorder: &'a mut Recorder,
    pub(super) target: &'a Target,
    pub(super) workshop: &'a dyn Workshop,
    pub(super) line: Vec<u8>,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.recorder.write_all(bytes)?;
        for byte in bytes {
            match byte {
                b'\n' => self.end(),
                byte => self.line.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.recorder.flush()
    }
}

impl Tee<'_> {
    pub(super) fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.workshop
                .line(self.target, &String::from_utf8_lossy(&line));
        }
    }
}
