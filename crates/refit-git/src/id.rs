//! Object ids between our vocabulary and the git library's.

use refit_oci::ObjectId;

/// Our id for the library's.
pub(crate) fn ours(id: impl AsRef<gix::oid>) -> ObjectId {
    let mut hex = [0; gix::hash::Kind::longest().len_in_hex()];
    let n = id.as_ref().hex_to_buf(&mut hex).len();
    let hex = std::str::from_utf8(&hex[..n]);
    hex.ok()
        .and_then(|hex| hex.parse().ok())
        .expect("a full id prints as lower-case hex")
}

/// The library's id for ours.
pub(crate) fn theirs(id: &ObjectId) -> gix::ObjectId {
    gix::ObjectId::from_hex(id.as_str().as_bytes()).expect("an `ObjectId` is 40 or 64 hex digits")
}
