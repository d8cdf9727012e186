//! Reads a log, finished or not, from its start or backwards from its end.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use jiff::Timestamp;
use zeekstd::SeekTable;
use zstd::stream::read::Decoder;

/// The stored text of a log, as bytes.
pub struct LogReader {
    decoder: Decoder<'static, BufReader<File>>,
    extent: Extent,
}

/// Whether a log has its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Whole frames and their table.
    Finished,
    /// Of a run that goes on or was killed: the last frame has no end, and there is no table.
    Part,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was printed, to the millisecond; none if the stored line has no stamp.
    pub at: Option<Timestamp>,
    /// Its text without the line's end; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// A log's lines, first to last.
pub struct Lines<R>(BufReader<R>);

impl LogReader {
    pub(crate) fn new(file: File, extent: Extent) -> io::Result<Self> {
        Ok(Self {
            decoder: Decoder::new(file)?,
            extent,
        })
    }

    /// All lines.
    pub fn lines(self) -> Lines<Self> {
        Lines(BufReader::new(self))
    }

    /// The last `n` lines; of a finished log only the frames that hold them are decompressed.
    pub fn tail(self, n: usize) -> io::Result<Vec<Line>> {
        let extent = self.extent;
        let mut file = self.decoder.finish().into_inner();
        let table = match extent {
            Extent::Finished => SeekTable::from_seekable(&mut file).ok(),
            Extent::Part => None,
        };
        let n_frames = table.as_ref().map_or(0, SeekTable::num_frames);
        let mut back = 1;
        loop {
            let first = n_frames.saturating_sub(back);
            let start = table.as_ref().and_then(|t| t.frame_start_comp(first).ok());
            file.seek(SeekFrom::Start(start.unwrap_or(0)))?;
            let reader = Self::new(file.try_clone()?, extent)?;
            let mut lines = reader.lines();
            if first > 0 {
                // Most likely begun in the frame before.
                lines.next().transpose()?;
            }
            let found = last(lines, n)?;
            if found.len() == n || first == 0 {
                return Ok(found);
            }
            back = back.saturating_mul(4);
        }
    }
}

fn last<R: Read>(lines: Lines<R>, n: usize) -> io::Result<Vec<Line>> {
    let mut kept = VecDeque::new();
    for line in lines {
        kept.push_back(line?);
        if kept.len() > n {
            kept.pop_front();
        }
    }
    Ok(kept.into())
}

impl Read for LogReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.decoder.read(buffer) {
            // Not yet written, or never: what there is has been read.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && self.extent == Extent::Part => {
                Ok(0)
            }
            other => other,
        }
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        match self.0.read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(_) => Some(Ok(Line::of(&bytes))),
            Err(e) => Some(Err(e)),
        }
    }
}

impl Line {
    fn of(stored: &[u8]) -> Self {
        let stored = stored.strip_suffix(b"\n").unwrap_or(stored);
        let text = String::from_utf8_lossy(stored);
        match text.split_once(' ').map(|(at, rest)| (at.parse(), rest)) {
            Some((Ok(at), rest)) => Self {
                at: Some(at),
                text: rest.to_owned(),
            },
            _ => Self {
                at: None,
                text: text.into_owned(),
            },
        }
    }
}
