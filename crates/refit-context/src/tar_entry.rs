//! Members of tars, written and read: all metadata that a layer can carry, and paths that stay inside.

use std::{collections::BTreeMap, io};

/// One member of a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarEntry {
    /// Slash-separated, relative, without `.` and `..`, without a slash at its end.
    pub path: String,
    /// What it is.
    pub kind: TarKind,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Extended attributes by their full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// The kinds of members that layers have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TarKind {
    /// A regular file.
    File {
        /// In bytes.
        size: u64,
    },
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink {
        /// As it is stored; it may point anywhere.
        target: String,
    },
    /// Another name of an earlier member.
    HardLink {
        /// That member's path.
        target: String,
    },
    /// A character device.
    CharDevice {
        /// The driver.
        major: u32,
        /// The device.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// The driver.
        major: u32,
        /// The device.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// Why a tar could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The system, or a decompressor.
    #[error("could not {action} the archive")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// What went wrong.
        source: io::Error,
    },
    /// A path that is empty, absolute, or climbs with `..`.
    #[error("the archive's path `{0}` does not stay inside its root")]
    UnsafePath(String),
    /// A path or link target that is not UTF-8.
    #[error("the archive's path `{0}` is not UTF-8")]
    NotUtf8(String),
    /// The bytes at hand are fewer or more than was announced.
    #[error("`{path}` does not have the {size} bytes it was announced with")]
    Size {
        /// The member.
        path: String,
        /// As announced.
        size: u64,
    },
    /// Not a tar, or a damaged one.
    #[error("the archive is malformed: {0}")]
    Malformed(&'static str),
    /// A member of a kind that layers do not have.
    #[error("`{path}` has the type `{kind}`, which layers do not have")]
    Kind {
        /// The member.
        path: String,
        /// Tar's letter for it.
        kind: char,
    },
    /// A member of a kind that a Windows image cannot have.
    #[error("`{path}` is {kind}, which a Windows image cannot have")]
    Windows {
        /// The member.
        path: String,
        /// What it is.
        kind: &'static str,
    },
}

impl TarError {
    pub(crate) fn read(source: io::Error) -> Self {
        Self::Io {
            action: "read",
            source,
        }
    }

    pub(crate) fn write(source: io::Error) -> Self {
        Self::Io {
            action: "write",
            source,
        }
    }
}

impl TarEntry {
    /// A file of root's, mode 0644, of 1970.
    pub fn file(path: &str, size: u64) -> Self {
        Self::new(path, TarKind::File { size }, 0o644)
    }

    /// A folder of root's, mode 0755, of 1970.
    pub fn directory(path: &str) -> Self {
        Self::new(path, TarKind::Directory, 0o755)
    }

    /// A link of root's, mode 0777, of 1970.
    pub fn symlink(path: &str, target: &str) -> Self {
        let target = target.to_owned();
        Self::new(path, TarKind::Symlink { target }, 0o777)
    }

    /// Root's, of 1970.
    pub fn new(path: &str, kind: TarKind, mode: u32) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: BTreeMap::new(),
        }
    }

    /// The bytes of data behind the header.
    pub fn size(&self) -> u64 {
        match self.kind {
            TarKind::File { size } => size,
            _ => 0,
        }
    }
}

/// The path of a member of a foreign tar, made relative; an error if it climbs. The root itself is `""`.
///
/// An absolute path counts from the archive's root, as containerd and GNU tar have it.
pub fn safe_path(raw: &[u8]) -> Result<String, TarError> {
    let Ok(path) = std::str::from_utf8(raw) else {
        return Err(TarError::NotUtf8(String::from_utf8_lossy(raw).into_owned()));
    };
    let names: Vec<&str> = path
        .split('/')
        .filter(|n| !matches!(*n, "" | "."))
        .collect();
    if path.is_empty() || path.contains('\0') || names.contains(&"..") {
        return Err(TarError::UnsafePath(path.escape_debug().to_string()));
    }
    Ok(names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_relative_and_never_climb() {
        for (raw, expect) in [
            ("etc/passwd", Some("etc/passwd")),
            ("./etc//passwd", Some("etc/passwd")),
            ("etc/", Some("etc")),
            ("/etc/passwd", Some("etc/passwd")),
            ("./", Some("")),
            ("..data/x", Some("..data/x")),
            ("", None),
            ("..", None),
            ("a/../b", None),
            ("/..", None),
            ("a\0b", None),
        ] {
            assert_eq!(safe_path(raw.as_bytes()).ok().as_deref(), expect, "{raw:?}");
        }
        assert!(matches!(safe_path(b"caf\xe9"), Err(TarError::NotUtf8(_))));
    }
}
