//! Whether a path is the same thing in two trees.

use std::collections::BTreeMap;

use crate::native::{
    file_table::FileTable,
    image_path::ImagePath,
    node::{Node, NodeKind},
};

/// More links than a path leads through, as when a tree resolves one.
const MAX_LINKS: usize = 255;

/// What an instruction sees of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen<'t> {
    Nothing,
    /// A folder, and what of it a layer repeats when something is put into it.
    Folder {
        mode: u32,
        owner: (u64, u64),
        xattrs: &'t BTreeMap<String, Vec<u8>>,
    },
    Link(&'t str),
    /// Anything else: what is put in its place takes nothing over of it.
    File,
}

/// The first path that is not the same in both, and what it is in either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Differs {
    pub(super) path: ImagePath,
    pub(super) old: String,
    pub(super) new: String,
}

/// Where a path leads in both trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    pub(super) path: ImagePath,
    /// Every path on the way, links and their targets included.
    pub(super) way: Vec<ImagePath>,
}

/// How much of folders must be alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folders {
    /// Mode, owner and attributes, too.
    Whole,
    /// That they are folders.
    Existence,
}

pub(super) fn see<'t>(tree: &'t FileTable, path: &ImagePath) -> Seen<'t> {
    tree.get(path).map_or(Seen::Nothing, seen)
}

fn seen(node: &Node) -> Seen<'_> {
    match &node.kind {
        NodeKind::Directory => Seen::Folder {
            mode: node.mode,
            owner: (node.uid, node.gid),
            xattrs: &node.xattrs,
        },
        NodeKind::Symlink(target) => Seen::Link(target),
        _ => Seen::File,
    }
}

/// Follows a path in both trees at once, its last name too; an error is the first thing on the way that differs.
pub(super) fn walk(
    (old, new): (&FileTable, &FileTable),
    path: &ImagePath,
    folders: Folders,
) -> Result<Walked, Differs> {
    let mut rest = path.clone();
    let mut way = Vec::new();
    for _ in 0..=MAX_LINKS {
        let mut at = ImagePath::root();
        let mut components = rest.components();
        let link = loop {
            let Some(name) = components.next() else {
                return Ok(Walked { path: at, way });
            };
            let next = at.join(name);
            way.push(next.clone());
            let (was, is) = (see(old, &next), see(new, &next));
            if !same(&was, &is, folders) {
                return Err(differs(&next, &was, &is));
            }
            if let Seen::Link(target) = was {
                break if target.starts_with('/') {
                    ImagePath::clean(target)
                } else {
                    at.join(target)
                };
            }
            at = next;
        };
        let behind: Vec<&str> = components.collect();
        rest = behind.iter().fold(link, |path, name| path.join(name));
    }
    let text = "a loop of links".to_owned();
    Err(Differs {
        path: path.clone(),
        old: text.clone(),
        new: text,
    })
}

