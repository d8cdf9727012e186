//! Git's filters: the bytes a checkout of a commit would write, and the id a file of the working tree would get.

use std::{
    fs,
    io::Read,
    path::Path,
    sync::{Mutex, PoisonError},
};

use gix::{
    attrs::{StateRef, search::Outcome},
    bstr::BStr,
    filter::plumbing::{
        driver::apply::Delay,
        pipeline::convert::{to_worktree, to_worktree::UnknownEncoding},
    },
    worktree::stack::state::attributes::Source,
};
use refit_oci::ObjectId;

use crate::{GitError, Repo, id, tree};

/// What the first line of a file says whose content is elsewhere (git-lfs specification, "The pointer").
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// Commits whose attributes are kept at hand.
const KEPT: usize = 8;

/// Why a file's bytes can't be had as a checkout would have them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The file is kept by git-lfs and came out as its pointer: no filter is set up, or it is told to skip.
    #[error(
        "`{path}` is kept by git-lfs and its content is not here; run `git lfs install` and `git lfs fetch`"
    )]
    Lfs {
        /// The file.
        path: String,
    },
    /// A filter that git is configured to run failed.
    #[error("git's filter for `{path}` failed")]
    Filter {
        /// The file.
        path: String,
        /// What it said.
        source: Box<gix::Error>,
    },
    /// A filter's output broke off.
    #[error("git's filter for `{path}` failed")]
    Output {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file or its attributes can't be read.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Filters with the attributes of recently used trees.
#[derive(Default)]
pub(crate) struct Checkouts(Mutex<Vec<Checkout>>);

struct Checkout {
    tree: gix::ObjectId,
    filters: gix::filter::plumbing::Pipeline,
    attributes: gix::worktree::Stack,
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
        let stored = tree::blob(&repo, id)?;
        let mut checkout = match self.checkouts.take(tree) {
            Some(checkout) => checkout,
            None => Checkout::new(&repo, tree)
                .map_err(GitError::reading(format!("the attributes of `{commit}`")))?,
        };
        let bytes = checkout.convert(&repo, path, stored)?;
        // Only after success: a filter process that failed isn't asked again.
        self.checkouts.put(checkout);
        Ok(bytes)
    }

    /// The id that the file or symlink at `path` would have in git as `repo_path`; nothing is written.
    pub fn hash_object(&self, path: &Path, repo_path: &str) -> Result<ObjectId, FilterError> {
        let repo = self.handle();
        let io = |source| GitError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = if fs::symlink_metadata(path).map_err(io)?.is_symlink() {
            let target = fs::read_link(path).map_err(io)?;
            target.into_os_string().into_encoded_bytes()
        } else {
            let file = fs::File::open(path).map_err(io)?;
            let failed = |source| FilterError::Filter {
                path: repo_path.to_owned(),
                source: Box::new(source),
            };
            let (mut filters, index) = repo
                .filter_pipeline(None)
                .map_err(GitError::reading("git's attributes"))?;
            let mut clean = filters
                .convert_to_git(file, Path::new(repo_path), &index)
                .map_err(failed)?;
            let mut bytes = Vec::new();
            clean
                .read_to_end(&mut bytes)
                .map_err(|source| FilterError::Output {
                    path: repo_path.to_owned(),
                    source,
                })?;
            bytes
        };
        let id = gix::objs::compute_hash(repo.object_hash(), gix::objs::Kind::Blob, &bytes)
            .map_err(GitError::reading(format!("`{}`", path.display())))?;
        Ok(id::ours(id))
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
        let attributes = self
            .attributes
            .at_entry(BStr::new(path), None, &repo.objects)
            .map_err(|source| GitError::Io {
                path: path.into(),
                source,
            })?;
        let mut kept_by_lfs = false;
        let options = to_worktree::Options {
            can_delay: Delay::Forbid,
            unknown_encoding: UnknownEncoding::Ignore, // as git does
        };
        let mut filtered = self
            .filters
            .convert_to_worktree(
                &stored,
                BStr::new(path),
                &mut |_, found| {
                    attributes.matching_attributes(found);
                    kept_by_lfs = is_lfs(found);
                },
                options,
            )
            .map_err(|source| FilterError::Filter {
                path: path.to_owned(),
                source: Box::new(source),
            })?;
        let bytes = if filtered.is_changed() {
            let mut bytes = Vec::with_capacity(stored.len());
            filtered
                .read_to_end(&mut bytes)
                .map_err(|source| FilterError::Output {
                    path: path.to_owned(),
                    source,
                })?;
            bytes
        } else {
            stored
        };
        if kept_by_lfs && bytes.starts_with(LFS_POINTER) {
            return Err(FilterError::Lfs {
                path: path.to_owned(),
            });
        }
        Ok(bytes)
    }
}

fn is_lfs(attributes: &Outcome) -> bool {
    attributes.iter_selected().any(|found| {
        found.assignment.name.as_str() == "filter"
            && matches!(found.assignment.state, StateRef::Value(name) if name.as_bstr() == "lfs")
    })
}
