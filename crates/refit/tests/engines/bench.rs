//! A repository with a user's hermetic environment, an engine and a registry around it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use refit_testkit::engines::{BuildKitd, Dockerd, Version};
use tempfile::TempDir;

use crate::said::Said;

/// A repository, and who builds.
pub(crate) struct Bench {
    folder: TempDir,
    engine: Option<Arc<Dockerd>>,
    buildkitd: Option<BuildKitd>,
}

impl Bench {
    /// An empty repository on the branch `main`, with an engine.
    pub(crate) fn with_engine(version: Version) -> Self {
        Self::new(Some(engine(version)))
    }

    /// An empty repository and no engine that could be reached.
    pub(crate) fn without_engine() -> Self {
        Self::new(None)
    }

    /// An empty repository, and a BuildKit alone.
    pub(crate) fn with_buildkitd() -> Self {
        Self {
            buildkitd: Some(BuildKitd::start().unwrap()),
            ..Self::new(None)
        }
    }

    /// The same, and this machine is out of its reach.
    pub(crate) fn with_buildkitd_apart() -> Self {
        Self {
            buildkitd: Some(BuildKitd::start_apart().unwrap()),
            ..Self::new(None)
        }
    }

    /// The same, on a bridge.
    pub(crate) fn with_buildkitd_on(bridge: &str) -> Self {
        Self {
            buildkitd: Some(BuildKitd::start_on_bridge(bridge).unwrap()),
            ..Self::new(None)
        }
    }

    fn new(engine: Option<Arc<Dockerd>>) -> Self {
        let folder = TempDir::with_prefix("refit-engines-").unwrap();
        for name in ["home", "tmp"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let bench = Self {
            folder,
            engine,
            buildkitd: None,
        };
        fs::create_dir(bench.repository()).unwrap();
        bench
            .git(&["init", "--quiet", "--initial-branch=main"])
            .exits(0);
        bench
    }

    /// The repository's folder.
    pub(crate) fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    /// A path beside the repository.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes files of the repository.
    pub(crate) fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.repository().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// Commits everything, and gives the commit's id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]).exits(0);
        self.git(&["commit", "--quiet", "--message", message])
            .exits(0);
        self.git(&["rev-parse", "HEAD"]).exits(0).line()
    }

    /// Runs git in the repository.
    pub(crate) fn git(&self, args: &[&str]) -> Said {
        self.git_in(&self.repository(), args)
    }

    /// Runs git in a folder.
    pub(crate) fn git_in(&self, folder: &Path, args: &[&str]) -> Said {
        Said::by(self.command("git", folder).args(args))
    }

    /// Runs refit in the repository.
    pub(crate) fn refit(&self, args: &[&str]) -> Said {
        self.refit_in(&self.repository(), args)
    }

    /// Runs refit in a folder.
    pub(crate) fn refit_in(&self, folder: &Path, args: &[&str]) -> Said {
        Said::by(&mut self.refit_command(folder, args))
    }

    /// Runs refit as on a machine whose own platform is amd64.
    pub(crate) fn refit_on_amd64(&self, args: &[&str]) -> Said {
        let mut command = self.refit_command(&self.repository(), args);
        Said::by(command.env("REFIT_BUILD_PLATFORM", "linux/amd64"))
    }

    /// refit, not yet started.
    pub(crate) fn refit_command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_refit"), folder);
        command.args(args);
        command
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        let home = self.folder.path().join("home");
        command.env_clear().current_dir(folder).stdin(Stdio::null());
        // What a killed run leaves behind goes with the test.
        command.env("TMPDIR", self.folder.path().join("tmp"));
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"));
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Ada")
                .env(format!("GIT_{role}_EMAIL"), "ada@example.com");
            command.env(format!("GIT_{role}_DATE"), "2026-01-02T03:04:05Z");
        }
        let nowhere = || {
            format!(
                "unix://{}",
                self.folder.path().join("no-engine.sock").display()
            )
        };
        command.env(
            "DOCKER_HOST",
            self.engine
                .as_ref()
                .map_or_else(nowhere, |engine| engine.host()),
        );
        if let Some(buildkitd) = &self.buildkitd {
            command.env("BUILDKIT_HOST", buildkitd.host());
        }
        command
    }

    /// Runs the real buildx on the engine, in the repository.
    /// A real registry that is asked for a tag at the moment in which it is written answers 500; then it is tried again.
    pub(crate) fn buildx(&self, args: &[&str]) -> Said {
        for _ in 0..3 {
            let said = self.buildx_once(args);
            if !said.stderr.contains("500 Internal Server Error") {
                return said;
            }
        }
        self.buildx_once(args)
    }

    fn buildx_once(&self, args: &[&str]) -> Said {
        let plugin = "docker26/usr/libexec/docker/cli-plugins/docker-buildx";
        let buildx = refit_testkit::engines::folder().join(plugin);
        let buildx = buildx.to_str().unwrap();
        Said::by(self.command(buildx, &self.repository()).args(args))
    }

    /// Runs an image of a registry in the engine, and gives what it prints.
    pub(crate) fn run_image(&self, name: &str, platform: &str) -> String {
        let docker = refit_testkit::engines::folder().join("docker26/usr/bin/docker");
        let docker = docker.to_str().unwrap();
        let run =
            |args: &[&str]| Said::by(self.command(docker, self.folder.path()).args(args)).exits(0);
        let ran = run(&[
            "run",
            "--rm",
            "--quiet",
            "--network=none",
            "--platform",
            platform,
            name,
        ]);
        run(&["rmi", name]);
        ran.stdout
    }

    /// The names of the engine's images and the number of its containers: what a run may not leave behind.
    pub(crate) fn left_in_engine(&self) -> (Vec<String>, usize) {
        let of_buildkit = self.buildkitd.as_ref().map(BuildKitd::dockerd);
        left_in(&self.engine.as_deref().or(of_buildkit).unwrap().socket())
    }
}

/// The names of the images of the engine at a socket, and the number of its containers.
pub(crate) fn left_in(socket: &Path) -> (Vec<String>, usize) {
    let images = crate::hub::engine_api(socket, "/images/json?all=1");
    let containers = crate::hub::engine_api(socket, "/containers/json?all=1");
    let images = images
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["RepoTags"].to_string());
    (images.collect(), containers.as_array().unwrap().len())
}

/// The engine that the tests of this process share while one of them holds it: starting one takes longer than a test.
fn engine(version: Version) -> Arc<Dockerd> {
    static RUNNING: Mutex<Vec<(Version, Weak<Dockerd>)>> = Mutex::new(Vec::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let known = running
        .iter()
        .find(|(of, engine)| *of == version && engine.strong_count() > 0);
    if let Some(engine) = known.and_then(|(_, engine)| engine.upgrade()) {
        return engine;
    }
    let engine = Arc::new(Dockerd::start(version).unwrap());
    running.push((version, Arc::downgrade(&engine)));
    engine
}
