//! Answers in the distribution specification's form.

use std::path::Path;

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, Response, StatusCode,
        header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE},
    },
};
use refit_oci::{Digest, Document};
use tokio::{fs::File, io::AsyncReadExt as _, io::AsyncSeekExt as _};

use crate::{RegistryError, blocks::blocks, error::io_error, words::words};

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// An answer with headers and no body.
pub(super) fn answer(
    status: StatusCode,
    headers: impl IntoIterator<Item = (HeaderName, String)>,
) -> Response<Body> {
    with_body(status, headers, Body::empty())
}

/// The specification's error envelope.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let envelope = serde_json::json!({"errors": [{"code": code, "message": message}]});
    let headers = [(CONTENT_TYPE, "application/json".to_owned())];
    with_body(status, headers, Body::from(envelope.to_string()))
}

/// What upstream could not give: the engine shows these words in its log.
pub(super) fn upstream(failure: &RegistryError) -> Response<Body> {
    let text = words(failure);
    match failure {
        RegistryError::Missing { .. } => error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", &text),
        _ => error(StatusCode::BAD_GATEWAY, "UNAVAILABLE", &text),
    }
}

/// A manifest or index, exact to the byte; the body is left out of answers to HEAD by the server.
pub(super) fn document(document: &Document) -> Response<Body> {
    let headers = [
        (CONTENT_TYPE, document.media_type().to_owned()),
        (CONTENT_DIGEST, document.digest().to_string()),
    ];
    let body = Body::from(document.bytes().to_vec());
    with_body(StatusCode::OK, headers, body)
}

/// That a blob is there.
pub(super) fn blob_head(digest: &Digest, size: u64) -> Response<Body> {
    let headers = [
        (CONTENT_LENGTH, size.to_string()),
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_DIGEST, digest.to_string()),
        (ACCEPT_RANGES, "bytes".to_owned()),
    ];
    answer(StatusCode::OK, headers)
}

/// A blob's bytes from `from` on.
pub(super) async fn blob(
    digest: &Digest,
    path: &Path,
    from: Option<u64>,
) -> Result<Response<Body>, RegistryError> {
    let failed = |source| io_error(path, source);
    let mut file = File::open(path).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    let start = from.unwrap_or(0);
    if start > size || (start == size && start > 0) {
        let range = [(CONTENT_RANGE, format!("bytes */{size}"))];
        return Ok(answer(StatusCode::RANGE_NOT_SATISFIABLE, range));
    }
    let seek = file.seek(std::io::SeekFrom::Start(start)).await;
    seek.map_err(failed)?;
    let mut headers = vec![
        (CONTENT_LENGTH, (size - start).to_string()),
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_DIGEST, digest.to_string()),
        (ACCEPT_RANGES, "bytes".to_owned()),
    ];
    let status = match from {
        Some(_) => StatusCode::PARTIAL_CONTENT,
        None => StatusCode::OK,
    };
    if from.is_some() {
        let range = format!("bytes {start}-{}/{size}", size - 1);
        headers.push((CONTENT_RANGE, range));
    }
    let body = Body::from_stream(blocks(file.take(size - start), |_| {}));
    Ok(with_body(status, headers, body))
}

fn with_body(
    status: StatusCode,
    headers: impl IntoIterator<Item = (HeaderName, String)>,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let all = response.headers_mut();
    all.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    for (name, value) in headers {
        // Our own values are digests, numbers and paths; a media type from outside may be anything.
        if let Ok(value) = HeaderValue::from_str(&value) {
            all.insert(name, value);
        }
    }
    response
}
