//! A folder as BuildKit's file sync sees it: sorted entries, and where each one's bytes are.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use bollard_buildkit_proto::fsutil::types::Stat;

/// `os.ModeDir` and `os.ModeSymlink` of Go, whose bits the protocol uses.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;

/// An immutable set of files, folders and links.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// In the order that the protocol demands.
    entries: Vec<Entry>,
    tar: Option<PathBuf>,
}

/// One file, folder or link.
#[derive(Debug)]
pub(super) struct Entry {
    /// What is sent ahead of the bytes.
    pub(super) stat: Stat,
    content: Content,
}

#[derive(Debug)]
enum Content {
    None,
    Bytes(Vec<u8>),
    InTar { offset: u64, size: u64 },
}

impl Tree {
    /// A folder with one file.
    pub(super) fn of_file(name: &str, bytes: &[u8]) -> Self {
        let stat = Stat {
            path: name.to_owned(),
            mode: 0o644,
            size: bytes.len().try_into().unwrap_or(i64::MAX),
            ..Stat::default()
        };
        let content = Content::Bytes(bytes.to_vec());
        Self {
            entries: vec![Entry { stat, content }],
            tar: None,
        }
    }

    /// The entries of a plain tar; folders that it leaves out are made up.
    pub(super) fn of_tar(path: &Path) -> io::Result<Self> {
        let mut archive = tar::Archive::new(File::open(path)?);
        // The protocol wants each folder's entries sorted by name, and a folder before what is in it.
        let mut sorted: BTreeMap<Vec<String>, Entry> = BTreeMap::new();
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let name = String::from_utf8(entry.path_bytes().into_owned());
            let name = name.map_err(|_| invalid("a path that is no UTF-8"))?;
            let components = components(&name)?;
            let Some(parent) = components.len().checked_sub(1) else {
                continue;
            };
            let header = entry.header();
            let mtime = header.mtime()?;
            for depth in 1..=parent {
                let folder = components[..depth].to_vec();
                let made_up = || Entry::folder(&folder.join("/"), 0o755, mtime);
                sorted.entry(folder.clone()).or_insert_with(made_up);
            }
            let path = components.join("/");
            let mode = header.mode()? & 0o7777;
            let entry = match header.entry_type() {
                tar::EntryType::Directory => Entry::folder(&path, mode, mtime),
                tar::EntryType::Symlink => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8(target.into_owned());
                    let target = target.map_err(|_| invalid("a link's target that is no UTF-8"))?;
                    Entry::symlink(&path, target, mtime)
                }
                tar::EntryType::Regular => {
                    let content = Content::InTar {
                        offset: entry.raw_file_position(),
                        size: entry.size(),
                    };
                    Entry::file(&path, mode, mtime, content)
                }
                _ => return Err(invalid("an entry that is no file, folder or symbolic link")),
            };
            sorted.insert(components, entry);
        }
        Ok(Self {
            entries: sorted.into_values().collect(),
            tar: Some(path.to_owned()),
        })
    }

    /// The indices of what is sent for a request that names `only` these paths; nothing named means everything.
    ///
    /// Patterns are for a client with a large folder; this one is narrowed already, so only plain names are honoured.
    pub(super) fn matching(&self, only: &[String]) -> Vec<usize> {
        let plain = |pattern: &String| !pattern.contains(['*', '?', '[', '\\', '!']);
        if only.is_empty() || !only.iter().all(plain) {
            return (0..self.entries.len()).collect();
        }
        let names: Vec<&str> = only.iter().map(|name| name.trim_matches('/')).collect();
        let wanted = |path: &str| {
            names.iter().any(|name| {
                let below = |inner: &str, outer: &str| {
                    inner
                        .strip_prefix(outer)
                        .is_some_and(|rest| rest.starts_with('/'))
                };
                path == *name || below(path, name) || below(name, path)
            })
        };
        let all = 0..self.entries.len();
        all.filter(|&index| wanted(&self.entries[index].stat.path))
            .collect()
    }

    /// An entry by its index, as [`Tree::matching`] gives them.
    pub(super) fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    /// Reads a file's bytes in pieces of at most `piece` bytes.
    pub(super) fn read(
        &self,
        index: usize,
        piece: usize,
        mut give: impl FnMut(Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        match (&self.entries[index].content, &self.tar) {
            (Content::Bytes(bytes), _) => bytes
                .chunks(piece)
                .try_for_each(|chunk| give(chunk.to_vec())),
            (Content::InTar { offset, size }, Some(tar)) => {
                let mut file = File::open(tar)?;
                file.seek(SeekFrom::Start(*offset))?;
                let mut rest = file.take(*size);
                while rest.limit() > 0 {
                    let length = rest.limit().min(piece as u64);
                    let mut buffer = vec![0; usize::try_from(length).unwrap_or(piece)];
                    rest.read_exact(&mut buffer)?;
                    give(buffer)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Entry {
    fn folder(path: &str, permissions: u32, mtime: u64) -> Self {
        Self::of(path, permissions | GO_DIRECTORY, mtime, Content::None)
    }

    fn file(path: &str, permissions: u32, mtime: u64, content: Content) -> Self {
        let mut entry = Self::of(path, permissions, mtime, content);
        if let Content::InTar { size, .. } = entry.content {
            entry.stat.size = size.try_into().unwrap_or(i64::MAX);
        }
        entry
    }

    fn symlink(path: &str, target: String, mtime: u64) -> Self {
        let mut entry = Self::of(path, 0o777 | GO_SYMLINK, mtime, Content::None);
        entry.stat.linkname = target;
        entry
    }

    fn of(path: &str, mode: u32, mtime: u64, content: Content) -> Self {
        let nanoseconds = i64::try_from(mtime)
            .unwrap_or(0)
            .saturating_mul(1_000_000_000);
        let stat = Stat {
            path: path.to_owned(),
            mode,
            mod_time: nanoseconds,
            ..Stat::default()
        };
        Self { stat, content }
    }
}

fn components(name: &str) -> io::Result<Vec<String>> {
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<String> = parts.map(str::to_owned).collect();
    if parts.iter().any(|part| part == "..") {
        return Err(invalid("a path that leaves the context"));
    }
    Ok(parts)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the context holds {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(entries: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut tar = tar::Builder::new(file.reopen().unwrap());
        for (path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_mtime(1);
            if let Some(target) = content.strip_prefix("-> ") {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, path, target).unwrap();
            } else {
                header.set_size(content.len() as u64);
                tar.append_data(&mut header, path, content.as_bytes())
                    .unwrap();
            }
        }
        tar.finish().unwrap();
        file
    }

    fn paths(tree: &Tree, indices: &[usize]) -> Vec<String> {
        indices
            .iter()
            .map(|&index| tree.entry(index).stat.path.clone())
            .collect()
    }

    #[test]
    fn folders_are_made_up_and_sorted_by_component() {
        let tar = tar_of(&[("a.txt", "1"), ("a/b/c", "22"), ("a-b", "-> a.txt")]);
        let tree = Tree::of_tar(tar.path()).unwrap();
        let sorted = paths(&tree, &tree.matching(&[]));
        assert_eq!(sorted, ["a", "a/b", "a/b/c", "a-b", "a.txt"]);
        let all: Vec<&Entry> = (0..5).map(|index| tree.entry(index)).collect();
        assert_eq!(all[0].stat.mode, 0o755 | GO_DIRECTORY);
        assert_eq!(
            (all[3].stat.mode & GO_SYMLINK, all[3].stat.linkname.as_str()),
            (GO_SYMLINK, "a.txt")
        );
        assert_eq!((all[2].stat.size, all[2].stat.mod_time), (2, 1_000_000_000));
    }

    #[test]
    fn bytes_come_in_pieces_from_the_tar() {
        let tar = tar_of(&[("empty", ""), ("x", "12345")]);
        let tree = Tree::of_tar(tar.path()).unwrap();
        let mut pieces = Vec::new();
        for index in tree.matching(&[]) {
            tree.read(index, 2, |piece| {
                pieces.push(String::from_utf8(piece).unwrap());
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(pieces, ["12", "34", "5"]);
    }

    #[test]
    fn plain_names_narrow_and_patterns_do_not() {
        let tar = tar_of(&[("a/b/c", ""), ("a/d", ""), ("e", "")]);
        let tree = Tree::of_tar(tar.path()).unwrap();
        let only = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            paths(&tree, &tree.matching(&names))
        };
        assert_eq!(only(&[".dockerignore"]), Vec::<String>::new());
        assert_eq!(only(&["a/b"]), ["a", "a/b", "a/b/c"]);
        assert_eq!(only(&["a*"]).len(), 5);
    }

    #[test]
    fn a_path_that_leaves_the_context_is_refused() {
        assert!(components("a/../../b").is_err());
        assert_eq!(components("./a//b").unwrap(), ["a", "b"]);
    }
}
