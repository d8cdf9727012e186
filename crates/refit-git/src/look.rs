//! One look at what is checked out beside the index: which files are as the index has them by what the file system says of
//! them alone (git's documentation, `racy-git`), and what else lies there.

use std::{
    fs::{self, FileType, Metadata},
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use gix::{
    bstr::ByteSlice as _,
    index::{
        State,
        entry::{Flags, Mode, Stat, stat},
    },
};

use crate::bulk;

/// What one look saw.
#[derive(Debug)]
pub(crate) struct Look {
    /// By the number of the index's entry.
    pub(crate) seen: Vec<Seen>,
    /// What is there and not in the index, sorted by path.
    pub(crate) others: Vec<Other>,
    /// The folders in which the index has something, sorted; the root is not among them.
    pub(crate) folders: Vec<String>,
}

/// What lies where the index has an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No file or link.
    Nothing,
    /// A file or link that may be another one, or the same.
    Something,
    /// The very same.
    Same,
}

/// A file, link or folder that the index does not have, or a submodule's folder.
#[derive(Debug)]
pub(crate) struct Other {
    pub(crate) path: String,
    pub(crate) file_type: FileType,
    pub(crate) is_submodule: bool,
}

/// A folder to be looked at.
struct Folder {
    /// Empty, or with a slash at its end.
    path: String,
    /// The entries of the index in it.
    entries: Range<usize>,
}

/// What a folder holds.
#[derive(Default)]
struct Held {
    seen: Vec<(usize, Seen)>,
    others: Vec<Other>,
    folders: Vec<Folder>,
}

/// A checkout and what it is compared with.
pub(crate) struct Checked<'i> {
    root: PathBuf,
    index: &'i State,
    stat: stat::Options,
    has_executable_bits: bool,
}

impl Look {
    /// The number of the first thing that is not before a path.
    pub(crate) fn first_other(&self, path: &str) -> usize {
        self.others.partition_point(|other| *other.path < *path)
    }
}

impl<'i> Checked<'i> {
    /// None: there is more to it than one look at the files tells.
    pub(crate) fn of(
        repo: &gix::Repository,
        root: &Path,
        index: &'i State,
    ) -> Result<Option<Self>, gix::Error> {
        let files = repo.filesystem_options()?;
        let is_odd = |entry: &gix::index::Entry| {
            // Conflicts, sparse checkouts, and what git is told not to look at.
            let odd = Flags::INTENT_TO_ADD
                | Flags::SKIP_WORKTREE
                | Flags::ASSUME_VALID
                | Flags::FSMONITOR_VALID
                | Flags::UPTODATE;
            entry.stage_raw() != 0
                || entry.flags.intersects(odd)
                || entry.mode.is_sparse()
                || entry.path(index).to_str().is_err()
        };
        if files.ignore_case
            || files.precompose_unicode
            || !files.symlink
            || index.entries().iter().any(is_odd)
        {
            return Ok(None);
        }
        Ok(Some(Self {
            root: root.to_owned(),
            index,
            stat: repo.stat_options()?,
            has_executable_bits: files.executable_bit,
        }))
    }

    /// Looks at every folder in which the index has something, on every core. None: something cannot be read, or has no
    /// name that git would take.
    pub(crate) fn look(&self) -> Option<Look> {
        let mut look = Look {
            seen: vec![Seen::Nothing; self.index.entries().len()],
            others: Vec::new(),
            folders: Vec::new(),
        };
        let mut pending = vec![Folder {
            path: String::new(),
            entries: 0..look.seen.len(),
        }];
        while !pending.is_empty() {
            let order: Vec<usize> = (0..pending.len()).collect();
            let held = bulk::each(&order, || (), |(), at| self.held(&pending[at]));
            pending.clear();
            for held in held {
                let held = held.ok()??;
                for (at, seen) in held.seen {
                    look.seen[at] = seen;
                }
                look.others.extend(held.others);
                let folders = held.folders.iter();
                look.folders
                    .extend(folders.map(|folder| folder.path[..folder.path.len() - 1].to_owned()));
                pending.extend(held.folders);
            }
        }
        look.others.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        look.folders.sort_unstable();
        Some(look)
    }

