//! What one instruction changes in an image: the new tree, and the members of its layer.

use std::{collections::BTreeMap, sync::Arc};

use refit_context::TarEntry;

use super::{
    file_table::{FileTable, TreeError, WHITEOUT},
    image_path::ImagePath,
    node::{FileData, Node, NodeKind},
    owner::Owner,
};

/// A tree while an instruction changes it.
pub(crate) struct Edit {
    tree: FileTable,
    /// Every path that was changed, and whether something was there before.
    touched: BTreeMap<ImagePath, bool>,
}

/// How folders are made that are missing on the way to a destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewFolders {
    pub(crate) mode: u32,
    pub(crate) owner: Owner,
}

/// A member of the new layer; `data` is a file's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) entry: TarEntry,
    pub(crate) data: Option<Arc<FileData>>,
}

/// A name that a layer cannot hold, since there it means a removal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be put into a layer: names that begin with `.wh.` mean removals there")]
pub(crate) struct WhiteoutName(String);

impl Edit {
    pub(crate) fn new(tree: FileTable) -> Self {
        Self {
            tree,
            touched: BTreeMap::new(),
        }
    }

    /// The tree as it is now.
    pub(crate) fn tree(&self) -> &FileTable {
        &self.tree
    }

    /// Puts a node at a resolved path, whose parent is a folder.
    pub(crate) fn put(&mut self, path: &ImagePath, node: Node) {
        self.touch(path);
        self.tree.insert(path.clone(), node);
    }

    /// Removes a resolved path and everything below.
    pub(crate) fn remove(&mut self, path: &ImagePath) {
        for gone in self.tree.remove(path) {
            self.touched.entry(gone).or_insert(true);
        }
    }

    /// Makes a resolved path a folder, and all that are missing above it.
    pub(crate) fn make_folders(
        &mut self,
        path: &ImagePath,
        new: NewFolders,
    ) -> Result<(), TreeError> {
        if self.tree.is_directory(path) {
            return Ok(());
        }
        if self.tree.contains(path) {
            return Err(TreeError::NotADirectory(path.to_string()));
        }
        let mut missing = self.tree.missing_folders(path)?;
        missing.push(path.clone());
        for folder in missing {
            let mut node = Node::directory(new.mode);
            (node.uid, node.gid) = (new.owner.uid, new.owner.gid);
            self.put(&folder, node);
        }
        Ok(())
    }

    /// Takes the folders above all that was changed into the layer.
    pub(crate) fn touch_folders(&mut self) {
        let mut folders = Vec::new();
        for path in self.touched.keys() {
            let mut above = path.parent();
            while let Some(folder) = above.filter(|folder| !folder.is_root()) {
                above = folder.parent();
                folders.push(folder);
            }
        }
        for folder in folders {
            if self.tree.is_directory(&folder) {
                self.touched.entry(folder).or_insert(true);
            }
        }
    }

    fn touch(&mut self, path: &ImagePath) {
        let existed = self.tree.contains(path);
        self.touched.entry(path.clone()).or_insert(existed);
    }

    /// The tree, and the layer's members sorted bytewise: a folder before what is in it, a file before its other names.
    pub(crate) fn finish(self) -> Result<(FileTable, Vec<Member>), WhiteoutName> {
        let mut members: BTreeMap<String, Member> = BTreeMap::new();
        let mut first_names: BTreeMap<*const FileData, &ImagePath> = BTreeMap::new();
        for (path, existed) in &self.touched {
            if path.name().starts_with(WHITEOUT) {
                return Err(WhiteoutName(path.to_string()));
            }
            let Some(node) = self.tree.get(path) else {
                let parent = path.parent().unwrap_or_default();
                // Without its folder a removed path is gone anyway.
                if *existed && self.tree.is_directory(&parent) {
                    let whiteout = parent.join(&format!("{WHITEOUT}{}", path.name()));
                    let entry = TarEntry::file(whiteout.as_str(), 0);
                    members.insert(entry.path.clone(), Member { entry, data: None });
                }
                continue;
            };
            let first_name = match &node.kind {
                NodeKind::File(data) => *first_names.entry(Arc::as_ptr(data)).or_insert(path),
                _ => path,
            };
            let (entry, data) = node.to_entry(path, first_name);
            members.insert(entry.path.clone(), Member { entry, data });
        }
        Ok((self.tree, members.into_values().collect()))
    }
}

