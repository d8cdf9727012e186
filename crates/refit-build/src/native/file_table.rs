//! What is where in an image: the tables of its layers laid over one another, without unpacking anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use refit_context::{TarEntry, TarKind};
use refit_oci::Digest;

use super::{
    image_path::ImagePath,
    node::{Content, Node, NodeKind},
};

/// OCI image specification, layer chapter: a member that removes `NAME`.
pub const WHITEOUT: &str = ".wh.";
/// A member that empties its folder.
pub const OPAQUE: &str = ".wh..wh..opq";

/// How many links a path may lead through, as in BuildKit's `RootPath`.
const MAX_LINKS: usize = 255;

/// A file system tree: every path below the root, which itself is always there.
#[derive(Clone, Debug, Default)]
pub struct FileTable {
    nodes: BTreeMap<ImagePath, Node>,
}

/// Why a path cannot be resolved, or a layer not be laid over a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A loop, or something that might as well be one.
    #[error("`{0}` leads through too many symbolic links")]
    TooManyLinks(String),
    /// A folder is needed where something else is.
    #[error("`{0}` is not a folder")]
    NotADirectory(String),
    /// A layer has a name for a file that does not exist.
    #[error("`{path}` is a hard link to `{target}`, which is no file")]
    HardLink {
        /// The member.
        path: String,
        /// The path of the file that is missing.
        target: String,
    },
}

