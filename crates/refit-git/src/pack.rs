//! Many new objects in one pack with its index, as git's own packs are (gitformat-pack): each object by itself, without
//! differences to others. Git finds those when it collects what is loose.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, BufWriter, Read as _, Write},
    path::{Path, PathBuf},
    thread,
};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use gix::objs::Kind;

use crate::{bulk, notes::NotesError};

/// Bytes that are handed to the system at once.
const AT_ONCE: usize = 1 << 20;

/// An object to be written.
pub(crate) struct New<'o> {
    pub(crate) id: gix::ObjectId,
    pub(crate) kind: Kind,
    pub(crate) object: Object<'o>,
}

/// Its bytes.
pub(crate) enum Object<'o> {
    /// As they are.
    Plain(&'o [u8]),
    /// As packs have them.
    Packed(&'o Entry),
}

/// An object as a pack has it.
#[derive(Clone)]
pub(crate) struct Entry {
    bytes: Vec<u8>,
    /// How many of them are in front of the deflated ones.
    n_front: usize,
    checksum: u32,
}

/// Writes objects into the folder of an object database's packs. None is there before all are.
pub(crate) fn write(
    folder: &Path,
    hash: gix::hash::Kind,
    objects: &[New<'_>],
) -> Result<(), NotesError> {
    let in_folder = |source| NotesError::Io {
        path: folder.to_owned(),
        source,
    };
    let order: Vec<usize> = (0..objects.len()).collect();
    let entries: Vec<Cow<'_, Entry>> = bulk::each(&order, || (), |(), at| objects[at].entry());
    let count = u32::try_from(objects.len()).unwrap_or(u32::MAX);
    let head = [
        b"PACK".as_slice(),
        &2_u32.to_be_bytes(),
        &count.to_be_bytes(),
    ]
    .concat();
    let mut offset = head.len() as u64;
    let mut offsets = Vec::with_capacity(entries.len());
    let mut parts: Vec<&[u8]> = vec![&head];
    for entry in &entries {
        offsets.push(offset);
        offset += entry.bytes.len() as u64;
        parts.push(&entry.bytes);
    }
    fs::create_dir_all(folder).map_err(in_folder)?;
    let mut pack = Placed::new(folder, "pack").map_err(in_folder)?;
    let (sum, written) = thread::scope(|threads| {
        let written = threads.spawn(|| pack.write(&parts));
        let sum = checksum(hash, &parts);
        (sum, written.join().expect("writing never panics"))
    });
    written.map_err(in_folder)?;
    let sum = sum.map_err(NotesError::writing("a pack"))?;
    pack.write(&[sum.as_bytes()]).map_err(in_folder)?;
    let mut index = index(objects, &entries, &offsets);
    index.extend_from_slice(sum.as_bytes());
    let index_sum = checksum(hash, &[&index]);
    let index_sum = index_sum.map_err(NotesError::writing("a pack's index"))?;
    index.extend_from_slice(index_sum.as_bytes());
    // A pack is there once its index is.
    pack.place(&folder.join(format!("pack-{sum}.pack")))?;
    let mut placed = Placed::new(folder, "idx").map_err(in_folder)?;
    placed.write(&[&index]).map_err(in_folder)?;
    placed.place(&folder.join(format!("pack-{sum}.idx")))
}

/// A file that gets its name when it is whole, and goes if it does not.
struct Placed {
    own: PathBuf,
    file: File,
}

impl Placed {
    /// Git takes away what is called so and stays.
    fn new(folder: &Path, what: &str) -> io::Result<Self> {
        let own = folder.join(format!("tmp_{what}_{}", std::process::id()));
        let file = File::create(&own)?;
        Ok(Self { own, file })
    }

    fn write(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let mut buffered = BufWriter::with_capacity(AT_ONCE, &mut self.file);
        for part in parts {
            buffered.write_all(part)?;
        }
        buffered.flush()
    }

    /// Git writes packs through to the disk before anything names what is in them, and so do we.
    fn place(self, path: &Path) -> Result<(), NotesError> {
        let through = || {
            let mut permissions = self.file.metadata()?.permissions();
            permissions.set_readonly(true);
            self.file.set_permissions(permissions)?;
            self.file.sync_all()?;
            fs::rename(&self.own, path)
        };
        through().map_err(|source| NotesError::Io {
            path: path.to_owned(),
            source,
        })
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        // One that was placed is not there any more.
        let _ = fs::remove_file(&self.own);
    }
}

impl<'o> New<'o> {
    fn entry(&self) -> Cow<'o, Entry> {
        match self.object {
            Object::Plain(bytes) => Cow::Owned(Entry::of(self.kind, bytes)),
            Object::Packed(entry) => Cow::Borrowed(entry),
        }
    }
}

impl Entry {
    /// Type and size in front, four bits of the size and then seven a byte, and the bytes deflated.
    pub(crate) fn of(kind: Kind, object: &[u8]) -> Self {
        let kind: u8 = match kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
            Kind::Tag => 4,
        };
        let mut left = object.len();
        let mut bytes = Vec::with_capacity(object.len() / 2);
        let mut byte = kind << 4 | low_bits(left, 4);
        left >>= 4;
        while left > 0 {
            bytes.push(byte | 0x80);
            byte = low_bits(left, 7);
            left >>= 7;
        }
        bytes.push(byte);
        let n_front = bytes.len();
        let mut deflating = ZlibEncoder::new(bytes, Compression::fast());
        let deflated = deflating.write_all(object);
        let deflated = deflated.and_then(|()| deflating.finish());
        let bytes = deflated.expect("memory takes all that is written");
        Self {
            checksum: crc32fast::hash(&bytes),
            bytes,
            n_front,
        }
    }

    /// The object again.
    pub(crate) fn object(&self) -> Vec<u8> {
        let mut object = Vec::new();
        let mut inflating = ZlibDecoder::new(&self.bytes[self.n_front..]);
        let inflated = inflating.read_to_end(&mut object);
        inflated.expect("it was deflated here");
        object
    }
}

