//! Connections to an engine that change protocol: `/session` and `/grpc` become HTTP/2 streams.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use http_body_util::Empty;
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, HOST, UPGRADE},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tonic::transport::{Channel, Endpoint, server::Connected};

use super::address::Address;

/// BuildKit's control service inside the engine.
pub(super) type Control = ControlClient<Channel>;

/// A connection that speaks HTTP/2 from here on.
pub(super) struct Stream(TokioIo<Upgraded>);

/// Connects to BuildKit's control service.
pub(super) async fn control(address: &Address) -> Result<Control, tonic::transport::Error> {
    let address = address.clone();
    let connector = tower::service_fn(move |_| {
        let address = address.clone();
        async move {
            let stream = upgrade(&address, "/grpc", &[]).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // The authority is never resolved; it only completes the requests' `:authority`.
    let endpoint = Endpoint::from_static("http://docker");
    let channel = endpoint.connect_with_connector(connector).await?;
    Ok(ControlClient::new(channel))
}

/// Sends one request and takes the connection over once the engine has agreed to change protocol.
pub(super) async fn upgrade(
    address: &Address,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<Stream> {
    let mut request = Request::post(path)
        .header(HOST, "docker")
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "h2c");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::new()).map_err(io::Error::other)?;
    match address {
        Address::Unix(path) => ask(UnixStream::connect(path).await?, request).await,
        Address::Tcp(address) => ask(TcpStream::connect(address).await?, request).await,
    }
}

async fn ask<S>(stream: S, request: Request<Empty<Bytes>>) -> io::Result<Stream>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    tokio::spawn(connection.with_upgrades());
    let response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status();
        return Err(io::Error::other(format!(
            "the engine has no BuildKit ({status})"
        )));
    }
    let upgraded = hyper::upgrade::on(response)
        .await
        .map_err(io::Error::other)?;
    Ok(Stream(TokioIo::new(upgraded)))
}

impl Connected for Stream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
