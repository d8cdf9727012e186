//! ADD of a local archive: its members, put where Docker's own unpacking puts them.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write as _},
    path::Path,
    sync::Arc,
};

use refit_context::{Compression, LayerError, TarEntry, TarError, TarKind, open_archive, read_tar};
use tar::Header;

use super::{
    edit::{Edit, NewFolders},
    file_table::TreeError,
    image_path::ImagePath,
    node::{Content, Node, NodeKind},
    owner::Owner,
};

/// An archive that unpacks to more bytes than this is taken for a bomb.
const MAX_PLAIN_BYTES: u64 = 64 << 30;

/// A tar's header.
pub(crate) const HEAD: usize = 512;

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error(transparent)]
    Open(#[from] LayerError),
    #[error(transparent)]
    Tar(#[from] TarError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("cannot use `{path}`")]
    Io { path: String, source: io::Error },
}

/// Whether a file's first bytes, up to [`HEAD`] of them, promise an archive.
pub(crate) fn may_be_archive(head: &[u8]) -> bool {
    Compression::of(head) != Compression::None || is_tar_header(head)
}

/// Whether a file is a tar, once it is decompressed. What cannot be, or is too short, is none.
pub(crate) fn is_archive(path: &Path) -> Result<bool, UnpackError> {
    let mut plain = open_archive(path, MAX_PLAIN_BYTES)?;
    let mut head = [0; HEAD];
    Ok(plain.read_exact(&mut head).is_ok() && is_tar_header(&head))
}

fn is_tar_header(head: &[u8]) -> bool {
    let mut header = Header::new_old();
    if head.len() != HEAD || head.iter().all(|byte| *byte == 0) {
        return false;
    }
    header.as_mut_bytes().copy_from_slice(head);
    let written = header.cksum().ok();
    header.set_cksum();
    written.is_some() && written == header.cksum().ok()
}

/// Unpacks the archive at `path` into the folder `destination`, which is resolved. The data of its files goes behind
/// one another into the new file `spool`.
pub(crate) fn unpack(
    edit: &mut Edit,
    (path, spool): (&Path, &Path),
    destination: &ImagePath,
    owner: Option<Owner>,
) -> Result<(), UnpackError> {
    // ADD's `--chmod` does not concern what it unpacks.
    let new = NewFolders {
        mode: 0o755,
        owner: owner.unwrap_or_default(),
    };
    edit.make_folders(destination, new)?;
    let file: Arc<Path> = spool.into();
    let mut out = BufWriter::new(File::create(spool).map_err(|source| io_error(spool, source))?);
    let mut offset = 0;
    let plain = open_archive(path, MAX_PLAIN_BYTES)?;
    read_tar(plain, |entry, data| {
        let copied = io::copy(data, &mut out).map_err(|source| io_error(spool, source))?;
        let content = Content::Stored {
            file: Arc::clone(&file),
            offset,
        };
        offset += copied;
        put(edit, destination, entry, content, owner)
    })?;
    out.flush().map_err(|source| io_error(spool, source))
}

/// One member, as moby's `archive.Unpack` does inside a chroot: links lead no further than the destination.
fn put(
    edit: &mut Edit,
    root: &ImagePath,
    entry: &TarEntry,
    content: Content,
    owner: Option<Owner>,
) -> Result<(), UnpackError> {
    refuse_dangling(edit, root, &entry.path)?;
    let path = below(edit, root, &entry.path)?;
    // Folders that the archive implies are root's, whatever `--chown` says.
    let implied = NewFolders {
        mode: 0o755,
        owner: Owner::default(),
    };
    edit.make_folders(&path.parent().unwrap_or_default(), implied)?;
    let mut node = match &entry.kind {
        TarKind::HardLink { target } => edit
            .tree()
            .linked(&below(edit, root, target)?, &entry.path)?,
        _ => Node::of_entry(entry, content),
    };
    if let Some(owner) = owner {
        (node.uid, node.gid) = (owner.uid, owner.gid);
    }
    if !(node.kind == NodeKind::Directory && edit.tree().is_directory(&path)) {
        edit.remove(&path);
    }
    edit.put(&path, node);
    Ok(())
}

/// A member's path in the image: links are followed in its folders, not at its end.
fn below(edit: &Edit, root: &ImagePath, path: &str) -> Result<ImagePath, TreeError> {
    let path = ImagePath::clean(path);
    let folder = path.parent().unwrap_or_default();
    Ok(edit
        .tree()
        .resolve_in(root, folder.as_str())?
        .join(path.name()))
}

/// What exists of a member's folders must be folders; a link that leads nowhere is none, as for the system.
fn refuse_dangling(edit: &Edit, root: &ImagePath, path: &str) -> Result<(), TreeError> {
    let mut folder = ImagePath::clean(path).parent();
    while let Some(above) = folder.filter(|above| !above.is_root()) {
        if edit.tree().contains(&below(edit, root, above.as_str())?) {
            let resolved = edit.tree().resolve_in(root, above.as_str())?;
            if edit.tree().is_directory(&resolved) {
                return Ok(());
            }
            return Err(TreeError::NotADirectory(above.to_string()));
        }
        folder = above.parent();
    }
    Ok(())
}

fn io_error(path: &Path, source: io::Error) -> UnpackError {
    UnpackError::Io {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use refit_context::TarWriter;

    use super::*;
    use crate::native::file_table::FileTable;

    fn tar(entries: &[(&str, TarKind)]) -> Vec<u8> {
        let mut tar = TarWriter::new(Vec::new());
        for (path, kind) in entries {
            let mut entry = TarEntry::new(path, kind.clone(), 0o640);
            (entry.uid, entry.gid, entry.mtime) = (3, 4, 5);
            let data = "x".repeat(usize::try_from(entry.size()).unwrap());
            tar.append(&entry, data.as_bytes()).unwrap();
        }
        tar.finish().unwrap()
    }

    fn file() -> TarKind {
        TarKind::File { size: 1 }
    }

    fn symlink(target: &str) -> TarKind {
        TarKind::Symlink {
            target: target.to_owned(),
        }
    }

    /// Unpacks onto a base made by unpacking another archive.
    fn unpacked(base: &[(&str, TarKind)], entries: &[(&str, TarKind)], into: &str) -> Edit {
        let folder = tempfile::tempdir().unwrap();
        let (path, spool) = (folder.path().join("tar"), folder.path().join("spool"));
        let mut edit = Edit::new(FileTable::default());
        for (entries, into) in [(base, ""), (entries, into)] {
            edit = Edit::new(edit.finish().unwrap().0);
            fs::write(&path, tar(entries)).unwrap();
            unpack(&mut edit, (&path, &spool), &ImagePath::clean(into), None).unwrap();
        }
        edit
    }

    #[test]
    fn only_tars_are_archives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let plain = tar(&[("a", file())]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&plain).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut gzipped_text =
            flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzipped_text.write_all(b"no tar").unwrap();
        for (bytes, expect) in [
            (plain.clone(), true),
            (gzip.clone(), true),
            (gzipped_text.finish().unwrap(), false),
            (gzip[..20].to_vec(), false),
            (b"text".to_vec(), false),
            (Vec::new(), false),
            (vec![0; 1024], false),
            (plain[..100].to_vec(), false),
            (b"BZh91AY".to_vec(), false),
            (b"\xfd7zXZ\0\0\x04".to_vec(), false),
        ] {
            fs::write(&path, &bytes).unwrap();
            let promised = may_be_archive(&bytes[..bytes.len().min(HEAD)]);
            let archive = promised && is_archive(&path).unwrap();
            assert_eq!(archive, expect, "{:?}", &bytes[..bytes.len().min(8)]);
        }
    }

    #[test]
    fn members_keep_their_metadata_and_implied_folders_are_roots() {
        let edit = unpacked(&[], &[("d/f", file()), ("e", TarKind::Directory)], "opt");
        let meta = |path: &str| {
            let node = edit.tree().get(&ImagePath::clean(path)).unwrap();
            (node.mode, node.uid, node.gid, node.mtime)
        };
        assert_eq!(meta("opt"), (0o755, 0, 0, 0));
        assert_eq!(meta("opt/d"), (0o755, 0, 0, 0));
        assert_eq!(meta("opt/d/f"), (0o640, 3, 4, 5));
        assert_eq!(meta("opt/e"), (0o640, 3, 4, 5));
    }

    #[test]
    fn members_go_through_links_no_further_than_the_destination() {
        let base = [
            ("usr/bin", TarKind::Directory),
            ("opt/usr/bin", TarKind::Directory),
            ("opt/lib", symlink("/usr/bin")),
            ("bin", symlink("usr/bin")),
        ];
        assert_eq!(
            unpacked(&base, &[("bin/f", file())], "").paths(),
            ["usr/bin/f"]
        );
        let inside = unpacked(&base, &[("lib/f", file())], "opt");
        assert_eq!(inside.paths(), ["opt/usr/bin/f"]);
    }

    #[test]
    fn what_is_in_the_way_is_replaced_unless_both_are_folders() {
        let base = [("d/old", file()), ("f", file()), ("l", symlink("d"))];
        let edit = unpacked(
            &base,
            &[
                ("d", TarKind::Directory),
                ("f", TarKind::Directory),
                ("f/new", file()),
                ("l", TarKind::Directory),
            ],
            "",
        );
        assert_eq!(edit.paths(), ["d", "f", "f/new", "l"]);
        let edit = unpacked(&base, &[("d", file())], "");
        assert_eq!(edit.paths(), ["d"]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (path, spool) = (folder.path().join("tar"), folder.path().join("spool"));
        for member in ["l/f", "l/deep/f"] {
            fs::write(&path, tar(&[("l", symlink("/etc")), (member, file())])).unwrap();
            let mut edit = Edit::new(FileTable::default());
            let unpacked = unpack(&mut edit, (&path, &spool), &ImagePath::clean("x"), None);
            let error = unpacked.unwrap_err().to_string();
            assert_eq!(error, "`/l` is not a folder", "{member}");
        }
    }

    #[test]
    fn hard_links_share_their_file() {
        let link = TarKind::HardLink {
            target: "a".to_owned(),
        };
        let (_, members) = unpacked(&[], &[("a", file()), ("b", link)], "x")
            .finish()
            .unwrap();
        let kinds: Vec<_> = members.iter().map(|member| &member.entry.kind).collect();
        assert_eq!(
            kinds[2],
            &TarKind::HardLink {
                target: "x/a".to_owned()
            }
        );
    }
}
