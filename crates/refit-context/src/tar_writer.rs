//! Writes tars whose bytes depend on nothing but what is put in: ustar, with PAX records only where ustar is too small.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use tar::{EntryType, Header};

use crate::{TarEntry, TarError, TarKind, tar_entry::safe_path};

/// Headers and padding come in blocks of this many bytes.
pub(crate) const BLOCK: usize = 512;
/// Two empty blocks end a tar.
pub(crate) const END: usize = 2 * BLOCK;
/// What eleven octal digits hold: sizes and times.
const MAX_USTAR_NUMBER: u64 = 0o777_7777_7777;
/// What seven octal digits hold: owners.
const MAX_USTAR_ID: u64 = 0o777_7777;
/// The length of ustar's name field.
const NAME: usize = 100;
/// The length of ustar's prefix field: folders that are too many for the name field.
const PREFIX: usize = 155;

/// Puts members behind one another in the order in which they come.
pub struct TarWriter<W> {
    out: W,
}

impl<W: Write> TarWriter<W> {
    /// A tar that is written to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Adds a member; `data` must have exactly the announced bytes.
    pub fn append(&mut self, entry: &TarEntry, data: impl Read) -> Result<(), TarError> {
        self.append_with(entry, (&BTreeMap::new(), 0), data)
    }

    /// Adds a member with PAX records of its own, and with more bits in its mode than permissions.
    pub(crate) fn append_with(
        &mut self,
        entry: &TarEntry,
        (own, kind_bits): (&BTreeMap<String, Vec<u8>>, u32),
        data: impl Read,
    ) -> Result<(), TarError> {
        for path in [Some(entry.path.as_str()), hard_link_target(entry)]
            .into_iter()
            .flatten()
        {
            if safe_path(path.as_bytes())? != path || path.is_empty() {
                return Err(TarError::UnsafePath(path.to_owned()));
            }
        }
        let (mut header, mut records) = header(entry)?;
        header.set_mode(entry.mode & 0o7777 | kind_bits);
        records.extend(own.clone());
        let records: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key, value))
            .collect();
        if !records.is_empty() {
            let name = entry.path.rsplit('/').next().unwrap_or_default();
            let mut extension = blank(EntryType::XHeader, 0o644, records.len() as u64);
            fill(
                &mut extension.as_old_mut().name,
                &format!("PaxHeaders.0/{name}"),
            );
            self.member(extension, &records)?;
        }
        self.member(header, &[])?;
        self.data(entry, data)
    }

    /// Ends the tar, and gives back what it was written to.
    pub fn finish(mut self) -> Result<W, TarError> {
        self.out.write_all(&[0; END]).map_err(TarError::write)?;
        Ok(self.out)
    }

    fn member(&mut self, mut header: Header, data: &[u8]) -> Result<(), TarError> {
        header.set_cksum();
        self.out
            .write_all(header.as_bytes())
            .and_then(|()| self.out.write_all(data))
            .and_then(|()| self.pad(data.len() as u64))
            .map_err(TarError::write)
    }

    fn data(&mut self, entry: &TarEntry, data: impl Read) -> Result<(), TarError> {
        let size = entry.size();
        // One byte more than announced, to notice that there is more.
        let mut data = data.take(size.saturating_add(1));
        let mut buffer = vec![0; 64 * 1024];
        let mut written = 0;
        loop {
            let n = match data.read(&mut buffer) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(TarError::read(e)),
            };
            written += n as u64;
            if written > size || (n == 0 && written < size) {
                return Err(TarError::Size {
                    path: entry.path.clone(),
                    size,
                });
            }
            if n == 0 {
                return self.pad(size).map_err(TarError::write);
            }
            self.out.write_all(&buffer[..n]).map_err(TarError::write)?;
        }
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let used =
            usize::try_from(size % BLOCK as u64).expect("a remainder is below the block's size");
        match used {
            0 => Ok(()),
            used => self.out.write_all(&[0; BLOCK][used..]),
        }
    }
}

