//! Where BuildKit is: inside Docker Engine, or a daemon of its own.

use std::{
    error::Error,
    fmt,
    future::Future as _,
    io,
    path::PathBuf,
    pin::Pin,
    str::FromStr,
    task::{Context, Poll},
};

use bollard_buildkit_proto::moby::buildkit::v1::{BytesMessage, control_client::ControlClient};
use futures_util::stream;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
        WriteHalf,
    },
    sync::oneshot,
};
use tonic::{
    Request, Streaming,
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
    transport::{self, Channel, server::Connected},
};

use crate::{
    connection::{self, Wire},
    docker::{Address, AddressError, SshHost},
    engine::{EngineError, EngineKind},
};

/// BuildKit's control service.
pub(super) type Control = ControlClient<Channel>;

/// The socket that a buildkitd listens on unless told otherwise.
const DEFAULT_SOCKET: &str = "/run/buildkit/buildkitd.sock";

/// Bytes in one message of a session's tunnel, and in the pipe before it.
const PIECE: usize = 32 * 1024;

/// Where BuildKit answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Inside Docker Engine: `/grpc` and `/session` of its API.
    Docker(Address),
    /// A buildkitd.
    Daemon(DaemonAddress),
}

/// Where a buildkitd listens: the value of `BUILDKIT_HOST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonAddress(Address);

impl Default for DaemonAddress {
    fn default() -> Self {
        Self(Address::Unix(DEFAULT_SOCKET.into()))
    }
}

impl DaemonAddress {
    fn of(address: Address) -> Self {
        Self(match address {
            Address::Ssh(host) => Address::Ssh(host.of_buildkitd()),
            other => other,
        })
    }

    /// The same with TLS, where there is a network in between; the folder has `ca.pem`, and `cert.pem` and `key.pem`
    /// where the daemon asks for a certificate.
    #[must_use]
    pub fn with_certificates(self, certificates: PathBuf) -> Self {
        Self(self.0.with_certificates(certificates))
    }
}

impl FromStr for DaemonAddress {
    type Err = AddressError;

    /// An empty text is the default socket, as for BuildKit's own client.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        match text.split_once("://") {
            Some(("unix" | "tcp" | "ssh", _)) => text.parse().map(Self::of),
            _ => Err(AddressError {
                address: text.to_owned(),
                reason: "a buildkitd is spoken to at `unix:///path`, `tcp://host:port` or `ssh://user@host`",
            }),
        }
    }
}

impl fmt::Display for DaemonAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Docker(address) => address.fmt(f),
            Self::Daemon(address) => address.fmt(f),
        }
    }
}

impl Endpoint {
    /// What listens at an address: a Docker Engine, if it answers as one, else a buildkitd.
    pub async fn at(address: Address) -> Self {
        if connection::is_docker(&address).await {
            Self::Docker(address)
        } else {
            Self::Daemon(DaemonAddress::of(address))
        }
    }

    /// The machine that it is on, where that is reached by `ssh`.
    pub(super) fn ssh(&self) -> Option<&SshHost> {
        match self {
            Self::Docker(Address::Ssh(host)) | Self::Daemon(DaemonAddress(Address::Ssh(host))) => {
                Some(host)
            }
            Self::Docker(_) | Self::Daemon(_) => None,
        }
    }

    /// Connects to BuildKit's control service.
    pub(crate) async fn control(&self) -> Result<Control, transport::Error> {
        let endpoint = self.clone();
        let connector = tower::service_fn(move |_| {
            let endpoint = endpoint.clone();
            async move {
                let wire = match &endpoint {
                    Self::Docker(address) => connection::upgrade(address, "/grpc", &[]).await?,
                    Self::Daemon(DaemonAddress(address)) => connection::dial_grpc(address).await?,
                };
                Ok::<_, io::Error>(TokioIo::new(wire))
            }
        });
        // The authority is never resolved; it only completes the requests' `:authority`.
        let endpoint = transport::Endpoint::from_static("http://buildkit");
        let channel = endpoint.connect_with_connector(connector).await?;
        Ok(ControlClient::new(channel))
    }

