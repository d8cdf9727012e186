//! Running a program that a configuration names, in the repository, once somebody has accepted that.

use std::{io, process::Stdio};

use refit_git::Repo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
};

/// How much of each output is kept.
const OUTPUT_LIMIT: u64 = 1024 * 1024;

/// A program that came to its end.
pub(crate) struct Ended {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why one did not: what could not be done with it (`run`, `wait for`), and what the system said.
pub(crate) struct NotRun(pub(crate) &'static str, pub(crate) io::Error);

/// Runs a program to its end, without input. It is killed if nobody waits for it any more.
pub(crate) async fn run(repo: &Repo, program: &str, args: &[String]) -> Result<Ended, NotRun> {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(repo.work_dir().unwrap_or(repo.git_dir()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| NotRun("run", error))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr, status) = tokio::join!(beginning(stdout), beginning(stderr), child.wait());
    let status = status.map_err(|error| NotRun("wait for", error))?;
    Ok(Ended {
        code: status.code(),
        stdout,
        stderr,
    })
}

/// The last line of an output that says something.
pub(crate) fn last_line(output: &str) -> Option<&str> {
    output.lines().map(str::trim).rfind(|line| !line.is_empty())
}

/// The beginning of an output; the rest is read too, so that the program can end.
async fn beginning(output: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    if let Some(mut output) = output {
        let _ = (&mut output)
            .take(OUTPUT_LIMIT)
            .read_to_end(&mut kept)
            .await;
        let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&kept).into_owned()
}
