//! Reads a log, finished or not, from its start or backwards from its end.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use jiff::Timestamp;

/// The first look back from a log's end; each further one is four times as far.
const LOOK_BACK: u64 = 64 * 1024;

/// The stored text of a log, as bytes.
pub struct LogReader(Kind);

enum Kind {
    /// Finished: frames and their table.
    Seekable(Box<zeekstd::Decoder<'static, File>>),
    /// Of a run that goes on or was killed: frames, the last of which has no end.
    Part(zstd::stream::read::Decoder<'static, BufReader<File>>),
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
    pub(crate) fn finished(file: File) -> io::Result<Self> {
        let decoder = zeekstd::Decoder::new(file).map_err(io::Error::other)?;
        Ok(Self(Kind::Seekable(Box::new(decoder))))
    }

    pub(crate) fn part(file: File) -> io::Result<Self> {
        Ok(Self(Kind::Part(zstd::stream::read::Decoder::new(file)?)))
    }

    /// All lines.
    pub fn lines(self) -> Lines<Self> {
        Lines(BufReader::new(self))
    }

    /// The last `n` lines; of a finished log only its end is decompressed.
    pub fn tail(mut self, n: usize) -> io::Result<Vec<Line>> {
        let Kind::Seekable(decoder) = &mut self.0 else {
            return last(self.lines(), n);
        };
        let length = decoder.seek_table().size_decomp();
        let mut back = LOOK_BACK;
        loop {
            let from = length.saturating_sub(back);
            decoder.seek(SeekFrom::Start(from))?;
            let mut lines = Lines(BufReader::new(&mut **decoder));
            if from > 0 {
                // Most likely begun in the midst of a line.
                lines.next().transpose()?;
            }
            let found = last(lines, n)?;
            if found.len() == n || from == 0 {
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
        match &mut self.0 {
            Kind::Seekable(decoder) => decoder.read(buffer),
            Kind::Part(decoder) => match decoder.read(buffer) {
                // Not yet written, or never: what there is has been read.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                other => other,
            },
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
