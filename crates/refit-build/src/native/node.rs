//! What one path of an image is: kind, mode, owner, and where a file's bytes are.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use refit_context::{TarEntry, TarKind};
use refit_oci::Digest;

use super::image_path::ImagePath;

const CAPABILITY: &str = "security.capability";

/// One path of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What is there.
    pub kind: NodeKind,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Extended attributes by their full name.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// The kinds of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A folder.
    Directory,
    /// A regular file. Names of one file (hard links) share the allocation.
    File(Arc<FileData>),
    /// A symbolic link and where it points, as stored.
    Symlink(String),
    /// A character device: major, minor.
    CharDevice(u32, u32),
    /// A block device: major, minor.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// A regular file's bytes, by reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileData {
    /// In bytes.
    pub size: u64,
    /// Where they are.
    pub content: Content,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The data of a layer's member.
    Member {
        /// The layer's diff id.
        layer: Arc<Digest>,
        /// The member's number in the layer, from 0.
        number: usize,
    },
    /// A piece of a file on disk.
    Stored {
        /// The file.
        file: Arc<Path>,
        /// Where the piece begins.
        offset: u64,
    },
    /// In memory.
    Bytes(Arc<[u8]>),
}

impl Node {
    /// A folder of root's, of 1970.
    pub fn directory(mode: u32) -> Self {
        Self::new(NodeKind::Directory, mode)
    }

    /// Root's, of 1970.
    pub fn new(kind: NodeKind, mode: u32) -> Self {
        Self {
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: BTreeMap::new(),
        }
    }

    /// The node of a member that is no hard link; one has no node of its own.
    pub(crate) fn of_entry(entry: &TarEntry, content: Content) -> Self {
        let kind = match &entry.kind {
            TarKind::Directory => NodeKind::Directory,
            TarKind::File { size } => NodeKind::File(Arc::new(FileData {
                size: *size,
                content,
            })),
            TarKind::Symlink { target } | TarKind::HardLink { target } => {
                NodeKind::Symlink(target.clone())
            }
            TarKind::CharDevice { major, minor } => NodeKind::CharDevice(*major, *minor),
            TarKind::BlockDevice { major, minor } => NodeKind::BlockDevice(*major, *minor),
            TarKind::Fifo => NodeKind::Fifo,
        };
        Self {
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: entry.xattrs.clone(),
        }
    }

    /// The member that puts this node at `path`, with a file's data. A file whose first name is another becomes a hard
    /// link to that.
    pub(crate) fn to_entry(
        &self,
        path: &ImagePath,
        first_name: &ImagePath,
    ) -> (TarEntry, Option<Arc<FileData>>) {
        let mut data = None;
        let kind = match &self.kind {
            NodeKind::File(_) if path != first_name => TarKind::HardLink {
                target: first_name.as_str().to_owned(),
            },
            NodeKind::File(file) => {
                data = Some(Arc::clone(file));
                TarKind::File { size: file.size }
            }
            NodeKind::Directory => TarKind::Directory,
            NodeKind::Symlink(target) => TarKind::Symlink {
                target: target.clone(),
            },
            &NodeKind::CharDevice(major, minor) => TarKind::CharDevice { major, minor },
            &NodeKind::BlockDevice(major, minor) => TarKind::BlockDevice { major, minor },
            NodeKind::Fifo => TarKind::Fifo,
        };
        let entry = TarEntry {
            path: path.as_str().to_owned(),
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            xattrs: kept_xattrs(&self.xattrs),
        };
        (entry, data)
    }
}

/// Of extended attributes containerd writes capabilities into layers, and nothing else.
fn kept_xattrs(xattrs: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let kept = xattrs.iter().filter(|(name, _)| *name == CAPABILITY);
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
