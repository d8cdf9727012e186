//! An upload in progress.

use std::path::{Path, PathBuf};

use axum::body::Body;
use futures_util::StreamExt as _;
use refit_oci::Digest;
use tokio::sync::Mutex;

use crate::{
    RegistryError,
    spool::{Received, Spooled, Unspooled},
};

/// One upload session of one output.
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) output: String,
    path: PathBuf,
    spooled: Mutex<Spooled>,
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

impl From<Unspooled> for Broken {
    fn from(why: Unspooled) -> Self {
        match why {
            Unspooled::TooLarge => Self::TooLarge,
            Unspooled::Spool(error) => Self::Spool(error),
        }
    }
}

impl Upload {
    /// An empty upload to `output`, in a file of its own in the spool.
    pub(super) async fn begin(output: &str, spool: &Path) -> Result<Self, RegistryError> {
        let id = format!("{:032x}", rand::random::<u128>());
        let spooled = Spooled::begin(spool, &id).await?;
        Ok(Self {
            id,
            output: output.to_owned(),
            path: spooled.path().to_owned(),
            spooled: Mutex::new(spooled),
        })
    }

    /// How many bytes are here.
    pub(super) async fn size(&self) -> u64 {
        self.spooled.lock().await.size()
    }

    /// Appends a body; `start` is where the engine says that it begins. Returns the new size.
    pub(super) async fn append(&self, start: Option<u64>, body: Body) -> Result<u64, Broken> {
        let mut spooled = self.spooled.lock().await;
        if start.is_some_and(|start| start != spooled.size()) {
            return Err(Broken::OutOfOrder(spooled.size()));
        }
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Broken::Body)?;
            spooled.append(&chunk).await?;
        }
        Ok(spooled.size())
    }

    /// The finished blob and what its digest is.
    pub(super) async fn finish(&self) -> Result<(Digest, Received), RegistryError> {
        self.spooled.lock().await.finish().await
    }

    /// Removes the file of an upload that came to nothing.
    pub(super) async fn discard(&self) {
        // The whole spool goes with the server anyway.
        let _ = tokio::fs::remove_file(&self.path).await;
    }
}
