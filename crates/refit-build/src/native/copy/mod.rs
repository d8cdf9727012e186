//! COPY's rules for one source: where it lands, and what becomes of modes, owners and what was there.
//!
//! They are those of BuildKit's copier (tonistiigi/fsutil, `copy/copy.go`), told over trees instead of mounts.

mod folder;
mod rules;
mod sources;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    rules::{CopyRules, Destination},
    sources::matches,
};
use std::sync::Arc;

use super::{
    edit::Edit,
    file_table::{FileTable, TreeError},
    image_path::ImagePath,
    node::{FileData, Node, NodeKind},
};

/// Why something cannot be copied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("`{path}` is not in {place}")]
    NotFound { path: String, place: String },
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("the folder `{0}` cannot be replaced by a file")]
    FileOverFolder(String),
}

/// Copies one source, without wildcards, of the tree `from`; `place` says in messages what that tree is.
pub(crate) fn copy(
    edit: &mut Edit,
    from: &FileTable,
    (source, place): (&ImagePath, &str),
    destination: &Destination,
    rules: &CopyRules,
) -> Result<(), CopyError> {
    let new = rules.new_folders();
    let followed = from.resolve(source.as_str())?;
    if !from.contains(&followed) {
        return Err(not_found(source, place));
    }
    let folder = if destination.is_folder {
        Some(destination.path.clone())
    } else {
        destination.path.parent()
    };
    if let Some(folder) = folder {
        let folder = edit.tree().resolve(folder.as_str())?;
        edit.make_folders(&folder, new)?;
    }
    let target = edit.tree().resolve(destination.path.as_str())?;
    let Some(node) = from
        .get(&followed)
        .filter(|node| node.kind != NodeKind::Directory)
    else {
        edit.make_folders(&target, new)?;
        return folder::copy_below(edit, from, (&followed, &target), rules);
    };
    let target = if edit.tree().is_directory(&target) {
        target.join(source.name())
    } else {
        target
    };
    edit.make_folders(&target.parent().unwrap_or_default(), new)?;
    let mut node = rules.changed(node);
    if let NodeKind::File(data) = &node.kind {
        // Another file than the source, whatever names that has.
        node.kind = NodeKind::File(Arc::new(FileData::clone(data)));
    }
    put_file(edit, &target, node)
}

fn refuse_file(edit: &Edit, folder: &ImagePath) -> Result<(), CopyError> {
    if edit.tree().contains(folder) && !edit.tree().is_directory(folder) {
        return Err(TreeError::NotADirectory(folder.to_string()).into());
    }
    Ok(())
}

fn put_file(edit: &mut Edit, target: &ImagePath, node: Node) -> Result<(), CopyError> {
    if edit.tree().is_directory(target) {
        return Err(CopyError::FileOverFolder(target.to_string()));
    }
    edit.put(target, node);
    Ok(())
}

fn not_found(path: &ImagePath, place: &str) -> CopyError {
    CopyError::NotFound {
        path: path.to_string(),
        place: place.to_owned(),
    }
}
