//! Object ids between our vocabulary and the git library's.

use refit_oci::ObjectId;

/// Our id for the library's.
pub(crate) fn ours(id: impl AsRef<gix::oid>) -> ObjectId {
    ObjectId::from_bytes(id.as_ref().as_bytes()).expect("an id has 20 or 32 bytes")
}

/// The library's id for ours.
pub(crate) fn theirs(id: &ObjectId) -> gix::ObjectId {
    gix::ObjectId::from_hex(id.as_str().as_bytes()).expect("an `ObjectId` is 40 or 64 hex digits")
}
