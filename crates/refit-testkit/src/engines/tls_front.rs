//! TLS before something that speaks none, as a server with certificates is asked for them.

use std::{net::SocketAddr, path::Path, thread};

use tokio::{net::TcpStream, sync::oneshot};
use tokio_rustls::TlsAcceptor;

use super::{EngineError, io_error};
use crate::tls::Authority;

/// Takes connections of those whose certificate is of an authority and who want HTTP/2, and hands them on without TLS.
pub struct TlsFront {
    address: SocketAddr,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl TlsFront {
    /// Before what listens at `HOST:PORT`.
    pub fn before(behind: &str, authority: &Authority) -> Result<Self, EngineError> {
        let nowhere = Path::new("127.0.0.1:0");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(io_error(nowhere))?;
        listener.set_nonblocking(true).map_err(io_error(nowhere))?;
        let address = listener.local_addr().map_err(io_error(nowhere))?;
        let acceptor = TlsAcceptor::from(authority.server_for_its_own());
        let behind = behind.to_owned();
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

    /// The address as `BUILDKIT_HOST` has it.
    pub fn host(&self) -> String {
        format!("tcp://{}", self.address)
    }
}

async fn serve(listener: tokio::net::TcpListener, acceptor: TlsAcceptor, behind: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        tokio::spawn(async move {
            let Ok(mut client) = acceptor.accept(stream).await else {
                return;
            };
            // A gRPC server takes nobody who has not agreed on HTTP/2.
            if client.get_ref().1.alpn_protocol() != Some(b"h2".as_slice()) {
                return;
            }
            if let Ok(mut server) = TcpStream::connect(behind).await {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
