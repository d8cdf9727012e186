//! Removes what was decided, one after the other: what is cut short is found again by the next.

use std::collections::BTreeMap;

use refit_deps::prune::{PLACEHOLDER, Pruned, Removal, Untag};
use refit_oci::{Document, Exact, Index, Repository, media_type};
use refit_registry::{Deleted, Registry, RegistryError};

use crate::error::chain;

/// What became of a repository.
#[derive(Default)]
pub(super) struct Done {
    pub(super) removed: Vec<(Removal, Result<(), String>)>,
    pub(super) untagged: Vec<(Untag, Result<By, String>)>,
    /// Why nothing more was tried.
    pub(super) stopped: Option<String>,
}

/// How a tag alone was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The registry removes tags.
    Name,
    /// Something that nobody needs was put in its place, and removed.
    Placeholder,
}

/// Removes what is in `planned` and in `now`: what was printed, and is still to go.
pub(super) async fn remove(
    registry: &dyn Registry,
    repository: &Repository,
    (planned, now): (&Pruned, Pruned),
) -> Done {
    let mut done = Done::default();
    let was_printed = |removal: &Removal| {
        let mut printed = planned.removals.iter();
        printed
            .any(|p| p.digest == removal.digest && removal.tags.iter().all(|t| p.tags.contains(t)))
    };
    for removal in now.removals.into_iter().filter(was_printed) {
        let deleted = registry.delete_document(repository, &removal.digest).await;
        match outcome(repository, deleted) {
            Ok(result) => done.removed.push((removal, result)),
            Err(why) => {
                done.stopped = Some(why);
                return done;
            }
        }
    }
    let was_printed = |untag: &Untag| planned.untags.contains(untag);
    for untag in now.untags.into_iter().filter(was_printed) {
        match remove_tag(registry, repository, &untag).await {
            Ok(result) => done.untagged.push((untag, result)),
            Err(why) => {
                done.stopped = Some(why);
                return done;
            }
        }
    }
    done
}

/// A failure of one, or why the others would fail as well.
fn outcome(
    repository: &Repository,
    deleted: Result<Deleted, RegistryError>,
) -> Result<Result<(), String>, String> {
    match deleted {
        Ok(Deleted::Deleted | Deleted::Missing) => Ok(Ok(())),
        Ok(Deleted::Unsupported) => {
            let host = repository.registry();
            Err(format!("`{host}` lets nothing be deleted"))
        }
        Err(
            error @ (RegistryError::Unauthorized { .. }
            | RegistryError::Denied { .. }
            | RegistryError::RateLimited { .. }
            | RegistryError::Unreachable { .. }
            | RegistryError::TimedOut { .. }
            | RegistryError::Credentials { .. }),
        ) => Err(chain(&error)),
        Err(error) => Ok(Err(chain(&error))),
    }
}

async fn remove_tag(
    registry: &dyn Registry,
    repository: &Repository,
    untag: &Untag,
) -> Result<Result<By, String>, String> {
    match registry.delete_tag(repository, &untag.tag).await {
        Ok(Deleted::Unsupported) => {}
        other => return Ok(outcome(repository, other)?.map(|()| By::Name)),
    }
    // A document goes with all its tags, and this one's stays: so the tag is moved to one that has no other.
    let placeholder = placeholder(&untag.tag);
    // Where nothing can be deleted, the tag stays what it is.
    let probe = registry
        .delete_document(repository, placeholder.digest())
        .await;
    if let Err(failed) = outcome(repository, probe)? {
        return Ok(Err(failed));
    }
    let pushed = registry
        .push_document(repository, &placeholder, Some(&untag.tag))
        .await;
    if let Err(error) = pushed {
        return Ok(Err(chain(&error)));
    }
    let deleted = registry
        .delete_document(repository, placeholder.digest())
        .await;
    Ok(outcome(repository, deleted)?.map(|()| By::Placeholder))
}

/// An index of nothing, for one tag: what is no manifest is no build's result.
fn placeholder(tag: &str) -> Document {
    let annotations = BTreeMap::from([(PLACEHOLDER.to_owned(), tag.to_owned())]);
    Document::Index(Exact::encode(
        media_type::OCI_INDEX,
        Index::new(Vec::new(), annotations),
    ))
}
