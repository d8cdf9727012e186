//! The form of the layers of Windows images: files below `Files/`, with Windows' own metadata in PAX records.
//!
//! It is the form that BuildKit writes on Linux (its `util/winlayers`) and that Windows unpacks. Owners and modes mean
//! nothing there: security descriptors say who may do what.

use std::collections::BTreeMap;

use crate::{TarEntry, TarError, TarKind};

/// The folder of a layer that holds the image's files.
const FILES: &str = "Files";
/// The folder of a layer that holds changes to the registry; without any it is empty.
const HIVES: &str = "Hives";

const ATTRIBUTES: &str = "MSWINDOWS.fileattr";
const SECURITY: &str = "MSWINDOWS.rawsd";
const CREATED: &str = "LIBARCHIVE.creationtime";

/// `O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)`:
/// administrators and the system own it, users may read, and add files and folders of their own.
const FOLDER_SECURITY: &str = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA";
/// `O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)`: administrators and the system own it, users may read and run it.
const FILE_SECURITY: &str = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA==";

/// A member as a Windows layer has it: its header, its PAX records, and the bits of its kind in the mode.
pub(crate) struct WindowsMember {
    pub(crate) entry: TarEntry,
    pub(crate) records: BTreeMap<String, Vec<u8>>,
    pub(crate) kind_bits: u32,
}

/// The folders that every Windows layer begins with.
pub(crate) fn roots() -> [WindowsMember; 2] {
    [HIVES, FILES].map(|name| {
        let mut member = bare(TarEntry::new(name, TarKind::Directory, 0));
        member.records.remove(SECURITY);
        member
    })
}

/// A path of the image as a member of a Windows layer.
pub(crate) fn member(entry: &TarEntry) -> Result<WindowsMember, TarError> {
    let kind = match &entry.kind {
        TarKind::HardLink { target } => TarKind::HardLink {
            target: format!("{FILES}/{target}"),
        },
        TarKind::File { .. } | TarKind::Directory => entry.kind.clone(),
        // Windows has links, too, but of several kinds, and none that a link of Linux stands for.
        TarKind::Symlink { .. } => return Err(unfit(entry, "a symbolic link")),
        TarKind::CharDevice { .. } | TarKind::BlockDevice { .. } | TarKind::Fifo => {
            return Err(unfit(entry, "a device"));
        }
    };
    Ok(bare(TarEntry {
        path: format!("{FILES}/{}", entry.path),
        kind,
        ..entry.clone()
    }))
}

fn unfit(entry: &TarEntry, kind: &'static str) -> TarError {
    TarError::Windows {
        path: entry.path.clone(),
        kind,
    }
}

fn bare(entry: TarEntry) -> WindowsMember {
    let (attributes, security, kind_bits) = match &entry.kind {
        TarKind::Directory => (Some("16"), Some(FOLDER_SECURITY), 0o040_000),
        TarKind::File { .. } => (Some("32"), Some(FILE_SECURITY), 0o100_000),
        _ => (None, None, 0),
    };
    let mut records = BTreeMap::from([(CREATED.to_owned(), format!("{}.0", entry.mtime).into())]);
    let known = [(ATTRIBUTES, attributes), (SECURITY, security)];
    let known = known
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
    records.extend(known);
    WindowsMember {
        entry,
        records,
        kind_bits,
    }
}

/// The files of an image in one of its Windows layers: each member below `Files/`, without that, and its number.
pub fn windows_files<'l>(
    entries: impl IntoIterator<Item = &'l TarEntry>,
) -> impl Iterator<Item = (usize, TarEntry)> {
    let below = |path: &str| Some(path.strip_prefix(FILES)?.strip_prefix('/')?.to_owned());
    let entries = entries.into_iter().enumerate();
    entries.filter_map(move |(number, entry)| {
        let kind = match &entry.kind {
            TarKind::HardLink { target } => TarKind::HardLink {
                target: below(target)?,
            },
            kind => kind.clone(),
        };
        let entry = TarEntry {
            path: below(&entry.path)?,
            kind,
            ..entry.clone()
        };
        Some((number, entry))
    })
}
