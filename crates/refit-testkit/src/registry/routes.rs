//! Requests in, answers out: faults first, then access, then the distribution specification.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State as Here,
    http::{
        Request, Response, StatusCode,
        header::{
            CONTENT_RANGE, CONTENT_TYPE, LINK, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
        },
    },
};
use bytes::Bytes;
use refit_oci::{Digest, media_type};

use super::{
    Shared, access,
    fault::{self, Fault},
    message::{CONTENT_DIGEST, Call, Reply, pairs},
    push,
};

/// Uploads are kept in memory.
const BODY_LIMIT: usize = 1 << 30;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(serve).with_state(shared)
}

async fn serve(Here(shared): Here<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_LIMIT).await;
    let call = Call {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        version: parts.version,
        query: pairs(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body: body.unwrap_or_default(),
    };
    let fault = fault::meet(&mut shared.state().faults, &call.method, &call.path);
    let reply = match &fault {
        Some(Fault::Status(status)) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::IM_A_TEAPOT);
            Reply::error(status, "UNKNOWN", "scripted")
        }
        Some(Fault::Bare(status)) => {
            Reply::new(StatusCode::from_u16(*status).unwrap_or(StatusCode::IM_A_TEAPOT))
        }
        Some(Fault::TooManyRequests(seconds)) => {
            Reply::error(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "scripted")
                .header(RETRY_AFTER, seconds.to_string())
        }
        Some(Fault::Redirect(url)) => {
            Reply::new(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, url.as_str())
        }
        Some(Fault::Page) => Reply::new(StatusCode::OK)
            .header(CONTENT_TYPE, "text/html")
            .body("<html>log in here</html>"),
        Some(Fault::Disconnect) => {
            shared.state().log.push(call.logged(None));
            // Unwinding ends the connection's task, and with it the connection; no panic hook runs.
            std::panic::resume_unwind(Box::new("scripted"));
        }
        Some(Fault::Slow(delay)) => {
            tokio::time::sleep(*delay).await;
            answer(&shared, &call)
        }
        Some(Fault::Held(gate)) => {
            gate.pass().await;
            answer(&shared, &call)
        }
        _ => answer(&shared, &call),
    };
    shared.state().log.push(call.logged(Some(reply.status)));
    reply.send(fault.as_ref(), call.method == "HEAD")
}

fn answer(shared: &Shared, call: &Call) -> Reply {
    if call.path == "/token" {
        return token(shared, call);
    }
    let route = Route::of(&call.path);
    let here = format!("{}/token", shared.url());
    let needed = route.scopes(call);
    let mut state = shared.state();
    let access = &shared.options.access;
    let challenge = access::challenge(access, &state.tokens, &call.headers, &needed, &here);
    if let Some(challenge) = challenge {
        return Reply::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "log in")
            .header(WWW_AUTHENTICATE, challenge);
    }
    let store = &mut state.store;
    match (call.method.as_str(), route) {
        ("GET" | "HEAD", Route::Root) => Reply::new(StatusCode::OK).body("{}"),
        ("GET" | "HEAD", Route::Manifest(name, reference)) => match store.document(name, reference)
        {
            Some(stored) => Reply::new(StatusCode::OK)
                .header(CONTENT_TYPE, stored.media_type)
                .header(CONTENT_DIGEST, stored.digest.as_str())
                .body(stored.bytes),
            None => unknown("MANIFEST_UNKNOWN"),
        },
        ("GET" | "HEAD", Route::Blob(name, digest)) => match digest.parse() {
            Ok(digest) => match store.blob(name, &digest) {
                Some(bytes) => blob(call, &digest, &bytes),
                None => unknown("BLOB_UNKNOWN"),
            },
            Err(_) => unknown("DIGEST_INVALID"),
        },
        ("GET", Route::Tags(name)) => match store.tags(name) {
            Some(tags) => page(call, name, tags, shared.options.page),
            None => unknown("NAME_UNKNOWN"),
        },
        ("DELETE", Route::Manifest(name, reference)) if store.delete(name, reference) => {
            Reply::new(StatusCode::ACCEPTED)
        }
        ("DELETE", Route::Manifest(..)) => unknown("MANIFEST_UNKNOWN"),
        ("PUT", Route::Manifest(name, reference)) => {
            push::manifest(store, call, (name, reference), shared.options.referrers)
        }
        ("GET", Route::Referrers(name, subject)) if shared.options.referrers => {
            Reply::new(StatusCode::OK)
                .header(CONTENT_TYPE, media_type::OCI_INDEX)
                .body(store.referrers(name, subject))
        }
        (_, Route::Upload(name, id)) => {
            push::upload(store, call, (name, id), shared.options.mounts)
        }
        (_, Route::Unknown) => unknown("NAME_UNKNOWN"),
        _ => Reply::error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "not here"),
    }
}

