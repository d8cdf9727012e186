//! Running a program that a configuration names, in the repository, once somebody has accepted that.

use std::{io, path::Path, process::Stdio, sync::Mutex};

use refit_git::Repo;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
};

/// How much of each output is kept, and shown.
const OUTPUT_LIMIT: usize = 1024 * 1024;
/// How long a line may be before it is shown in parts.
const LINE_LIMIT: usize = 64 * 1024;

/// A program that came to its end.
pub(crate) struct Ended {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why one did not: what could not be done with it (`run`, `wait for`), and what the system said.
pub(crate) struct NotRun(pub(crate) &'static str, pub(crate) io::Error);

/// Runs a program of the repository to its end, without input. It is killed if nobody waits for it any more, with all that
/// it has started.
pub(crate) async fn run(repo: &Repo, program: &str, args: &[String]) -> Result<Ended, NotRun> {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(repo.work_dir().unwrap_or(repo.git_dir()));
    to_end(command, &mut |_| {}).await
}

/// The same in a folder that is no repository, whatever lies above it; what it prints goes to `line` as it happens.
pub(crate) async fn run_in(
    dir: &Path,
    (program, args): (&str, &[String]),
    line: &mut (dyn FnMut(&str) + Send),
) -> Result<Ended, NotRun> {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir);
    // A hook's variables name the repository that it runs in.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command.env("GIT_CEILING_DIRECTORIES", dir.parent().unwrap_or(dir));
    to_end(command, line).await
}

async fn to_end(
    mut command: Command,
    line: &mut (dyn FnMut(&str) + Send),
) -> Result<Ended, NotRun> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .process_group(0)
        .spawn()
        .map_err(|error| NotRun("run", error))?;
    let group = Group::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let line = Mutex::new(line);
    let (stdout, stderr, status) =
        tokio::join!(read(stdout, &line), read(stderr, &line), child.wait());
    let status = status.map_err(|error| NotRun("wait for", error))?;
    group.ended();
    Ok(Ended {
        code: status.code(),
        stdout,
        stderr,
    })
}

/// The processes of a program: dropped before it ended, all of them are killed. A shell's commands would go on otherwise.
struct Group(Option<Pid>);

impl Group {
    /// Of one that leads a group.
    fn of(leader: &Child) -> Self {
        let id = leader.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// What it has left running on purpose goes on.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // There may be nobody left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// The last line of an output that says something.
pub(crate) fn last_line(output: &str) -> Option<&str> {
    output.lines().map(str::trim).rfind(|line| !line.is_empty())
}

/// The beginning of an output, told line by line; the rest is read too, so that the program can end.
async fn read(
    output: Option<impl AsyncRead + Unpin>,
    line: &Mutex<&mut (dyn FnMut(&str) + Send)>,
) -> String {
    let tell = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let mut line = line
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        line(text.trim_end_matches(['\n', '\r']));
    };
    let (mut kept, mut told) = (Vec::new(), 0);
    let Some(mut output) = output else {
        return String::new();
    };
    let mut chunk = vec![0; 8 * 1024];
    while let Ok(n @ 1..) = output.read(&mut chunk).await {
        let room = OUTPUT_LIMIT - kept.len();
        kept.extend_from_slice(&chunk[..n.min(room)]);
        while let Some(end) = kept[told..].iter().position(|byte| *byte == b'\n') {
            tell(&kept[told..=told + end]);
            told += end + 1;
        }
        if kept.len() - told >= LINE_LIMIT || (room > 0 && kept.len() == OUTPUT_LIMIT) {
            tell(&kept[told..]);
            told = kept.len();
        }
        if room > 0 && kept.len() == OUTPUT_LIMIT {
            tell(b"(what it printed beyond 1 MiB is left out)");
        }
    }
    if told < kept.len() {
        tell(&kept[told..]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
