//! What layers hold, by diff id: read once, shared by the builds of a run, and kept on disk for the next one.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use refit_context::{TarEntry, TarKind};
use refit_oci::Digest;
use serde_json::{Value, json};

use super::layer_entries::{LayerReadError, MAX_MEMBERS, visit_layer};

/// What is kept in another form is read from the layer again.
const FORM: u64 = 1;

/// Files of accounts above this many bytes are not kept.
const MAX_ACCOUNTS: u64 = 256 << 10;

/// The members of a layer, and what its files of accounts hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerTable {
    /// In the layer's order; whiteouts are members like any other.
    pub entries: Vec<TarEntry>,
    /// The text of `passwd` and `group` files, wherever they lie, by the member's number.
    pub accounts: BTreeMap<usize, String>,
}

/// The tables of layers by diff id. Clones share them.
#[derive(Clone, Default)]
pub struct LayerTables {
    known: Arc<Mutex<BTreeMap<Digest, Arc<LayerTable>>>>,
    folder: Option<Arc<Path>>,
}

impl LayerTables {
    /// Tables that are kept in a folder, which need not be there yet. What can't be written is read again some day.
    pub fn kept_in(folder: PathBuf) -> Self {
        Self {
            folder: Some(folder.into()),
            ..Self::default()
        }
    }

    /// The table of a layer, if somebody has read it.
    pub(crate) fn get(&self, diff_id: &Digest) -> Option<Arc<LayerTable>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = known().get(diff_id) {
            return Some(Arc::clone(table));
        }
        let bytes = fs::read(self.path(diff_id)?).ok()?;
        let table = Arc::new(from_json(&serde_json::from_slice(&bytes).ok()?, diff_id)?);
        known().insert(diff_id.clone(), Arc::clone(&table));
        Some(table)
    }

    pub(crate) fn insert(&self, diff_id: &Digest, table: Arc<LayerTable>) {
        if let Some(path) = self.path(diff_id) {
            keep(&path, to_json(&table, diff_id).to_string().as_bytes());
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(diff_id.clone(), table);
    }

    fn path(&self, diff_id: &Digest) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(diff_id.hex()))
    }
}

/// Reads the table of the layer at `path`, which is checked to be the layer `diff_id`.
pub(crate) fn read_table(
    path: &Path,
    media_type: &str,
    diff_id: &Digest,
) -> Result<LayerTable, LayerReadError> {
    let mut table = LayerTable::default();
    visit_layer(path, media_type, diff_id, |number, entry, data| {
        if table.entries.len() == MAX_MEMBERS {
            let diff_id = diff_id.clone();
            return Err(LayerReadError::TooMany { diff_id });
        }
        if lists_accounts(entry) {
            let mut bytes = Vec::new();
            // A layer that can't be read to its end fails as a whole.
            if data.read_to_end(&mut bytes).is_ok() {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                table.accounts.insert(number, text);
            }
        }
        table.entries.push(entry.clone());
        Ok::<_, LayerReadError>(())
    })?;
    Ok(table)
}

fn lists_accounts(entry: &TarEntry) -> bool {
    let name = entry.path.rsplit('/').next().unwrap_or_default();
    let is_small = matches!(entry.kind, TarKind::File { size } if size <= MAX_ACCOUNTS);
    is_small && matches!(name, "passwd" | "group")
}

/// Writes a file at once, or not at all.
fn keep(path: &Path, bytes: &[u8]) {
    let Some(folder) = path.parent() else { return };
    let written = fs::create_dir_all(folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(folder))
        .and_then(|mut file| file.write_all(bytes).map(|()| file));
    if let Ok(file) = written {
        let _ = file.persist(path);
    }
}

