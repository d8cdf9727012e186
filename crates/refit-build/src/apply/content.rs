//! What a layer holds, whenever and in whatever order that was written: the part of `c1:` that is read from bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::Path,
};

use refit_context::{TarEntry, TarKind};
use refit_oci::Digest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::native::layer_entries::{LayerReadError, MAX_MEMBERS, visit_layer};

/// One digest over a layer's members by path: type, mode, owner, link, extended attributes, bytes; no times, no order.
/// Of a Windows layer it says too little: that has its security descriptors elsewhere.
///
/// The layer at `path` is checked to be `diff_id`. Its files' bytes pass through and are not held.
pub(super) fn of_layer(
    path: &Path,
    media_type: &str,
    diff_id: &Digest,
) -> Result<Digest, LayerReadError> {
    let mut members = BTreeMap::new();
    let mut names = Names::default();
    visit_layer(path, media_type, diff_id, |number, entry, data| {
        if number == MAX_MEMBERS {
            let diff_id = diff_id.clone();
            return Err(LayerReadError::TooMany { diff_id });
        }
        // A name that comes twice is what it is at last.
        names.forget(&entry.path);
        let what = match &entry.kind {
            TarKind::HardLink { target } => names.join(&entry.path, target).map_or_else(
                || json!(["hard link", target]),
                |first| members.get(&first).cloned().unwrap_or_default(),
            ),
            TarKind::File { .. } => described(entry, &json!(["file", bytes_of(data).to_string()])),
            TarKind::Directory => described(entry, &json!(["folder"])),
            // A link's mode means nothing.
            TarKind::Symlink { target } => json!([["link", target], entry.uid, entry.gid]),
            TarKind::CharDevice { major, minor } => {
                described(entry, &json!(["char", major, minor]))
            }
            TarKind::BlockDevice { major, minor } => {
                described(entry, &json!(["block", major, minor]))
            }
            TarKind::Fifo => described(entry, &json!(["pipe"])),
        };
        members.insert(entry.path.clone(), what);
        Ok::<_, LayerReadError>(())
    })?;
    let mut hash = Sha256::new();
    for (path, what) in &members {
        hash.update(json!([path, what, names.of(path)]).to_string());
        hash.update(b"\n");
    }
    Ok(Digest::from_sha256(&hash.finalize().into()))
}

fn described(entry: &TarEntry, what: &Value) -> Value {
    let xattrs = entry.xattrs.iter();
    let xattrs: BTreeMap<_, _> = xattrs
        .map(|(name, value)| (name, hex::encode(value)))
        .collect();
    json!([what, entry.mode, entry.uid, entry.gid, xattrs])
}

/// The digest of what is left to read. What cannot be read is told by the layer's own digest.
fn bytes_of(data: &mut dyn Read) -> Digest {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
    while let Ok(read @ 1..) = data.read(&mut buffer) {
        hash.update(&buffer[..read]);
    }
    Digest::from_sha256(&hash.finalize().into())
}

/// The names that files have beside their first one.
#[derive(Default)]
struct Names {
    /// All names of a file by any of them; a file with one name is not here.
    groups: BTreeMap<String, usize>,
    members: Vec<BTreeSet<String>>,
}

impl Names {
    /// A further name; gives one that the file had before.
    fn join(&mut self, name: &str, target: &str) -> Option<String> {
        let group = *self.groups.entry(target.to_owned()).or_insert_with(|| {
            self.members.push(BTreeSet::from([target.to_owned()]));
            self.members.len() - 1
        });
        let first = self.members[group].first().cloned();
        self.members[group].insert(name.to_owned());
        self.groups.insert(name.to_owned(), group);
        first
    }

    fn forget(&mut self, name: &str) {
        if let Some(group) = self.groups.remove(name) {
            self.members[group].remove(name);
        }
    }

    /// The name that stands for a file: the first of those that it has.
    fn of(&self, name: &str) -> Option<&String> {
        let group = self.groups.get(name)?;
        let all = &self.members[*group];
        all.first().filter(|_| all.len() > 1)
    }
}

