//! Where paths lead when links are followed.

use super::{FileTable, TreeError};
use crate::native::{image_path::ImagePath, node::NodeKind};

/// How many links a path may lead through, as in BuildKit's `RootPath`.
const MAX_LINKS: usize = 255;

impl FileTable {
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
}
