//! TLS to an engine: both sides show certificates, as Docker's `--tlsverify` asks, and `buildctl --tlsdir`.

use std::{fmt::Display, io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::connection;

/// What Docker's client reads in `DOCKER_CERT_PATH`.
const AUTHORITY: &str = "ca.pem";
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";

/// What is spoken inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// HTTP/1.1, which needs no word.
    Http,
    /// gRPC: its servers take nobody who has not agreed on HTTP/2.
    Grpc,
}

/// Connects to `host:port`; the server must be of the folder's authority.
pub(crate) async fn connect(
    at: &str,
    certificates: &Path,
    inside: Inside,
) -> io::Result<TlsStream<TcpStream>> {
    let (host, _) = at.rsplit_once(':').unwrap_or((at, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut config = config(certificates)?;
    if inside == Inside::Grpc {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    let stream = connection::connect(at).await?;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await
}

fn config(folder: &Path) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(&folder.join(AUTHORITY))? {
        roots
            .add(authority)
            .map_err(about(&folder.join(AUTHORITY)))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let (own, path) = (folder.join(CERTIFICATE), folder.join(KEY));
    // A server may take everybody; one that does not says so.
    if !own.exists() && !path.exists() {
        return Ok(config.with_no_client_auth());
    }
    let chain = certificates(&own)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&path)?).map_err(about(&path))?;
    config
        .with_client_auth_cert(chain, key)
        .map_err(about(&own))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(about(path))?;
    if found.is_empty() {
        return Err(about(path)("no certificate in it"));
    }
    Ok(found)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(about(path))
}

/// An error of a file, which is named.
fn about<E: Display>(path: &Path) -> impl FnOnce(E) -> io::Error {
    let path = path.display().to_string();
    move |error| io::Error::other(format!("`{path}`: {error}"))
}
