//! A writer that knows the digest and the length of what went through it.

use std::io::{self, Write};

use refit_oci::Digest;
use sha2::{Digest as _, Sha256};

pub(crate) struct Hashing<W> {
    inner: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Hashing<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            size: 0,
        }
    }

    /// What it wrote to, with the digest and the length in bytes.
    pub(crate) fn finish(self) -> (W, Digest, u64) {
        let digest = Digest::from_sha256(&self.hasher.finalize().into());
        (self.inner, digest, self.size)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
