//! A blob as it arrives: bytes appended to a file and hashed on the way.

use std::path::{Path, PathBuf};

use refit_oci::Digest;
use sha2::{Digest as _, Sha256};
use tokio::{fs::File, io::AsyncWriteExt as _};

use crate::{RegistryError, error::io_error};

/// A blob above this many bytes is an engine gone wild.
const LIMIT: u64 = 256 << 30;

/// A file of its own in a spool, and what is in it so far.
pub(crate) struct Spooled {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    size: u64,
}

/// A verified blob in the spool.
pub(crate) struct Received {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
}

/// Why bytes were not taken.
pub(crate) enum Unspooled {
    /// Too many bytes.
    TooLarge,
    /// The spool.
    Spool(RegistryError),
}

impl Spooled {
    /// Nothing yet, in a file of that name.
    pub(crate) async fn begin(spool: &Path, name: &str) -> Result<Self, RegistryError> {
        let path = spool.join(name);
        let file = File::create_new(&path).await;
        let file = file.map_err(|source| io_error(&path, source))?;
        Ok(Self {
            path,
            file,
            hasher: Sha256::new(),
            size: 0,
        })
    }

    /// How many bytes are here.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) async fn append(&mut self, bytes: &[u8]) -> Result<(), Unspooled> {
        let size = self.size + bytes.len() as u64;
        if size > LIMIT {
            return Err(Unspooled::TooLarge);
        }
        let written = self.file.write_all(bytes).await;
        written.map_err(|source| Unspooled::Spool(io_error(&self.path, source)))?;
        self.hasher.update(bytes);
        self.size = size;
        Ok(())
    }

    /// The blob as far as it is here, and what its digest is.
    pub(crate) async fn finish(&mut self) -> Result<(Digest, Received), RegistryError> {
        let flushed = self.file.flush().await;
        flushed.map_err(|source| io_error(&self.path, source))?;
        let digest = Digest::from_sha256(&self.hasher.clone().finalize().into());
        let blob = Received {
            path: self.path.clone(),
            size: self.size,
        };
        Ok((digest, blob))
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
