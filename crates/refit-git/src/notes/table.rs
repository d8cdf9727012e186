//! Where the lines of a ref's notes lie, and what they are about: small, and read whole, where the lines themselves are
//! read as they are asked for.

use std::ops::{Range, RangeInclusive};

/// What a line is about, for whoever asks for lines about something: a kind, and within it a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Whatever the extractor tells apart.
    pub kind: u32,
    /// What of that kind, or a hash of it: lines about others may have the same.
    pub about: u64,
}

/// What tells what lines are about.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// Another way to tell gets another number: what was told before is then told again.
    pub version: u32,
    /// What a line is about.
    pub of: fn(&str) -> Key,
}

impl Keys {
    /// Tells nothing.
    pub const NONE: Self = Self {
        version: 0,
        of: |_| Key { kind: 0, about: 0 },
    };
}

/// Where the text of a line lies, and what it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) start: u64,
    pub(super) length: u32,
    /// Tells a text that was cut off or has rotted; nobody who may write under the git directory has to be kept from
    /// writing something else.
    pub(super) checksum: u32,
    pub(super) key: Key,
}

/// A note, and up to where its lines go: they begin at the end of those of the note before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note {
    pub(super) annotated: gix::ObjectId,
    pub(super) blob: gix::ObjectId,
    pub(super) end: u32,
}

/// The notes of a tree, in the order of the objects they are on.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// None: nothing is cached.
    pub(super) tree: Option<gix::ObjectId>,
    /// Names the file of the texts.
    pub(super) generation: u64,
    /// The version of [`Keys`].
    pub(super) keys: u32,
    pub(super) notes: Vec<Note>,
    pub(super) lines: Vec<Line>,
    /// The lines' numbers, in the order of what they are about.
    pub(super) order: Vec<u32>,
}

/// What a file begins with. Another layout gets another number, and files of the old one are not read.
const MAGIC: &[u8; 8] = b"refitnc2";

impl Table {
    /// The numbers of a note's lines.
    pub(super) fn lines_of(&self, note: usize) -> Range<usize> {
        let end = |note: &Note| note.end as usize;
        let start = note
            .checked_sub(1)
            .and_then(|before| self.notes.get(before));
        start.map_or(0, end)..self.notes.get(note).map_or(0, end)
    }

    /// The places in the order of the keys that a range of them has.
    pub(super) fn about(&self, range: RangeInclusive<Key>) -> Range<usize> {
        let key = |line: &u32| self.lines.get(*line as usize).map(|line| line.key);
        let start = self
            .order
            .partition_point(|line| key(line) < Some(*range.start()));
        let end = self
            .order
            .partition_point(|line| key(line) <= Some(*range.end()));
        start..end.max(start)
    }

    /// Adds a note on an object behind all others.
    pub(super) fn push(
        &mut self,
        annotated: gix::ObjectId,
        blob: gix::ObjectId,
        lines: impl IntoIterator<Item = Line>,
    ) {
        self.lines.extend(lines);
        let end = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        self.notes.push(Note {
            annotated,
            blob,
            end,
        });
    }

    /// Puts the lines' numbers in order, once all are there.
    pub(super) fn sort(&mut self) {
        let all = 0..u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        self.order = all.collect();
        let lines = &self.lines;
        self.order.sort_by_key(|line| lines[*line as usize].key);
    }

    /// As a file has it.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [MAGIC.as_slice(), &[0; 4], &self.keys.to_le_bytes()].concat();
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        if let Some(tree) = &self.tree {
            bytes.extend_from_slice(tree.as_bytes());
        }
        for count in [self.notes.len(), self.lines.len()] {
            bytes.extend_from_slice(&(count as u64).to_le_bytes());
        }
        for note in &self.notes {
            bytes.extend_from_slice(note.annotated.as_bytes());
            bytes.extend_from_slice(note.blob.as_bytes());
            bytes.extend_from_slice(&note.end.to_le_bytes());
        }
        for line in &self.lines {
            bytes.extend_from_slice(&line.start.to_le_bytes());
            bytes.extend_from_slice(&line.length.to_le_bytes());
            bytes.extend_from_slice(&line.checksum.to_le_bytes());
            bytes.extend_from_slice(&line.key.kind.to_le_bytes());
            bytes.extend_from_slice(&line.key.about.to_le_bytes());
        }
        for line in &self.order {
            bytes.extend_from_slice(&line.to_le_bytes());
        }
        let sum = crc32fast::hash(&bytes[MAGIC.len() + 4..]).to_le_bytes();
        bytes[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(&sum);
        bytes
    }

    /// Reads a file. Whatever is not as it was written is as good as nothing.
    pub(super) fn parse(bytes: &[u8], hash: gix::hash::Kind, keys: u32) -> Option<Self> {
        let mut rest = Rest(bytes);
        if rest.take(MAGIC.len())? != MAGIC || rest.small()? != crc32fast::hash(rest.0) {
            return None;
        }
        let told = rest.small()?;
        // Who asks for nothing by its key takes whatever there is.
        if keys != Keys::NONE.version && told != keys {
            return None;
        }
        let generation = rest.number()?;
        let tree = Some(rest.id(hash)?);
        let (n_notes, n_lines) = (rest.count()?, rest.count()?);
        let mut notes = Vec::with_capacity(n_notes);
        for _ in 0..n_notes {
            notes.push(Note {
                annotated: rest.id(hash)?,
                blob: rest.id(hash)?,
                end: rest.small()?,
            });
        }
        let mut lines = Vec::with_capacity(n_lines);
        for _ in 0..n_lines {
            lines.push(Line {
                start: rest.number()?,
                length: rest.small()?,
                checksum: rest.small()?,
                key: Key {
                    kind: rest.small()?,
                    about: rest.number()?,
                },
            });
        }
        let order: Option<Vec<u32>> = (0..n_lines).map(|_| rest.small()).collect();
        let is_whole =
            rest.0.is_empty() && notes.last().map_or(0, |note| note.end as usize) == n_lines;
        is_whole.then_some(Self {
            tree,
            generation,
            keys: told,
            notes,
            lines,
            order: order?,
        })
    }
}

/// What is left of a file.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn id(&mut self, hash: gix::hash::Kind) -> Option<gix::ObjectId> {
        gix::ObjectId::try_from(self.take(hash.len_in_bytes())?).ok()
    }

    fn small(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// How many follow: no more than there are bytes.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }
}
