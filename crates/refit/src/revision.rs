//! Revisions and ranges that verbs are given: the commits, or an error with the nearest names.

use refit_deps::problem::nearest;
use refit_git::Head;
use refit_oci::ObjectId;

use crate::{
    error::CommandError,
    project::{Project, Snapshot},
};

/// The commit that a revision names.
pub(crate) fn commit(project: &Project, rev: &str) -> Result<ObjectId, CommandError> {
    let error = match project.repo.resolve(rev) {
        Ok(commit) => return Ok(commit),
        Err(error) => CommandError::from(error),
    };
    if let Head::Unborn { .. } = project.repo.head()? {
        return Err(error.hint("there is no commit yet: run `git commit` first"));
    }
    if rev.parse::<ObjectId>().is_ok() {
        // What a service names as the commit before, a shallow clone may lack.
        let remote = project.repo.default_remote();
        let remote = remote.as_deref().unwrap_or("origin");
        return Err(error.hint(format!("run `git fetch --depth=1 {remote} {rev}`")));
    }
    if let Some((name, n)) = of_log(rev) {
        return Err(match project.repo.n_log_entries(name)? {
            Some(entries) if entries <= n => error.hint(log_is_short(name, entries)),
            _ => error,
        });
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

/// `NAME@{N}`.
fn of_log(rev: &str) -> Option<(&str, usize)> {
    let (name, n) = rev.split_once("@{")?;
    Some((name, n.strip_suffix('}')?.parse().ok()?))
}

fn log_is_short(name: &str, entries: usize) -> String {
    let of = if name.is_empty() { "HEAD" } else { name };
    match entries.checked_sub(1) {
        None => format!("git keeps no log of `{of}` here: name a commit, as in `{of}~1`"),
        Some(oldest) => format!(
            "git's log of `{of}` in this clone goes back to `{name}@{{{oldest}}}`: name a commit, as in `{of}~1`"
        ),
    }
}

/// The images before and after a range: `A..B`, `A...B` since the common ancestor, or `A` up to the working tree. A
/// side that is left out is HEAD. The id of zeros, which services give for the commit before a branch's first, is
/// before all.
pub(crate) fn range(project: &Project, range: &str) -> Result<(Snapshot, Snapshot), CommandError> {
    let named = |rev: &str| commit(project, if rev.is_empty() { "HEAD" } else { rev });
    let at = |rev: &str| {
        if is_before_all(rev) {
            return project.before_all();
        }
        project.at(&named(rev)?)
    };
    if let Some((a, b)) = range.split_once("...") {
        let (a, b) = (named(a)?, named(b)?);
        let base = project.repo.merge_base(&a, &b)?.ok_or_else(|| {
            CommandError::new(format!(
                "`{range}`: the two have no ancestor in common here"
            ))
            .hint("in a shallow clone, run `git fetch --unshallow`")
        })?;
        let after = project.at(&b)?;
        return Ok((before(project, &base, &after, &b)?, after));
    }
    match range.split_once("..") {
        Some((a, b)) if !is_before_all(a) && !is_before_all(b) => {
            let (a, b) = (named(a)?, named(b)?);
            let after = project.at(&b)?;
            Ok((before(project, &a, &after, &b)?, after))
        }
        Some((a, b)) => Ok((at(a)?, at(b)?)),
        None => Ok((at(range)?, project.working()?)),
    }
}

fn is_before_all(rev: &str) -> bool {
    rev.len() >= 40 && rev.bytes().all(|b| b == b'0')
}

/// A commit's images, by what differs from those of another one.
fn before(
    project: &Project,
    commit: &ObjectId,
    after: &Snapshot,
    of: &ObjectId,
) -> Result<Snapshot, CommandError> {
    let paths = project.repo.paths_between(Some(commit), of)?;
    project.at_beside(commit, &project.current_line()?, after, &paths)
}
