//! What is where in an image: the tables of its layers laid over one another, without unpacking anything.

mod layers;
mod resolve;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ops::Bound};

pub use self::layers::{OPAQUE, WHITEOUT};
use super::{
    image_path::ImagePath,
    node::{Node, NodeKind},
};

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

    /// Lays another tree over this one. Other than of a layer's members, links are not followed.
    pub(crate) fn lay_over(&mut self, upper: &Self) {
        for (path, node) in &upper.nodes {
            if !(node.kind == NodeKind::Directory && self.is_directory(path)) {
                self.remove(path);
            }
            self.nodes.insert(path.clone(), node.clone());
        }
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
}
