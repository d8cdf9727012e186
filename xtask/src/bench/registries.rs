//! Registries on loopback, each a process of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use super::site::{Site, built};
use crate::{
    engines,
    shell::{Failure, Outcome, io_failure},
};

/// The tests' registry, which keeps everything in memory: what a row takes on it is refit's own. It ends with its input.
pub(super) struct LoopbackRegistry {
    pub(super) host: String,
    _input: ChildStdin,
}

impl LoopbackRegistry {
    pub(super) fn start() -> Outcome<Self> {
        let program = built("refit-testkit", "--example", "registry")?;
        let mut command = Command::new(&program);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().map_err(io_failure(&program))?;
        let (Some(input), Some(told)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure("a child without its pipes".to_owned()));
        };
        let mut host = String::new();
        let read = BufReader::new(told).read_line(&mut host);
        read.map_err(io_failure(&program))?;
        Ok(Self {
            host: host.trim().to_owned(),
            _input: input,
        })
    }
}

/// The unpacked registry on a port of its own; killed when dropped.
pub(super) struct DockerRegistry {
    child: Child,
    pub(super) host: String,
}

impl DockerRegistry {
    pub(super) fn start(site: &Site) -> Outcome<Self> {
        if !engines::has("registry") {
            return Err(Failure(
                "no registry; run `cargo xtask engines install`".to_owned(),
            ));
        }
        let host = free_address()?;
        let config = site.path("registry.yml")?;
        // A JSON document is a YAML document.
        let text = serde_json::json!({
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": site.path("registry")?}},
            "http": {"addr": host},
        });
        fs::write(&config, text.to_string()).map_err(io_failure(&config))?;
        let program = engines::folder().join("registry/usr/bin/docker-registry");
        let mut command = Command::new(&program);
        command
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().map_err(io_failure(&program))?;
        let registry = Self { child, host };
        let start = Instant::now();
        while TcpStream::connect(&registry.host).is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                return Err(Failure(
                    "`docker-registry` did not start in ten seconds".to_owned(),
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }
}

impl DockerRegistry {
    /// Its process.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Outcome<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.to_string())
        .map_err(io_failure("127.0.0.1:0".as_ref()))
}
