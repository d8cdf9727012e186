//! A private Docker Engine.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::tls::Authority;

use super::{
    EngineError,
    daemon::{Daemon, Isolation},
    folder, installed, io_error,
};

/// Which engine, and which of its image stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Docker Engine 20.10.
    V20,
    /// Docker Engine 26.1 with its classic image store.
    V26,
    /// Docker Engine 26.1 with containerd's image store.
    V26Containerd,
}

/// A Docker Engine of one test. It has no bridge: RUN needs the network `none` or `host`.
pub struct Dockerd {
    // Stopped before its folder is removed: fields are dropped in order.
    daemon: Daemon,
    folder: TempDir,
    version: Version,
}

impl Dockerd {
    /// Starts an engine and waits until it answers. Needs root.
    pub fn start(version: Version) -> Result<Self, EngineError> {
        Self::start_in(version, Isolation::Namespaces)
    }

    /// The same in a network of its own: this machine's loopback interface is out of its reach, as it is for an engine
    /// in a virtual machine.
    pub fn start_apart(version: Version) -> Result<Self, EngineError> {
        Self::start_in(version, Isolation::Network)
    }

    /// The same, listening on TCP as well, to those alone whose certificate is of this authority; and where.
    pub fn start_with_tls(
        version: Version,
        authority: &Authority,
    ) -> Result<(Self, String), EngineError> {
        let nowhere = Path::new("127.0.0.1:0");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(io_error(nowhere))?;
        let at = listener.local_addr().map_err(io_error(nowhere))?;
        drop(listener);
        let certificates = TempDir::with_prefix("refit-dockerd-tls-");
        let certificates = certificates.map_err(io_error(&std::env::temp_dir()))?;
        let mut more = vec![format!("--host=tcp://{at}"), "--tlsverify".to_owned()];
        let own = authority.issue();
        for (option, pem) in [
            ("tlscacert", authority.pem()),
            ("tlscert", own.pem),
            ("tlskey", own.key_pem),
        ] {
            let path = certificates.path().join(option);
            fs::write(&path, pem).map_err(io_error(&path))?;
            more.push(format!("--{option}={}", path.display()));
        }
        let dockerd = Self::start_as(version, Isolation::Namespaces, &more)?;
        Ok((dockerd, format!("tcp://{at}")))
    }

    /// The same with a bridge that is there: RUN has a network by itself.
    pub fn start_on_bridge(version: Version, bridge: &str) -> Result<Self, EngineError> {
        let bridge = format!("--bridge={bridge}");
        Self::start_as(version, Isolation::Namespaces, &[bridge])
    }

    /// The same, whose configuration has its clients build without BuildKit.
    pub fn start_without_buildkit(version: Version) -> Result<Self, EngineError> {
        let features = r#""buildkit":false"#;
        Self::start_with(version, Isolation::Namespaces, (features, &[]))
    }

    fn start_in(version: Version, isolation: Isolation) -> Result<Self, EngineError> {
        Self::start_as(version, isolation, &[])
    }

