//! The loopback registry's routes, and what an engine may pull.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Router,
    body::Body,
    extract::{Path, State as Shared},
    http::{HeaderMap, Response, StatusCode, header::RANGE},
    routing::{get, patch, post},
};
use refit_oci::{Descriptor, Digest};

use super::{
    State, TAG,
    answer::{self, answer, error},
    push::{append_upload, begin_upload, cancel_upload, finish_upload, get_upload, put_manifest},
};
use crate::{RegistryError, lock, planned::Planned};

pub(super) type Answer = Response<Body>;
pub(super) type Here = Shared<Arc<State>>;

/// All routes; everything else is unknown, whoever asks.
pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/v2/", get(|| async { answer(StatusCode::OK, []) }))
        .route(
            "/v2/{secret}/{name}/manifests/{reference}",
            get(get_manifest).put(put_manifest),
        )
        .route(
            "/v2/{secret}/{name}/blobs/{digest}",
            get(get_blob).head(head_blob),
        )
        .route("/v2/{secret}/{name}/blobs/uploads/", post(begin_upload))
        .route(
            "/v2/{secret}/{name}/blobs/uploads/{id}",
            patch(append_upload)
                .put(finish_upload)
                .get(get_upload)
                .delete(cancel_upload),
        )
        .fallback(|| async { unknown_name() })
        .with_state(state)
}

impl State {
    pub(super) fn is_secret(&self, secret: &str) -> bool {
        let is_it = secret == self.secret;
        if is_it {
            self.asked.store(true, Ordering::Relaxed);
        }
        is_it
    }

    fn base(&self, name: &str) -> Option<Arc<Planned>> {
        lock(&self.bases).get(name).cloned()
    }

    /// A blob of any planned base: what an engine may mount from.
    pub(super) async fn base_blob(&self, digest: &Digest) -> Option<(Arc<Planned>, Descriptor)> {
        let bases: Vec<_> = lock(&self.bases).values().cloned().collect();
        for base in bases {
            if let Ok(Some(descriptor)) = base.find(digest).await {
                return Some((base, descriptor));
            }
        }
        None
    }
}

async fn get_manifest(
    Shared(state): Here,
    Path((secret, name, reference)): Path<(String, String, String)>,
) -> Answer {
    if !state.is_secret(&secret) {
        return unknown_name();
    }
    let digest: Option<Digest> = reference.parse().ok();
    if let Some(base) = state.base(&name) {
        let Some(digest) = digest else {
            return unknown_manifest();
        };
        return match base.document(&digest).await {
            Ok(Some(document)) => answer::document(document),
            Ok(None) => unknown_manifest(),
            Err(failure) => answer::upstream(&failure),
        };
    }
    if digest.is_none() && reference != TAG {
        return unknown_manifest();
    }
    let outputs = lock(&state.outputs);
    let document = outputs
        .get(&name)
        .and_then(|output| output.document(digest.as_ref()));
    document.map_or_else(unknown_manifest, answer::document)
}

async fn head_blob(
    Shared(state): Here,
    Path((secret, name, digest)): Path<(String, String, String)>,
) -> Answer {
    let Some(digest) = blob_of(&state, &secret, &digest) else {
        return unknown_blob();
    };
    if let Some(base) = state.base(&name) {
        return match base.find(&digest).await {
            Ok(Some(descriptor)) => answer::blob_head(&digest, descriptor.size),
            Ok(None) => unknown_blob(),
            Err(failure) => answer::upstream(&failure),
        };
    }
    let outputs = lock(&state.outputs);
    let size = outputs
        .get(&name)
        .and_then(|output| output.size_of(&digest));
    size.map_or_else(unknown_blob, |size| answer::blob_head(&digest, size))
}

async fn get_blob(
    Shared(state): Here,
    Path((secret, name, digest)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Answer {
    let Some(digest) = blob_of(&state, &secret, &digest) else {
        return unknown_blob();
    };
    let from = range_start(&headers);
    let served = match state.base(&name) {
        Some(base) => base_file(&base, &digest, from).await,
        None => output_file(&state, &name, &digest, from).await,
    };
    match served {
        Ok(Some(response)) => response,
        Ok(None) => unknown_blob(),
        Err(failure) => answer::upstream(&failure),
    }
}

async fn base_file(
    base: &Planned,
    digest: &Digest,
    from: Option<u64>,
) -> Result<Option<Answer>, RegistryError> {
    let Some(descriptor) = base.find(digest).await? else {
        return Ok(None);
    };
    let file = base.blob(&descriptor).await?;
    answer::blob(digest, file.path(), from).await.map(Some)
}

/// What was pushed, and what is in a planned base: an output's blobs are to be had from it, wherever they are.
async fn output_file(
    state: &State,
    name: &str,
    digest: &Digest,
    from: Option<u64>,
) -> Result<Option<Answer>, RegistryError> {
    let received = {
        let outputs = lock(&state.outputs);
        let Some(output) = outputs.get(name) else {
            return Ok(None);
        };
        output.received(digest).map(|blob| blob.path.clone())
    };
    if let Some(path) = received {
        return answer::blob(digest, &path, from).await.map(Some);
    }
    match state.base_blob(digest).await {
        Some((base, _)) => base_file(&base, digest, from).await,
        None => Ok(None),
    }
}

fn blob_of(state: &State, secret: &str, digest: &str) -> Option<Digest> {
    if !state.is_secret(secret) {
        return None;
    }
    digest.parse().ok()
}

/// Where a resumed download goes on: `bytes=N-`. Any other range gets the whole blob, as HTTP allows.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?;
    range
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()
}

pub(super) fn unknown_name() -> Answer {
    let message = "not a repository of this run";
    error(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message)
}

fn unknown_manifest() -> Answer {
    let message = "not a planned manifest";
    error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
}

fn unknown_blob() -> Answer {
    error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "not a planned blob")
}
