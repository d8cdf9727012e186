//! The contents of a folder, copied into another one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{CopyError, CopyRules, put_file, refuse_file};
use crate::native::{
    edit::Edit,
    file_table::FileTable,
    image_path::ImagePath,
    node::{FileData, Node, NodeKind},
};

/// Copies everything in a folder into a folder.
pub(super) fn copy_below(
    edit: &mut Edit,
    from: &FileTable,
    (source, target): (&ImagePath, &ImagePath),
    rules: &CopyRules,
) -> Result<(), CopyError> {
    let mut links: BTreeMap<*const FileData, Arc<FileData>> = BTreeMap::new();
    let mut folders = Folders {
        from,
        source,
        target,
        rules,
        done: BTreeSet::new(),
    };
    for (path, node) in from.below(source) {
        let relative = path.below(source).unwrap_or_default();
        if !rules.takes(relative) {
            continue;
        }
        folders.above(edit, path)?;
        let target = target.join(relative);
        let mut node = rules.changed(node);
        match &node.kind {
            NodeKind::Directory => {
                refuse_file(edit, &target)?;
                // Other than that of the topmost folder, the metadata of what was there is overwritten.
                edit.put(&target, node);
                folders.done.insert(path.clone());
            }
            // Names of one file stay names of one file, and become another file than the source.
            NodeKind::File(data) => {
                let copy = links.entry(Arc::as_ptr(data));
                let copy = copy.or_insert_with(|| Arc::new(FileData::clone(data)));
                node.kind = NodeKind::File(Arc::clone(copy));
                put_file(edit, &target, node)?;
            }
            _ => put_file(edit, &target, node)?,
        }
    }
    Ok(())
}

/// The folders that `--parents` and `--exclude` leave out, and that come for the sake of what is in them.
struct Folders<'a> {
    from: &'a FileTable,
    source: &'a ImagePath,
    target: &'a ImagePath,
    rules: &'a CopyRules,
    /// Folders of the source that are in the target.
    done: BTreeSet<ImagePath>,
}

impl Folders<'_> {
    /// Makes all of them that are above a path of the source.
    fn above(&mut self, edit: &mut Edit, path: &ImagePath) -> Result<(), CopyError> {
        let mut missing = Vec::new();
        let mut folder = path.parent();
        while let Some(above) =
            folder.filter(|above| above != self.source && !self.done.contains(above))
        {
            folder = above.parent();
            missing.push(above);
        }
        for above in missing.into_iter().rev() {
            let node = self
                .from
                .get(&above)
                .expect("a path's parents are in its tree");
            let target = self
                .target
                .join(above.below(self.source).unwrap_or_default());
            refuse_file(edit, &target)?;
            let node = match edit.tree().get(&target) {
                // fsutil changes the mode of such a folder and nothing else.
                Some(there) => Node {
                    mode: node.mode,
                    ..there.clone()
                },
                None => self.rules.changed(node),
            };
            edit.put(&target, node);
            self.done.insert(above);
        }
        Ok(())
    }
}
