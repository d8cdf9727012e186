//! A repository and a home of its own, and the built command in it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Folders that go with the test.
pub(crate) struct Sandbox {
    temp: tempfile::TempDir,
}

/// What a command left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    /// An empty folder `repo`, which is no repository yet.
    pub(crate) fn bare() -> Self {
        let temp = tempfile::Builder::new()
            .prefix("refit-test-")
            .tempdir()
            .unwrap();
        for folder in ["repo", "home/config"] {
            fs::create_dir_all(temp.path().join(folder)).unwrap();
        }
        Self { temp }
    }

    /// A repository without commits.
    pub(crate) fn new() -> Self {
        let sandbox = Self::bare();
        sandbox.git(&["init", "-q", "-b", "main"]);
        sandbox
    }

    /// A repository with these files committed: `//- path`, then the text.
    pub(crate) fn with(files: &str) -> Self {
        let sandbox = Self::new();
        sandbox.write_all(files);
        sandbox.commit("Add images");
        sandbox
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.temp.path().join("repo")
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.temp.path().join(relative)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn write_all(&self, files: &str) {
        for file in files.split("//- ").skip(1) {
            let (path, text) = file.split_once('\n').unwrap();
            self.write(path.trim(), text);
        }
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Runs git, which must succeed; its output.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let ran = self.try_git(args);
        assert_eq!(ran.code, 0, "git {args:?}: {}", ran.stderr);
        ran.stdout
    }

    pub(crate) fn try_git(&self, args: &[&str]) -> Ran {
        let mut command = Command::new("git");
        command.args(args);
        self.run(command, "")
    }

    /// Runs refit in the repository.
    pub(crate) fn refit(&self, args: &[&str]) -> Ran {
        self.refit_with(args, "", &[])
    }

    /// The same with standard input and more of an environment.
    pub(crate) fn refit_with(&self, args: &[&str], input: &str, env: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refit"));
        command.args(args).envs(env.iter().copied());
        self.run(command, input)
    }

    /// Runs any command.
    pub(crate) fn run(&self, mut command: Command, input: &str) -> Ran {
        let bin = Path::new(env!("CARGO_BIN_EXE_refit")).parent().unwrap();
        let search = std::env::var("PATH").unwrap();
        let given: Vec<(std::ffi::OsString, std::ffi::OsString)> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        command
            .env_clear()
            .env("PATH", format!("{}:{search}", bin.display()))
            .env("HOME", self.path("home"))
            .env("XDG_CONFIG_HOME", self.path("home/config"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CEILING_DIRECTORIES", self.temp.path())
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.com")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@example.com")
            .env("GIT_AUTHOR_DATE", "2026-11-22T10:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-11-22T10:00:00Z")
            .env("SOURCE_DATE_EPOCH", "1795341600")
            .env("REFIT_BUILD_PLATFORM", "linux/amd64")
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .envs(given)
            .current_dir(self.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran::of(self, &child.wait_with_output().unwrap())
    }
}

impl Ran {
    fn of(sandbox: &Sandbox, output: &Output) -> Self {
        let folder = sandbox.temp.path().to_string_lossy().into_owned();
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec())
                .unwrap()
                .replace(&folder, "SANDBOX")
        };
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The command did its job: its stdout.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The exit code, stdout and stderr, for snapshots.
    pub(crate) fn all(&self) -> String {
        let part = |name: &str, text: &str| match text {
            "" => String::new(),
            text => format!("-- {name}\n{text}"),
        };
        format!(
            "{}{}-- exit code {}\n",
            part("stdout", &self.stdout),
            part("stderr", &self.stderr),
            self.code
        )
    }

    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).unwrap()
    }
}
