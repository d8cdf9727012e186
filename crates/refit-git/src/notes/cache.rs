//! What the notes of a ref held when they were last read, under the git directory: a hint that saves decompressing every
//! note. It can be deleted at any time; whatever does not read as it was written is read from git again.
//!
//! One file for each ref: a checksum over the rest, the notes' tree, and for each note the object it is on, its blob, and
//! its text. A tree that is the cached one is not walked, and of another one only the subtrees and blobs that are new.

use std::{borrow::Cow, fs, ops::Range, path::PathBuf};

use crate::Repo;

/// What a file begins with. Another layout gets another number, and files of the old one are not read.
const MAGIC: &[u8; 8] = b"refitnc1";
/// No notes that refit has to do with come near; a larger file is somebody else's.
const MAX_BYTES: u64 = 4 << 30;

/// Where the text of a note lies, by the object that it is on and the note's blob.
pub(super) type Place = (gix::ObjectId, gix::ObjectId, Range<usize>);

/// The notes of a tree, in the order of the objects they are on.
#[derive(Default)]
pub(super) struct Cached {
    pub(super) tree: Option<gix::ObjectId>,
    /// A file's bytes, the texts among them; UTF-8.
    pub(super) bytes: Vec<u8>,
    pub(super) places: Vec<Place>,
}

impl Cached {
    /// What is cached of a ref; empty where there is nothing, or nothing that can be trusted.
    pub(super) fn read(repo: &Repo, reference: &str, hash: gix::hash::Kind) -> Self {
        let path = path(repo, reference);
        let is_small = fs::metadata(&path).is_ok_and(|file| file.len() <= MAX_BYTES);
        let bytes = is_small.then(|| fs::read(&path).ok()).flatten();
        bytes
            .and_then(|bytes| parse(bytes, hash))
            .unwrap_or_default()
    }

    /// A note's text.
    pub(super) fn text(&self, place: &Place) -> &str {
        let text = self.bytes.get(place.2.clone()).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

/// Whatever is not as it was written is as good as nothing.
fn parse(bytes: Vec<u8>, hash: gix::hash::Kind) -> Option<Cached> {
    let n_id = hash.len_in_bytes();
    let mut rest = Rest {
        bytes: &bytes,
        at: 0,
    };
    if rest.take(MAGIC.len())? != MAGIC || rest.number()? != checksum(&bytes[rest.at..]) {
        return None;
    }
    let tree = rest.id(n_id)?;
    let mut places = Vec::new();
    while rest.at < bytes.len() {
        let (annotated, blob) = (rest.id(n_id)?, rest.id(n_id)?);
        let length = usize::try_from(rest.number()?).ok()?;
        let start = rest.at;
        std::str::from_utf8(rest.take(length)?).ok()?;
        places.push((annotated, blob, start..start + length));
    }
    Some(Cached {
        tree: Some(tree),
        bytes,
        places,
    })
}

/// Puts the notes of a tree together as a file has them.
pub(super) fn assemble<'t>(
    tree: gix::ObjectId,
    notes: impl Iterator<Item = (gix::ObjectId, gix::ObjectId, Cow<'t, str>)>,
) -> Cached {
    let mut bytes = [MAGIC.as_slice(), &[0; 8], tree.as_bytes()].concat();
    let mut places = Vec::new();
    for (annotated, blob, text) in notes {
        bytes.extend_from_slice(annotated.as_bytes());
        bytes.extend_from_slice(blob.as_bytes());
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        let start = bytes.len();
        bytes.extend_from_slice(text.as_bytes());
        places.push((annotated, blob, start..bytes.len()));
    }
    let body = MAGIC.len() + 8;
    let sum = checksum(&bytes[body..]).to_le_bytes();
    bytes[MAGIC.len()..body].copy_from_slice(&sum);
    Cached {
        tree: Some(tree),
        bytes,
        places,
    }
}

/// Writes the file of a ref. What can't be written is read from git the next time.
pub(super) fn write(repo: &Repo, reference: &str, cached: &Cached) {
    let path = path(repo, reference);
    let Some(folder) = path.parent() else { return };
    // Whoever else writes at the same time has a file of its own, and the one that is renamed last stays.
    let name = format!("{}.{}.new", file_name(reference), std::process::id());
    let own = folder.join(name);
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&own, &cached.bytes))
        .and_then(|()| fs::rename(&own, &path));
    if written.is_err() {
        let _ = fs::remove_file(&own);
    }
}

fn path(repo: &Repo, reference: &str) -> PathBuf {
    let folder = repo.common_dir().join("refit").join("notes-cache");
    folder.join(file_name(reference))
}

/// A ref's name as a file's: no other ref of ours has the same one.
fn file_name(reference: &str) -> String {
    reference.replace('/', "+")
}

/// Tells a file that was cut off or has rotted; nobody who may write under the git directory has to be kept from writing
/// something else.
fn checksum(bytes: &[u8]) -> u64 {
    u64::from(crc32fast::hash(bytes))
}

/// What is left of a file.
struct Rest<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Rest<'b> {
    fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let end = self.at.checked_add(n)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn id(&mut self, length: usize) -> Option<gix::ObjectId> {
        gix::ObjectId::try_from(self.take(length)?).ok()
    }

    fn number(&mut self) -> Option<u64> {
        let bytes = self.take(8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}