/// The ustar header, and the PAX records (POSIX.1-2001, pax) for what does not fit into it.
fn header(entry: &TarEntry) -> Result<(Header, BTreeMap<String, Vec<u8>>), TarError> {
    let mut records: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut too_large = |key: &str, value: u64, most: u64| {
        if value <= most {
            return value;
        }
        records.insert(key.to_owned(), value.to_string().into_bytes());
        0
    };
    let size = too_large("size", entry.size(), MAX_USTAR_NUMBER);
    let mtime = too_large("mtime", entry.mtime, MAX_USTAR_NUMBER);
    let uid = too_large("uid", entry.uid, MAX_USTAR_ID);
    let gid = too_large("gid", entry.gid, MAX_USTAR_ID);

    let mut header = blank(entry_type(&entry.kind), entry.mode & 0o7777, size);
    header.set_mtime(mtime);
    header.set_uid(uid);
    header.set_gid(gid);
    let (path, target) = match &entry.kind {
        TarKind::Directory => (format!("{}/", entry.path), ""),
        TarKind::Symlink { target } | TarKind::HardLink { target } => {
            (entry.path.clone(), target.as_str())
        }
        TarKind::CharDevice { major, minor } | TarKind::BlockDevice { major, minor } => {
            let set = header
                .set_device_major(*major)
                .and_then(|()| header.set_device_minor(*minor));
            set.map_err(TarError::write)?;
            (entry.path.clone(), "")
        }
        TarKind::File { .. } | TarKind::Fifo => (entry.path.clone(), ""),
    };
    if target.contains('\0') {
        return Err(TarError::UnsafePath(target.escape_debug().to_string()));
    }
    if !fill(&mut header.as_old_mut().linkname, target) {
        records.insert("linkpath".to_owned(), target.into());
    }
    let (prefix, name) = split(&path);
    let ustar = header.as_ustar_mut().expect("made as ustar");
    if !fill(&mut ustar.prefix, prefix) || !fill(&mut ustar.name, name) {
        records.insert("path".to_owned(), path.into());
    }
    for (name, value) in &entry.xattrs {
        if name.contains(['=', '\0']) {
            return Err(TarError::Malformed(
                "an extended attribute's name holds `=`",
            ));
        }
        records.insert(format!("SCHILY.xattr.{name}"), value.clone());
    }
    Ok((header, records))
}

fn entry_type(kind: &TarKind) -> EntryType {
    match kind {
        TarKind::File { .. } => EntryType::Regular,
        TarKind::Directory => EntryType::Directory,
        TarKind::Symlink { .. } => EntryType::Symlink,
        TarKind::HardLink { .. } => EntryType::Link,
        TarKind::CharDevice { .. } => EntryType::Char,
        TarKind::BlockDevice { .. } => EntryType::Block,
        TarKind::Fifo => EntryType::Fifo,
    }
}

/// Root's, of 1970: no field is left without a number.
fn blank(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Splits a path that is too long for the name field at a slash, if both parts fit then.
fn split(path: &str) -> (&str, &str) {
    if path.len() <= NAME {
        return ("", path);
    }
    // The slash of a folder is part of its name.
    let slashes = path
        .trim_end_matches('/')
        .match_indices('/')
        .map(|(at, _)| at);
    let mut fitting = slashes.filter(|at| *at > 0 && *at <= PREFIX && path.len() - at - 1 <= NAME);
    fitting
        .next_back()
        .map_or(("", path), |at| (&path[..at], &path[at + 1..]))
}

/// Whether all of `text` fitted; what does not is cut between characters.
fn fill(field: &mut [u8], text: &str) -> bool {
    let fitting = text.floor_char_boundary(field.len());
    field[..fitting].copy_from_slice(&text.as_bytes()[..fitting]);
    fitting == text.len()
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn hard_link_target(entry: &TarEntry) -> Option<&str> {
    match &entry.kind {
        TarKind::HardLink { target } => Some(target),
        _ => None,
    }
}
