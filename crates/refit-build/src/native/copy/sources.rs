//! What a source with wildcards stands for.

use refit_context::glob::{Glob, has_wildcard};

use super::{CopyError, not_found};
use crate::native::{file_table::FileTable, image_path::ImagePath};

/// The paths that a source stands for, links in its folders followed: one, or what its wildcards match.
pub(crate) fn matches(
    from: &FileTable,
    source: &str,
    place: &str,
) -> Result<Vec<ImagePath>, CopyError> {
    let path = ImagePath::clean(source);
    let components: Vec<&str> = path.components().collect();
    let Some(first) = components.iter().position(|name| has_wildcard(name)) else {
        return Ok(vec![path]);
    };
    let folder = from.resolve(&components[..first].join("/"))?;
    if !from.contains(&folder) {
        return Err(not_found(&folder, place));
    }
    // BuildKit drops Go's `ErrBadPattern`: a malformed pattern matches nothing.
    let Ok(pattern) = Glob::parse(&components[first..].join("/")) else {
        return Ok(Vec::new());
    };
    let mut matched: Vec<ImagePath> = Vec::new();
    for (path, _) in from.below(&folder) {
        let relative = path.below(&folder).unwrap_or_default();
        // What lies in a folder that matched comes with it.
        let comes_along = matched
            .last()
            .is_some_and(|last| path.below(last).is_some());
        if !comes_along && pattern.matches(relative) {
            matched.push(path.clone());
        }
    }
    Ok(matched)
}
