//! The bytes a checkout of a commit would write, by the attributes of that commit.

use std::{
    io::Read,
    sync::{Mutex, PoisonError},
};

use gix::{
    attrs::search::Outcome,
    bstr::BStr,
    filter::plumbing::{
        driver::apply::Delay,
        pipeline::convert::{to_worktree, to_worktree::UnknownEncoding},
    },
    worktree::{Stack, stack::state::attributes::Source},
};
use refit_oci::ObjectId;

use super::{FilterError, asked, no_attributes};
use crate::{GitError, Repo, tree};

/// What the first line of a file says whose content is elsewhere (git-lfs specification, "The pointer").
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// Commits whose attributes are kept at hand.
const KEPT: usize = 8;

/// Filters with the attributes of recently used trees.
#[derive(Default)]
pub(crate) struct Checkouts(Mutex<Vec<Checkout>>);

struct Checkout {
    tree: gix::ObjectId,
    filters: gix::filter::plumbing::Pipeline,
    attributes: Stack,
}

impl Repo {
    /// The bytes that a checkout of `commit` writes for the blob `id` at `path`: line ends, encodings and smudge filters
    /// applied by the attributes of that commit, whatever the working tree holds now.
    pub fn checkout_bytes(
        &self,
        commit: &ObjectId,
        path: &str,
        id: &ObjectId,
    ) -> Result<Vec<u8>, FilterError> {
        let repo = self.handle();
        let tree = tree::tree_of(&repo, commit)?;
        let stored = self.blob(id)?;
        let kept = self.checkouts.take(tree);
        let mut checkout = kept.map_or_else(|| self.fresh_checkout(&repo, commit, tree), Ok)?;
        let asked = asked(&repo, &mut checkout.attributes, path)?;
        let bytes = if asked.ident || asked.encoding {
            let attributes = format!("--attr-source={commit}");
            let path_flag = format!("--path={path}");
            self.converted_by_git(
                path,
                &[
                    &attributes,
                    "cat-file",
                    "--filters",
                    &path_flag,
                    id.as_str(),
                ],
            )?
        } else {
            checkout.convert(&repo, path, stored)?
        };
        // Only after success: a filter process that failed isn't asked again.
        self.checkouts.put(checkout);
        if asked.lfs && bytes.starts_with(LFS_POINTER) {
            return Err(FilterError::Lfs {
                path: path.to_owned(),
            });
        }
        Ok(bytes)
    }

    fn fresh_checkout(
        &self,
        repo: &gix::Repository,
        commit: &ObjectId,
        tree: gix::ObjectId,
    ) -> Result<Checkout, GitError> {
        if self.promisor().is_some() {
            // The library takes an attributes file that a partial clone lacks for an empty one.
            let entries = self.tree(commit)?;
            let files = entries
                .iter()
                .filter(|entry| entry.path.ends_with(".gitattributes"));
            self.fetch_promised(files.map(|entry| &entry.id))?;
        }
        Checkout::new(repo, tree)
            .map_err(GitError::reading(format!("the attributes of `{commit}`")))
    }
}

impl Checkouts {
    /// Takes a checkout out, so that no two threads drive one filter process.
    fn take(&self, tree: gix::ObjectId) -> Option<Checkout> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().rposition(|checkout| checkout.tree == tree)?;
        Some(kept.remove(at))
    }

    fn put(&self, checkout: Checkout) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(checkout);
    }
}

impl Checkout {
    fn new(repo: &gix::Repository, tree: gix::ObjectId) -> Result<Self, gix::Error> {
        let index = repo.index_from_tree(&tree)?;
        let attributes = repo.attributes_only(&index, Source::IdMapping)?;
        let (filters, attributes) =
            gix::filter::Pipeline::new(repo, attributes.detach())?.into_parts();
        Ok(Self {
            tree,
            filters,
            attributes,
        })
    }

    fn convert(
        &mut self,
        repo: &gix::Repository,
        path: &str,
        stored: Vec<u8>,
    ) -> Result<Vec<u8>, FilterError> {
        let name = BStr::new(path);
        let attributes = self
            .attributes
            .at_entry(name, None, &repo.objects)
            .map_err(no_attributes(path))?;
        let options = to_worktree::Options {
            can_delay: Delay::Forbid,
            unknown_encoding: UnknownEncoding::Ignore,
        };
        let mut match_attributes = |_: &BStr, found: &mut Outcome| {
            attributes.matching_attributes(found);
        };
        let mut filtered = self
            .filters
            .convert_to_worktree(&stored, name, &mut match_attributes, options)
            .map_err(|source| FilterError::Filter {
                path: path.to_owned(),
                source: Box::new(source),
            })?;
        if !filtered.is_changed() {
            return Ok(stored);
        }
        let mut bytes = Vec::with_capacity(stored.len());
        filtered
            .read_to_end(&mut bytes)
            .map_err(|source| FilterError::Output {
                path: path.to_owned(),
                source,
            })?;
        Ok(bytes)
    }
}
