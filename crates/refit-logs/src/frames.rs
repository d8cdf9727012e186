//! Finished logs: seekable zstd, which is frames and a table of them at the end, all plain zstd to `zstd -d`.

use std::io::{self, Read, Write};

use refit_oci::Digest;
use sha2::{Digest as _, Sha256};
use zeekstd::{EncodeOptions, FrameSizePolicy};

/// Plain bytes in a frame: what a reader decompresses at most to reach a line.
const FRAME: u32 = 256 * 1024;

/// Compresses all of `plain`; the digest is the plain text's.
pub(crate) fn compress(mut plain: impl Read, out: impl Write) -> io::Result<Digest> {
    let mut encoder = EncodeOptions::new()
        .checksum_flag(true)
        .frame_size_policy(FrameSizePolicy::Uncompressed(FRAME))
        .into_encoder(out)
        .map_err(io::Error::other)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match plain.read(&mut buffer)? {
            0 => break,
            n => {
                hasher.update(&buffer[..n]);
                encoder.write_all(&buffer[..n])?;
            }
        }
    }
    encoder.finish().map_err(io::Error::other)?;
    Ok(Digest::from_sha256(&hasher.finalize().into()))
}
