//! Lists a folder on disk, with what git knows of it where it is in a checkout.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, FileType},
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
};

use refit_git::{Checkout, InFolder, Mode, OnDisk, Repo, is_executable};
use refit_oci::ObjectId;

use crate::{
    ContextEntry, ContextError, EntryKind, Ignore,
    go_path::with_parents,
    ignore::{Step, Walk},
    list::entry,
};

/// What the rules keep of a folder: everything, or what is at and below some paths and on the way to them. In bytewise
/// order.
pub(crate) fn list(
    dir: &Path,
    repo: Option<&Repo>,
    (ignore, areas): (&Ignore, Option<&[String]>),
) -> Result<Vec<ContextEntry>, ContextError> {
    let known = repo.map(|repo| Known::of(repo, dir)).transpose()?.flatten();
    let mut listing = Listing {
        dir,
        known: known.as_ref(),
        rules: Walk::new(ignore),
        entries: Vec::new(),
    };
    match areas {
        None => listing.folder("")?,
        Some(areas) => listing.areas(areas)?,
    }
    let mut entries = listing.entries;
    entries.sort_unstable();
    Ok(entries)
}

/// A folder on disk, as far as it is listed.
struct Listing<'l> {
    dir: &'l Path,
    /// What git knows, if it is in a checkout.
    known: Option<&'l Known<'l>>,
    rules: Walk<'l>,
    /// In no order.
    entries: Vec<ContextEntry>,
}

impl Listing<'_> {
    /// Lists every file and link at and below some paths that the rules keep, and those on the way.
    fn areas(&mut self, areas: &[String]) -> Result<(), ContextError> {
        fs::read_dir(self.dir).map_err(ContextError::io("list", self.dir))?;
        let mut told: BTreeSet<&str> = BTreeSet::new();
        'areas: for area in areas {
            for path in with_parents(area) {
                let on_disk = self.dir.join(path);
                let metadata = match fs::symlink_metadata(&on_disk) {
                    Ok(metadata) => metadata,
                    Err(error) if is_absent(&error) => continue 'areas,
                    Err(error) => return Err(ContextError::io("read", &on_disk)(error)),
                };
                let is_git = path.rsplit('/').next() == Some(".git");
                if is_git || (metadata.is_dir() && self.rules.may_skip_dir(path)) {
                    continue 'areas;
                }
                if !metadata.is_dir() {
                    if told.insert(path) {
                        self.file(&on_disk, path, metadata.file_type())?;
                    }
                    continue 'areas;
                }
            }
            self.folder(area)?;
        }
        Ok(())
    }

    /// Lists all below a folder.
    fn folder(&mut self, folder: &str) -> Result<(), ContextError> {
        let known = self.known.and_then(|known| known.in_folder(folder));
        let Some((mut inside, prefix)) = known else {
            return self.walk(folder.to_owned());
        };
        // What git has looked at is not looked at again.
        while let Some(found) = inside.next() {
            let (OnDisk::Unchanged(path, ..) | OnDisk::Other(path)) = &found;
            let path = &path[prefix..];
            match self.rules.step(path) {
                Step::Drop if matches!(found, OnDisk::Unchanged(..)) => continue,
                Step::SkipFolder(folder) => {
                    let folder = self.known.map(|known| known.in_repo(folder));
                    inside.pass_over(&folder.unwrap_or_default());
                    continue;
                }
                // A folder that is left out may hold what is not.
                Step::Keep | Step::Drop => {}
            }
            if let OnDisk::Unchanged(_, mode, id) = found {
                self.entries.push(entry(path, mode, id));
                continue;
            }
            let on_disk = self.dir.join(path);
            let file_type = match fs::symlink_metadata(&on_disk) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(ContextError::io("read", &on_disk)(error)),
            };
            if !file_type.is_dir() {
                self.file(&on_disk, path, file_type)?;
            } else if !self.rules.may_skip_dir(path) {
                self.walk(path.to_owned())?;
            }
        }
        Ok(())
    }

    /// The same, as the disk has it.
    fn walk(&mut self, folder: String) -> Result<(), ContextError> {
        let mut pending = vec![folder];
        while let Some(folder) = pending.pop() {
            let on_disk = self.dir.join(&folder);
            let entries = fs::read_dir(&on_disk).map_err(ContextError::io("list", &on_disk))?;
            for entry in entries {
                let entry = entry.map_err(ContextError::io("list", &on_disk))?;
                let name = entry.file_name();
                if name == ".git" {
                    continue;
                }
                let path = match folder.as_str() {
                    "" => name.to_string_lossy().into_owned(),
                    folder => format!("{folder}/{}", name.to_string_lossy()),
                };
                let on_disk = entry.path();
                // Never through a link: it is packed as a link.
                let file_type = entry
                    .file_type()
                    .map_err(ContextError::io("read", &on_disk))?;
                if file_type.is_dir() {
                    if !self.rules.may_skip_dir(&path) {
                        pending.push(path);
                    }
                    continue;
                }
                self.file(&on_disk, &path, file_type)?;
            }
        }
        Ok(())
    }

    /// Lists what is no folder, if the rules keep it.
    fn file(
        &mut self,
        on_disk: &Path,
        path: &str,
        file_type: FileType,
    ) -> Result<(), ContextError> {
        if self.rules.excludes(path) {
            return Ok(());
        }
        if on_disk.file_name().and_then(OsStr::to_str).is_none() {
            return Err(ContextError::NotUtf8(on_disk.to_owned()));
        }
        if is_socket(file_type) {
            return Ok(());
        }
        if !file_type.is_file() && !file_type.is_symlink() {
            return Err(ContextError::Special(on_disk.to_owned()));
        }
        // What git knows of a file need not be asked of the file system.
        let unchanged = self.known.and_then(|known| known.unchanged(path));
        let (is_executable, id) = if let Some((mode, id)) = unchanged {
            (mode == Mode::Executable, Some(id))
        } else {
            let metadata = fs::symlink_metadata(on_disk);
            let metadata = metadata.map_err(ContextError::io("read", on_disk))?;
            let id = self.known.map(|known| known.hashed(on_disk, path));
            (is_executable(&metadata), id.transpose()?)
        };
        self.entries.push(ContextEntry {
            path: path.to_owned(),
            kind: match (file_type.is_symlink(), is_executable) {
                (true, _) => EntryKind::Symlink,
                (false, true) => EntryKind::Executable,
                (false, false) => EntryKind::File,
            },
            id,
        });
        Ok(())
    }
}