fn to_json(table: &LayerTable, diff_id: &Digest) -> Value {
    let entries = table.entries.iter().map(|entry| {
        let kind = match &entry.kind {
            TarKind::File { size } => json!(["f", size]),
            TarKind::Directory => json!(["d"]),
            TarKind::Symlink { target } => json!(["l", target]),
            TarKind::HardLink { target } => json!(["h", target]),
            TarKind::CharDevice { major, minor } => json!(["c", major, minor]),
            TarKind::BlockDevice { major, minor } => json!(["b", major, minor]),
            TarKind::Fifo => json!(["p"]),
        };
        let xattrs = entry.xattrs.iter();
        let xattrs: BTreeMap<_, _> = xattrs.map(|(name, v)| (name, hex::encode(v))).collect();
        json!([
            entry.path,
            kind,
            entry.mode,
            entry.uid,
            entry.gid,
            entry.mtime,
            xattrs
        ])
    });
    let entries: Vec<Value> = entries.collect();
    json!({ "form": FORM, "diff_id": diff_id, "entries": entries, "accounts": table.accounts })
}

fn from_json(value: &Value, diff_id: &Digest) -> Option<LayerTable> {
    if value["form"] != FORM || value["diff_id"] != diff_id.as_str() {
        return None;
    }
    let entries = value["entries"].as_array()?.iter().map(entry_of);
    let accounts = value["accounts"].as_object()?.iter().map(|(number, text)| {
        let number: usize = number.parse().ok()?;
        Some((number, text.as_str()?.to_owned()))
    });
    Some(LayerTable {
        entries: entries.collect::<Option<_>>()?,
        accounts: accounts.collect::<Option<_>>()?,
    })
}

fn entry_of(value: &Value) -> Option<TarEntry> {
    let [path, kind, mode, uid, gid, mtime, xattrs] = value.as_array()?.as_slice() else {
        return None;
    };
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
    let target = || kind[1].as_str().map(str::to_owned);
    let kind = match kind[0].as_str()? {
        "f" => TarKind::File {
            size: kind[1].as_u64()?,
        },
        "d" => TarKind::Directory,
        "l" => TarKind::Symlink { target: target()? },
        "h" => TarKind::HardLink { target: target()? },
        "c" => TarKind::CharDevice {
            major: number(&kind[1])?,
            minor: number(&kind[2])?,
        },
        "b" => TarKind::BlockDevice {
            major: number(&kind[1])?,
            minor: number(&kind[2])?,
        },
        "p" => TarKind::Fifo,
        _ => return None,
    };
    let xattrs = xattrs.as_object()?.iter();
    let xattrs = xattrs.map(|(name, value)| {
        let value = hex::decode(value.as_str()?).ok()?;
        Some((name.clone(), value))
    });
    Some(TarEntry {
        path: path.as_str()?.to_owned(),
        kind,
        mode: number(mode)?,
        uid: uid.as_u64()?,
        gid: gid.as_u64()?,
        mtime: mtime.as_u64()?,
        xattrs: xattrs.collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> LayerTable {
        let kinds = [
            TarKind::File { size: 7 },
            TarKind::Directory,
            TarKind::Symlink {
                target: "/x \"y\"".to_owned(),
            },
            TarKind::HardLink {
                target: "0".to_owned(),
            },
            TarKind::CharDevice { major: 1, minor: 3 },
            TarKind::BlockDevice { major: 8, minor: 1 },
            TarKind::Fifo,
        ];
        let entry = |(number, kind): (usize, TarKind)| TarEntry {
            uid: 7,
            gid: 1 << 40,
            mtime: 12,
            xattrs: BTreeMap::from([("user.x".to_owned(), vec![0, 255])]),
            ..TarEntry::new(&number.to_string(), kind, 0o4755)
        };
        LayerTable {
            entries: kinds.into_iter().enumerate().map(entry).collect(),
            accounts: BTreeMap::from([(0, "root:x:0:0\n".to_owned())]),
        }
    }

    #[test]
    fn a_table_is_read_from_disk_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("tables");
        let diff_id = Digest::sha256(b"layer");
        LayerTables::kept_in(kept.clone()).insert(&diff_id, Arc::new(table()));
        let again = LayerTables::kept_in(kept.clone());
        assert_eq!(again.get(&diff_id).as_deref(), Some(&table()));
        assert_eq!(again.get(&Digest::sha256(b"another")), None);
        // A file under another's name, or one that was cut, is none.
        let path = kept.join(diff_id.hex());
        let other = Digest::sha256(b"other");
        fs::copy(&path, kept.join(other.hex())).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 1]).unwrap();
        let again = LayerTables::kept_in(kept);
        assert_eq!((again.get(&other), again.get(&diff_id)), (None, None));
    }
}
