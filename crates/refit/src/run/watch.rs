//! What the terminal shows of builds while they run.

use refit_build::apply::{Done, Mirrored, Outcome};
use refit_platform::Target;
use refit_registry::Uploaded;

use super::engines;
use crate::{
    ui::{DIM, Ui},
    workshop::Watch,
};

/// Writes builds and outcomes to the terminal, each line with the target that it is of.
pub(super) struct TerminalWatch<'a> {
    pub(super) ui: &'a Ui,
}

impl Watch for TerminalWatch<'_> {
    fn mirrored(&self, mirrored: &Mirrored) {
        let copy = &mirrored.copy;
        // A failure is told of with the targets that it fails.
        if mirrored.outcome == Ok(Uploaded::Uploaded) {
            let (base, digest) = (copy.from.familiar(), copy.manifest.short());
            self.ui
                .note(&format!("{base}: {digest} copied to {}", copy.to));
        }
    }

    fn drained(&self, node: &str, why: &str) {
        self.ui.warning(&engines::drained(node, why));
    }

    fn line(&self, target: &Target, line: &str) {
        self.ui.note(&format!("{DIM}{target} |{DIM:#} {line}"));
    }

    fn done(&self, done: &Done) {
        let target = &done.target;
        match &done.outcome {
            Outcome::Built(manifest) => {
                let node = done.node.as_ref();
                let node = node.map_or_else(String::new, |node| format!(" on {node}"));
                self.ui
                    .note(&format!("{target}: built {}{node}", manifest.short()));
            }
            Outcome::Rebased(manifest) => {
                self.ui
                    .note(&format!("{target}: rebased, {}", manifest.short()));
            }
            Outcome::Staged(manifest) => {
                let text = format!("{target}: built before, {} is taken", manifest.short());
                self.ui.note(&text);
            }
            Outcome::Kept(manifest) => {
                let text = format!("{target}: unchanged, {} is kept", manifest.short());
                self.ui.note(&text);
            }
            Outcome::Skipped(why) => self.ui.warning(&format!("{target}: skipped, {why}")),
            Outcome::Failed(failed) => {
                self.ui.error(&format!("{target}: {}", failed.message));
                self.ui.excerpt(failed.excerpt.as_deref());
                if let Some(hint) = &failed.hint {
                    self.ui.hint(hint);
                }
                if done.log.is_some() {
                    let text = format!("`refit logs {}` shows its output", target.image);
                    self.ui.hint(&text);
                }
            }
        }
    }

    fn warn(&self, message: &str) {
        self.ui.warning(message);
    }
}