#[cfg(test)]
mod tests {
    use refit_context::LayerWriter;
    use refit_oci::media_type;

    use super::*;

    type Member = (TarEntry, &'static str);
    type Change = &'static dyn Fn(&mut Vec<Member>);

    fn content(members: &[Member]) -> Digest {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer");
        let mut writer = LayerWriter::create(&path).unwrap();
        for (entry, data) in members {
            writer.append(entry, data.as_bytes()).unwrap();
        }
        let layer = writer.finish().unwrap();
        of_layer(&path, media_type::OCI_LAYER_GZIP, &layer.diff_id).unwrap()
    }

    fn file(path: &str, data: &'static str) -> Member {
        (TarEntry::file(path, data.len() as u64), data)
    }

    fn folder(path: &str) -> Member {
        (TarEntry::directory(path), "")
    }

    fn made(path: &str, kind: TarKind) -> Member {
        (TarEntry::new(path, kind, 0o644), "")
    }

    fn name(path: &str, target: &str) -> Member {
        let target = target.to_owned();
        made(path, TarKind::HardLink { target })
    }

    fn link(path: &str, target: &str) -> Member {
        let target = target.to_owned();
        made(path, TarKind::Symlink { target })
    }

    #[test]
    fn times_and_order_are_not_content() {
        let plain = [folder("d"), file("d/a", "a"), file("d/b", "b")];
        let mut later = [plain[2].clone(), plain[0].clone(), plain[1].clone()];
        for (entry, _) in &mut later {
            entry.mtime += 77;
        }
        assert_eq!(content(&plain), content(&later));
        let twice = [plain.as_slice(), &plain[1..2]].concat();
        assert_eq!(content(&plain), content(&twice));
    }

    #[test]
    fn whichever_name_of_a_file_comes_first_is_not_content() {
        let one = [file("a", "x"), name("b", "a"), name("c", "a")];
        let other = [file("c", "x"), name("a", "c"), name("b", "a")];
        assert_eq!(content(&one), content(&other));
        let two_files = [file("a", "x"), file("b", "x"), name("c", "a")];
        assert_ne!(content(&one), content(&two_files));
        let overwritten = [
            file("a", "x"),
            name("b", "a"),
            name("c", "a"),
            file("b", "x"),
        ];
        assert_eq!(content(&two_files), content(&overwritten));
    }

    #[test]
    fn everything_else_is_content() {
        let plain = || vec![folder("d"), file("d/a", "a"), link("l", "d/a")];
        let same = content(&plain());
        let changes: [Change; 12] = [
            &|all| all[1].1 = "b",
            &|all| all[1].0.mode = 0o600,
            &|all| all[1].0.uid = 1,
            &|all| all[1].0.gid = 1,
            &|all| all[1].0.path = "d/b".to_owned(),
            &|all| {
                all[1].0.xattrs.insert("user.x".to_owned(), vec![1]);
            },
            &|all| all[0].0.mode = 0o700,
            &|all| all[2] = link("l", "d/b"),
            &|all| all[2] = name("l", "d/a"),
            &|all| all[2].0.uid = 1,
            &|all| all.push(file("d/.wh.x", "")),
            &|all| {
                all.pop();
            },
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut other = plain();
            change(&mut other);
            assert_ne!(content(&other), same, "change {number}");
        }
        let kinds = [
            TarKind::Fifo,
            TarKind::CharDevice { major: 1, minor: 2 },
            TarKind::CharDevice { major: 1, minor: 3 },
            TarKind::BlockDevice { major: 1, minor: 2 },
        ];
        let all: BTreeSet<Digest> = kinds.map(|kind| content(&[made("x", kind)])).into();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_layer_that_is_another_one_has_no_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer");
        LayerWriter::create(&path).unwrap().finish().unwrap();
        let other = Digest::sha256(b"other");
        assert!(of_layer(&path, media_type::OCI_LAYER_GZIP, &other).is_err());
    }
}
