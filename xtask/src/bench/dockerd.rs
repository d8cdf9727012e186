//! A Docker Engine 20.10 of its own to measure against, gone with the measurement.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::site::Site;
use crate::{
    engines,
    shell::{Failure, Outcome, io_failure},
};

/// The engine has processes and mounts of its own, and ends with its standard input, as those of the tests do.
const ISOLATED: &str = r#"
[ ! -d /run/containerd ] || mount -t tmpfs none /run/containerd
exec 3<&0
"$@" </dev/null >log 2>&1 3<&- &
daemon=$!
{ read -r _ <&3; kill -KILL $daemon; } &
wait $daemon
"#;

/// What the two builders of an engine are called by `DOCKER_BUILDKIT`.
#[derive(Clone, Copy)]
pub(super) enum Builder {
    Classic,
    BuildKit,
}

pub(super) struct Dockerd {
    watcher: Child,
    folder: PathBuf,
    path: String,
}

impl Dockerd {
    pub(super) fn start() -> Outcome<Self> {
        let engine = engines::folder().join("docker20");
        if !engine.is_dir() {
            return Err(Failure(
                "no engine; run `cargo xtask engines install`".to_owned(),
            ));
        }
        // A socket's path has at most 108 bytes.
        let folder = std::env::temp_dir().join(format!("refit-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(io_failure(&folder))?;
        let config = folder.join("daemon.json");
        fs::write(&config, "{}").map_err(io_failure(&config))?;
        let in_engine = |path: &str| engine.join(path).display().to_string();
        let path = format!(
            "{}:{}:/usr/sbin:/usr/bin:/sbin:/bin",
            in_engine("usr/sbin"),
            in_engine("usr/bin")
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["sh", "-c", ISOLATED, "sh", "dockerd"]);
        let in_folder = |name: &str| folder.join(name).display().to_string();
        for (flag, name) in [
            ("--config-file", "daemon.json"),
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
        ] {
            command.args([flag, &in_folder(name)]);
        }
        command.arg(format!("--host=unix://{}", in_folder("sock")));
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
        let libraries = ["lib", "usr/lib"].map(|lib| in_engine(&format!("{lib}/x86_64-linux-gnu")));
        command
            .env_clear()
            .env("PATH", &path)
            .env("HOME", &folder)
            .env("LD_LIBRARY_PATH", libraries.join(":"))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stderr(Stdio::null());
        let watcher = command.spawn().map_err(io_failure("unshare".as_ref()))?;
        let dockerd = Self {
            watcher,
            folder,
            path,
        };
        let start = Instant::now();
        while UnixStream::connect(dockerd.folder.join("sock")).is_err() {
            if start.elapsed() > Duration::from_mins(1) {
                let log = fs::read_to_string(dockerd.folder.join("log")).unwrap_or_default();
                return Err(Failure(format!(
                    "`dockerd` did not start in a minute: {log}"
                )));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(dockerd)
    }

    /// The engine's address for `DOCKER_HOST`.
    pub(super) fn host(&self) -> String {
        format!("unix://{}", self.folder.join("sock").display())
    }

    /// A script in the folder of `site` that has the engine's own `docker`.
    pub(super) fn script(&self, site: &Site, builder: Builder, script: &str) -> Command {
        let mut command = site.program("sh");
        let kit = match builder {
            Builder::Classic => "0",
            Builder::BuildKit => "1",
        };
        command
            .args(["-e", "-c", script])
            .env("PATH", &self.path)
            .env("DOCKER_HOST", self.host())
            .env("DOCKER_BUILDKIT", kit);
        command
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
