//! Seekable zstd: independent frames and a table of them at the end, all of it plain zstd to `zstd -d`.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use refit_oci::Digest;
use sha2::{Digest as _, Sha256};
use zeekstd::SeekTable;
use zstd::stream::write::Encoder;

/// Plain bytes in a frame: what a reader decompresses at most to reach a line.
const FRAME: u32 = 256 * 1024;

/// A file of frames that is readable up to the last flush at any time.
///
/// The frames are made with `zstd` and only the table with `zeekstd`, whose own encoder cannot flush within a frame.
pub(crate) struct Frames {
    file: File,
    frame: Option<Frame>,
    table: SeekTable,
    hasher: Sha256,
}

/// The frame that is being filled; what it compressed and the file does not have yet is in the encoder's vector.
struct Frame {
    encoder: Encoder<'static, Vec<u8>>,
    plain: u32,
    compressed: u32,
}

impl Frames {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::create_new(path)?,
            frame: None,
            table: SeekTable::new(),
            hasher: Sha256::new(),
        })
    }

    /// Closes the last frame and writes the table; the digest is that of the plain text.
    pub(crate) fn finish(mut self) -> io::Result<Digest> {
        self.end_frame()?;
        io::copy(&mut self.table.into_serializer(), &mut self.file)?;
        self.file.sync_all()?;
        Ok(Digest::from_sha256(&self.hasher.finalize().into()))
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let Some(frame) = self.frame.take() else {
            return Ok(());
        };
        let rest = frame.encoder.finish()?;
        self.file.write_all(&rest)?;
        let compressed = frame.compressed + length(&rest);
        self.table
            .log_frame(compressed, frame.plain)
            .map_err(io::Error::other)
    }
}

impl Frame {
    fn begin() -> io::Result<Self> {
        let mut encoder = Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self {
            encoder,
            plain: 0,
            compressed: 0,
        })
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let frame = match &mut self.frame {
            Some(frame) => frame,
            none => none.insert(Frame::begin()?),
        };
        let room = (FRAME - frame.plain) as usize;
        let taken = &bytes[..bytes.len().min(room)];
        frame.encoder.write_all(taken)?;
        frame.plain += length(taken);
        self.hasher.update(taken);
        if frame.plain == FRAME {
            self.end_frame()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(frame) = &mut self.frame {
            frame.encoder.flush()?;
            let ready = frame.encoder.get_mut();
            self.file.write_all(ready)?;
            frame.compressed += length(ready);
            ready.clear();
        }
        Ok(())
    }
}

/// A frame's bytes stay far below 4 GiB, compressed or not.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a frame is at most 256 KiB and its overhead")
}
