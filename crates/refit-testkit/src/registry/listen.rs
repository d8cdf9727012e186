//! Connections, with or without TLS, counted.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

/// Handshakes that are done and have yet to be taken.
const BACKLOG: usize = 64;

/// How many connections there were; a TLS handshake that failed is none.
pub(super) type Connections = Arc<AtomicUsize>;

/// What is listened on.
pub(super) enum Door {
    Plain(TcpListener, Connections),
    Tls(mpsc::Receiver<(Box<dyn Stream>, SocketAddr)>, SocketAddr),
}

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Door {
    /// Must be called on the runtime.
    pub(super) fn new(
        listener: TcpListener,
        acceptor: Option<TlsAcceptor>,
        connections: Connections,
    ) -> io::Result<Self> {
        let Some(acceptor) = acceptor else {
            return Ok(Self::Plain(listener, connections));
        };
        let address = listener.local_addr()?;
        let (send, receive) = mpsc::channel(BACKLOG);
        tokio::spawn(async move {
            while let Ok((stream, from)) = listener.accept().await {
                let (acceptor, send) = (acceptor.clone(), send.clone());
                let connections = Arc::clone(&connections);
                // One that is slow, or no TLS at all, keeps nobody waiting.
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connections.fetch_add(1, Ordering::Relaxed);
                        let stream: Box<dyn Stream> = Box::new(stream);
                        let _ = send.send((stream, from)).await;
                    }
                });
            }
        });
        Ok(Self::Tls(receive, address))
    }
}

impl Listener for Door {
    type Io = Box<dyn Stream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Box<dyn Stream>, SocketAddr) {
        match self {
            Self::Plain(listener, connections) => {
                let (stream, from) = Listener::accept(listener).await;
                connections.fetch_add(1, Ordering::Relaxed);
                (Box::new(stream), from)
            }
            Self::Tls(receive, _) => match receive.recv().await {
                Some(accepted) => accepted,
                None => std::future::pending().await,
            },
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(listener, _) => listener.local_addr(),
            Self::Tls(_, address) => Ok(*address),
        }
    }
}