    fn held(&self, folder: &Folder) -> io::Result<Option<Held>> {
        let mut held = Held::default();
        let mut path = folder.path.clone();
        for entry in fs::read_dir(self.root.join(&path))? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Ok(None);
            };
            if name == ".git" {
                continue;
            }
            path.truncate(folder.path.len());
            path.push_str(name);
            let file_type = entry.file_type()?;
            let known = self.entry(&path, &folder.entries);
            let is_submodule = known.is_some_and(|at| self.mode(at) == Mode::COMMIT);
            if file_type.is_dir() {
                let entries = self.below(&path, &folder.entries);
                if !entries.is_empty() {
                    path.push('/');
                    held.folders.push(Folder {
                        path: path.clone(),
                        entries,
                    });
                    continue;
                }
            } else if let Some(at) = known.filter(|_| !is_submodule) {
                let is_same = self.is_same(at, &entry.metadata()?);
                let seen = if is_same { Seen::Same } else { Seen::Something };
                held.seen.push((at, seen));
                continue;
            }
            held.others.push(Other {
                path: path.clone(),
                file_type,
                is_submodule: is_submodule && file_type.is_dir(),
            });
        }
        Ok(Some(held))
    }

    fn mode(&self, at: usize) -> Mode {
        self.index.entries()[at].mode
    }

    /// The number of the entry at a path, among those of its folder.
    fn entry(&self, path: &str, among: &Range<usize>) -> Option<usize> {
        let entries = &self.index.entries()[among.clone()];
        let found = entries.binary_search_by(|entry| {
            let there = entry.path(self.index);
            // All are in one folder.
            there.as_bytes().cmp(path.as_bytes())
        });
        found.ok().map(|at| among.start + at)
    }

    /// The numbers of the entries in a folder.
    fn below(&self, path: &str, among: &Range<usize>) -> Range<usize> {
        let entries = &self.index.entries()[among.clone()];
        // `0` comes right after `/`: all that is in the folder is before it.
        let place = |end: u8| {
            let before = |entry: &gix::index::Entry| {
                let there = entry.path(self.index).iter().copied();
                there.lt(path.bytes().chain([end]))
            };
            among.start + entries.partition_point(before)
        };
        place(b'/')..place(b'0')
    }

    /// Whether git would take the file for the entry's without reading it.
    fn is_same(&self, at: usize, metadata: &Metadata) -> bool {
        let entry = &self.index.entries()[at];
        let Some(stat) = stat_of(metadata) else {
            return false;
        };
        let changed = entry.mode.change_to_match_fs_with_values(
            metadata.is_file(),
            metadata.is_dir(),
            metadata.is_symlink(),
            metadata.is_file() && is_executable(metadata),
            true,
            self.has_executable_bits,
        );
        let is_contradictory = entry.id.is_empty_blob() && entry.stat.size != 0;
        changed.is_none()
            && stat.matches(&entry.stat, self.stat)
            && !is_contradictory
            && !stat.is_racy(self.index.timestamp(), self.stat)
    }
}

/// Whether git takes a file for executable: the owner's bit; never where there is none.
#[cfg(unix)]
pub fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o100 != 0
}

/// Whether git takes a file for executable: never, as there is no such bit.
#[cfg(not(unix))]
pub fn is_executable(_: &Metadata) -> bool {
    false
}

/// As the index keeps it: 32 bits of each number.
#[cfg(unix)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the index has the lower halves"
)]
fn stat_of(metadata: &Metadata) -> Option<Stat> {
    use std::os::unix::fs::MetadataExt as _;

    use gix::index::entry::stat::Time;

    let time = |seconds: i64, nanoseconds: i64| {
        (seconds >= 0).then_some(Time {
            secs: seconds as u32,
            nsecs: nanoseconds as u32,
        })
    };
    Some(Stat {
        mtime: time(metadata.mtime(), metadata.mtime_nsec())?,
        ctime: time(metadata.ctime(), metadata.ctime_nsec())?,
        dev: metadata.dev() as u32,
        ino: metadata.ino() as u32,
        uid: metadata.uid(),
        gid: metadata.gid(),
        size: metadata.size() as u32,
    })
}

/// Whoever compares files by their bytes is right.
#[cfg(not(unix))]
fn stat_of(_: &Metadata) -> Option<Stat> {
    None
}
