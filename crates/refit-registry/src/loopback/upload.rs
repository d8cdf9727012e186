//! An upload in progress: bytes appended to a spooled file and hashed on the way.

use std::path::{Path, PathBuf};

use axum::body::Body;
use futures_util::StreamExt as _;
use refit_oci::Digest;
use sha2::{Digest as _, Sha256};
use tokio::{fs::File, io::AsyncWriteExt as _, sync::Mutex};

use super::output::Received;
use crate::{RegistryError, error::io_error};

/// A blob above this many bytes is an engine gone wild.
const LIMIT: u64 = 256 << 30;

/// One upload session of one output.
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) output: String,
    path: PathBuf,
    progress: Mutex<Progress>,
}

struct Progress {
    file: File,
    hasher: Sha256,
    size: u64,
}

/// Why bytes were not taken.
pub(super) enum Broken {
    /// The chunk does not begin where the last one ended, which is here.
    OutOfOrder(u64),
    /// The engine stopped sending.
    Body,
    /// Too many bytes.
    TooLarge,
    /// The spool.
    Spool(RegistryError),
}

impl Upload {
    /// An empty upload to `output`, in a file of its own in the spool.
    pub(super) async fn begin(output: &str, spool: &Path) -> Result<Self, RegistryError> {
        let id = format!("{:032x}", rand::random::<u128>());
        let path = spool.join(&id);
        let file = File::create_new(&path).await;
        let file = file.map_err(|source| io_error(&path, source))?;
        Ok(Self {
            id,
            output: output.to_owned(),
            path,
            progress: Mutex::new(Progress {
                file,
                hasher: Sha256::new(),
                size: 0,
            }),
        })
    }

    /// How many bytes are here.
    pub(super) async fn size(&self) -> u64 {
        self.progress.lock().await.size
    }

    /// Appends a body; `start` is where the engine says that it begins. Returns the new size.
    pub(super) async fn append(&self, start: Option<u64>, body: Body) -> Result<u64, Broken> {
        let mut progress = self.progress.lock().await;
        if start.is_some_and(|start| start != progress.size) {
            return Err(Broken::OutOfOrder(progress.size));
        }
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Broken::Body)?;
            if progress.size + chunk.len() as u64 > LIMIT {
                return Err(Broken::TooLarge);
            }
            let written = progress.file.write_all(&chunk).await;
            written.map_err(|source| Broken::Spool(io_error(&self.path, source)))?;
            progress.hasher.update(&chunk);
            progress.size += chunk.len() as u64;
        }
        Ok(progress.size)
    }

    /// The finished blob and what its digest is.
    pub(super) async fn finish(&self) -> Result<(Digest, Received), RegistryError> {
        let mut progress = self.progress.lock().await;
        let flushed = progress.file.flush().await;
        flushed.map_err(|source| io_error(&self.path, source))?;
        let digest = Digest::from_sha256(&progress.hasher.clone().finalize().into());
        let blob = Received {
            path: self.path.clone(),
            size: progress.size,
        };
        Ok((digest, blob))
    }

    /// Removes the file of an upload that came to nothing.
    pub(super) async fn discard(&self) {
        // The whole spool goes with the server anyway.
        let _ = tokio::fs::remove_file(&self.path).await;
    }
}