#[cfg(test)]
impl Edit {
    /// The paths of the layer's members.
    pub(crate) fn paths(self) -> Vec<String> {
        let (_, members) = self.finish().unwrap();
        members
            .into_iter()
            .map(|member| member.entry.path)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use refit_context::TarKind;

    use super::*;
    use crate::native::node::Content;

    const ROOTS: NewFolders = NewFolders {
        mode: 0o755,
        owner: Owner { uid: 0, gid: 0 },
    };

    fn file(bytes: &str) -> Node {
        let content = Content::Bytes(bytes.as_bytes().into());
        let size = bytes.len() as u64;
        Node::new(NodeKind::File(Arc::new(FileData { size, content })), 0o644)
    }

    fn base(paths: &[&str]) -> FileTable {
        let mut edit = Edit::new(FileTable::default());
        for path in paths {
            let path = ImagePath::clean(path);
            edit.make_folders(&path.parent().unwrap(), ROOTS).unwrap();
            edit.put(&path, file("old"));
        }
        edit.finish().unwrap().0
    }

    #[test]
    fn a_layer_has_what_was_touched_and_no_folder_that_was_there() {
        let mut edit = Edit::new(base(&["usr/bin/old"]));
        edit.make_folders(&ImagePath::clean("usr/lib/x"), ROOTS)
            .unwrap();
        edit.put(&ImagePath::clean("usr/lib/x/new"), file("new"));
        edit.put(&ImagePath::clean("usr/bin/old"), file("new"));
        assert_eq!(
            edit.paths(),
            ["usr/bin/old", "usr/lib", "usr/lib/x", "usr/lib/x/new"]
        );
    }

    #[test]
    fn what_was_there_and_is_gone_gets_a_whiteout() {
        let mut edit = Edit::new(base(&["a/b/c", "a/d"]));
        edit.remove(&ImagePath::clean("a/b"));
        assert_eq!(edit.paths(), ["a/.wh.b"]);

        let mut edit = Edit::new(base(&["a/b/c"]));
        edit.remove(&ImagePath::clean("a/b"));
        edit.put(&ImagePath::clean("a/b"), Node::directory(0o755));
        assert_eq!(edit.paths(), ["a/b", "a/b/.wh.c"]);

        let mut edit = Edit::new(base(&["a/b/c"]));
        edit.remove(&ImagePath::clean("a/b"));
        edit.put(&ImagePath::clean("a/b"), file("new"));
        assert_eq!(edit.paths(), ["a/b"]);

        let mut edit = Edit::new(base(&["a/b"]));
        edit.put(&ImagePath::clean("a/new"), file("new"));
        edit.remove(&ImagePath::clean("a/new"));
        assert_eq!(edit.paths(), [""; 0]);
    }

    /// What unpacking a layer over the tree that was there makes of it.
    fn replayed(before: &FileTable, members: &[Member]) -> FileTable {
        let entries: Vec<TarEntry> = members.iter().map(|member| member.entry.clone()).collect();
        let mut tree = before.clone();
        tree.apply_layer(&refit_oci::Digest::sha256(b""), &entries)
            .unwrap();
        tree
    }

    fn shapes(tree: &FileTable) -> Vec<(String, u32)> {
        let nodes = tree.below(&ImagePath::root());
        nodes
            .map(|(path, node)| (path.to_string(), node.mode))
            .collect()
    }

    proptest! {
        #[test]
        fn a_layer_over_the_old_tree_gives_the_new_one(
            old in prop::collection::vec(("[abc](/[abc]){0,2}", any::<bool>()), 0..8),
            new in prop::collection::vec(("[abc](/[abc]){0,2}", 0..3_u8), 0..10),
        ) {
            let change = |edit: &mut Edit, path: &str, node: Option<Node>| {
                let path = ImagePath::clean(path);
                if edit.make_folders(&path.parent().unwrap(), ROOTS).is_err() {
                    return;
                }
                let is_folder = node.as_ref().is_some_and(|node| node.kind == NodeKind::Directory);
                if !(is_folder && edit.tree().is_directory(&path)) {
                    edit.remove(&path);
                }
                if let Some(node) = node {
                    edit.put(&path, node);
                }
            };
            let mut edit = Edit::new(FileTable::default());
            for (path, is_folder) in &old {
                change(&mut edit, path, Some(if *is_folder { Node::directory(0o700) } else { file("old") }));
            }
            let before = edit.finish().unwrap().0;
            let mut edit = Edit::new(before.clone());
            for (path, kind) in &new {
                let node = [None, Some(file("new")), Some(Node::directory(0o711))][usize::from(*kind)].clone();
                change(&mut edit, path, node);
            }
            let (after, members) = edit.finish().unwrap();
            prop_assert_eq!(shapes(&replayed(&before, &members)), shapes(&after));
        }
    }

    #[test]
    fn the_second_name_of_a_file_is_a_hard_link() {
        let mut edit = Edit::new(FileTable::default());
        let node = file("x");
        edit.put(&ImagePath::clean("b"), node.clone());
        edit.put(&ImagePath::clean("a"), node);
        let (_, members) = edit.finish().unwrap();
        assert_eq!(members[0].entry.kind, TarKind::File { size: 1 });
        assert_eq!(
            members[1].entry.kind,
            TarKind::HardLink {
                target: "a".to_owned()
            }
        );
        assert!(members[1].data.is_none());
    }

    #[test]
    fn a_file_is_no_folder_and_a_whiteout_no_file() {
        let mut edit = Edit::new(base(&["a"]));
        for path in ["a", "a/b"] {
            let made = edit.make_folders(&ImagePath::clean(path), ROOTS);
            assert_eq!(made, Err(TreeError::NotADirectory("/a".to_owned())));
        }
        edit.put(&ImagePath::clean(".wh.x"), file("new"));
        assert!(edit.finish().is_err());
    }
}