/// Whether nothing is called so, or could be.
fn is_absent(error: &io::Error) -> bool {
    use ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(
        error.kind(),
        NotFound | NotADirectory | InvalidFilename | InvalidInput
    )
}

/// Sockets are what a running program left there; Docker passes over them too.
#[cfg(unix)]
fn is_socket(file_type: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    file_type.is_socket()
}

#[cfg(not(unix))]
fn is_socket(_: FileType) -> bool {
    false
}

/// Object ids of a checkout's files, most of them without reading the files.
struct Known<'a> {
    repo: &'a Repo,
    /// The listed folder, relative to the repository's root; empty, or with a slash at its end.
    prefix: String,
    checkout: Arc<Checkout>,
}

impl<'a> Known<'a> {
    /// None if `dir` is not in the repository's checkout.
    fn of(repo: &'a Repo, dir: &Path) -> Result<Option<Self>, ContextError> {
        let Some(work_dir) = repo.work_dir() else {
            return Ok(None);
        };
        let real = |path: &Path| path.canonicalize().map_err(ContextError::io("read", path));
        let (work_dir, dir) = (real(work_dir)?, real(dir)?);
        let Ok(folder) = dir.strip_prefix(&work_dir) else {
            return Ok(None);
        };
        let folder = folder
            .to_str()
            .ok_or_else(|| ContextError::NotUtf8(dir.clone()))?;
        Ok(Some(Self {
            repo,
            prefix: match folder {
                "" => String::new(),
                folder => format!("{folder}/"),
            },
            checkout: repo.checkout()?,
        }))
    }

    /// What lies in a folder below the listed one, and how much of its paths is of that one's.
    fn in_folder(&self, folder: &str) -> Option<(InFolder<'_>, usize)> {
        let folder = self.in_repo(folder);
        let inside = self.checkout.in_folder(folder.trim_end_matches('/'))?;
        Some((inside, self.prefix.len()))
    }

    fn unchanged(&self, path: &str) -> Option<(Mode, ObjectId)> {
        self.checkout.unchanged(&self.in_repo(path))
    }

    fn hashed(&self, on_disk: &Path, path: &str) -> Result<ObjectId, ContextError> {
        Ok(self.repo.hash_object(on_disk, &self.in_repo(path))?)
    }

    fn in_repo(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}
