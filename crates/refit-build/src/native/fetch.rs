//! What ADD fetches: files that a digest names, so that they are part of what the Dockerfile says and of nothing else.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use refit_dockerfile::{Remote, remote};
use refit_oci::Digest;
use refit_registry::{Downloads, file_name};
use tokio::runtime::Handle;

use super::{
    check::DOCKER_CAN,
    image_path::ImagePath,
    node::{Content, FileData, Node, NodeKind},
    request::Request,
    transfer::TransferError,
};

/// A file above this many bytes is refused.
const MAX_BYTES: u64 = 64 << 30;

/// As BuildKit's source of files from the web keeps them.
const MODE: u32 = 0o600;

/// Fetches files for a build. Its methods block, and so must not be called on a thread that drives `handle`.
pub(crate) struct Fetcher {
    handle: Handle,
    downloads: Arc<Downloads>,
    /// Files and sizes by URL and digest.
    got: BTreeMap<(String, Digest), (Arc<Path>, u64)>,
}

impl Fetcher {
    pub(crate) fn new(handle: Handle, downloads: Arc<Downloads>) -> Self {
        Self {
            handle,
            downloads,
            got: BTreeMap::new(),
        }
    }

    /// The file behind a URL, and the name and node that it gets. It is of 1970: the server's word for its age is no
    /// part of its digest.
    pub(crate) fn get(
        &mut self,
        (url, digest): (&str, &Digest),
        new_file: impl FnOnce() -> std::path::PathBuf,
    ) -> Result<(ImagePath, Node, Arc<Path>), TransferError> {
        let failed = |source| TransferError::Fetch {
            url: url.to_owned(),
            source,
        };
        let name = file_name(url).map_err(failed)?;
        let key = (url.to_owned(), digest.clone());
        let (file, size) = if let Some(known) = self.got.get(&key) {
            known.clone()
        } else {
            let file: Arc<Path> = new_file().into();
            let getting = self.downloads.get(url, digest, (&file, MAX_BYTES));
            let size = self.handle.block_on(getting).map_err(failed)?;
            self.got.insert(key, (Arc::clone(&file), size));
            (file, size)
        };
        let content = Content::Stored {
            file: Arc::clone(&file),
            offset: 0,
        };
        let node = Node::new(NodeKind::File(Arc::new(FileData { size, content })), MODE);
        Ok((ImagePath::clean(&name), node, file))
    }
}

/// What a URL of an ADD must hold; none if the source is none. Refused is what could be something else tomorrow.
pub(crate) fn pinned(request: &Request, source: &str) -> Result<Option<Digest>, TransferError> {
    let Some(kind) = remote(source) else {
        return Ok(None);
    };
    let refused = |message, hint: &str| TransferError::Refused {
        message,
        hint: format!("{hint}; {DOCKER_CAN}"),
    };
    if kind == Remote::Git {
        let message = format!("the native engine does not clone `{source}`");
        return Err(refused(message, "make it a build context"));
    }
    match &request.checksum {
        None => {
            let message = format!("what `{source}` holds may change");
            let hint = "say what it is with `--checksum=sha256:…`";
            Err(refused(message, hint))
        }
        Some(text) => match text.parse() {
            Ok(digest) => Ok(Some(digest)),
            Err(_) => Err(TransferError::Checksum(format!(
                "`--checksum={text}` is no digest"
            ))),
        },
    }
}

/// `--checksum` is for one URL.
pub(crate) fn check_checksum(request: &Request) -> Result<(), TransferError> {
    let n_sources = request.paths.len() + request.heredocs.len();
    let told = |why: &str| Err(TransferError::Checksum(format!("`--checksum` {why}")));
    match &request.checksum {
        Some(_) if n_sources > 1 => told("is for one source"),
        Some(_) if request.remote().is_none() => told("is for URLs"),
        Some(_) | None => Ok(()),
    }
}
