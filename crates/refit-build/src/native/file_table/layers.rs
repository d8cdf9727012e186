//! Layers laid over a tree.

use std::{borrow::Borrow, collections::BTreeSet, sync::Arc};

use refit_context::{TarEntry, TarKind, windows_files};
use refit_oci::Digest;

use super::{FileTable, TreeError};
use crate::native::{
    WINDOWS,
    image_path::ImagePath,
    node::{Content, Node, NodeKind},
};

/// OCI image specification, layer chapter: a member that removes `NAME`.
pub const WHITEOUT: &str = ".wh.";
/// A member that empties its folder.
pub const OPAQUE: &str = ".wh..wh..opq";

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

    /// Lays a layer over the tree, its members in order. By the specification its whiteouts concern only what is below.
    pub fn apply_layer(&mut self, diff_id: &Digest, entries: &[TarEntry]) -> Result<(), TreeError> {
        self.apply_members(diff_id, entries.iter().enumerate())
    }

    /// Lays a layer of an image for `os` over the tree.
    pub fn apply_layer_of(
        &mut self,
        os: &str,
        diff_id: &Digest,
        entries: &[TarEntry],
    ) -> Result<(), TreeError> {
        if os == WINDOWS {
            self.apply_members(diff_id, windows_files(entries))
        } else {
            self.apply_layer(diff_id, entries)
        }
    }

    fn apply_members(
        &mut self,
        diff_id: &Digest,
        members: impl Iterator<Item = (usize, impl Borrow<TarEntry>)>,
    ) -> Result<(), TreeError> {
        let layer = Arc::new(diff_id.clone());
        let mut own = BTreeSet::new();
        for (number, entry) in members {
            let entry = entry.borrow();
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