/// Whether everything below a folder is the same kind of thing in both trees: whatever is copied there then lands in the
/// same way.
pub(super) fn below(
    (old, new): (&FileTable, &FileTable),
    folder: &ImagePath,
) -> Result<(), Differs> {
    let (mut before, mut after) = (old.below(folder).peekable(), new.below(folder).peekable());
    loop {
        let (was, is) = (before.peek().copied(), after.peek().copied());
        let path = match (was, is) {
            (None, None) => return Ok(()),
            (Some((path, _)), None) | (None, Some((path, _))) => path,
            (Some((one, _)), Some((other, _))) => one.min(other),
        };
        let at = |found: Option<(&ImagePath, &'_ Node)>| found.is_some_and(|(p, _)| p == path);
        let (here, there) = (see(old, path), see(new, path));
        if !same(&here, &there, Folders::Whole) {
            return Err(differs(path, &here, &there));
        }
        if at(was) {
            before.next();
        }
        if at(is) {
            after.next();
        }
    }
}

pub(super) fn same(old: &Seen<'_>, new: &Seen<'_>, folders: Folders) -> bool {
    match (old, new) {
        (Seen::Folder { .. }, Seen::Folder { .. }) if folders == Folders::Existence => true,
        (old, new) => old == new,
    }
}

pub(super) fn differs(path: &ImagePath, old: &Seen<'_>, new: &Seen<'_>) -> Differs {
    Differs {
        path: path.clone(),
        old: told(old, new),
        new: told(new, old),
    }
}

/// What is at a path, in as many words as tell it from the other.
fn told(this: &Seen<'_>, other: &Seen<'_>) -> String {
    match (this, other) {
        (Seen::Nothing, _) => "missing".to_owned(),
        (Seen::Link(target), _) => format!("a link to `{target}`"),
        (Seen::File, _) => "a file".to_owned(),
        (
            Seen::Folder { mode, owner, .. },
            Seen::Folder {
                mode: m, owner: o, ..
            },
        ) => match (mode != m, owner != o) {
            (true, _) => format!("a folder of mode {mode:04o}"),
            (false, true) => format!("a folder of {}:{}", owner.0, owner.1),
            (false, false) => "a folder with other attributes".to_owned(),
        },
        (Seen::Folder { .. }, _) => "a folder".to_owned(),
    }
}

impl std::fmt::Display for Differs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, old, new } = self;
        write!(f, "`{path}` was {old} and is {new} in the new base")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rebase::testing::tree;

    #[track_caller]
    fn check(old: &[&str], new: &[&str], path: &str, expect: Result<&str, &str>) {
        let (old, new) = (tree(old), tree(new));
        let walked = walk((&old, &new), &ImagePath::clean(path), Folders::Whole);
        let walked = walked.map(|walked| walked.path.to_string());
        let told = walked.map_err(|differs| differs.to_string());
        assert_eq!(told, expect.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn a_path_leads_to_the_same_in_both_or_the_difference_is_named() {
        let merged: &[&str] = &["usr/bin/", "bin -> usr/bin", "a -> b", "b -> a"];
        check(merged, merged, "bin/x", Ok("/usr/bin/x"));
        check(merged, merged, "new/x", Ok("/new/x"));
        check(
            &["bin/"],
            merged,
            "bin/x",
            Err("`/bin` was a folder and is a link to `usr/bin` in the new base"),
        );
        check(
            merged,
            &["sbin/", "bin -> usr/sbin"],
            "bin/x",
            Err("`/bin` was a link to `usr/bin` and is a link to `usr/sbin` in the new base"),
        );
        check(
            &["srv/"],
            &[],
            "srv/x",
            Err("`/srv` was a folder and is missing in the new base"),
        );
        check(
            &["755 opt/"],
            &["711 opt/"],
            "opt/x",
            Err("`/opt` was a folder of mode 0755 and is a folder of mode 0711 in the new base"),
        );
        check(
            &["755 opt/"],
            &["755 3:4 opt/"],
            "opt/x",
            Err("`/opt` was a folder of 0:0 and is a folder of 3:4 in the new base"),
        );
        check(&["x=1"], &["x=22"], "x", Ok("/x"));
        check(
            merged,
            merged,
            "a/x",
            Err("`/a/x` was a loop of links and is a loop of links in the new base"),
        );
    }

    #[test]
    fn a_link_in_the_middle_leads_on_to_what_is_compared() {
        let old = tree(&["opt -> usr/opt", "usr/opt/"]);
        let new = tree(&["opt -> usr/opt", "700 usr/opt/"]);
        let of = |folders| walk((&old, &new), &ImagePath::clean("opt/x"), folders);
        assert_eq!(of(Folders::Whole).unwrap_err().path.to_string(), "/usr/opt");
        assert!(of(Folders::Existence).is_ok());
    }

    #[test]
    fn below_a_folder_contents_do_not_count_and_kinds_do() {
        let check = |old: &[&str], new: &[&str]| {
            let (old, new) = (tree(old), tree(new));
            let compared = below((&old, &new), &ImagePath::clean("etc"));
            compared.err().map(|differs| differs.path.to_string())
        };
        assert_eq!(check(&["etc/a=1", "b=1"], &["etc/a=2", "c/"]), None);
        assert_eq!(check(&["etc/a=1"], &["etc/a/"]), Some("/etc/a".to_owned()));
        assert_eq!(
            check(&["etc/a=1"], &["etc/a=1", "etc/b=1"]),
            Some("/etc/b".to_owned())
        );
        assert_eq!(
            check(&["etc/a=1", "etc/z=1"], &["etc/z=1"]),
            Some("/etc/a".to_owned())
        );
        assert_eq!(
            check(&["etc/d/x -> y"], &["etc/d/x -> z"]),
            Some("/etc/d/x".to_owned())
        );
    }
}
