//! One clone, with git and refit run in it as its user would.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{bench::Bench, said::Said};

/// A repository's folder.
pub(crate) struct Checkout<'b> {
    bench: &'b Bench,
    dir: PathBuf,
}

impl<'b> Checkout<'b> {
    pub(crate) fn new(bench: &'b Bench, dir: PathBuf) -> Self {
        Self { bench, dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes files: `//- path`, then the text, with `HUB` for the registry's host.
    pub(crate) fn write(&self, files: &str) {
        for file in self.bench.hosted(files).split("//- ").skip(1) {
            let (path, text) = file.split_once('\n').unwrap();
            let path = self.dir.join(path.trim());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// Commits everything; the commit's id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git, which must succeed; its output without the last newline.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let said = self.try_git(args).exits(0);
        said.stdout.trim_end().to_owned()
    }

    pub(crate) fn try_git(&self, args: &[&str]) -> Said {
        let mut command = self.command("git");
        command.args(args);
        let output = command.output().unwrap();
        Said::of(&command, output)
    }

    /// Runs refit to its end.
    pub(crate) fn refit(&self, args: &[&str]) -> Said {
        self.refit_with(&[], args)
    }

    /// The same with more of an environment.
    pub(crate) fn refit_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Said {
        let mut command = self.command(env!("CARGO_BIN_EXE_refit"));
        command.args(args).envs(variables.iter().copied());
        let output = command.output().unwrap();
        Said::of(&command, output)
    }

    /// Starts refit and does not wait for it.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.start_with(&[], args)
    }

    /// The same with more of an environment.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Child {
        let mut command = self.command(env!("CARGO_BIN_EXE_refit"));
        command.args(args).envs(variables.iter().copied());
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let own = Path::new(env!("CARGO_BIN_EXE_refit")).parent().unwrap();
        let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap());
        // A command that makes the folder itself is run beside it.
        let dir = if self.dir.is_dir() {
            &self.dir
        } else {
            self.bench.folder()
        };
        command
            .current_dir(dir)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.bench.folder().join("home"))
            // What is killed leaves something there.
            .env("TMPDIR", self.bench.scratch())
            .env("REFIT_CONFIG", self.bench.user_config())
            .env("REFIT_BUILD_PLATFORM", "linux/amd64")
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CEILING_DIRECTORIES", self.bench.folder())
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.com")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@example.com")
            .env("GIT_AUTHOR_DATE", "2026-11-22T10:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-11-22T10:00:00Z");
        command
    }

    /// The commits of both notes refs, empty where there is none.
    pub(crate) fn notes(&self) -> String {
        self.git(&["for-each-ref", "refs/notes"])
    }

    /// Every record, in one text.
    pub(crate) fn records(&self) -> String {
        let listed = self.git(&["notes", "--ref=refit-records", "list"]);
        let blobs = listed.lines().filter_map(|line| line.split(' ').next());
        blobs
            .map(|blob| self.git(&["cat-file", "-p", blob]) + "\n")
            .collect()
    }
}

/// The publish records of an image, in the order of their lines.
pub(crate) fn publishes(of: &Checkout<'_>, image: &str) -> Vec<Value> {
    let records = of.records();
    let records = records
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records
        .filter(|record| record["type"] == "publish" && record["image"] == image)
        .collect()
}