fn low_bits(number: usize, n: u32) -> u8 {
    u8::try_from(number & ((1 << n) - 1)).expect("fewer than eight bits")
}

/// Version 2, without the checksums at its end.
fn index(objects: &[New<'_>], entries: &[Cow<'_, Entry>], offsets: &[u64]) -> Vec<u8> {
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.sort_unstable_by_key(|at| objects[*at].id);
    let mut index = [b"\xfftOc".as_slice(), &2_u32.to_be_bytes()].concat();
    let mut behind = 0;
    for first in 0..=u8::MAX {
        let same = order[behind..].iter();
        behind += same
            .take_while(|at| objects[**at].id.first_byte() == first)
            .count();
        index.extend_from_slice(&u32::try_from(behind).unwrap_or(u32::MAX).to_be_bytes());
    }
    for at in &order {
        index.extend_from_slice(objects[*at].id.as_bytes());
    }
    for at in &order {
        index.extend_from_slice(&entries[*at].checksum.to_be_bytes());
    }
    // Offsets of 31 bits; those that are larger are numbers in a table behind them.
    let mut large = Vec::new();
    for at in &order {
        let small = u32::try_from(offsets[*at])
            .ok()
            .filter(|offset| *offset < 1 << 31);
        let number = small.unwrap_or_else(|| {
            large.push(offsets[*at]);
            (1 << 31) | u32::try_from(large.len() - 1).unwrap_or(u32::MAX)
        });
        index.extend_from_slice(&number.to_be_bytes());
    }
    for offset in large {
        index.extend_from_slice(&offset.to_be_bytes());
    }
    index
}

fn checksum(hash: gix::hash::Kind, parts: &[&[u8]]) -> Result<gix::ObjectId, gix::Error> {
    let mut hasher = gix::hash::hasher(hash);
    for part in parts {
        hasher.update(part);
    }
    hasher.try_finalize()
}
