//! Reads tars that nobody vouches for: every path stays inside, every header is bounded.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use tar::{EntryType, Header};

use crate::{TarEntry, TarError, TarKind, tar_entry::safe_path, tar_writer::BLOCK};

/// Long names and PAX records of one member; the kernel's paths end at 4 KiB, its attributes at 64 KiB each.
const MAX_EXTENSION: u64 = 1 << 20;

/// Calls `visit` for every member, with its data, in the archive's order. The root folder itself is passed over.
///
/// Data that `visit` leaves unread is skipped. Whiteouts are members like any other.
pub fn read_tar<E: From<TarError>>(
    archive: impl Read,
    mut visit: impl FnMut(&TarEntry, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut archive = archive;
    let mut extension = Extension::default();
    while let Some(header) = next_header(&mut archive)? {
        let own_size = header.entry_size().map_err(TarError::read)?;
        if extension.take(&header, own_size, &mut archive)? {
            continue;
        }
        let extension = std::mem::take(&mut extension);
        // PAX wins over the header, or two readers see two archives.
        let size = extension.number("size")?.unwrap_or(own_size);
        let mut data = (&mut archive).take(size);
        if let Some(entry) = member(&header, &extension, size)? {
            visit(&entry, &mut data)?;
        }
        skip(&mut data)?;
        pad(&mut archive, size)?;
    }
    if extension.is_empty() {
        Ok(())
    } else {
        Err(TarError::Malformed("it ends behind a long name").into())
    }
}

/// What stands before a member and belongs to it.
#[derive(Default)]
struct Extension {
    records: BTreeMap<String, Vec<u8>>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl Extension {
    /// Whether the header was one of an extension, which is read then.
    fn take(
        &mut self,
        header: &Header,
        size: u64,
        archive: &mut impl Read,
    ) -> Result<bool, TarError> {
        let kind = header.entry_type();
        let is_global = kind == EntryType::XGlobalHeader;
        if !matches!(
            kind,
            EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink
        ) && !is_global
        {
            return Ok(false);
        }
        if size > MAX_EXTENSION {
            return Err(TarError::Malformed(
                "a member's header is larger than 1 MiB",
            ));
        }
        let mut bytes = Vec::new();
        archive
            .take(size)
            .read_to_end(&mut bytes)
            .map_err(TarError::read)?;
        if bytes.len() as u64 != size {
            return Err(TarError::Malformed("it is cut off"));
        }
        pad(archive, size)?;
        match kind {
            EntryType::GNULongName => self.long_name = Some(until_nul(bytes)),
            EntryType::GNULongLink => self.long_link = Some(until_nul(bytes)),
            EntryType::XHeader => {
                self.records.extend(records(&bytes)?);
            }
            // `git archive` writes its commit there; nothing in it describes a member.
            _ => {}
        }
        Ok(true)
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.long_name.is_none() && self.long_link.is_none()
    }

    /// A number; of a time, the whole seconds.
    fn number(&self, key: &str) -> Result<Option<u64>, TarError> {
        let Some(value) = self.records.get(key) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(value).unwrap_or_default();
        let whole = text.split('.').next().unwrap_or_default();
        match whole.parse() {
            Ok(number) => Ok(Some(number)),
            // Before 1970.
            Err(_) if key == "mtime" && whole.starts_with('-') => Ok(Some(0)),
            Err(_) => Err(TarError::Malformed("a PAX record is no number")),
        }
    }
}

/// `LENGTH KEY=VALUE\n`, one after the other; a value may hold anything, line ends too.
fn records(mut bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, TarError> {
    let mut records = BTreeMap::new();
    while !bytes.is_empty() {
        let (key, value, rest) =
            record(bytes).ok_or(TarError::Malformed("a PAX record is damaged"))?;
        records.insert(key.to_owned(), value.to_vec());
        bytes = rest;
    }
    Ok(records)
}

fn record(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let digits = bytes.iter().position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let pair = record.get(digits + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|b| *b == b'=')?;
    let key = std::str::from_utf8(&pair[..equals]).ok()?;
    Some((key, &pair[equals + 1..], rest))
}

/// None for the root folder.
fn member(header: &Header, extension: &Extension, size: u64) -> Result<Option<TarEntry>, TarError> {
    let raw_path = match (&extension.long_name, extension.records.get("path")) {
        (_, Some(path)) | (Some(path), None) => path.clone(),
        (None, None) => header.path_bytes().into_owned(),
    };
    let path = safe_path(&raw_path)?;
    if path.is_empty() {
        return Ok(None);
    }
    let raw_target = match (&extension.long_link, extension.records.get("linkpath")) {
        (_, Some(target)) | (Some(target), None) => target.clone(),
        (None, None) => header.link_name_bytes().unwrap_or_default().into_owned(),
    };
    let number = |key, field: io::Result<u64>| {
        Ok::<_, TarError>(match extension.number(key)? {
            Some(number) => number,
            None => field.map_err(TarError::read)?,
        })
    };
    let xattrs = extension.records.iter().filter_map(|(key, value)| {
        let name = key.strip_prefix("SCHILY.xattr.")?;
        Some((name.to_owned(), value.clone()))
    });
    Ok(Some(TarEntry {
        kind: kind(header, &path, &raw_path, &raw_target, size)?,
        mode: header.mode().map_err(TarError::read)? & 0o7777,
        uid: number("uid", header.uid())?,
        gid: number("gid", header.gid())?,
        mtime: number("mtime", header.mtime())?,
        xattrs: xattrs.collect(),
        path,
    }))
}

fn kind(
    header: &Header,
    path: &str,
    raw_path: &[u8],
    raw_target: &[u8],
    size: u64,
) -> Result<TarKind, TarError> {
    let device = || {
        let number =
            |field: io::Result<Option<u32>>| Ok(field.map_err(TarError::read)?.unwrap_or(0));
        Ok::<_, TarError>((
            number(header.device_major())?,
            number(header.device_minor())?,
        ))
    };
    Ok(match header.entry_type() {
        // Before ustar, folders were files whose name ends with a slash.
        EntryType::Regular if header.as_bytes()[156] == 0 && raw_path.ends_with(b"/") => {
            TarKind::Directory
        }
        EntryType::Regular | EntryType::Continuous => TarKind::File { size },
        EntryType::Directory => TarKind::Directory,
        EntryType::Fifo => TarKind::Fifo,
        EntryType::Link => TarKind::HardLink {
            target: safe_path(raw_target)?,
        },
        EntryType::Symlink => TarKind::Symlink {
            target: String::from_utf8(raw_target.to_vec())
                .map_err(|_| TarError::NotUtf8(String::from_utf8_lossy(raw_target).into_owned()))?,
        },
        EntryType::Char => {
            let (major, minor) = device()?;
            TarKind::CharDevice { major, minor }
        }
        EntryType::Block => {
            let (major, minor) = device()?;
            TarKind::BlockDevice { major, minor }
        }
        other => {
            return Err(TarError::Kind {
                path: path.to_owned(),
                kind: char::from(other.as_byte()),
            });
        }
    })
}

/// None at the end: an empty block, or nothing at all.
fn next_header(archive: &mut impl Read) -> Result<Option<Header>, TarError> {
    let mut header = Header::new_old();
    let mut filled = 0;
    while filled < BLOCK {
        match archive.read(&mut header.as_mut_bytes()[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(TarError::Malformed("it is cut off")),
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(TarError::read(e)),
        }
    }
    if header.as_bytes().iter().all(|b| *b == 0) {
        // What follows is padding; a decompressor checks its own trailer only when it is read to the end.
        io::copy(archive, &mut io::sink()).map_err(TarError::read)?;
        return Ok(None);
    }
    let mut summed = header.clone();
    summed.set_cksum();
    match (header.cksum(), summed.cksum()) {
        (Ok(written), Ok(sum)) if written == sum => {
            empty_is_zero(&mut header);
            Ok(Some(header))
        }
        _ => Err(TarError::Malformed("a header's sum is wrong")),
    }
}

/// Go's reader, and so Docker's and containerd's, takes an empty number for zero; there are writers that leave out
/// what is zero.
fn empty_is_zero(header: &mut Header) {
    const NUMBERS: [std::ops::Range<usize>; 5] = [100..108, 108..116, 116..124, 124..136, 136..148]; // mode, uid, gid, size, mtime
    let bytes = header.as_mut_bytes();
    for field in NUMBERS {
        if bytes[field.clone()].iter().all(|b| matches!(b, 0 | b' ')) {
            bytes[field.start] = b'0';
        }
    }
}

fn skip(data: &mut io::Take<impl Read>) -> Result<(), TarError> {
    io::copy(data, &mut io::sink()).map_err(TarError::read)?;
    match data.limit() {
        0 => Ok(()),
        _ => Err(TarError::Malformed("it is cut off")),
    }
}

/// The rest of a member's last block.
fn pad(archive: &mut impl Read, size: u64) -> Result<(), TarError> {
    let rest = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    skip(&mut archive.take(rest))
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}
