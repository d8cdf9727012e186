//! Running `git` itself: without the repository's hooks, without helper protocols, with errors that show what ran.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::{Environment, Repo};

/// Variables that point git at another repository or index than the one we opened.
const LOCAL_VARIABLES: [&str; 8] = [
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
];

/// A `git` that could not do its part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// There is no `git` on the `PATH`, or it can't be started.
    #[error("cannot run `{argv}`")]
    Start {
        /// The command line.
        argv: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ran and failed.
    #[error("`{argv}` failed ({status}){}", appended(stderr))]
    Failed {
        /// The command line.
        argv: String,
        /// `exit status: 128`.
        status: String,
        /// What it said, without credentials.
        stderr: String,
    },
}

/// What a finished `git` left: its exit code and both streams.
pub(crate) struct Finished {
    argv: String,
    output: Output,
}

impl Finished {
    pub(crate) fn success(&self) -> bool {
        self.output.status.success()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.output.stdout
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        without_credentials(&String::from_utf8_lossy(&self.output.stderr))
    }

    /// The failure as an error, with the refs that were refused (`git push --porcelain` lists them on stdout).
    pub(crate) fn error(&self) -> ChildError {
        let refused: String = self
            .stdout()
            .lines()
            .filter(|line| line.starts_with('!'))
            .fold(self.stderr().trim().to_owned(), |said, line| {
                format!("{said}\n{}", line.replace('\t', " "))
            });
        ChildError::Failed {
            argv: self.argv.clone(),
            status: self.output.status.to_string(),
            stderr: refused,
        }
    }
}

/// `git fetch` that moves no ref but those named behind it: without the empty `--refmap` git would also apply configured
/// refspecs, and `+refs/notes/*:refs/notes/*` erases our notes.
pub(crate) const FETCH: [&str; 6] = [
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--refmap=",
];

impl Repo {
    /// Runs `git` in this repository and waits; a failure of git's is the caller's to judge.
    pub(crate) fn run_git(&self, args: &[&str]) -> Result<Finished, ChildError> {
        self.run_git_with(args, None)
    }

    /// As [`Repo::run_git`], with something on stdin for a `git` that prints little before it has read all of it.
    pub(crate) fn run_git_with(
        &self,
        args: &[&str],
        stdin: Option<Vec<u8>>,
    ) -> Result<Finished, ChildError> {
        let shown = without_credentials(&format!("git {}", args.join(" ")));
        let run = || {
            let mut child = self
                .git_command(args)
                .stdin(stdin.as_ref().map_or_else(Stdio::null, |_| Stdio::piped()))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            if let (Some(bytes), Some(mut pipe)) = (stdin, child.stdin.take()) {
                match pipe.write_all(&bytes) {
                    // It stopped reading: its exit code and its words say why.
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
                    written => written?,
                }
            }
            child.wait_with_output()
        };
        match run() {
            Ok(output) => Ok(Finished {
                argv: shown,
                output,
            }),
            Err(source) => Err(ChildError::Start {
                argv: shown,
                source,
            }),
        }
    }

    fn git_command(&self, args: &[&str]) -> Command {
        let mut child = Command::new("git");
        child
            .args(["-c", "core.hooksPath=/dev/null"])
            .args(["-c", "protocol.ext.allow=never"])
            .args(["-c", "maintenance.auto=false", "-c", "gc.auto=0"])
            .args(args)
            .current_dir(self.work_dir().unwrap_or(self.git_dir()));
        for name in LOCAL_VARIABLES {
            child.env_remove(name);
        }
        if self.environment() == Environment::Isolated {
            isolate(&mut child);
        }
        // Ownership was checked when the repository was opened; naming it saves a second search.
        child.env("GIT_DIR", self.git_dir()).env("LC_ALL", "C");
        child
    }

    /// As [`Repo::run_git`], giving up on a connection that has stalled for a minute unless the user has set a limit.
    pub(crate) fn run_network_git(&self, args: &[&str]) -> Result<Finished, ChildError> {
        let mut limited = Vec::new();
        if self.config_string("http.lowSpeedTime").is_none() {
            limited.extend(["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60"]);
        }
        limited.extend(args);
        self.run_git(&limited)
    }
}

/// Leaves nothing of the environment's git settings to a child.
fn isolate(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_CONFIG_GLOBAL", Path::new("/dev/null"))
        .env("GIT_CONFIG_NOSYSTEM", "1");
}

fn appended(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

/// `https://user:password@host/` as `https://host/`: neither errors nor logs keep credentials.
fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || matches!(c, '\'' | '"'))
            .unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(user_end) => &after[user_end + 1..],
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::without_credentials;

    #[test]
    fn credentials_in_urls_are_dropped() {
        let cases = [
            (
                "fatal: unable to access 'https://u:p@h.example/x.git/': no",
                "fatal: unable to access 'https://h.example/x.git/': no",
            ),
            (
                "https://token@h/a and ssh://git@h/b",
                "https://h/a and ssh://h/b",
            ),
            ("https://h/a@b", "https://h/a@b"),
            ("no url, me@example.com", "no url, me@example.com"),
            ("https://u:p@", "https://"),
        ];
        for (text, clean) in cases {
            assert_eq!(without_credentials(text), clean);
        }
    }
}
