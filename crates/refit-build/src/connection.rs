//! Connections to engines: plain ones, and those that change protocol (`/session` and `/grpc` become HTTP/2 streams).

use std::io;

use crate::docker::{Address, tls};
use bollard::BollardRequest;
use http_body_util::Empty;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{CONNECTION, HOST, HeaderValue, UPGRADE},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// What bytes go over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Connects to where an engine listens.
pub(crate) async fn dial(address: &Address) -> io::Result<Box<dyn Wire>> {
    Ok(match address {
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        Address::Tls { at, certificates } => Box::new(tls::connect(at, certificates).await?),
    })
}

/// Sends one request of the API on a connection of its own.
pub(crate) async fn send(
    address: Address,
    request: BollardRequest,
) -> Result<Response<Incoming>, bollard::errors::Error> {
    let stream = dial(&address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    // A server is asked for a path, and told the host beside it.
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse().map_err(http_error)?;
    head.headers
        .insert(HOST, HeaderValue::from_static("docker"));
    let request = Request::from_parts(head, body);
    Ok(sender.send_request(request).await?)
}

fn http_error(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

/// Sends one request and takes the connection over once the engine has agreed to change protocol.
pub(crate) async fn upgrade(
    address: &Address,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<Box<dyn Wire>> {
    let mut request = Request::post(path)
        .header(HOST, "docker")
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "h2c");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let handshake = http1::handshake(TokioIo::new(dial(address).await?)).await;
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
    Ok(Box::new(TokioIo::new(upgraded)))
}