    /// A connection on which BuildKit is the client, and this side serves.
    pub(super) async fn session(
        &self,
        control: &Control,
        headers: &[(&str, &str)],
    ) -> io::Result<Tunnel> {
        if let Self::Docker(address) = self {
            let wire = connection::upgrade(address, "/session", headers).await?;
            return Ok(Tunnel::of(wire));
        }
        let (near, far) = tokio::io::duplex(PIECE);
        let (from_us, mut to_us) = tokio::io::split(far);
        let messages = stream::unfold(from_us, |mut from_us| async move {
            let mut data = vec![0; PIECE];
            let read = from_us.read(&mut data).await.ok().filter(|&n| n > 0)?;
            data.truncate(read);
            Some((BytesMessage { data }, from_us))
        });
        let mut request = Request::new(messages);
        for (name, value) in headers {
            let key: AsciiMetadataKey = name.to_lowercase().parse().map_err(io::Error::other)?;
            let value: AsciiMetadataValue = value.parse().map_err(io::Error::other)?;
            request.metadata_mut().append(key, value);
        }
        let answered = control.clone().session(request).await;
        let incoming = answered.map_err(io::Error::other)?.into_inner();
        tokio::spawn(async move { receive(incoming, &mut to_us).await });
        Ok(Tunnel::of(Box::new(near)))
    }

    /// An error for a BuildKit that does not answer.
    pub(crate) fn unreachable(
        &self,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> EngineError {
        if is_unsupported(source.as_ref()) {
            return EngineError::NoBuildKit {
                endpoint: self.to_string(),
            };
        }
        EngineError::Unreachable {
            kind: match self {
                Self::Docker(_) => EngineKind::Docker,
                Self::Daemon(_) => EngineKind::BuildKit,
            },
            endpoint: self.to_string(),
            source,
        }
    }
}

/// Whether somebody did answer, and would not change protocol.
fn is_unsupported(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::Unsupported) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Copies what BuildKit sends into the pipe until either side closes.
async fn receive(mut incoming: Streaming<BytesMessage>, to_us: &mut WriteHalf<DuplexStream>) {
    while let Ok(Some(message)) = incoming.message().await {
        if to_us.write_all(&message.data).await.is_err() {
            return;
        }
    }
    let _ = to_us.shutdown().await;
}

/// A connection of one session: hijacked from Docker Engine, or messages of a buildkitd's control service.
pub(super) struct Tunnel {
    wire: Box<dyn Wire>,
    /// Ends when the connection is to be cut.
    cut: Option<oneshot::Receiver<()>>,
    is_cut: bool,
}

impl Tunnel {
    fn of(wire: Box<dyn Wire>) -> Self {
        Self {
            wire,
            cut: None,
            is_cut: false,
        }
    }

    /// The same, which is at its end as soon as what is returned beside it is dropped.
    pub(super) fn that_can_be_cut(self) -> (oneshot::Sender<()>, Self) {
        let (sender, receiver) = oneshot::channel();
        let cut = Some(receiver);
        (sender, Self { cut, ..self })
    }
}

impl Connected for Tunnel {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(cut) = &mut self.cut
            && Pin::new(cut).poll(cx).is_ready()
        {
            self.cut = None;
            self.is_cut = true;
        }
        if self.is_cut {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.wire).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildkit_host_is_read_as_buildkits_client_reads_it() {
        for (text, expect) in [
            ("", Ok("unix:///run/buildkit/buildkitd.sock")),
            ("unix:///tmp/b.sock", Ok("unix:///tmp/b.sock")),
            ("tcp://10.0.0.1:1234", Ok("tcp://10.0.0.1:1234")),
            ("tcp://10.0.0.1", Err("it names no port")),
            ("ssh://me@host:22", Ok("ssh://me@host:22")),
            (
                "docker-container://buildkitd",
                Err(
                    "a buildkitd is spoken to at `unix:///path`, `tcp://host:port` or `ssh://user@host`",
                ),
            ),
        ] {
            let address = text.parse::<DaemonAddress>();
            let address = address.map(|a| a.to_string()).map_err(|e| e.reason);
            assert_eq!(address, expect.map(str::to_owned), "{text}");
        }
    }
}
