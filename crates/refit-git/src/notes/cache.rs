//! What the notes of a ref held when they were last read, under the git directory: a hint that saves decompressing every
//! note. It can be deleted at any time; whatever does not read as it was written is read from git again.
//!
//! Two files for each ref: a table that is read whole, and the texts of the lines, of which is read what is asked for. A
//! tree that is the cached one is not walked, and of another one only the subtrees and blobs that are new; their new lines
//! are written behind the texts that are there.

use std::{
    borrow::Cow,
    fs::{self, File},
    hash::{BuildHasher, Hasher, RandomState},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use super::table::{Line, Table};
use crate::Repo;

/// No notes that refit has to do with come near; a larger file is somebody else's.
const MAX_BYTES: u64 = 4 << 30;
/// So much that no note has any more is let be.
const MAX_LEFT_OVER: u64 = 1 << 20;

/// Where a ref's notes are cached.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    name: String,
}

/// The texts of lines: those in a file, and behind them those that it does not hold yet.
#[derive(Debug, Default)]
pub(super) struct Texts {
    file: Option<Mutex<File>>,
    /// The bytes in the file.
    n_filed: u64,
    /// All of the file, where all was asked for.
    filed: OnceLock<Vec<u8>>,
    pub(super) new: Vec<u8>,
}

impl Texts {
    fn of(file: File) -> Option<Self> {
        let n_filed = file.metadata().ok()?.len();
        (n_filed <= MAX_BYTES).then(|| Self {
            file: Some(Mutex::new(file)),
            n_filed,
            ..Self::default()
        })
    }

    /// How many bytes there are: where the next text begins.
    pub(super) fn length(&self) -> u64 {
        self.n_filed + self.new.len() as u64
    }

    /// Reads the file at once, for those who want every line.
    pub(super) fn read_all(&self) {
        self.filed.get_or_init(|| {
            let mut bytes = Vec::new();
            if let Some(file) = &self.file {
                let file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let mut file: &File = &file;
                bytes.reserve_exact(usize::try_from(self.n_filed).unwrap_or_default());
                // What can't be read is missing below.
                let read = file.seek(SeekFrom::Start(0));
                let _ = read.and_then(|_| file.take(self.n_filed).read_to_end(&mut bytes));
            }
            bytes
        });
    }

    /// A line's text; none if it is not what it was when it was written.
    pub(super) fn get(&self, line: &Line) -> Option<Cow<'_, str>> {
        let length = line.length as usize;
        let slice = |bytes: &'_ [u8], start: u64| -> Option<std::ops::Range<usize>> {
            let start = usize::try_from(start).ok()?;
            let range = start..start.checked_add(length)?;
            bytes.get(range.clone()).map(|_| range)
        };
        let text = if let Some(start) = line.start.checked_sub(self.n_filed) {
            Cow::Borrowed(&self.new[slice(&self.new, start)?])
        } else if let Some(filed) = self.filed.get() {
            Cow::Borrowed(&filed[slice(filed, line.start)?])
        } else {
            let mut text = vec![0; length];
            let mut file = self
                .file
                .as_ref()?
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(line.start)).ok()?;
            file.read_exact(&mut text).ok()?;
            Cow::Owned(text)
        };
        if crc32fast::hash(&text) != line.checksum {
            return None;
        }
        match text {
            Cow::Borrowed(text) => std::str::from_utf8(text).ok().map(Cow::Borrowed),
            Cow::Owned(text) => String::from_utf8(text).ok().map(Cow::Owned),
        }
    }
}

impl Files {
    pub(super) fn of(repo: &Repo, reference: &str) -> Self {
        Self {
            folder: repo.common_dir().join("refit").join("notes-cache"),
            // No other ref of ours has the same one.
            name: reference.replace('/', "+"),
        }
    }

    fn table(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn texts(&self, generation: u64) -> PathBuf {
        self.folder.join(format!("{}.{generation:016x}", self.name))
    }

    /// What is cached; nothing where there is nothing, or nothing that can be trusted.
    pub(super) fn read(&self, hash: gix::hash::Kind, keys: u32) -> Option<(Table, Texts)> {
        let path = self.table();
        let is_small = fs::metadata(&path).is_ok_and(|file| file.len() <= MAX_BYTES);
        let bytes = is_small.then(|| fs::read(&path).ok()).flatten()?;
        let table = Table::parse(&bytes, hash, keys)?;
        let texts = Texts::of(File::open(self.texts(table.generation)).ok()?)?;
        let ends = table
            .lines
            .iter()
            .map(|line| line.start.checked_add(line.length.into()));
        let is_whole = ends.max().flatten().unwrap_or_default() <= texts.n_filed;
        is_whole.then_some((table, texts))
    }

    /// Forgets what is cached: something in it is not as it was written.
    pub(super) fn remove(&self) {
        let _ = fs::remove_file(self.table());
    }

    /// Keeps what was read, where that can be done. Otherwise it is read from git the next time.
    pub(super) fn write(&self, table: &mut Table, texts: &Texts) {
        if fs::create_dir_all(&self.folder).is_err() {
            return;
        }
        let live: u64 = table.lines.iter().map(|line| u64::from(line.length)).sum();
        let is_spacious = texts.length() <= live.saturating_mul(2).saturating_add(MAX_LEFT_OVER);
        if texts.file.is_some() && is_spacious {
            if self.append(table.generation, texts).is_some() {
                replace(&self.table(), &table.to_bytes());
            }
            return;
        }
        table.generation = RandomState::new().build_hasher().finish();
        let own = self.texts(table.generation);
        let written = if texts.file.is_some() {
            let mut all = Vec::new();
            let mut moved = Table {
                tree: table.tree,
                generation: table.generation,
                keys: table.keys,
                notes: table.notes.clone(),
                lines: Vec::with_capacity(table.lines.len()),
                order: table.order.clone(),
            };
            texts.read_all();
            for line in &table.lines {
                let Some(text) = texts.get(line) else {
                    return self.remove();
                };
                let start = all.len() as u64;
                all.extend_from_slice(text.as_bytes());
                moved.lines.push(Line { start, ..*line });
            }
            replace(&own, &all) && replace(&self.table(), &moved.to_bytes())
        } else {
            replace(&own, &texts.new) && replace(&self.table(), &table.to_bytes())
        };
        if written {
            self.remove_others(&own);
        } else {
            let _ = fs::remove_file(own);
        }
    }

    /// Writes new texts behind those in the file; none if somebody else has.
    fn append(&self, generation: u64, texts: &Texts) -> Option<()> {
        if texts.new.is_empty() {
            return Some(());
        }
        let path = self.texts(generation);
        let mut file = File::options().append(true).open(path).ok()?;
        file.try_lock().ok()?;
        let is_as_read = file.metadata().ok()?.len() == texts.n_filed;
        is_as_read.then(|| file.write_all(&texts.new).ok())?
    }

    /// Texts that no table names any more, and what killed processes left. Whoever reads them has them open.
    fn remove_others(&self, own: &Path) {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for path in files.map(|file| file.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_ours = name
                .strip_prefix(&self.name)
                .is_some_and(|rest| rest.starts_with('.'));
            if is_ours && path != own {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Whoever else writes at the same time has a file of its own, and the one that is renamed last stays.
fn replace(path: &Path, bytes: &[u8]) -> bool {
    let own = path.with_added_extension(format!("{}.new", std::process::id()));
    let written = fs::write(&own, bytes).and_then(|()| fs::rename(&own, path));
    if written.is_err() {
        let _ = fs::remove_file(&own);
    }
    written.is_ok()
}
