//! Gzip whose bytes do not depend on how its input was cut into writes.

use std::io::{self, Read, Write};

use flate2::{Compression, write::GzEncoder};

/// The encoder's output depends on the sizes of the writes it sees, so it only ever sees this one. It does not depend on
/// the processor: the vector code of zlib-rs compares and copies, and its hash is the same everywhere.
const BLOCK: usize = 128 * 1024;
/// Gzip's own default.
const LEVEL: u32 = 6;

/// Compresses all of `reader`: the same bytes on every machine, without a name and without a time.
pub fn gzip_deterministic(mut reader: impl Read, writer: impl Write) -> io::Result<()> {
    let mut gzip = Gzip::new(writer);
    io::copy(&mut reader, &mut gzip)?;
    gzip.finish()?.flush()
}

/// The writing half. Flushing it has no effect: it would leave a mark in the output.
pub(crate) struct Gzip<W: Write> {
    encoder: GzEncoder<W>,
    block: Vec<u8>,
}

impl<W: Write> Gzip<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            encoder: GzEncoder::new(out, Compression::new(LEVEL)),
            block: Vec::with_capacity(BLOCK),
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.encoder.write_all(&self.block)?;
        self.encoder.finish()
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(BLOCK - self.block.len())];
        self.block.extend_from_slice(taken);
        if self.block.len() == BLOCK {
            self.encoder.write_all(&self.block)?;
            self.block.clear();
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
