//! Running `stale-when` commands.

use std::time::Duration;

use refit_deps::{
    check::{self, Check, CheckKey},
    image::{EMBEDDED_HOST, Image},
};
use refit_oci::Digest;

use super::Observer;
use crate::{
    program::{self, NotRun, last_line},
    project::Snapshot,
};

/// How many run at once: a scanner is busy by itself.
pub(super) const CONCURRENCY: usize = 2;
/// How long one may take.
const TIMEOUT: Duration = Duration::from_mins(10);

impl Observer<'_> {
    /// Runs an image's command on a published manifest, if it may run.
    pub(super) async fn check(&self, key: &CheckKey) -> Check {
        let Some(image) = self.tip.inventory.image(&key.image) else {
            return Check::Failed("there is no such image".to_owned());
        };
        if !self.may_run(&image.stale_when) {
            return Check::NotAccepted;
        }
        if key.repository.registry() == EMBEDDED_HOST {
            let what = "the image lies in the embedded store, where no other program finds it";
            return Check::Failed(what.to_owned());
        }
        let words = check::command(&image.stale_when, key);
        let Some((program, args)) = words.split_first() else {
            return Check::Fine;
        };
        match tokio::time::timeout(TIMEOUT, self.run(program, args)).await {
            Ok(check) => check,
            Err(_) => Check::Failed(format!(
                "`{program}` did not end within {} minutes",
                TIMEOUT.as_secs() / 60
            )),
        }
    }

    /// The user's own command may, and a repository's once its file was accepted.
    pub(crate) fn may_run(&self, words: &[String]) -> bool {
        let project = self.project;
        let accepted = |digest| project.trust.accepts(digest, project.repo.common_dir());
        words == project.user.stale_when() || self.tip.config.as_ref().is_some_and(accepted)
    }

    /// Whether an image's `prepare` may run at a commit: its file was accepted, or the tip's, and that has the same.
    pub(crate) fn may_prepare(&self, image: &Image, at: &Snapshot) -> bool {
        let project = self.project;
        let accepted = |config: &Option<Digest>| {
            let config = config.as_ref();
            config.is_some_and(|digest| project.trust.accepts(digest, project.repo.common_dir()))
        };
        let tip = self.tip.inventory.image(&image.name);
        let same_at_tip = tip.is_some_and(|tip| tip.prepare == image.prepare);
        accepted(&at.config) || (same_at_tip && accepted(&self.tip.config))
    }

    async fn run(&self, program: &str, args: &[String]) -> Check {
        let ended = match program::run(&self.project.repo, program, args).await {
            Ok(ended) => ended,
            Err(NotRun(action, error)) => {
                return Check::Failed(format!("cannot {action} `{program}`: {error}"));
            }
        };
        let failed = |how: &str| Check::Failed(told(program, how, &ended.stderr));
        match ended.code {
            Some(0) => Check::Fine,
            Some(1) => Check::Stale,
            Some(code) => failed(&format!("exit code {code}")),
            None => failed("a signal"),
        }
    }
}

/// How it ended, with the last line that it wrote about itself.
fn told(program: &str, how: &str, stderr: &str) -> String {
    match last_line(stderr) {
        Some(line) => format!("`{program}` ended with {how}: {line}"),
        None => format!("`{program}` ended with {how}"),
    }
}
