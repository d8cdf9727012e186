//! Connections to engines: plain ones, and those that change protocol (`/session` and `/grpc` become HTTP/2 streams).

use std::{error::Error, io, time::Duration};

use crate::docker::{
    Address,
    tls::{self, Inside},
};
use bollard::BollardRequest;
use futures_util::{Stream, stream};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming},
    client::conn::http1,
    header::{CONNECTION, HOST, HeaderValue, UPGRADE},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// What bytes go over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Connects to where an engine listens.
pub(crate) async fn dial(address: &Address) -> io::Result<Box<dyn Wire>> {
    dial_for(address, Inside::Http).await
}

/// Connects to where a buildkitd listens.
pub(crate) async fn dial_grpc(address: &Address) -> io::Result<Box<dyn Wire>> {
    dial_for(address, Inside::Grpc).await
}

async fn dial_for(address: &Address, inside: Inside) -> io::Result<Box<dyn Wire>> {
    Ok(match address {
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Tcp(address) => Box::new(connect(address).await?),
        Address::Tls { at, certificates } => {
            Box::new(tls::connect(at, certificates, inside).await?)
        }
        Address::Ssh(host) => Box::new(host.dial()?),
    })
}

/// Sends one request of the API on a connection of its own.
pub(crate) async fn send(
    address: Address,
    request: BollardRequest,
) -> Result<Response<Incoming>, bollard::errors::Error> {
    let stream = dial(&address).await?;
    let (mut head, body) = request.into_parts();
    // A server is asked for a path, and told the host beside it.
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse().map_err(http_error)?;
    head.headers
        .insert(HOST, HeaderValue::from_static("docker"));
    Ok(over(stream, Request::from_parts(head, body)).await?)
}

/// A connection over TCP. Small messages go at once: much of what is spoken waits for the answer to one.
pub(crate) async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends one request over a wire.
async fn over<B>(wire: Box<dyn Wire>, request: Request<B>) -> hyper::Result<Response<Incoming>>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(wire)).await?;
    let connection = tokio::spawn(connection.with_upgrades());
    match sender.send_request(request).await {
        // The wire broke before the request was on it; only the connection knows why.
        Err(error) if error.is_canceled() => match connection.await {
            Ok(Err(why)) => Err(why),
            _ => Err(error),
        },
        answered => answered,
    }
}

/// How long a server may take to say whether it is a Docker Engine.
const PATIENCE: Duration = Duration::from_secs(10);

/// The header of a ping's answer that names the builder which the engine has its clients take: `2` is BuildKit.
const BUILDER: &str = "Builder-Version";

/// Whether the engine there tells its clients to take the classic builder.
pub(crate) async fn prefers_classic(address: &Address) -> bool {
    let asked = async {
        let request = Request::get("/_ping").header(HOST, "docker");
        let request = request.body(Empty::<Bytes>::new()).ok()?;
        let answer = over(dial(address).await.ok()?, request).await.ok()?;
        Some(answer.headers().get(BUILDER)? == "1")
    };
    let told = tokio::time::timeout(PATIENCE, asked).await;
    told.is_ok_and(|told| told == Some(true))
}

/// Bytes of a file that are read at once.
const PIECE: usize = 64 * 1024;

/// What is read, as the frames of a body.
pub(crate) fn frames<R>(reader: R) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send
where
    R: AsyncRead + Unpin + Send,
{
    stream::try_unfold(reader, |mut reader| async move {
        let mut piece = vec![0; PIECE];
        let read = reader.read(&mut piece).await?;
        piece.truncate(read);
        Ok((read > 0).then(|| (Frame::data(piece.into()), reader)))
    })
}

/// Bytes of an engine's words that are kept for an error.
const WORDS: usize = 64 * 1024;

/// Sends one request with a body, and gives the answer as soon as it begins. An answer that is no success is an error
/// with the engine's own words.
pub(crate) async fn post<B>(
    address: &Address,
    path: &str,
    headers: &[(&str, &str)],
    body: B,
) -> Result<Incoming, PostError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let wire = dial(address).await.map_err(PostError::from_io)?;
    let mut request = Request::post(path).header(HOST, "docker");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body).map_err(|e| PostError::Lost(e.into()))?;
    let answer = over(wire, request).await;
    let answer = answer.map_err(|e| PostError::Lost(e.into()))?;
    if answer.status().is_success() {
        return Ok(answer.into_body());
    }
    let status = answer.status();
    let words = Limited::new(answer.into_body(), WORDS).collect().await;
    let words = words.map(http_body_util::Collected::to_bytes);
    let words = words.unwrap_or_default();
    let told: Option<serde_json::Value> = serde_json::from_slice(&words).ok();
    let told = told.and_then(|told| Some(told.get("message")?.as_str()?.trim().to_owned()));
    Err(PostError::Refused(
        told.unwrap_or_else(|| status.to_string()),
    ))
}

/// Why a request has no answer to read.
#[derive(Debug)]
pub(crate) enum PostError {
    /// The connection.
    Lost(Box<dyn Error + Send + Sync>),
    /// The engine says no, in these words.
    Refused(String),
}

impl PostError {
    fn from_io(error: io::Error) -> Self {
        Self::Lost(error.into())
    }
}

/// Whether a Docker Engine answers there; one that nobody reaches may be one.
pub(crate) async fn is_docker(address: &Address) -> bool {
    let asked = async {
        let Ok(stream) = dial(address).await else {
            return true;
        };
        let request = Request::get("/_ping").header(HOST, "docker");
        let request = request.body(Empty::<Bytes>::new());
        let Ok(request) = request else {
            return false;
        };
        let answer = over(stream, request).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(true)
}

fn http_error(error: impl Error + Send + Sync + 'static) -> io::Error {
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
    let response = over(dial(address).await?, request).await;
    let response = response.map_err(io::Error::other)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status();
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("the engine has no BuildKit ({status})"),
        ));
    }
    let upgraded = hyper::upgrade::on(response)
        .await
        .map_err(io::Error::other)?;
    Ok(Box::new(TokioIo::new(upgraded)))
}
