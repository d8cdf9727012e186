//! What an engine pushes: blobs by any of the specification's ways to upload, manifests over them.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State as Shared},
    http::{
        HeaderMap, HeaderName, StatusCode, Uri,
        header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE},
    },
};
use refit_oci::{Digest, Document};

use super::{
    State, TAG,
    answer::{self, CONTENT_DIGEST, answer, error},
    output::Output,
    routes::{Answer, Here, unknown_name},
    upload::{Broken, Upload},
};
use crate::{DOCUMENT_LIMIT, lock};

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

impl State {
    fn upload(&self, secret: &str, name: &str, id: &str) -> Option<Arc<Upload>> {
        let upload = lock(&self.uploads).get(id).cloned()?;
        (self.is_secret(secret) && upload.output == name).then_some(upload)
    }

    fn upload_path(&self, upload: &Upload) -> String {
        format!(
            "/v2/{}/{}/blobs/uploads/{}",
            self.secret, upload.output, upload.id
        )
    }

    fn blob_headers(&self, name: &str, digest: &Digest) -> [(HeaderName, String); 2] {
        let path = format!("/v2/{}/{name}/blobs/{digest}", self.secret);
        [(LOCATION, path), (CONTENT_DIGEST, digest.to_string())]
    }
}

pub(super) async fn put_manifest(
    Shared(state): Here,
    Path((secret, name, reference)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    if !state.is_secret(&secret) {
        return unknown_name();
    }
    let limit = usize::try_from(DOCUMENT_LIMIT).unwrap_or(usize::MAX);
    let Ok(bytes) = axum::body::to_bytes(body, limit).await else {
        return error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "MANIFEST_INVALID",
            "larger than 4 MiB, or broken off",
        );
    };
    let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let document = match Document::decode(content_type, bytes.to_vec()) {
        Ok(document) => document,
        Err(failure) => {
            let message = failure.to_string();
            return error(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", &message);
        }
    };
    let digest = document.digest().clone();
    match reference.parse::<Digest>() {
        Ok(wanted) if wanted != digest => {
            return error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "another digest");
        }
        Err(_) if reference != TAG => {
            return error(StatusCode::BAD_REQUEST, "TAG_INVALID", "not this run's tag");
        }
        _ => {}
    }
    let mut outputs = lock(&state.outputs);
    let Some(output) = outputs.get_mut(&name) else {
        return unknown_name();
    };
    match output.push(document, reference == TAG) {
        Ok(()) => {
            let path = format!("/v2/{secret}/{name}/manifests/{digest}");
            let headers = [(LOCATION, path), (CONTENT_DIGEST, digest.to_string())];
            answer(StatusCode::CREATED, headers)
        }
        Err(part) => error(
            StatusCode::BAD_REQUEST,
            "MANIFEST_BLOB_UNKNOWN",
            part.as_str(),
        ),
    }
}

pub(super) async fn begin_upload(
    Shared(state): Here,
    Path((secret, name)): Path<(String, String)>,
    uri: Uri,
    body: Body,
) -> Answer {
    if !state.is_secret(&secret) || !lock(&state.outputs).contains_key(&name) {
        return unknown_name();
    }
    if let Some(digest) = query(&uri, "mount").and_then(|text| text.parse::<Digest>().ok())
        && mount(&state, &name, &digest).await
    {
        return answer(StatusCode::CREATED, state.blob_headers(&name, &digest));
    }
    let upload = match Upload::begin(&name, state.spool.path()).await {
        Ok(upload) => Arc::new(upload),
        Err(failure) => return answer::upstream(&failure),
    };
    lock(&state.uploads).insert(upload.id.clone(), Arc::clone(&upload));
    if let Some(digest) = query(&uri, "digest") {
        return finish(&state, &upload, None, body, &digest).await;
    }
    progress(&state, StatusCode::ACCEPTED, &upload, 0)
}

