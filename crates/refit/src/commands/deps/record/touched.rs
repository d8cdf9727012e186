//! Which images a commit touched: those whose source is another one than before.

use std::collections::BTreeMap;

use refit_deps::{config::CONFIG_PATH, image::Image, record::Record, source::Source};
use refit_git::notes::RECORDS;
use refit_oci::{ObjectId, Platform};

use crate::{
    error::CommandError,
    project::{Project, Snapshot},
    sources,
};

/// Images, with the sources of the targets that are to be recorded.
pub(crate) type Touched<'s> = Vec<(&'s Image, BTreeMap<Platform, Source>)>;

/// Every image that can be built.
pub(super) fn all<'s>(project: &Project, snapshot: &'s Snapshot) -> Touched<'s> {
    let images = snapshot.inventory.images.iter();
    images
        .map(|image| (image, sources::sources(project, snapshot, image)))
        .collect()
}

/// The images of which the commit's first parent has another source, or none. A commit that changes the configuration
/// also touches the images that have no record so far: so the one that brings refit in records them all.
pub(crate) fn touched<'s>(
    project: &Project,
    snapshot: &'s Snapshot,
    commit: &ObjectId,
) -> Result<Touched<'s>, CommandError> {
    let changed = project.repo.changed_paths(commit)?;
    let configured_anew = changed.iter().any(|path| path == CONFIG_PATH);
    // Cheap first: an image none of whose files changed is not looked at.
    let may_be = |image: &&Image| {
        let ignore = format!("{}.dockerignore", image.dockerfile);
        let inside = |path: &String| image.context.is_empty() || is_below(path, &image.context);
        configured_anew
            || changed
                .iter()
                .any(|path| *path == image.dockerfile || *path == ignore || inside(path))
    };
    let candidates: Vec<&Image> = snapshot.inventory.images.iter().filter(may_be).collect();
    let parent = project.repo.commit_parents(commit)?.into_iter().next();
    let before = match &parent {
        Some(parent) if !candidates.is_empty() => Some(project.at(parent)?),
        _ => None,
    };
    let mut touched = Vec::new();
    for image in candidates {
        let mut sources = sources::sources(project, snapshot, image);
        if let Some(before) = &before
            && let Some(old) = before.inventory.image(&image.name)
        {
            if configured_anew && !is_recorded(project, commit, image)? {
                touched.push((image, sources));
                continue;
            }
            let old = sources::sources(project, before, old);
            sources
                .retain(|platform, source| old.get(platform).is_none_or(|old| old.id != source.id));
        }
        if !sources.is_empty() {
            touched.push((image, sources));
        }
    }
    Ok(touched)
}

fn is_recorded(project: &Project, commit: &ObjectId, image: &Image) -> Result<bool, CommandError> {
    let Some((blob, _)) = project.repo.blob_at(commit, &image.dockerfile)? else {
        return Ok(false);
    };
    let lines = project.repo.notes_of(RECORDS, &blob)?;
    let mut records = lines.iter().filter_map(|line| Record::parse(line));
    Ok(records.any(|record| matches!(&record, Record::Deps(deps) if deps.image == image.name)))
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}
