//! Trees and images in a few words.

use refit_context::{TarEntry, TarKind};
use refit_oci::Digest;

use crate::native::file_table::FileTable;

/// `[MODE] [UID:GID] PATH`, where the path is `folder/`, `link -> target` or `file=content`.
pub(super) fn entry(text: &str) -> TarEntry {
    let mut words: Vec<&str> = text.splitn(2, ' ').collect();
    let mode = u32::from_str_radix(words[0], 8)
        .ok()
        .filter(|_| words.len() == 2);
    let mut rest = if mode.is_some() {
        words.remove(1)
    } else {
        text
    };
    let mut owner = (0, 0);
    if let Some((word, behind)) = rest.split_once(' ')
        && let Some((uid, gid)) = word.split_once(':')
    {
        (owner, rest) = ((uid.parse().unwrap(), gid.parse().unwrap()), behind);
    }
    let mut entry = if let Some((path, target)) = rest.split_once(" -> ") {
        TarEntry::symlink(path, target)
    } else if let Some(path) = rest.strip_suffix('/') {
        TarEntry::directory(path)
    } else {
        let (path, content) = rest.split_once('=').unwrap_or((rest, ""));
        TarEntry::new(
            path,
            TarKind::File {
                size: content.len() as u64,
            },
            0o644,
        )
    };
    (entry.uid, entry.gid) = owner;
    entry.mode = mode.unwrap_or(entry.mode);
    entry
}

/// The tree of one layer.
pub(super) fn tree(members: &[&str]) -> FileTable {
    let entries: Vec<TarEntry> = members.iter().map(|text| entry(text)).collect();
    let mut tree = FileTable::default();
    tree.apply_layer(&diff_id(members), &entries).unwrap();
    tree
}

/// A name for a layer of these members.
pub(super) fn diff_id(members: &[&str]) -> Digest {
    Digest::sha256(members.join("\n").as_bytes())
}
