//! Object ids between our vocabulary and the git library's.

use refit_oci::ObjectId;

/// Our id for the library's.
pub(crate) fn ours(id: impl AsRef<gix::oid>) -> ObjectId {
    id.as_ref()
        .to_hex()
        .to_string()
        .parse()
        .expect("a full id prints as lower-case hex")
}

/// The library's id for ours.
pub(crate) fn theirs(id: &ObjectId) -> gix::ObjectId {
    gix::ObjectId::from_hex(id.as_str().as_bytes()).expect("an `ObjectId` is 40 or 64 hex digits")
}
