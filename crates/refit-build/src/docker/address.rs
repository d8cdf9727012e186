//! Where an engine listens: the value of `DOCKER_HOST`.

use std::{fmt, path::PathBuf, str::FromStr};

use super::ssh::SshHost;

/// The socket that Docker Engine listens on unless told otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// An endpoint of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `unix:///var/run/docker.sock`
    Unix(PathBuf),
    /// `tcp://127.0.0.1:2375`, without TLS; host and port.
    Tcp(String),
    /// `tcp://10.0.0.7:2376` with `DOCKER_TLS_VERIFY`.
    Tls {
        /// Host and port.
        at: String,
        /// The folder with `ca.pem`, `cert.pem` and `key.pem`.
        certificates: PathBuf,
    },
    /// `ssh://me@host:22`
    Ssh(SshHost),
}

impl Address {
    /// The same with TLS, where there is a network in between; the folder is what `DOCKER_CERT_PATH` names.
    #[must_use]
    pub fn with_certificates(self, certificates: PathBuf) -> Self {
        match self {
            Self::Tcp(at) => Self::Tls { at, certificates },
            other => other,
        }
    }
}

/// A `DOCKER_HOST` that refit cannot use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is no engine: {reason}")]
pub struct AddressError {
    /// The address as given.
    pub address: String,
    /// Why not.
    pub reason: &'static str,
}

impl Default for Address {
    fn default() -> Self {
        Self::Unix(DEFAULT_SOCKET.into())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// An empty text is the default socket, as for Docker's own client.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = |reason| AddressError {
            address: text.to_owned(),
            reason,
        };
        match text.split_once("://") {
            _ if text.is_empty() => Ok(Self::default()),
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("unix", _)) => Err(error("a socket's path must be absolute")),
            Some(("tcp" | "http", rest)) => {
                let host_and_port = rest.trim_end_matches('/');
                let port = host_and_port
                    .rsplit_once(':')
                    .map(|(_, port)| port.parse::<u16>());
                match port {
                    Some(Ok(_)) => Ok(Self::Tcp(host_and_port.to_owned())),
                    _ => Err(error("it names no port")),
                }
            }
            Some(("ssh", rest)) => SshHost::parse(rest).map(Self::Ssh).map_err(error),
            Some(("https" | "npipe" | "fd", _)) => {
                Err(error("only `unix://`, `tcp://` and `ssh://` are spoken"))
            }
            _ => Err(error(
                "expected `unix:///path`, `tcp://host:port` or `ssh://user@host`",
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(at) | Self::Tls { at, .. } => write!(f, "tcp://{at}"),
            Self::Ssh(host) => host.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_host_is_read_as_dockers_client_reads_it() {
        for (text, expect) in [
            ("", Ok("unix:///var/run/docker.sock")),
            (
                "unix:///run/user/1000/docker.sock",
                Ok("unix:///run/user/1000/docker.sock"),
            ),
            ("tcp://127.0.0.1:2375/", Ok("tcp://127.0.0.1:2375")),
            ("tcp://[::1]:2375", Ok("tcp://[::1]:2375")),
            (
                "unix://run/docker.sock",
                Err("a socket's path must be absolute"),
            ),
            ("tcp://127.0.0.1", Err("it names no port")),
            ("ssh://me@host:2222", Ok("ssh://me@host:2222")),
            (
                "npipe:////./pipe/docker_engine",
                Err("only `unix://`, `tcp://` and `ssh://` are spoken"),
            ),
            (
                "/var/run/docker.sock",
                Err("expected `unix:///path`, `tcp://host:port` or `ssh://user@host`"),
            ),
        ] {
            let address = text.parse::<Address>();
            let address = address.map(|a| a.to_string()).map_err(|e| e.reason);
            assert_eq!(address, expect.map(str::to_owned), "{text}");
        }
    }
}
