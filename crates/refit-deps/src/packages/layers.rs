//! The databases in an image's layers, and which of them can be seen once the layers lie over each other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Manager, Package, apk, dpkg};

/// Larger files are no package database.
pub const FILE_LIMIT: u64 = 64 << 20;

const DPKG: &str = "var/lib/dpkg/status";
const DPKG_PARTS: &str = "var/lib/dpkg/status.d";
const APK: &str = "usr/lib/apk/db/installed";
/// Where Alpine had it until 3.22; the same file where `/lib` is a link.
const APK_BEFORE: &str = "lib/apk";
/// The folders of rpm's databases, which are noticed and not read.
const RPM: [&str; 3] = ["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"];
const RPM_FILES: [&str; 3] = ["rpmdb.sqlite", "Packages", "Packages.db"];
/// OCI image specification, layer chapter.
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// What one layer says of packages. A layer never changes, so this can be kept under its digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerPackages {
    /// Databases, by path.
    files: BTreeMap<String, Vec<Package>>,
    /// What is removed of the layers below: databases, or folders above them.
    removed: BTreeSet<String>,
    /// Folders whose contents in the layers below are removed.
    emptied: BTreeSet<String>,
    /// There is a database of rpm's.
    rpm: bool,
}

/// The packages that can be seen in layers laid over each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// By who keeps them, sorted.
    pub packages: BTreeMap<Manager, Vec<Package>>,
    /// There is a database of rpm's, which is not read.
    pub rpm: bool,
    /// Layers further below would add nothing: a whole database was found.
    pub is_complete: bool,
    /// These layers say something of packages.
    pub is_touched: bool,
}

impl LayerPackages {
    /// Whether the layer's file at this path (relative, clean) is to be read.
    pub fn wants(path: &str) -> bool {
        manager(&canonical(path)).is_some()
    }

    /// Takes note of a member, whatever it is: whiteouts, and rpm's files.
    pub fn see(&mut self, path: &str) {
        let path = canonical(path);
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if RPM.contains(&folder) && RPM_FILES.contains(&name) {
            self.rpm = true;
        }
        let Some(hidden) = name.strip_prefix(WHITEOUT) else {
            return;
        };
        if name == OPAQUE {
            if concerns(folder) {
                self.emptied.insert(folder.to_owned());
            }
            return;
        }
        let hidden = match folder {
            "" => hidden.to_owned(),
            folder => canonical(&format!("{folder}/{hidden}")),
        };
        if concerns(&hidden) {
            self.removed.insert(hidden);
        }
    }

    /// Reads a file that is wanted.
    pub fn add(&mut self, path: &str, bytes: &[u8]) {
        let path = canonical(path);
        let text = String::from_utf8_lossy(bytes);
        let packages = match manager(&path) {
            Some(Manager::Dpkg) => dpkg::parse(&text),
            Some(Manager::Apk) => apk::parse(&text),
            None => return,
        };
        self.files.insert(path, packages);
    }

    fn says_something(&self) -> bool {
        self.rpm || !(self.files.is_empty() && self.removed.is_empty() && self.emptied.is_empty())
    }
}

/// What can be seen of these layers, the topmost first.
pub fn contents<'a>(top_down: impl IntoIterator<Item = &'a LayerPackages>) -> Contents {
    let mut contents = Contents::default();
    let mut seen: BTreeMap<&str, &[Package]> = BTreeMap::new();
    let mut removed: BTreeSet<&str> = BTreeSet::new();
    let mut emptied: BTreeSet<&str> = BTreeSet::new();
    for layer in top_down {
        contents.is_touched |= layer.says_something();
        contents.rpm |= layer.rpm;
        for (path, packages) in &layer.files {
            let is_hidden = removed.iter().any(|above| is_at_or_below(path, above))
                || emptied.iter().any(|above| is_below(path, above));
            if !is_hidden {
                seen.entry(path).or_insert(packages);
            }
        }
        removed.extend(layer.removed.iter().map(String::as_str));
        emptied.extend(layer.emptied.iter().map(String::as_str));
    }
    // Distroless images have a part a package, each in a layer of its own, and at most an empty whole.
    let is_whole = |path: &str| path == DPKG || path == APK;
    for (path, packages) in seen {
        contents.is_complete |= is_whole(path) && !packages.is_empty();
        if let Some(manager) = manager(path) {
            let all = contents.packages.entry(manager).or_default();
            all.extend_from_slice(packages);
        }
    }
    contents.packages.values_mut().for_each(|all| all.sort());
    contents
}

/// Whose database a file is.
fn manager(path: &str) -> Option<Manager> {
    if path == DPKG {
        return Some(Manager::Dpkg);
    }
    if path == APK {
        return Some(Manager::Apk);
    }
    let (folder, name) = path.rsplit_once('/')?;
    let is_part = folder == DPKG_PARTS
        && !name.ends_with(".md5sums")
        && !name.ends_with(".preinst")
        && !name.starts_with(WHITEOUT);
    is_part.then_some(Manager::Dpkg)
}

/// Whether a path is a database, or a folder above one.
fn concerns(path: &str) -> bool {
    let above = |database: &str| is_at_or_below(database, path);
    above(DPKG) || above(DPKG_PARTS) || above(APK) || manager(path).is_some()
}

fn canonical(path: &str) -> String {
    match path.strip_prefix(APK_BEFORE) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("usr/lib/apk{rest}"),
        _ => path.to_owned(),
    }
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    path == above || is_below(path, above)
}

fn is_below(path: &str, above: &str) -> bool {
    above.is_empty()
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.starts_with('/'))
}
