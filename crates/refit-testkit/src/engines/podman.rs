//! A private Podman, whose service speaks Docker's API.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    EngineError,
    daemon::{Daemon, Isolation},
    dockerd::{answers, libraries},
    folder, installed, io_error,
};

/// A Podman of one test. RUN has the network of the machine, or none.
pub struct Podman {
    // Stopped before its folder is removed: fields are dropped in order.
    _daemon: Daemon,
    folder: TempDir,
}

impl Podman {
    /// Starts its service and waits until it answers. Needs root.
    pub fn start() -> Result<Self, EngineError> {
        Self::start_in(Isolation::Namespaces)
    }

    /// The same, in a network of its own: it does not reach this machine's loopback interface.
    pub fn start_apart() -> Result<Self, EngineError> {
        Self::start_in(Isolation::Network)
    }

    fn start_in(isolation: Isolation) -> Result<Self, EngineError> {
        let home = TempDir::with_prefix("refit-podman-");
        let home = home.map_err(io_error(&std::env::temp_dir()))?;
        let command = command(home.path())?;
        let log = home.path().join("log");
        let mut daemon = Daemon::spawn(&command, isolation, &log)?;
        let socket = socket_in(home.path());
        daemon.wait_until(|| answers(&socket).then_some(()))?;
        Ok(Self {
            _daemon: daemon,
            folder: home,
        })
    }

    /// The API's Unix socket.
    pub fn socket(&self) -> PathBuf {
        socket_in(self.folder.path())
    }

    /// The socket as `DOCKER_HOST` has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Everything that it has logged so far.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("podman.sock")
}

fn command(home: &Path) -> Result<Command, EngineError> {
    let podman = installed("podman/usr/bin/podman")?;
    let conmon = installed("podman/usr/bin/conmon")?;
    // Its own `crun` builds nothing where both generations of control groups are mounted.
    let runc = installed("docker20/usr/sbin/runc")?;
    let written = |name: &str, text: &str| {
        let path = home.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io_error(folder))?;
        }
        fs::write(&path, text).map_err(io_error(&path))?;
        Ok(path)
    };
    let containers = written(
        "containers.conf",
        &format!(
            "[containers]\ncgroups = \"enabled\"\nnetns = \"host\"\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nruntime = \"runc\"\n\
             lock_type = \"file\"\n\
             conmon_path = [\"{}\"]\n[engine.runtimes]\nrunc = [\"{}\"]\n",
            conmon.display(),
            runc.display()
        ),
    )?;
    // Nothing is said of registries on this machine: the service takes them as it does by itself.
    let registries = written("registries.conf", "unqualified-search-registries = []\n")?;
    let (data, run) = (home.join("data"), home.join("run"));
    let storage = written(
        "storage.conf",
        &format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            data.display(),
            run.display()
        ),
    )?;
    written(
        ".config/containers/policy.json",
        r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
    )?;
    let scratch = home.join("scratch");
    fs::create_dir(&scratch).map_err(io_error(&scratch))?;

    let engines = folder();
    let libraries = [
        libraries(&engines.join("podman")),
        libraries(&engines.join("docker20")),
    ];
    let mut command = Command::new(podman);
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LD_LIBRARY_PATH", libraries.concat().join(":"))
        .env("HOME", home)
        .env("TMPDIR", &scratch)
        .env("CONTAINERS_CONF", containers)
        .env("CONTAINERS_REGISTRIES_CONF", registries)
        .env("CONTAINERS_STORAGE_CONF", storage);
    for (option, place) in [
        ("--root", data),
        ("--runroot", run),
        ("--tmpdir", home.join("tmp")),
        ("--network-config-dir", home.join("networks")),
    ] {
        command.arg(option).arg(place);
    }
    command.args(["system", "service", "--time=0"]);
    command.arg(format!("unix://{}", socket_in(home).display()));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_engine_podman_starts_and_leaves_nothing_behind() {
        let engine = Podman::start().unwrap();
        let folder = engine.folder.path().to_owned();
        assert!(answers(&engine.socket()), "{}", engine.log());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(folder.to_str().unwrap()));
        drop(engine);
        assert!(!folder.exists());
    }
}
