//! Many new objects in one pack with its index, as git's own packs are (gitformat-pack): each object by itself, without
//! differences to others. Git finds those when it collects what is loose.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::ZlibEncoder};
use gix::objs::Kind;

use crate::{bulk, notes::NotesError};

/// An object to be written.
pub(crate) type New<'o> = (gix::ObjectId, Kind, &'o [u8]);

/// An object as the pack has it.
struct Entry {
    bytes: Vec<u8>,
    checksum: u32,
}

/// Writes objects into the folder of an object database's packs. None is there before all are.
pub(crate) fn write(
    folder: &Path,
    hash: gix::hash::Kind,
    objects: &[New<'_>],
) -> Result<(), NotesError> {
    let order: Vec<usize> = (0..objects.len()).collect();
    let entries = bulk::each(&order, || (), |(), at| entry(&objects[at]));
    let in_folder = |source| NotesError::Io {
        path: folder.to_owned(),
        source,
    };
    let entries: Vec<Entry> = entries
        .into_iter()
        .collect::<io::Result<_>>()
        .map_err(in_folder)?;
    let hashing = NotesError::writing("a pack");
    let count = u32::try_from(objects.len()).unwrap_or(u32::MAX);
    let mut pack = [
        b"PACK".as_slice(),
        &2_u32.to_be_bytes(),
        &count.to_be_bytes(),
    ]
    .concat();
    let mut offsets = Vec::with_capacity(entries.len());
    for entry in &entries {
        offsets.push(pack.len() as u64);
        pack.extend_from_slice(&entry.bytes);
    }
    let sum = checksum(hash, &pack).map_err(hashing)?;
    pack.extend_from_slice(sum.as_bytes());
    let mut index = index(objects, &entries, &offsets);
    index.extend_from_slice(sum.as_bytes());
    let index_sum = checksum(hash, &index).map_err(NotesError::writing("a pack's index"))?;
    index.extend_from_slice(index_sum.as_bytes());

    fs::create_dir_all(folder).map_err(in_folder)?;
    // A pack is there once its index is.
    for (extension, bytes) in [("pack", &pack), ("idx", &index)] {
        let path = folder.join(format!("pack-{sum}.{extension}"));
        // Git takes away what is called so and stays.
        let own = folder.join(format!("tmp_{extension}_{}", std::process::id()));
        place(&own, &path, bytes).map_err(|source| NotesError::Io { path, source })?;
    }
    Ok(())
}

/// Git writes packs through to the disk before anything names what is in them, and so do we.
fn place(own: &PathBuf, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = File::create(own).and_then(|mut file| {
        file.write_all(bytes)?;
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        file.set_permissions(permissions)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(own, path));
    if placed.is_err() {
        let _ = fs::remove_file(own);
    }
    placed
}

/// Type and size in front, four bits of the size and then seven a byte, and the bytes deflated.
fn entry((_, kind, object): &New<'_>) -> io::Result<Entry> {
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
    let mut deflating = ZlibEncoder::new(bytes, Compression::fast());
    deflating.write_all(object)?;
    let bytes = deflating.finish()?;
    let checksum = crc32fast::hash(&bytes);
    Ok(Entry { bytes, checksum })
}

fn low_bits(number: usize, n: u32) -> u8 {
    u8::try_from(number & ((1 << n) - 1)).expect("fewer than eight bits")
}

/// Version 2, without the checksums at its end.
fn index(objects: &[New<'_>], entries: &[Entry], offsets: &[u64]) -> Vec<u8> {
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.sort_unstable_by_key(|at| objects[*at].0);
    let mut index = [b"\xfftOc".as_slice(), &2_u32.to_be_bytes()].concat();
    let mut behind = 0;
    for first in 0..=u8::MAX {
        let same = order[behind..].iter();
        behind += same
            .take_while(|at| objects[**at].0.first_byte() == first)
            .count();
        index.extend_from_slice(&u32::try_from(behind).unwrap_or(u32::MAX).to_be_bytes());
    }
    for at in &order {
        index.extend_from_slice(objects[*at].0.as_bytes());
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

fn checksum(hash: gix::hash::Kind, bytes: &[u8]) -> Result<gix::ObjectId, gix::Error> {
    let mut hasher = gix::hash::hasher(hash);
    hasher.update(bytes);
    hasher.try_finalize()
}
