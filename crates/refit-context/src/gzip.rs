//! Gzip whose bytes depend on neither how its input was cut into writes nor how many processors deflate it.
//!
//! The input is cut into pieces of a fixed length, which are deflated side by side, each with the end of the one before as
//! its dictionary: what one stream would find there, it finds as well. As raw deflate streams that end at a byte, and but
//! for the last one without an end, they are one stream when put together.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Bytes of a piece: large beside its dictionary, and small beside what a machine has.
const PIECE: usize = 1 << 20;
/// The encoder's output depends on the sizes of the writes it sees, so it only ever sees this one. It does not depend on
/// the processor: the vector code of zlib-rs compares and copies, and its hash is the same everywhere.
const BLOCK: usize = 128 * 1024;
/// How far deflate looks back.
const WINDOW: usize = 32 * 1024;
/// Gzip's own default.
const LEVEL: u32 = 6;
/// Threads for one stream.
const MOST_THREADS: usize = 8;

/// Deflate, no name, no time, no system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Compresses all of `reader`: the same bytes on every machine, without a name and without a time.
pub fn gzip_deterministic(mut reader: impl Read, writer: impl Write) -> io::Result<()> {
    let mut gzip = Gzip::new(writer);
    io::copy(&mut reader, &mut gzip)?;
    gzip.finish()?.flush()
}

/// The writing half. Flushing it has no effect: it would leave a mark in the output.
pub(crate) struct Gzip<W: Write> {
    out: W,
    is_begun: bool,
    /// What is not deflated yet.
    piece: Piece,
    crc: Crc,
    threads: Option<Threads>,
}