/// Whether a blob is in the output, or can be linked from a planned base, whatever the engine takes it to be in.
async fn mount(state: &State, name: &str, digest: &Digest) -> bool {
    let known = |output: &Output| output.size_of(digest).is_some();
    if lock(&state.outputs).get(name).is_some_and(known) {
        return true;
    }
    let Some((_, descriptor)) = state.base_blob(digest).await else {
        return false;
    };
    let mut outputs = lock(&state.outputs);
    let output = outputs.get_mut(name);
    output.map(|output| output.mount(descriptor)).is_some()
}

pub(super) async fn append_upload(
    Shared(state): Here,
    Path((secret, name, id)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Some(upload) = state.upload(&secret, &name, &id) else {
        return unknown_upload();
    };
    match upload.append(chunk_start(&headers), body).await {
        Ok(size) => progress(&state, StatusCode::ACCEPTED, &upload, size),
        Err(broken) => refuse(&state, &upload, &broken),
    }
}

pub(super) async fn finish_upload(
    Shared(state): Here,
    Path((secret, name, id)): Path<(String, String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Some(upload) = state.upload(&secret, &name, &id) else {
        return unknown_upload();
    };
    let digest = query(&uri, "digest").unwrap_or_default();
    finish(&state, &upload, chunk_start(&headers), body, &digest).await
}

pub(super) async fn get_upload(
    Shared(state): Here,
    Path((secret, name, id)): Path<(String, String, String)>,
) -> Answer {
    match state.upload(&secret, &name, &id) {
        Some(upload) => {
            let size = upload.size().await;
            progress(&state, StatusCode::NO_CONTENT, &upload, size)
        }
        None => unknown_upload(),
    }
}

pub(super) async fn cancel_upload(
    Shared(state): Here,
    Path((secret, name, id)): Path<(String, String, String)>,
) -> Answer {
    let Some(upload) = state.upload(&secret, &name, &id) else {
        return unknown_upload();
    };
    lock(&state.uploads).remove(&id);
    upload.discard().await;
    answer(StatusCode::NO_CONTENT, [])
}

/// Takes the last bytes of an upload, and the blob if its digest is the one that was announced.
async fn finish(
    state: &State,
    upload: &Upload,
    start: Option<u64>,
    body: Body,
    announced: &str,
) -> Answer {
    if let Err(broken) = upload.append(start, body).await {
        return refuse(state, upload, &broken);
    }
    lock(&state.uploads).remove(&upload.id);
    let (digest, blob) = match upload.finish().await {
        Ok(finished) => finished,
        Err(failure) => return answer::upstream(&failure),
    };
    if announced != digest.as_str() {
        upload.discard().await;
        let message = format!("the content is `{digest}`");
        return error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", &message);
    }
    match lock(&state.outputs).get_mut(&upload.output) {
        Some(output) => output.receive(digest.clone(), blob),
        None => return unknown_name(),
    }
    answer(
        StatusCode::CREATED,
        state.blob_headers(&upload.output, &digest),
    )
}

fn progress(state: &State, status: StatusCode, upload: &Upload, size: u64) -> Answer {
    let headers = [
        (LOCATION, state.upload_path(upload)),
        (RANGE, format!("0-{}", size.saturating_sub(1))),
        (UPLOAD_ID, upload.id.clone()),
    ];
    answer(status, headers)
}

fn refuse(state: &State, upload: &Upload, broken: &Broken) -> Answer {
    let message = match broken {
        Broken::OutOfOrder(size) => {
            return progress(state, StatusCode::RANGE_NOT_SATISFIABLE, upload, *size);
        }
        Broken::Spool(failure) => return answer::upstream(failure),
        Broken::Body => "the body broke off",
        Broken::TooLarge => "the blob is too large",
    };
    error(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
}

/// Where a chunk begins: `Content-Range: N-M`, in the specification's form or HTTP's.
fn chunk_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let range = range.strip_prefix("bytes ").unwrap_or(range);
    range.split('-').next()?.trim().parse().ok()
}

/// A parameter of a request's query.
fn query(uri: &Uri, name: &str) -> Option<String> {
    // The path does not matter; only whole URLs parse.
    let url = format!("http://127.0.0.1/?{}", uri.query()?);
    let url: reqwest::Url = url.parse().ok()?;
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

fn unknown_upload() -> Answer {
    let message = "no such upload";
    error(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", message)
}
