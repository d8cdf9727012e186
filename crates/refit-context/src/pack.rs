//! Packs a listing into a tar: the same bytes from a commit, a clean checkout and a bare repository.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use refit_git::Repo;
use refit_oci::{Digest, ObjectId};

use crate::{
    ContextEntry, ContextError, EntryKind, Location, TarEntry, TarError, TarWriter, go_path::clean,
    hashing::Hashing, tar_writer::END,
};

/// What was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The tar's digest.
    pub digest: Digest,
    /// The tar's length in bytes.
    pub size: u64,
}

/// Writes the tar of these entries: sorted bytewise, folders before what is in them, root's, of 1970, modes 0644 and
/// 0755, links as they are.
pub fn pack<'e>(
    location: &Location<'_>,
    entries: impl IntoIterator<Item = &'e ContextEntry>,
    out: impl Write,
) -> Result<Packed, ContextError> {
    let mut tar = TarWriter::new(Hashing::new(out));
    for (path, entry) in with_folders(entries)? {
        let Some(entry) = entry else {
            tar.append(&TarEntry::directory(path), io::empty())?;
            continue;
        };
        let (header, mut data) = match location {
            Location::Commit {
                repo,
                commit,
                folder,
            }
            | Location::Listed {
                repo,
                commit,
                folder,
                ..
            } => from_commit(repo, commit, folder, entry)?,
            Location::Dir { dir, .. } => from_disk(dir, entry)?,
            Location::Index { .. } => return Err(ContextError::NotCommitted(entry.path.clone())),
        };
        match tar.append(&header, &mut data) {
            Err(TarError::Size { path, .. }) => return Err(ContextError::Changed(path)),
            other => other?,
        }
    }
    let (mut out, digest, size) = tar.finish()?.finish();
    out.flush().map_err(TarError::write)?;
    Ok(Packed { digest, size })
}

/// Copies a packed context and adds files behind it, as an engine does that wants the Dockerfile in the tar.
///
/// A file with the name of a packed one takes its place when the tar is unpacked.
pub fn with_files(
    mut context: impl Read,
    packed: &Packed,
    files: &BTreeMap<String, Vec<u8>>,
    mut out: impl Write,
) -> Result<(), TarError> {
    let members = packed.size.saturating_sub(END as u64);
    let copied = io::copy(&mut (&mut context).take(members), &mut out).map_err(TarError::write)?;
    let mut end = Vec::new();
    context
        .take(END as u64 + 1)
        .read_to_end(&mut end)
        .map_err(TarError::read)?;
    if copied != members || end != [0; END] {
        return Err(TarError::Malformed("it is not the packed context"));
    }
    let mut tar = TarWriter::new(out);
    for (path, bytes) in files {
        tar.append(&TarEntry::file(path, bytes.len() as u64), bytes.as_slice())?;
    }
    tar.finish()?.flush().map_err(TarError::write)
}

/// Every path with its entry; none for the folders on the way.
fn with_folders<'e>(
    entries: impl IntoIterator<Item = &'e ContextEntry>,
) -> Result<BTreeMap<&'e str, Option<&'e ContextEntry>>, ContextError> {
    let mut members = BTreeMap::new();
    for entry in entries {
        let folders = entry
            .path
            .match_indices('/')
            .map(|(slash, _)| (&entry.path[..slash], None));
        for (path, member) in folders.chain([(entry.path.as_str(), Some(entry))]) {
            let known = *members.entry(path).or_insert(member);
            if known.is_some() != member.is_some() {
                return Err(ContextError::Changed(path.to_owned()));
            }
        }
    }
    Ok(members)
}

fn from_commit(
    repo: &Repo,
    commit: &ObjectId,
    folder: &str,
    entry: &ContextEntry,
) -> Result<(TarEntry, Box<dyn Read>), ContextError> {
    let Some(id) = &entry.id else {
        return Err(ContextError::NoId(entry.path.clone()));
    };
    match entry.kind {
        EntryKind::Symlink => {
            let target = String::from_utf8(repo.blob(id)?)
                .map_err(|_| ContextError::NotUtf8(entry.path.clone().into()))?;
            Ok((
                TarEntry::symlink(&entry.path, &target),
                Box::new(io::empty()),
            ))
        }
        EntryKind::File | EntryKind::Executable => {
            let in_repo = clean(&format!("./{folder}/{}", entry.path));
            let bytes = repo.checkout_bytes(commit, &in_repo, id)?;
            Ok((
                regular(entry, bytes.len() as u64),
                Box::new(io::Cursor::new(bytes)),
            ))
        }
        EntryKind::Submodule => Err(ContextError::Submodule(entry.path.clone())),
    }
}

fn from_disk(dir: &Path, entry: &ContextEntry) -> Result<(TarEntry, Box<dyn Read>), ContextError> {
    let path = dir.join(&entry.path);
    let io = |action| ContextError::io(action, &path);
    match entry.kind {
        EntryKind::Symlink => {
            let target = fs::read_link(&path).map_err(io("read"))?;
            let target = target
                .to_str()
                .ok_or_else(|| ContextError::NotUtf8(path.clone()))?;
            Ok((
                TarEntry::symlink(&entry.path, target),
                Box::new(io::empty()),
            ))
        }
        EntryKind::File | EntryKind::Executable => {
            let file = File::open(&path).map_err(io("read"))?;
            let size = file.metadata().map_err(io("read"))?.len();
            Ok((regular(entry, size), Box::new(file)))
        }
        EntryKind::Submodule => Err(ContextError::Submodule(entry.path.clone())),
    }
}

fn regular(entry: &ContextEntry, size: u64) -> TarEntry {
    TarEntry {
        mode: match entry.kind {
            EntryKind::Executable => 0o755,
            _ => 0o644,
        },
        ..TarEntry::file(&entry.path, size)
    }
}
