//! An engine on another machine, over `ssh`: each connection is a process of its own, as for Docker's client.
//!
//! `ssh` itself knows the keys, the agent, the known hosts and the user's `~/.ssh/config`; nothing of that is read here.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

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

/// How long `ssh` may take to end once its connection has. What a control master holds open for later is not waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// `ssh://[user@]host[:port][/path/to/docker.sock]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshHost {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// The engine's socket over there, where it is not the usual one.
    socket: Option<String>,
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
        })
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
        command.arg("docker");
        if let Some(socket) = &self.socket {
            command.args(["--host", &format!("unix://{socket}")]);
        }
        command.args(["system", "dial-stdio"]);
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

/// A connection through one `ssh`, which ends with it.
pub(crate) struct SshConnection {
    stdin: ChildStdin,
    stdout: ChildStdout,
    end: End,
}

/// A process, and what it says.
struct Running {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    listening: JoinHandle<()>,
}

/// How `ssh` ends: with what it has said, unless all went well.
enum End {
    /// It runs.
    Open(Option<Running>),
    /// It is waited for.
    Ending(Pin<Box<dyn Future<Output = Option<String>> + Send>>),
    /// It said this.
    Ended(Option<String>),
}

impl SshConnection {
    fn spawn(mut command: Command) -> io::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| not_started(&error))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let said = Arc::default();
        let listening = tokio::spawn(listen(stderr, Arc::clone(&said)));
        Ok(Self {
            stdin,
            stdout,
            end: End::Open(Some(Running {
                child,
                said,
                listening,
            })),
        })
    }

    /// Nothing more can be read or written: an error with the words of `ssh`, unless all went well.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.end {
                End::Open(open) => {
                    let Some(running) = open.take() else {
                        return Poll::Ready(Ok(()));
                    };
                    self.end = End::Ending(Box::pin(last_words(running)));
                }
                End::Ending(ending) => self.end = End::Ended(ready!(ending.as_mut().poll(cx))),
                End::Ended(None) => return Poll::Ready(Ok(())),
                End::Ended(Some(words)) => {
                    return Poll::Ready(Err(io::Error::other(words.clone())));
                }
            }
        }
    }
}

/// Keeps the end of what is said.
async fn listen(mut stderr: ChildStderr, said: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = stderr.read(&mut piece).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&piece[..read]);
        let too_many = said.len().saturating_sub(WORDS);
        said.drain(..too_many);
    }
}

async fn last_words(running: Running) -> Option<String> {
    let Running {
        mut child,
        said,
        listening,
    } = running;
    let status = timeout(LAST_WORDS, child.wait()).await;
    if matches!(&status, Ok(Ok(status)) if status.success()) {
        return None;
    }
    let _ = timeout(LAST_WORDS, listening).await;
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    Some(words(&said))
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

impl AsyncRead for SshConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stdout).poll_read(cx, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.poll_end(cx)
    }
}

impl AsyncWrite for SshConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.stdin).poll_write(cx, bytes)) {
            Ok(written) => Poll::Ready(Ok(written)),
            // A pipe that broke says less than the one that let go of it.
            Err(error) => match ready!(self.poll_end(cx)) {
                Ok(()) => Poll::Ready(Err(error)),
                Err(words) => Poll::Ready(Err(words)),
            },
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Result<Vec<String>, &'static str> {
        let host = SshHost::parse(text)?;
        assert_eq!(
            host.to_string(),
            format!("ssh://{}", text.trim_end_matches('/'))
        );
        let command = host.command(&[]);
        let args = command.as_std().get_args().skip(OPTIONS.len());
        Ok(args.map(|a| a.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn a_host_is_an_operand_and_nothing_becomes_an_option() {
        for (text, expect) in [
            ("build-machine", Ok("-- build-machine")),
            (
                "me@build.example.com:2222/",
                Ok("-l me -p 2222 -- build.example.com"),
            ),
            ("me@[fe80::1%eth0]:22", Ok("-l me -p 22 -- fe80::1%eth0")),
            ("host/run/user/1000/docker.sock", Ok("-- host")),
            ("-oProxyCommand=x", Err("it names no host")),
            ("-oProxyCommand=x@host", Err("its user is no name")),
            (
                "me:secret@host",
                Err("a password can't be given, `ssh` takes keys"),
            ),
            ("host:ssh", Err("its port is no number from 0 to 65535")),
            ("host/$(reboot)", Err("its path is none of a socket")),
            ("a b", Err("it names no host")),
            ("[::1", Err("its `[` is never closed")),
            ("", Err("it names no host")),
        ] {
            let args = arguments(text).map(|args| args.join(" "));
            assert_eq!(args, expect.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn the_port_over_there_is_read_from_what_ssh_says() {
        let said =
            "Warning: added\r\nAllocated port 39017 for remote forward to 127.0.0.1:5000\r\n";
        assert_eq!(allocated(said), Some(39017));
        assert_eq!(
            allocated("Allocated port 39"),
            None,
            "the rest is under way"
        );
        assert_eq!(
            words(b"ssh: connect to host x port 22: Connection refused\r\n"),
            "`ssh` says: connect to host x port 22: Connection refused"
        );
    }
}
