//! Which images a commit touched: those whose source is another one than before.

use std::{collections::BTreeMap, sync::Arc};

use refit_deps::{config::CONFIG_PATH, image::Image, record::Record, source::Source};
use refit_git::notes::RECORDS;
use refit_oci::{ObjectId, Platform};

use crate::{
    changed,
    error::CommandError,
    project::{Project, Snapshot},
    sources,
};

/// Images, with the sources of the targets that are to be recorded.
pub(crate) type Touched<'s> = Vec<(&'s Image, BTreeMap<Platform, Arc<Source>>)>;

/// Every image that can be built.
pub(super) fn all<'s>(project: &Project, snapshot: &'s Snapshot) -> Touched<'s> {
    let images: Vec<&Image> = snapshot.inventory.images.iter().collect();
    let sources = sources::of_all(project, snapshot, &images);
    images.into_iter().zip(sources).collect()
}

/// The images of which the commit's first parent has another source, or none. A commit that changes the configuration
/// also touches the images that have no record so far: so the one that brings refit in records them all.
pub(crate) fn touched<'s>(
    project: &Project,
    snapshot: &'s Snapshot,
    commit: &ObjectId,
) -> Result<Touched<'s>, CommandError> {
    let paths = project.repo.changed_paths(commit)?;
    let configured_anew = paths.iter().any(|path| path == CONFIG_PATH);
    let images = &snapshot.inventory.images;
    let is_touched = |image: &Image| changed::is_touched(project, snapshot, image, &paths);
    // Cheap first: without such an image, the commit before need not be read.
    if !configured_anew && !images.iter().any(is_touched) {
        return Ok(Vec::new());
    }
    let parent = project.repo.commit_parents(commit)?.into_iter().next();
    let before = match &parent {
        Some(parent) => project.at_beside(parent, &project.current_line()?, snapshot, &paths)?,
        None => project.before_all()?,
    };
    let changes = changed::changes(project, &before, snapshot, &paths).into_iter();
    let mut changes: BTreeMap<&str, BTreeMap<Platform, Arc<Source>>> = changes
        .map(|change| (change.image.name.as_str(), change.sources))
        .collect();
    let mut touched = Touched::new();
    for image in images {
        let differing = changes.remove(image.name.as_str()).unwrap_or_default();
        let sources = if configured_anew && !is_recorded(project, commit, image)? {
            sources::sources(project, snapshot, image)
        } else {
            differing
        };
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
