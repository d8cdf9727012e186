//! The real `docker-registry` on a loopback port, with its data in a temporary folder.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    EngineError,
    daemon::{Daemon, Isolation},
    installed, io_error,
};
use crate::tls::Certificate;

/// How many free ports are tried: another process may take one before the registry does.
const ATTEMPTS: usize = 5;

/// What a registry is to be beside anonymous.
#[derive(Clone, Copy, Default)]
pub struct Setup<'a> {
    /// HTTPS with this certificate; none: plain HTTP.
    pub tls: Option<&'a Certificate>,
    /// A cache of this registry (`http://…`), which takes no pushes.
    pub cache_of: Option<&'a str>,
    /// Nothing can be deleted, as is its own default.
    pub keeps_all: bool,
}

/// A running registry; anonymous, deletes allowed unless it keeps all.
pub struct DockerRegistry {
    // Stopped before its folder is removed: fields are dropped in order.
    _daemon: Daemon,
    folder: TempDir,
    address: SocketAddr,
}

impl DockerRegistry {
    /// Starts a registry on plain HTTP and waits until it answers.
    pub fn start() -> Result<Self, EngineError> {
        Self::start_as(Setup::default())
    }

    /// Starts a registry of some kind and waits until it answers.
    pub fn start_as(setup: Setup<'_>) -> Result<Self, EngineError> {
        let mut attempt = 1;
        loop {
            match Self::start_on(free_port()?, setup) {
                Err(EngineError::NotReady { log_tail, .. })
                    if attempt < ATTEMPTS && log_tail.contains("address already in use") =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    fn start_on(address: SocketAddr, setup: Setup<'_>) -> Result<Self, EngineError> {
        let program = installed("registry/usr/bin/docker-registry")?;
        let folder = TempDir::with_prefix("refit-registry-");
        let folder = folder.map_err(io_error(&std::env::temp_dir()))?;
        let config = folder.path().join("config.yml");
        let data = folder.path().join("data");
        // A JSON document is a YAML document.
        let mut text = serde_json::json!({
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": data}, "delete": {"enabled": !setup.keeps_all}},
            "http": {"addr": address.to_string()},
        });
        if let Some(tls) = setup.tls {
            let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
            fs::write(&certificate, &tls.pem).map_err(io_error(&certificate))?;
            fs::write(&key, &tls.key_pem).map_err(io_error(&key))?;
            text["http"]["tls"] = serde_json::json!({"certificate": certificate, "key": key});
        }
        if let Some(origin) = setup.cache_of {
            text["proxy"] = serde_json::json!({"remoteurl": origin});
        }
        fs::write(&config, text.to_string()).map_err(io_error(&config))?;
        let mut command = Command::new(program);
        command.arg("serve").arg(&config);
        let log = folder.path().join("log");
        let mut daemon = Daemon::spawn(&command, Isolation::Process, &log)?;
        // To somebody who forgets TLS, a server with it says so.
        let ready = if setup.tls.is_some() {
            " 400 "
        } else {
            " 200 "
        };
        daemon.wait_until(|| answers(address, ready).then_some(()))?;
        Ok(Self {
            _daemon: daemon,
            folder,
            address,
        })
    }

    /// The registry's name in references, `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Everything the registry has logged so far, each request a line in Apache's combined format.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

fn free_port() -> Result<SocketAddr, EngineError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map_err(io_error("127.0.0.1:0".as_ref()))
}

fn answers(address: SocketAddr, status: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /v2/ HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ask().is_ok_and(|answer: String| answer.contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_docker_registry_answers_until_it_is_dropped() {
        let registry = DockerRegistry::start().unwrap();
        let address = registry.address;
        assert!(answers(address, " 200 "));
        drop(registry);
        assert!(TcpStream::connect(address).is_err());
    }
}
