//! What an engine hands over: documents, and the blobs that it sent.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use refit_oci::{Digest, Document};
use tempfile::TempDir;

/// What an engine pushed.
#[derive(Debug)]
pub struct Pushed {
    /// What it tagged, or wrote last: a manifest, or an index over `children`.
    pub manifest: Document,
    /// All documents that were pushed beside it, by digest.
    pub children: BTreeMap<Digest, Document>,
    /// The blobs it sent, verified; blobs that were known already are not among them. The files go when this is dropped.
    pub blobs: BTreeMap<Digest, PathBuf>,
    _spool: Arc<TempDir>,
}

impl Pushed {
    /// `spool` is the folder that the blobs are in.
    pub(crate) fn new(
        manifest: Document,
        children: BTreeMap<Digest, Document>,
        blobs: BTreeMap<Digest, PathBuf>,
        spool: Arc<TempDir>,
    ) -> Self {
        Self {
            manifest,
            children,
            blobs,
            _spool: spool,
        }
    }
}
