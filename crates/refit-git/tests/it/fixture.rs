//! Repositories in temporary folders, made and questioned by the real `git`.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use refit_git::{Environment, Repo};
use refit_oci::ObjectId;
use tempfile::TempDir;

/// A folder with a repository in `repo`.
pub(crate) struct Fixture {
    dir: TempDir,
}

impl Fixture {
    /// A repository without commits.
    pub(crate) fn empty() -> Self {
        Self::init(&[])
    }

    /// A repository made by `git init` with flags.
    pub(crate) fn init(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut args = vec!["init", "--quiet", "--initial-branch=main"];
        args.extend(flags);
        args.push("repo");
        run(dir.path(), &args, b"");
        Self { dir }
    }

    /// A repository with one commit of the files in `text`.
    pub(crate) fn with(text: &str) -> Self {
        let fixture = Self::empty();
        fixture.commit(text);
        fixture
    }

    /// Where the repository is.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    /// A place beside the repository.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes files from one text, each after a line `//- path`.
    pub(crate) fn write(&self, text: &str) {
        for file in text.split("//- ").skip(1) {
            let (name, content) = file.split_once('\n').unwrap();
            let path = self.path().join(name.trim());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// Writes files and commits everything.
    pub(crate) fn commit(&self, text: &str) -> ObjectId {
        self.write(text);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message=change"]);
        self.id("HEAD")
    }

    /// What `git` prints, without the last line end.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.path(), args)
    }

    /// The object id of a revision, by git.
    pub(crate) fn id(&self, rev: &str) -> ObjectId {
        id(&self.path(), rev)
    }

    /// A clone of the newest `depth` commits, beside the repository.
    pub(crate) fn shallow_clone(&self, depth: usize) -> PathBuf {
        let url = format!("file://{}", self.path().display());
        let depth = format!("--depth={depth}");
        let parent = self.beside("");
        git(&parent, &["clone", "--quiet", &depth, &url, "shallow"]);
        self.beside("shallow")
    }

    /// The repository as our library opens it.
    pub(crate) fn repo(&self) -> Repo {
        open(&self.path())
    }
}

/// Our library's view of a repository, whatever the machine's configuration.
pub(crate) fn open(dir: &Path) -> Repo {
    Repo::discover_with(dir, Environment::Isolated).unwrap()
}

/// What `git` prints in a folder, without the last line end.
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    git_with(dir, args, b"")
}

/// As [`git`], with something on stdin.
pub(crate) fn git_with(dir: &Path, args: &[&str], stdin: &[u8]) -> String {
    let stdout = String::from_utf8(run(dir, args, stdin)).unwrap();
    stdout
        .strip_suffix('\n')
        .map(str::to_owned)
        .unwrap_or(stdout)
}

/// The exact bytes that `git` prints; it must succeed.
pub(crate) fn run(dir: &Path, args: &[&str], stdin: &[u8]) -> Vec<u8> {
    let mut child = command(dir, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "git {args:?} in {}: {stderr}",
        dir.display()
    );
    output.stdout
}

/// Whether `git` succeeds.
pub(crate) fn succeeds(dir: &Path, args: &[&str]) -> bool {
    command(dir, args).output().unwrap().status.success()
}

/// The object id of a revision.
pub(crate) fn id(dir: &Path, rev: &str) -> ObjectId {
    git(dir, &["rev-parse", "--verify", rev]).parse().unwrap()
}

/// A `git` that no configuration, clock or identity of the machine reaches.
pub(crate) fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .current_dir(dir)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "A U Thor")
        .env("GIT_AUTHOR_EMAIL", "author@example.com")
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_NAME", "C O Mitter")
        .env("GIT_COMMITTER_EMAIL", "committer@example.com")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        .env("LC_ALL", "C");
    command
}