    fn start_as(
        version: Version,
        isolation: Isolation,
        more: &[String],
    ) -> Result<Self, EngineError> {
        let snapshotter = version == Version::V26Containerd;
        // 20.10 knows the key as one of any features.
        let features = format!(r#""containerd-snapshotter":{snapshotter}"#);
        Self::start_with(version, isolation, (&features, more))
    }

    fn start_with(
        version: Version,
        isolation: Isolation,
        (features, more): (&str, &[String]),
    ) -> Result<Self, EngineError> {
        let home = TempDir::with_prefix("refit-dockerd-");
        let home = home.map_err(io_error(&std::env::temp_dir()))?;
        let config = home.path().join("daemon.json");
        let text = format!(r#"{{"features":{{{features}}}}}"#);
        // Without a file of its own an engine reads the machine's.
        fs::write(&config, text).map_err(io_error(&config))?;

        let mut command = command(version, home.path(), &config)?;
        command.args(more);
        let log = home.path().join("log");
        let mut daemon = Daemon::spawn(&command, isolation, &log)?;
        let socket = socket_in(home.path());
        daemon.wait_until(|| answers(&socket).then_some(()))?;
        Ok(Self {
            daemon,
            folder: home,
            version,
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

    /// A process in the network of an engine that was started apart.
    pub fn process(&self) -> u32 {
        self.daemon.process()
    }

    /// Which engine this is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Everything the engine has logged so far.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("docker.sock")
}

fn command(version: Version, home: &Path, config: &Path) -> Result<Command, EngineError> {
    let engine = match version {
        Version::V20 => "docker20",
        Version::V26 | Version::V26Containerd => "docker26",
    };
    let mut command = Command::new(installed(&format!("{engine}/usr/sbin/dockerd"))?);
    // The newer release's `runc` needs a newer C library, so both use the older one's.
    installed("docker20/usr/sbin/runc")?;
    let engines = folder();
    let programs = [
        format!("{engine}/usr/sbin"),
        format!("{engine}/usr/bin"),
        "docker20/usr/sbin".to_owned(),
    ];
    let programs = programs.map(|path| engines.join(path).to_string_lossy().into_owned());
    command.env(
        "PATH",
        format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.join(":")),
    );
    command.env(
        "LD_LIBRARY_PATH",
        libraries(&engines.join("docker20")).join(":"),
    );
    command.env("HOME", home);

    command.arg("--config-file").arg(config);
    command.arg("--data-root").arg(home.join("data"));
    command.arg("--exec-root").arg(home.join("exec"));
    command.arg("--pidfile").arg(home.join("pid"));
    command.arg(format!("--host=unix://{}", socket_in(home).display()));
    command.args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
    Ok(command)
}

/// The folders of a package tree that hold shared libraries (`lib/x86_64-linux-gnu`).
pub(super) fn libraries(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for parent in ["lib", "usr/lib"] {
        let entries = fs::read_dir(root.join(parent))
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.map(|entry| entry.path());
        let triples = names.filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
        found.extend(triples.map(|path| path.to_string_lossy().into_owned()));
    }
    found
}

/// Whether the API answers a ping.
pub(super) fn answers(socket: &Path) -> bool {
    let ping = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ping().is_ok_and(|answer: String| answer.contains(" 200 "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_engine_docker20_starts_and_leaves_nothing_behind() {
        starts_and_leaves_nothing_behind(Version::V20);
    }

    #[test]
    fn needs_engine_docker26_starts_and_leaves_nothing_behind() {
        starts_and_leaves_nothing_behind(Version::V26Containerd);
    }

    fn starts_and_leaves_nothing_behind(version: Version) {
        let engine = Dockerd::start(version).unwrap();
        let folder = engine.folder.path().to_owned();
        assert!(answers(&engine.socket()), "{}", engine.log());
        let mentions = |file: &str| {
            let text = fs::read_to_string(file).unwrap();
            text.contains(folder.to_str().unwrap())
        };
        assert!(!mentions("/proc/self/mountinfo"), "its mounts are its own");
        drop(engine);
        assert!(!folder.exists());
        let commands = fs::read_dir("/proc").unwrap().flatten();
        let commands = commands.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let left = commands.map(|line| String::from_utf8_lossy(&line).into_owned());
        let left: Vec<_> = left
            .filter(|line| line.contains(folder.to_str().unwrap()))
            .collect();
        assert_eq!(left, Vec::<String>::new());
    }

    #[test]
    fn needs_engine_docker20_a_failed_start_shows_the_end_of_the_log() {
        let home = TempDir::new().unwrap();
        let config = home.path().join("daemon.json");
        fs::write(&config, r#"{"no-such-key": 1}"#).unwrap();
        let command = command(Version::V20, home.path(), &config).unwrap();
        let log = home.path().join("log");
        let mut daemon = Daemon::spawn(&command, Isolation::Namespaces, &log).unwrap();
        let error = daemon.wait_until(|| answers(&socket_in(home.path())).then_some(()));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no-such-key"), "{error}");
    }
}
