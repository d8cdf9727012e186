//! Packages of operating systems: what the databases in an image's layers say, and what differs between two images.

mod apk;
mod dpkg;
mod layers;
#[cfg(test)]
mod tests;
mod version;

use std::{cmp::Ordering, collections::BTreeMap};

use serde::{Deserialize, Serialize};

pub use layers::{Contents, FILE_LIMIT, LayerPackages, contents};

/// More packages than any image has; what a database says beyond them is not read.
const MOST_PACKAGES: usize = 100_000;
/// Longer names and versions are no package's.
const LONGEST_WORD: usize = 256;

/// Who keeps a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    /// Debian's and its descendants'; distroless images have its format, too.
    Dpkg,
    /// Alpine's and its descendants'.
    Apk,
}

/// One installed package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What it was built for, as its manager says it; `all` and `noarch` among them.
    pub architecture: String,
    /// The installed version.
    pub version: String,
}

/// One package that two images do not have in the same version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PackageChange {
    /// Its name; with `:ARCHITECTURE` where one of the images has it for several.
    pub name: String,
    /// The old version; none if it was added.
    pub from: Option<String>,
    /// The new version; none if it was removed.
    pub to: Option<String>,
    /// Which way it went.
    pub change: Direction,
}

/// Which way a package went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// To a later version.
    Upgraded,
    /// To an earlier version.
    Downgraded,
}

/// What differs, sorted by name.
pub fn changes(old: &Contents, new: &Contents) -> Vec<PackageChange> {
    let mut changes = Vec::new();
    let (old, new) = (by_name(old), by_name(new));
    let keys = old
        .keys()
        .chain(new.keys().filter(|key| !old.contains_key(*key)));
    for key in keys {
        let none = BTreeMap::new();
        let (before, after) = (old.get(key).unwrap_or(&none), new.get(key).unwrap_or(&none));
        let (manager, name) = *key;
        // Not by architecture where there is one only: that may well change from `all` to `amd64`.
        if before.len() <= 1 && after.len() <= 1 {
            let (from, to) = (before.values().next(), after.values().next());
            changes.extend(change(
                manager,
                name.to_owned(),
                (from.copied(), to.copied()),
            ));
            continue;
        }
        let architectures = before
            .keys()
            .chain(after.keys().filter(|key| !before.contains_key(*key)));
        for architecture in architectures {
            let versions = (
                before.get(architecture).copied(),
                after.get(architecture).copied(),
            );
            changes.extend(change(manager, format!("{name}:{architecture}"), versions));
        }
    }
    changes.sort();
    changes
}

type ByName<'a> = BTreeMap<(Manager, &'a str), BTreeMap<&'a str, &'a str>>;

fn by_name(contents: &Contents) -> ByName<'_> {
    let mut by_name = ByName::new();
    for (manager, packages) in &contents.packages {
        for package in packages {
            by_name
                .entry((*manager, &package.name))
                .or_default()
                .insert(&package.architecture, &package.version);
        }
    }
    by_name
}

fn change(
    manager: Manager,
    name: String,
    versions: (Option<&str>, Option<&str>),
) -> Option<PackageChange> {
    let change = match versions {
        (None, None) => return None,
        (None, Some(_)) => Direction::Added,
        (Some(_), None) => Direction::Removed,
        (Some(from), Some(to)) if from == to => return None,
        (Some(from), Some(to)) => match order(manager, from, to) {
            Ordering::Greater => Direction::Downgraded,
            Ordering::Less | Ordering::Equal => Direction::Upgraded,
        },
    };
    Some(PackageChange {
        name,
        from: versions.0.map(str::to_owned),
        to: versions.1.map(str::to_owned),
        change,
    })
}

/// How a manager orders versions.
pub fn order(manager: Manager, a: &str, b: &str) -> Ordering {
    match manager {
        Manager::Dpkg => version::dpkg(a, b),
        Manager::Apk => version::apk(a, b),
    }
}

/// Whether a name, version or architecture can be one: what is printed must not move a cursor.
fn is_word(text: &str) -> bool {
    (1..=LONGEST_WORD).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
