//! Running `stale-when` commands.

use std::{process::Stdio, time::Duration};

use refit_deps::{
    check::{self, Check, CheckKey},
    image::EMBEDDED_HOST,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
};

use super::Observer;

/// How many run at once: a scanner is busy by itself.
pub(super) const CONCURRENCY: usize = 2;
/// How long one may take.
const TIMEOUT: Duration = Duration::from_mins(10);
/// How much of what it prints is looked at.
const OUTPUT_LIMIT: u64 = 64 * 1024;

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

    async fn run(&self, program: &str, args: &[String]) -> Check {
        let repo = &self.project.repo;
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(repo.work_dir().unwrap_or(repo.git_dir()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Check::Failed(format!("cannot run `{program}`: {error}")),
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (_, said, status) = tokio::join!(beginning(stdout), beginning(stderr), child.wait());
        match status.map(|status| status.code()) {
            Ok(Some(0)) => Check::Fine,
            Ok(Some(1)) => Check::Stale,
            Ok(Some(code)) => Check::Failed(ended(program, &format!("exit code {code}"), &said)),
            Ok(None) => Check::Failed(ended(program, "a signal", &said)),
            Err(error) => Check::Failed(format!("cannot wait for `{program}`: {error}")),
        }
    }
}

/// The beginning of an output; the rest is read too, so that the program can end.
async fn beginning(output: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut output) = output {
        let _ = (&mut output)
            .take(OUTPUT_LIMIT)
            .read_to_end(&mut kept)
            .await;
        let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
    }
    kept
}

/// How it ended, with the last line that it wrote about itself.
fn ended(program: &str, how: &str, stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    match last {
        Some(line) => format!("`{program}` ended with {how}: {line}"),
        None => format!("`{program}` ended with {how}"),
    }
}
