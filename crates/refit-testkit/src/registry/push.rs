//! Pushes: the specification's ways to upload a blob, and manifests.

use axum::http::{
    StatusCode,
    header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE},
};
use refit_oci::Digest;

use super::{
    message::{CONTENT_DIGEST, Call, Reply, SUBJECT},
    store::{NotAppended, NotTaken, Store},
};

/// PUT of a manifest or index.
pub(super) fn manifest(
    store: &mut Store,
    call: &Call,
    (name, reference): (&str, &str),
    referrers: bool,
) -> Reply {
    let media_type = call.header(&CONTENT_TYPE).unwrap_or_default();
    match store.put_document(name, reference, media_type, call.body.clone()) {
        Ok(digest) => {
            let reply = Reply::new(StatusCode::CREATED)
                .header(LOCATION, format!("/v2/{name}/manifests/{digest}"))
                .header(CONTENT_DIGEST, digest.as_str());
            match store.subject(name, &digest).filter(|_| referrers) {
                Some(subject) => reply.header(SUBJECT, subject.to_string()),
                None => reply,
            }
        }
        Err(NotTaken::Invalid(why)) => refused("MANIFEST_INVALID", &why),
        Err(NotTaken::Digest(actual)) => refused("DIGEST_INVALID", actual.as_str()),
        Err(NotTaken::Part(part)) => refused("MANIFEST_BLOB_UNKNOWN", part.as_str()),
    }
}

/// Everything below `blobs/uploads/`; `place` is repository and upload id, empty for a new one.
pub(super) fn upload(
    store: &mut Store,
    call: &Call,
    (name, id): (&str, &str),
    mounts: bool,
) -> Reply {
    match (call.method.as_str(), id) {
        ("POST", "") => begin(store, call, name, mounts),
        ("PATCH", id) => match store.append(name, id, start(call), &call.body) {
            Ok(length) => progress(StatusCode::ACCEPTED, name, id, length),
            Err(error) => not_appended(name, id, &error),
        },
        ("GET", id) => match store.append(name, id, None, &[]) {
            Ok(length) => progress(StatusCode::NO_CONTENT, name, id, length),
            Err(error) => not_appended(name, id, &error),
        },
        ("PUT", id) => match store.append(name, id, start(call), &call.body) {
            Ok(_) => finish(store, call, name, id),
            Err(error) => not_appended(name, id, &error),
        },
        ("DELETE", id) => match store.end(id) {
            Some(_) => Reply::new(StatusCode::NO_CONTENT),
            None => not_appended(name, id, &NotAppended::Unknown),
        },
        _ => Reply::error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "not here"),
    }
}

fn begin(store: &mut Store, call: &Call, name: &str, mounts: bool) -> Reply {
    if let (Some(digest), Some(from)) = (call.parameter("mount"), call.parameter("from"))
        && let Ok(digest) = digest.parse::<Digest>()
        && mounts
        && store.mount(name, from, &digest)
    {
        return created(name, &digest);
    }
    let id = store.begin(name);
    if call.parameter("digest").is_some() {
        let appended = store.append(name, &id, None, &call.body);
        return match appended {
            Ok(_) => finish(store, call, name, &id),
            Err(error) => not_appended(name, &id, &error),
        };
    }
    progress(StatusCode::ACCEPTED, name, &id, 0)
}

fn finish(store: &mut Store, call: &Call, name: &str, id: &str) -> Reply {
    let bytes = store.end(id).unwrap_or_default();
    let actual = Digest::sha256(&bytes);
    if call.parameter("digest") != Some(actual.as_str()) {
        return refused("DIGEST_INVALID", actual.as_str());
    }
    store.put_blob(name, bytes.into());
    created(name, &actual)
}

fn created(name: &str, digest: &Digest) -> Reply {
    Reply::new(StatusCode::CREATED)
        .header(LOCATION, format!("/v2/{name}/blobs/{digest}"))
        .header(CONTENT_DIGEST, digest.as_str())
}

/// The upload's address carries state in its query, as the distribution project's does.
fn progress(status: StatusCode, name: &str, id: &str, length: usize) -> Reply {
    Reply::new(status)
        .header(
            LOCATION,
            format!("/v2/{name}/blobs/uploads/{id}?_state=x%3D"),
        )
        .header(RANGE, format!("0-{}", length.saturating_sub(1)))
}

fn not_appended(name: &str, id: &str, error: &NotAppended) -> Reply {
    match error {
        NotAppended::Unknown => Reply::error(
            StatusCode::NOT_FOUND,
            "BLOB_UPLOAD_UNKNOWN",
            "no such upload",
        ),
        NotAppended::OutOfOrder(length) => {
            progress(StatusCode::RANGE_NOT_SATISFIABLE, name, id, *length)
        }
    }
}

fn start(call: &Call) -> Option<usize> {
    call.header(&CONTENT_RANGE)?.split('-').next()?.parse().ok()
}

fn refused(code: &str, message: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, code, message)
}
