//! Requests and replies in one piece, and how a fault spoils a reply.

use std::time::Duration;

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version,
        header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
    },
};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use refit_oci::Digest;

use super::{Logged, fault::Fault};

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

pub(super) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// A request, taken apart.
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) version: Version,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer whose body is still in one piece.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn logged(&self, status: Option<StatusCode>) -> Logged {
        let headers = self.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        Logged {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: headers.collect(),
            version: format!("{:?}", self.version),
            status: status.map(|status| status.as_u16()),
        }
    }
}

impl Reply {
    pub(super) fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = bytes.into();
        self
    }

    /// The specification's error envelope.
    pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let envelope = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::new(status)
            .header(CONTENT_TYPE, "application/json")
            .body(envelope.to_string())
    }
}

impl Reply {
    /// Turns a reply into a response, spoilt if a fault says so.
    pub(super) fn send(self, fault: Option<&Fault>, is_head: bool) -> Response<Body> {
        let Self {
            status,
            mut headers,
            mut body,
        } = self;
        match fault {
            Some(Fault::Corrupt) if !body.is_empty() => {
                let mut bytes = body.to_vec();
                bytes[0] ^= 1;
                body = bytes.into();
            }
            Some(Fault::TwiceAsLong) => body = [body.as_ref(), body.as_ref()].concat().into(),
            Some(Fault::WrongDigest) => {
                let wrong = Digest::sha256(b"something else").to_string();
                headers.retain(|(name, _)| *name != CONTENT_DIGEST);
                headers.push((CONTENT_DIGEST, wrong));
            }
            Some(Fault::Location(url)) => {
                headers.retain(|(name, _)| *name != LOCATION);
                headers.push((LOCATION, url.clone()));
            }
            Some(Fault::Without(left_out)) => headers.retain(|(name, _)| name != *left_out),
            _ => {}
        }
        let length = body.len();
        let mut response = Response::new(match fault {
            _ if is_head => Body::empty(),
            Some(Fault::Drip(pause)) => dripping(body, *pause),
            Some(Fault::Truncated(n)) => broken_off(body.slice(..(*n).min(length))),
            _ => Body::from(body),
        });
        *response.status_mut() = status;
        let all = response.headers_mut();
        all.insert(CONTENT_LENGTH, HeaderValue::from(length));
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value).expect("a reply's headers are visible ASCII");
            all.insert(name, value);
        }
        response
    }
}

/// Some bytes, then an error: the server cuts the connection.
fn broken_off(bytes: Bytes) -> Body {
    let first = stream::iter([Ok(bytes)]);
    let then = stream::once(async {
        // The server sends what it has when it must wait; without this it would drop the bytes as well.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("scripted"))
    });
    Body::from_stream(first.chain(then))
}

/// The bytes one by one.
fn dripping(bytes: Bytes, pause: Duration) -> Body {
    let drops = stream::unfold(bytes, move |mut left| async move {
        tokio::time::sleep(pause).await;
        (!left.is_empty()).then(|| (Ok::<_, std::io::Error>(left.split_to(1)), left))
    });
    Body::from_stream(drops)
}

/// The decoded pairs of a query or form.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let split = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    split
        .map(|(key, value)| (decoded(key), decoded(value)))
        .collect()
}

/// `application/x-www-form-urlencoded`.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|two| hex::decode(two).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.extend(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
