//! Revisions that verbs are given: the commit, or an error with the nearest names.

use refit_deps::problem::nearest;
use refit_git::Head;
use refit_oci::ObjectId;

use crate::{error::CommandError, project::Project};

/// The commit that a revision names.
pub(super) fn commit(project: &Project, rev: &str) -> Result<ObjectId, CommandError> {
    let error = match project.repo.resolve(rev) {
        Ok(commit) => return Ok(commit),
        Err(error) => CommandError::from(error),
    };
    if let Head::Unborn { .. } = project.repo.head()? {
        return Err(error.hint("there is no commit yet: run `git commit` first"));
    }
    let known = project.repo.branches()?.into_iter();
    let known: Vec<String> = known
        .chain(project.repo.tags()?)
        .map(|(name, _)| name)
        .collect();
    Err(match nearest(rev, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    })
}
