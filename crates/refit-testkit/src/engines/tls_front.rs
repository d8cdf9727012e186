//! TLS before something that speaks none, as a server with certificates is asked for them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpStream, UnixStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use super::{EngineError, io_error};
use crate::tls::Authority;

/// Takes connections of those whose certificate is of an authority, and hands them on without TLS.
pub struct TlsFront {
    address: SocketAddr,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

/// Where connections go.
#[derive(Clone)]
enum Behind {
    /// `HOST:PORT`; as a gRPC server, it takes nobody who has not agreed on HTTP/2.
    Grpc(String),
    /// A Unix socket.
    Socket(PathBuf),
}

impl TlsFront {
    /// Before what speaks gRPC at `HOST:PORT`.
    pub fn before(behind: &str, authority: &Authority) -> Result<Self, EngineError> {
        Self::start(Behind::Grpc(behind.to_owned()), authority)
    }

    /// Before what listens at a Unix socket.
    pub fn before_socket(socket: &Path, authority: &Authority) -> Result<Self, EngineError> {
        Self::start(Behind::Socket(socket.to_owned()), authority)
    }

    fn start(behind: Behind, authority: &Authority) -> Result<Self, EngineError> {
        let nowhere = Path::new("127.0.0.1:0");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(io_error(nowhere))?;
        listener.set_nonblocking(true).map_err(io_error(nowhere))?;
        let address = listener.local_addr().map_err(io_error(nowhere))?;
        let acceptor = TlsAcceptor::from(authority.server_for_its_own());
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime needs a few file descriptors");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("an open socket");
                tokio::select! {
                    () = serve(listener, acceptor, behind) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Ok(Self {
            address,
            _stop: stop,
        })
    }

    /// The address as `BUILDKIT_HOST` and `DOCKER_HOST` have it.
    pub fn host(&self) -> String {
        format!("tcp://{}", self.address)
    }
}

async fn serve(listener: tokio::net::TcpListener, acceptor: TlsAcceptor, behind: Behind) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        tokio::spawn(async move {
            let Ok(client) = acceptor.accept(stream).await else {
                return;
            };
            let is_http2 = client.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
            match behind {
                Behind::Grpc(address) if is_http2 => {
                    splice(client, TcpStream::connect(address).await).await;
                }
                Behind::Grpc(_) => {}
                Behind::Socket(path) => splice(client, UnixStream::connect(path).await).await,
            }
        });
    }
}

async fn splice<C, S>(mut client: C, server: std::io::Result<S>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Ok(mut server) = server {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