enum Route<'a> {
    Root,
    Manifest(&'a str, &'a str),
    Blob(&'a str, &'a str),
    /// The id is empty for a new one.
    Upload(&'a str, &'a str),
    Tags(&'a str),
    Referrers(&'a str, &'a str),
    Unknown,
}

impl<'a> Route<'a> {
    /// Repository names have slashes, so the path is taken apart from behind.
    fn of(path: &'a str) -> Self {
        let Some(rest) = path.strip_prefix("/v2/") else {
            return Self::Unknown;
        };
        if rest.is_empty() {
            return Self::Root;
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Self::Tags(name);
        }
        if let Some((name, subject)) = rest.rsplit_once("/referrers/") {
            return Self::Referrers(name, subject);
        }
        if let Some((name, id)) = rest.rsplit_once("/blobs/uploads/") {
            return Self::Upload(name, id);
        }
        if let Some((name, digest)) = rest.rsplit_once("/blobs/") {
            return Self::Blob(name, digest);
        }
        match rest.rsplit_once("/manifests/") {
            Some((name, reference)) => Self::Manifest(name, reference),
            None => Self::Unknown,
        }
    }

    /// The scopes that a request needs, one action each.
    fn scopes(&self, call: &Call) -> Vec<String> {
        let name = match self {
            Self::Root | Self::Unknown => return Vec::new(),
            Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Upload(name, _)
            | Self::Referrers(name, _)
            | Self::Tags(name) => name,
        };
        let action = match call.method.as_str() {
            "GET" | "HEAD" => "pull",
            "DELETE" if !matches!(self, Self::Upload(..)) => "delete",
            _ => "push",
        };
        let mut scopes = vec![format!("repository:{name}:{action}")];
        if let (Some(from), Some(_)) = (call.parameter("from"), call.parameter("mount")) {
            scopes.push(format!("repository:{from}:pull"));
        }
        scopes
    }
}

fn token(shared: &Shared, call: &Call) -> Reply {
    let access::Access::Token(service) = &shared.options.access else {
        return unknown("NAME_UNKNOWN");
    };
    let form = String::from_utf8_lossy(&call.body).into_owned();
    let parameters: Vec<_> = match call.method.as_str() {
        "POST" => pairs(&form),
        _ => call.query.clone(),
    };
    let all = |name: &str| {
        let named = parameters.iter().filter(move |(key, _)| key == name);
        named
            .flat_map(|(_, value)| value.split(' ').map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let asked = access::Asked {
        headers: &call.headers,
        scopes: all("scope"),
        refresh_token: all("refresh_token").pop(),
    };
    let given = shared.state().tokens.give(service, &asked);
    match given {
        Some(token) => {
            let body = serde_json::json!({"token": token, "access_token": token, "expires_in": service.expires_in});
            Reply::new(StatusCode::OK)
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string())
        }
        None => Reply::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "wrong password"),
    }
}

/// A blob, or what a `Range` asks of it.
fn blob(call: &Call, digest: &Digest, bytes: &Bytes) -> Reply {
    let reply = |status| {
        Reply::new(status)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_DIGEST, digest.as_str())
    };
    let range = call.header(&RANGE).and_then(|r| r.strip_prefix("bytes="));
    let start = range.and_then(|r| r.strip_suffix('-')?.parse::<usize>().ok());
    match start {
        Some(start) if start < bytes.len() => {
            let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            reply(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, range)
                .body(bytes.slice(start..))
        }
        Some(_) => reply(StatusCode::RANGE_NOT_SATISFIABLE),
        None => reply(StatusCode::OK).body(bytes.clone()),
    }
}

fn page(call: &Call, name: &str, tags: Vec<String>, most: usize) -> Reply {
    let asked = call.parameter("n").and_then(|n| n.parse().ok());
    let n = asked.unwrap_or(most).min(most);
    let last = call.parameter("last").unwrap_or_default();
    let rest: Vec<String> = tags.into_iter().filter(|tag| tag.as_str() > last).collect();
    let shown: Vec<&String> = rest.iter().take(n).collect();
    let body = serde_json::json!({"name": name, "tags": shown}).to_string();
    let reply = Reply::new(StatusCode::OK).header(CONTENT_TYPE, "application/json");
    let reply = match shown.last() {
        Some(last) if rest.len() > shown.len() => {
            let link = format!("</v2/{name}/tags/list?n={n}&last={last}>; rel=\"next\"");
            reply.header(LINK, link)
        }
        _ => reply,
    };
    reply.body(body)
}

fn unknown(code: &str) -> Reply {
    Reply::error(StatusCode::NOT_FOUND, code, "not here")
}