impl FileTable {
    /// The tree of these layers, the lowest first.
    pub fn of_layers<'l>(
        layers: impl IntoIterator<Item = (&'l Digest, &'l [TarEntry])>,
    ) -> Result<Self, TreeError> {
        let mut table = Self::default();
        for (diff_id, entries) in layers {
            table.apply_layer(diff_id, entries)?;
        }
        Ok(table)
    }

    /// What is at a path, links not followed. None for the root, whose metadata no tree knows.
    pub fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Whether something is at a path; the root always is.
    pub fn contains(&self, path: &ImagePath) -> bool {
        path.is_root() || self.nodes.contains_key(path)
    }

    /// Whether a folder, and no link to one, is at a path.
    pub fn is_directory(&self, path: &ImagePath) -> bool {
        let is_directory = |node: &Node| node.kind == NodeKind::Directory;
        path.is_root() || self.get(path).is_some_and(is_directory)
    }

    /// Everything below a path, sorted bytewise: a folder comes before what is in it.
    pub fn below<'t>(
        &'t self,
        path: &ImagePath,
    ) -> impl Iterator<Item = (&'t ImagePath, &'t Node)> + use<'t> {
        let prefix = match path.as_str() {
            "" => String::new(),
            path => format!("{path}/"),
        };
        let from = (Bound::Excluded(prefix.as_str()), Bound::Unbounded);
        let range = self.nodes.range::<str, _>(from);
        range.take_while(move |(path, _)| path.as_str().starts_with(&prefix))
    }

    /// Puts a node at a path. The caller sees to it that its parent is a folder, and that nothing is below a node that
    /// is none.
    pub fn insert(&mut self, path: ImagePath, node: Node) {
        self.nodes.insert(path, node);
    }

    /// Removes a path and everything below it, and says what that was.
    pub fn remove(&mut self, path: &ImagePath) -> Vec<ImagePath> {
        let mut gone: Vec<ImagePath> = self.below(path).map(|(path, _)| path.clone()).collect();
        if self.nodes.contains_key(path) {
            gone.push(path.clone());
        }
        for path in &gone {
            self.nodes.remove(path);
        }
        gone
    }

    /// Where a path leads when every link in it is followed, the last one too, as if `root` were the root of the file
    /// system. What does not exist is taken for a plain name.
    pub fn resolve_in(&self, root: &ImagePath, path: &str) -> Result<ImagePath, TreeError> {
        let mut rest = ImagePath::clean(path);
        let mut n_links = 0;
        'again: loop {
            let mut at = root.clone();
            let mut components = rest.components();
            while let Some(name) = components.next() {
                if !self.is_directory(&at) && self.contains(&at) {
                    return Err(TreeError::NotADirectory(at.to_string()));
                }
                let next = at.join(name);
                let Some(NodeKind::Symlink(target)) = self.get(&next).map(|node| &node.kind) else {
                    at = next;
                    continue;
                };
                n_links += 1;
                if n_links > MAX_LINKS {
                    return Err(TreeError::TooManyLinks(ImagePath::clean(path).to_string()));
                }
                // Like Go's `filepath.Join`, `..` in a target is resolved lexically, below the resolved folder.
                let from = match target.strip_prefix('/') {
                    Some(_) => ImagePath::root(),
                    None => ImagePath::clean(at.below(root).unwrap_or_default()),
                };
                let behind: Vec<&str> = components.collect();
                rest = behind
                    .iter()
                    .fold(from.join(target), |path, name| path.join(name));
                continue 'again;
            }
            return Ok(at);
        }
    }

    /// Where a path leads when every link in it is followed.
    pub fn resolve(&self, path: &str) -> Result<ImagePath, TreeError> {
        self.resolve_in(&ImagePath::root(), path)
    }

    /// Where a path leads when the links in its folders are followed, but not the last name.
    pub fn resolve_parent(&self, path: &str) -> Result<ImagePath, TreeError> {
        let path = ImagePath::clean(path);
        match path.parent() {
            Some(parent) => Ok(self.resolve(parent.as_str())?.join(path.name())),
            None => Ok(path),
        }
    }

    /// Lays a layer over the tree, its members in order. By the specification its whiteouts concern only what is below.
    pub fn apply_layer(&mut self, diff_id: &Digest, entries: &[TarEntry]) -> Result<(), TreeError> {
        let layer = Arc::new(diff_id.clone());
        let mut own = BTreeSet::new();
        for (number, entry) in entries.iter().enumerate() {
            // Not before its turn: a member before it may have put a folder in the place of a link.
            let path = self.own_path(&entry.path)?;
            if path.name().starts_with(WHITEOUT) {
                self.apply_whiteout(&path, &own);
                continue;
            }
            let node = if let TarKind::HardLink { target } = &entry.kind {
                self.linked(&self.own_path(target)?, &entry.path)?
            } else {
                let layer = Arc::clone(&layer);
                Node::of_entry(entry, Content::Member { layer, number })
            };
            let mut folder = path.parent();
            self.put(path.clone(), node)?;
            own.insert(path);
            while let Some(path) = folder.filter(|path| !own.contains(path)) {
                folder = path.parent();
                own.insert(path);
            }
        }
        Ok(())
    }

    /// Lays another tree over this one. Other than of a layer's members, links are not followed.
    pub(crate) fn lay_over(&mut self, upper: &Self) {
        for (path, node) in &upper.nodes {
            if !(node.kind == NodeKind::Directory && self.is_directory(path)) {
                self.remove(path);
            }
            self.nodes.insert(path.clone(), node.clone());
        }
    }

    /// Removes what a whiteout names, but for what its own layer has put there, `own`.
    fn apply_whiteout(&mut self, whiteout: &ImagePath, own: &BTreeSet<ImagePath>) {
        let folder = whiteout.parent().unwrap_or_default();
        let hidden = match whiteout.name().strip_prefix(WHITEOUT) {
            _ if whiteout.name() == OPAQUE => None,
            // What else begins with two prefixes is aufs's own bookkeeping.
            Some(name) if !name.is_empty() && !name.starts_with(WHITEOUT) => {
                Some(folder.join(name))
            }
            _ => return,
        };
        let below = self.below(hidden.as_ref().unwrap_or(&folder));
        let below = below.map(|(path, _)| path.clone());
        let gone: Vec<ImagePath> = below.chain(hidden.clone()).collect();
        for path in gone.iter().filter(|path| !own.contains(*path)) {
            self.nodes.remove(path);
        }
    }

    /// The node of the hard link `path` to a resolved path: the file's own, all its metadata included.
    pub(crate) fn linked(&self, target: &ImagePath, path: &str) -> Result<Node, TreeError> {
        match self.get(target) {
            Some(node) if node.kind != NodeKind::Directory => Ok(node.clone()),
            _ => Err(TreeError::HardLink {
                path: ImagePath::clean(path).to_string(),
                target: target.to_string(),
            }),
        }
    }

    /// Puts a node at a path as unpacking does: missing folders above it are made, and only a folder over a folder
    /// keeps what is below.
    fn put(&mut self, path: ImagePath, node: Node) -> Result<(), TreeError> {
        for folder in self.missing_folders(&path)? {
            self.insert(folder, Node::directory(0o755));
        }
        if !(node.kind == NodeKind::Directory && self.is_directory(&path)) {
            self.remove(&path);
        }
        self.insert(path, node);
        Ok(())
    }

    /// The folders above a resolved path that do not exist, the uppermost first.
    pub(crate) fn missing_folders(&self, path: &ImagePath) -> Result<Vec<ImagePath>, TreeError> {
        let mut missing = Vec::new();
        let mut folder = path.parent();
        while let Some(path) = folder.filter(|path| !self.contains(path)) {
            folder = path.parent();
            missing.push(path);
        }
        let existing = missing.last().unwrap_or(path).parent().unwrap_or_default();
        if !self.is_directory(&existing) {
            return Err(TreeError::NotADirectory(existing.to_string()));
        }
        missing.reverse();
        Ok(missing)
    }

    /// The path of a layer's member: engines unpack through the links that lower layers made.
    fn own_path(&self, written: &str) -> Result<ImagePath, TreeError> {
        let path = ImagePath::clean(written);
        // Only a real folder is ever a key with something below it, so this is the common, cheap case.
        match path.parent() {
            Some(parent) if self.is_directory(&parent) => Ok(path),
            _ => self.resolve_parent(written),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(text: &str) -> TarEntry {
        let (path, kind) = match text.split_once(" -> ") {
            Some((path, target)) => (
                path,
                TarKind::Symlink {
                    target: target.to_owned(),
                },
            ),
            None => match text.split_once(" = ") {
                Some((path, target)) => (
                    path,
                    TarKind::HardLink {
                        target: target.to_owned(),
                    },
                ),
                None => match text.strip_suffix('/') {
                    Some(path) => (path, TarKind::Directory),
                    None => (text, TarKind::File { size: 0 }),
                },
            },
        };
        TarEntry::new(path, kind, 0o644)
    }

    /// Layers as `a/ b/c l -> a h = b/c`, one text each; the result as a sorted list of paths.
    fn table(layers: &[&[&str]]) -> FileTable {
        let mut table = FileTable::default();
        for (n, layer) in layers.iter().enumerate() {
            let entries: Vec<TarEntry> = layer.iter().map(|text| entry(text)).collect();
            table
                .apply_layer(&Digest::sha256(&[u8::try_from(n).unwrap()]), &entries)
                .unwrap();
        }
        table
    }

    #[track_caller]
    fn check(layers: &[&[&str]], expect: &[&str]) {
        let table = table(layers);
        let paths: Vec<&str> = table
            .below(&ImagePath::root())
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(paths, expect, "{layers:?}");
    }

    #[test]
    fn missing_folders_are_implied() {
        check(&[&["a/b/c"]], &["a", "a/b", "a/b/c"]);
    }

    #[test]
    fn a_whiteout_removes_a_file_or_a_whole_folder_below() {
        check(
            &[&["a/", "a/x", "b/", "b/y"], &["a/.wh.x", ".wh.b"]],
            &["a"],
        );
    }

    #[test]
    fn whiteouts_leave_their_own_layer_alone() {
        check(
            &[&["a/", "a/x"], &["a/", "a/new", "a/.wh..wh..opq"]],
            &["a", "a/new"],
        );
        check(&[&["x"], &["x", ".wh.x"]], &["x"]);
    }

    #[test]
    fn an_opaque_folder_in_place_of_a_link_empties_only_itself() {
        check(
            &[&["a/", "a/x", "l -> a"], &["l/", "l/.wh..wh..opq", "l/new"]],
            &["a", "a/x", "l", "l/new"],
        );
        check(&[&["a/", "a/x", "l -> a"], &["l/.wh.x"]], &["a", "l"]);
        check(
            &[&["a/", "a/b/", "a/b/x"], &["a/b/new", ".wh.a"]],
            &["a", "a/b", "a/b/new"],
        );
    }

    #[test]
    fn an_opaque_folder_keeps_itself() {
        check(&[&["a/", "a/x", "a-b"], &["a/.wh..wh..opq"]], &["a", "a-b"]);
    }

    #[test]
    fn a_file_in_place_of_a_folder_hides_what_was_in_it() {
        check(&[&["a/", "a/x"], &["a"]], &["a"]);
        check(&[&["a"], &["a/", "a/x"]], &["a", "a/x"]);
        check(&[&["a/", "a/x"], &["a/"]], &["a", "a/x"]);
    }

    #[test]
    fn members_go_through_links_of_lower_layers() {
        let layers: &[&[&str]] = &[&["usr/bin/", "bin -> usr/bin"], &["bin/tool"]];
        check(layers, &["bin", "usr", "usr/bin", "usr/bin/tool"]);
    }

    #[test]
    fn names_of_one_file_share_it() {
        let table = table(&[&["a"], &["b = a", "c"]]);
        let data = |path: &str| match &table.get(&ImagePath::clean(path)).unwrap().kind {
            NodeKind::File(data) => Arc::clone(data),
            other => panic!("{other:?}"),
        };
        assert!(Arc::ptr_eq(&data("a"), &data("b")));
        assert!(!Arc::ptr_eq(&data("a"), &data("c")));
        let missing = FileTable::default().apply_layer(&Digest::sha256(b""), &[entry("b = a")]);
        assert!(matches!(missing, Err(TreeError::HardLink { .. })));
    }

    #[test]
    fn below_is_only_what_is_below() {
        let table = table(&[&["a/", "a/b/", "a/b/c", "a-x", "a.y"]]);
        let below = |path: &str| {
            let nodes = table
                .below(&ImagePath::clean(path))
                .map(|(path, _)| path.to_string());
            nodes.collect::<Vec<_>>()
        };
        assert_eq!(below("a"), ["/a/b", "/a/b/c"]);
        assert_eq!(below("a-x"), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_layers_make_a_tree_or_fail(
            layers in prop::collection::vec(prop::collection::vec("[abl/.]{1,6}( -> [abl/.]{0,6})?/?|(a/|b/)?.wh.[ab.]{1,3}", 0..12), 1..4),
            path in "[abl/.]{0,8}",
        ) {
            let mut table = FileTable::default();
            for layer in &layers {
                let entries: Vec<TarEntry> = layer.iter().map(|text| entry(text)).collect();
                if table.apply_layer(&Digest::sha256(b""), &entries).is_err() {
                    break;
                }
            }
            let paths: Vec<&ImagePath> = table.below(&ImagePath::root()).map(|(path, _)| path).collect();
            for path in paths {
                prop_assert!(table.is_directory(&path.parent().unwrap()), "{path} hangs in the air");
            }
            if let Ok(resolved) = table.resolve(&path) {
                let again = table.resolve(resolved.as_str());
                prop_assert_eq!(again, Ok(resolved));
            }
        }
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let table = table(&[&[
            "usr/bin/",
            "bin -> usr/bin",
            "abs -> /usr",
            "out -> ../../../etc",
            "up/",
            "up/back -> ../usr/./bin",
            "chain -> abs/bin",
            "dangling -> nowhere/x",
            "loop -> loop2",
            "loop2 -> /loop",
            "self -> .",
            "file",
        ]]);
        for (path, expect) in [
            ("/bin/tool", Some("/usr/bin/tool")),
            ("bin", Some("/usr/bin")),
            ("/abs/bin/x", Some("/usr/bin/x")),
            ("/out/passwd", Some("/etc/passwd")),
            ("/up/back/x", Some("/usr/bin/x")),
            ("/chain", Some("/usr/bin")),
            ("/dangling/y", Some("/nowhere/x/y")),
            ("/self/self/bin", Some("/usr/bin")),
            ("/new/deep", Some("/new/deep")),
            ("/loop/x", None),
            ("/file/x", None),
            ("/", Some("/")),
        ] {
            let resolved = table.resolve(path).ok().map(|path| path.to_string());
            assert_eq!(resolved.as_deref(), expect, "{path}");
        }
        assert_eq!(
            table.resolve_parent("/bin/bin").unwrap().to_string(),
            "/usr/bin/bin"
        );
        assert_eq!(table.resolve_parent("/bin").unwrap().to_string(), "/bin");
    }

    #[test]
    fn another_root_bounds_links_too() {
        let table = table(&[&[
            "opt/",
            "opt/lib -> /usr/lib",
            "opt/up -> ../../x",
            "usr/lib/",
        ]]);
        let opt = ImagePath::clean("opt");
        assert_eq!(
            table.resolve_in(&opt, "lib/a").unwrap().to_string(),
            "/opt/usr/lib/a"
        );
        assert_eq!(table.resolve_in(&opt, "up").unwrap().to_string(), "/opt/x");
    }
}
