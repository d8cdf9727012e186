//! Both ends of a relay: connections that are accepted over there go, as streams of one HTTP/2 connection, to a port here.

use std::{convert::Infallible, io, net::Ipv4Addr};

use http_body_util::Empty;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http2::{Builder as Client, SendRequest},
    server::conn::http2::Builder as Server,
    service::service_fn,
    upgrade,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::connection::connect;

/// The authority of every CONNECT; there is one place to go to.
const TARGET: &str = "registry:80";

/// Bytes that may be under way in one stream, and in all: layers are large, and the way may be long.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The far end, which runs beside the engine: listens on a port of the loopback interface, says which on a line of its own,
/// and ends when the wire does.
pub async fn relay<W>(mut wire: W) -> io::Result<()>
where
    W: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    wire.write_all(format!("{port}\n").as_bytes()).await?;
    wire.flush().await?;
    let mut client = Client::new(TokioExecutor::new());
    let client = client
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let (sender, connection) = client
        .handshake(TokioIo::new(wire))
        .await
        .map_err(io::Error::other)?;
    tokio::pin!(connection);
    loop {
        tokio::select! {
            ended = &mut connection => return ended.map_err(io::Error::other),
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                // What comes in pieces would wait for the answer to each.
                let _ = stream.set_nodelay(true);
                tokio::spawn(bring(sender.clone(), stream));
            }
        }
    }
}

/// Brings what was accepted to the near end. What breaks, breaks for the engine, which says so.
async fn bring(mut sender: SendRequest<Empty<Bytes>>, mut stream: TcpStream) {
    let request = Request::connect(TARGET).body(Empty::new());
    let Ok(request) = request else { return };
    if sender.ready().await.is_err() {
        return;
    }
    let Ok(answer) = sender.send_request(request).await else {
        return;
    };
    if let Ok(upgraded) = upgrade::on(answer).await {
        let _ = copy_bidirectional(&mut stream, &mut TokioIo::new(upgraded)).await;
    }
}

/// The near end: every stream leads to this port of the loopback interface.
pub(super) async fn receive<W>(wire: W, port: u16) -> hyper::Result<()>
where
    W: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| async move {
        let status = match connect(&format!("{}:{port}", Ipv4Addr::LOCALHOST)).await {
            Ok(stream) => {
                tokio::spawn(take(request, stream));
                StatusCode::OK
            }
            Err(_) => StatusCode::BAD_GATEWAY,
        };
        let mut answer = Response::new(Empty::<Bytes>::new());
        *answer.status_mut() = status;
        Ok::<_, Infallible>(answer)
    });
    Server::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .serve_connection(TokioIo::new(wire), service)
        .await
}

async fn take(request: Request<Incoming>, mut stream: TcpStream) {
    if let Ok(upgraded) = upgrade::on(request).await {
        let _ = copy_bidirectional(&mut TokioIo::new(upgraded), &mut stream).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

    use super::*;

    /// A server that says everything twice, its port, and that of a relay to it.
    async fn relayed() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut said = Vec::new();
                    stream.read_to_end(&mut said).await.unwrap();
                    stream.write_all(&said).await.unwrap();
                    stream.write_all(&said).await.unwrap();
                });
            }
        });
        let (near, far) = tokio::io::duplex(1000);
        tokio::spawn(relay(far));
        let mut near = BufReader::new(near);
        let mut line = String::new();
        near.read_line(&mut line).await.unwrap();
        tokio::spawn(receive(near, port));
        line.trim_end().parse().unwrap()
    }

    async fn said_twice(port: u16, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        said
    }

    #[tokio::test]
    async fn many_connections_are_carried_at_once_and_closed_on_each_side() {
        let port = relayed().await;
        // More than a window of either kind.
        let bytes: Vec<Vec<u8>> = (0..8u8).map(|n| vec![n; 3_000_000]).collect();
        let said = bytes.iter().map(|bytes| said_twice(port, bytes));
        for (said, bytes) in futures_util::future::join_all(said)
            .await
            .iter()
            .zip(&bytes)
        {
            assert!(*said == [bytes.as_slice(), bytes].concat());
        }
        assert!(said_twice(port, b"").await.is_empty());
    }

    #[tokio::test]
    async fn a_registry_that_is_gone_closes_the_connection_alone() {
        let closed = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let (near, far) = tokio::io::duplex(1000);
        let relaying = tokio::spawn(relay(far));
        let mut near = BufReader::new(near);
        let mut line = String::new();
        near.read_line(&mut line).await.unwrap();
        let receiving = tokio::spawn(receive(near, closed));
        let port = line.trim_end().parse().unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let mut said = Vec::new();
        let read = stream.read_to_end(&mut said).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert!(!relaying.is_finished());
        receiving.abort();
        // The wire is gone, and with it the relay.
        let _ = relaying.await.unwrap();
    }
}