impl<W: Write> Gzip<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            is_begun: false,
            piece: Piece::default(),
            crc: Crc::new(),
            threads: None,
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        let mut piece = std::mem::take(&mut self.piece);
        piece.is_last = true;
        self.begin()?;
        match &mut self.threads {
            None => {
                piece.deflate()?;
                self.out.write_all(&piece.deflated)?;
            }
            Some(threads) => {
                threads.deflate(piece)?;
                while let Some(piece) = threads.oldest()? {
                    self.out.write_all(&piece.deflated)?;
                }
            }
        }
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }

    fn begin(&mut self) -> io::Result<()> {
        if !self.is_begun {
            self.out.write_all(&HEADER)?;
            self.is_begun = true;
        }
        Ok(())
    }

    /// Has the piece deflated, and begins the next one.
    fn next_piece(&mut self) -> io::Result<()> {
        self.begin()?;
        let threads = self.threads.get_or_insert_with(Threads::start);
        // Buffers are used again: they are as large as all else.
        let mut next = Piece::default();
        if threads.are_busy()
            && let Some(done) = threads.oldest()?
        {
            self.out.write_all(&done.deflated)?;
            next = done;
        }
        next.follow(&self.piece);
        threads.deflate(std::mem::replace(&mut self.piece, next))
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.bytes.len() == PIECE && !bytes.is_empty() {
            self.next_piece()?;
        }
        let taken = &bytes[..bytes.len().min(PIECE - self.piece.bytes.len())];
        self.piece.bytes.extend_from_slice(taken);
        self.crc.update(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A part of the input, and what becomes of it.
#[derive(Default)]
struct Piece {
    /// The end of the piece before.
    dictionary: Vec<u8>,
    bytes: Vec<u8>,
    is_last: bool,
    deflated: Vec<u8>,
}

impl Piece {
    /// Makes it an empty one that comes after another.
    fn follow(&mut self, before: &Self) {
        let window = before.bytes.len().saturating_sub(WINDOW);
        self.dictionary.clear();
        self.dictionary.extend_from_slice(&before.bytes[window..]);
        self.bytes.clear();
        self.bytes.reserve_exact(PIECE);
        self.is_last = false;
    }

    fn deflate(&mut self) -> io::Result<()> {
        let out = &mut self.deflated;
        let mut deflate = Compress::new(Compression::new(LEVEL), false);
        if !self.dictionary.is_empty() {
            deflate
                .set_dictionary(&self.dictionary)
                .map_err(io::Error::other)?;
        }
        // Even what can't be compressed fits.
        out.clear();
        out.reserve(self.bytes.len() + self.bytes.len() / 64 + 1024);
        for block in self.bytes.chunks(BLOCK) {
            let before = deflate.total_in();
            deflate
                .compress_vec(block, out, FlushCompress::None)
                .map_err(io::Error::other)?;
            if deflate.total_in() - before != block.len() as u64 {
                return Err(io::Error::other("deflated bytes need more room"));
            }
        }
        let end = if self.is_last {
            FlushCompress::Finish
        } else {
            FlushCompress::Sync
        };
        let ended = deflate
            .compress_vec(&[], out, end)
            .map_err(io::Error::other)?;
        if out.len() == out.capacity() || (self.is_last && ended != Status::StreamEnd) {
            return Err(io::Error::other("deflated bytes need more room"));
        }
        Ok(())
    }
}

/// A piece, and where it is waited for.
type Job = (Piece, SyncSender<io::Result<Piece>>);

/// Threads that deflate. They end once nothing more can come.
struct Threads {
    jobs: Sender<Job>,
    /// What is not fetched yet, in the order of the input.
    under_way: VecDeque<Receiver<io::Result<Piece>>>,
    number: usize,
}

impl Threads {
    fn start() -> Self {
        let number = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let number = number.min(MOST_THREADS);
        let (jobs, taken) = channel::<Job>();
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..number {
            let taken = Arc::clone(&taken);
            thread::spawn(move || {
                loop {
                    let job = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((mut piece, waiting)) = job else {
                        return;
                    };
                    let deflated = piece.deflate();
                    // Nobody waits any more where writing failed.
                    let _ = waiting.send(deflated.map(|()| piece));
                }
            });
        }
        Self {
            jobs,
            under_way: VecDeque::new(),
            number,
        }
    }

    /// Whether there is as much to do as is good for memory.
    fn are_busy(&self) -> bool {
        self.under_way.len() > self.number
    }

    fn deflate(&mut self, piece: Piece) -> io::Result<()> {
        let (done, waiting) = sync_channel(1);
        self.jobs.send((piece, done)).map_err(|_| gone())?;
        self.under_way.push_back(waiting);
        Ok(())
    }

    /// The piece that was begun first, when it is done.
    fn oldest(&mut self) -> io::Result<Option<Piece>> {
        let oldest = self.under_way.pop_front();
        oldest
            .map(|waiting| waiting.recv().map_err(|_| gone())?)
            .transpose()
    }
}

fn gone() -> io::Error {
    io::Error::other("the threads that compress are gone")
}

#[cfg(test)]
mod tests {
    use flate2::{read::GzDecoder, write::GzEncoder};

    use super::*;

    /// Text that repeats over distances of all kinds, with noise between.
    fn text(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut text = Vec::with_capacity(len + 16);
        while text.len() < len {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            match state >> 62 {
                0 => text.extend_from_slice(&state.to_le_bytes()),
                _ => text.extend_from_slice(format!("let {} = ", (state >> 40) % 997).as_bytes()),
            }
        }
        text.truncate(len);
        text
    }

    fn gzipped(bytes: &[u8], cut: usize) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new());
        for part in bytes.chunks(cut) {
            gzip.write_all(part).unwrap();
        }
        gzip.finish().unwrap()
    }

    #[test]
    fn any_length_is_read_back_whatever_the_writes_were() {
        for len in [
            0,
            1,
            BLOCK,
            PIECE - 1,
            PIECE,
            PIECE + 1,
            2 * PIECE,
            7 * PIECE + 12_345,
        ] {
            let bytes = text(len);
            let packed = gzipped(&bytes, 64 * 1024);
            assert_eq!(packed, gzipped(&bytes, 999_983), "{len}");
            let mut read = Vec::new();
            GzDecoder::new(packed.as_slice())
                .read_to_end(&mut read)
                .unwrap();
            assert!(read == bytes, "{len}");
        }
    }

    #[test]
    fn pieces_cost_next_to_nothing() {
        let bytes = text(6 * PIECE);
        let mut whole = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
        whole.write_all(&bytes).unwrap();
        let whole = whole.finish().unwrap().len();
        let pieces = gzipped(&bytes, BLOCK).len();
        assert!(pieces * 1000 < whole * 1002, "{pieces} beside {whole}");
    }

    #[test]
    fn what_cannot_be_compressed_fits() {
        let mut state = 7_u64;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let bytes: Vec<u8> = (0..3 * PIECE / 8).flat_map(|_| noise()).collect();
        let packed = gzipped(&bytes, BLOCK);
        let mut read = Vec::new();
        GzDecoder::new(packed.as_slice())
            .read_to_end(&mut read)
            .unwrap();
        assert!(read == bytes);
    }

    /// A disk that is full.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failed_write_is_told() {
        let bytes = text(9 * PIECE);
        for room in [0, 100, PIECE] {
            let failed = gzip_deterministic(bytes.as_slice(), Full(room));
            let failed = failed.map_err(|error| error.kind());
            assert_eq!(failed, Err(io::ErrorKind::StorageFull), "{room}");
        }
    }
}
