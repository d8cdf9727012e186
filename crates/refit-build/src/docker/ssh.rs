//! An engine on another machine, over `ssh`: each connection is a process of its own, as for Docker's client and buildctl.
//!
//! `ssh` itself knows the keys, the agent, the known hosts and the user's `~/.ssh/config`; nothing of that is read here.

mod connection;
#[cfg(test)]
mod tests;

use std::{fmt, io, process::Stdio, time::Duration};

use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStderr, Command},
    task::JoinHandle,
    time::timeout,
};

pub(crate) use connection::SshConnection;

/// What Docker's client tells `ssh` as well: no connection that hangs, no terminal. And a host that is gone is noticed.
const OPTIONS: [&str; 5] = [
    "-T",
    "-o",
    "ConnectTimeout=30",
    "-o",
    "ServerAliveInterval=15",
];

/// Bytes of what `ssh` says that are kept for an error.
const WORDS: usize = 4096;

/// How long a forward may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// `ssh://[user@]host[:port][/path/to/the.sock]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshHost {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// The engine's socket over there, where it is not the usual one.
    socket: Option<String>,
    client: Client,
}

/// The client over there whose `dial-stdio` leads to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Docker,
    Buildctl,
}

impl SshHost {
    /// Reads what follows `ssh://`. Nothing in it can become an option of `ssh`, or a command of the shell over there.
    pub(super) fn parse(rest: &str) -> Result<Self, &'static str> {
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path),
            None => (rest, ""),
        };
        let (user, host_and_port) = match authority.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, authority),
        };
        let (host, port) = match host_and_port.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or("its `[` is never closed")?;
                (host, rest.strip_prefix(':'))
            }
            None => match host_and_port.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host_and_port, None),
            },
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err("a password can't be given, `ssh` takes keys");
        }
        let is_plain = |text: &str, more: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            !text.is_empty() && !text.starts_with('-') && text.chars().all(allowed)
        };
        if !is_plain(host, "-._:%") {
            return Err("it names no host");
        }
        if user.is_some_and(|user| !is_plain(user, "-._+")) {
            return Err("its user is no name");
        }
        let port = port.map(str::parse).transpose();
        let port = port.map_err(|_| "its port is no number from 0 to 65535")?;
        if !path.is_empty() && !is_plain(path, "-._/+") {
            return Err("its path is none of a socket");
        }
        Ok(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            socket: (!path.is_empty()).then(|| format!("/{path}")),
            client: Client::Docker,
        })
    }

    /// The same host, and its buildkitd.
    pub(crate) fn of_buildkitd(self) -> Self {
        Self {
            client: Client::Buildctl,
            ..self
        }
    }

    /// `ssh` as far as the host, which is an operand.
    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.args(OPTIONS).args(more);
        if let Some(user) = &self.user {
            command.args(["-l", user]);
        }
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        command.args(["--", &self.host]);
        command
    }

    /// A connection to the engine.
    pub(crate) fn dial(&self) -> io::Result<SshConnection> {
        let mut command = self.command(&[]);
        let (client, option, dial) = match self.client {
            Client::Docker => ("docker", "--host", &["system", "dial-stdio"][..]),
            Client::Buildctl => ("buildctl", "--addr", &["dial-stdio"][..]),
        };
        command.arg(client);
        if let Some(socket) = &self.socket {
            command.args([option, &format!("unix://{socket}")]);
        }
        command.args(dial);
        SshConnection::spawn(command)
    }

    /// Makes a port of this machine's loopback interface reachable on that of the host, until it is dropped.
    pub(crate) async fn lend(&self, port: u16) -> io::Result<SshForward> {
        let forward = format!("127.0.0.1:0:127.0.0.1:{port}");
        // A forward of a shared connection would outlive this process, and its port is told to those alone who are told
        // such things.
        let own = [
            "-N",
            "-S",
            "none",
            "-o",
            "ExitOnForwardFailure=yes",
            "-o",
            "LogLevel=INFO",
            "-R",
        ];
        let mut command = self.command(&[&own[..], &[forward.as_str()]].concat());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| not_started(&error))?;
        let mut stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut said = Vec::new();
        let port = timeout(PATIENCE, port_of(&mut stderr, &mut said)).await;
        let late = |_| io::Error::other(format!("{} in {}s", words(&said), PATIENCE.as_secs()));
        let port = port.map_err(late)?;
        let port = port?.ok_or_else(|| io::Error::other(words(&said)))?;
        // What it says later is read, so that it never waits for a reader.
        let said = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        });
        Ok(SshForward {
            port,
            _child: child,
            _said: said,
        })
    }
}

impl fmt::Display for SshHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.socket.as_deref().unwrap_or_default())
    }
}

/// Reads until the port over there is told; none if it ends without.
async fn port_of(stderr: &mut ChildStderr, said: &mut Vec<u8>) -> io::Result<Option<u16>> {
    loop {
        if let Some(port) = allocated(&String::from_utf8_lossy(said)) {
            return Ok(Some(port));
        }
        if stderr.read_buf(said).await? == 0 || said.len() > WORDS {
            return Ok(None);
        }
    }
}

/// `Allocated port 39017 for remote forward to 127.0.0.1:5000`
fn allocated(said: &str) -> Option<u16> {
    let (_, rest) = said.split_once("Allocated port ")?;
    let (port, _) = rest.split_once(' ')?;
    port.parse().ok()
}

/// A port of another machine that leads to one of this machine's.
pub(crate) struct SshForward {
    /// The port over there.
    pub(crate) port: u16,
    _child: Child,
    _said: JoinHandle<()>,
}

/// `ssh: me@host: Permission denied (publickey).`
fn words(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let mut lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    if !lines.iter().all(|line| line.starts_with("Warning: ")) {
        lines.retain(|line| !line.starts_with("Warning: "));
    }
    if lines.is_empty() {
        return "`ssh` says nothing".to_owned();
    }
    let words = lines.join("; ");
    let words = words.trim_end_matches('.');
    let words = words.strip_prefix("ssh: ").unwrap_or(words);
    format!("`ssh` says: {words}")
}

fn not_started(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot run `ssh`: {error}"))
}
