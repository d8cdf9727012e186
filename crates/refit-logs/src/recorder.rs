//! Records what a target prints: secrets hidden, lines stamped, compressed and on disk as it comes.

use std::{
    fs::File,
    io::{self, Write},
    sync::Arc,
};

use jiff::Timestamp;
use refit_oci::Digest;
use zstd::stream::write::Encoder;

use crate::{LogError, Redactor, run::Shared};

/// The log of one target while it is written. Dropped without [`Recorder::finish`], it stays as a readable part.
///
/// Every line is stored as `2026-11-23T04:05:06.789Z text`; each write is on disk when it returns, but for
/// bytes that may be the start of a secret.
pub struct Recorder {
    run: Arc<Shared>,
    target: String,
    part: String,
    out: Redactor<Stamper>,
}

impl Recorder {
    pub(crate) fn create(run: Arc<Shared>, target: &str, part: &str) -> Result<Self, LogError> {
        let path = run.part_path(part);
        let open = || -> io::Result<Stamper> {
            let mut encoder = Encoder::new(File::create_new(&path)?, 0)?;
            encoder.include_checksum(true)?;
            Ok(Stamper {
                encoder,
                clock: run.settings().clock,
                in_line: false,
            })
        };
        let stamper = open().map_err(LogError::io("create", &path))?;
        Ok(Self {
            target: target.to_owned(),
            part: part.to_owned(),
            out: Redactor::new(stamper, run.settings().secrets.clone()),
            run,
        })
    }

    /// Stores the log under the digest of its plain text, and notes it in the run's record.
    pub fn finish(self) -> Result<Digest, LogError> {
        let close = || -> io::Result<()> {
            let mut stamper = self.out.finish()?;
            if stamper.in_line {
                stamper.write_all(b"\n")?;
            }
            stamper.encoder.finish().map(drop)
        };
        close().map_err(LogError::io("write", &self.run.part_path(&self.part)))?;
        self.run.store(&self.target, &self.part)
    }
}

impl Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.out.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Puts the time before each line.
struct Stamper {
    encoder: Encoder<'static, File>,
    clock: fn() -> Timestamp,
    in_line: bool,
}

impl Write for Stamper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            if !self.in_line {
                write!(self.encoder, "{:.3} ", (self.clock)())?;
            }
            self.encoder.write_all(line)?;
            self.in_line = !line.ends_with(b"\n");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}
