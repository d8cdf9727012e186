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
    worktree::{Stack, stack::state::attributes::Source},
};
use refit_oci::ObjectId;

use crate::{ChildError, GitError, Repo, id, tree};

/// What the first line of a file says whose content is elsewhere (git-lfs specification, "The pointer").
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// The attributes we look at ourselves.
const ATTRIBUTES: [&str; 3] = ["filter", "ident", "working-tree-encoding"];
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
    /// A conversion that is left to git failed.
    #[error("git cannot convert `{path}`")]
    Git {
        /// The file.
        path: String,
        /// What git said.
        source: ChildError,
    },
    /// The file or its attributes can't be read.
    #[error(transparent)]
    Read(#[from] GitError),
}

/// Filters with the attributes of recently used trees.
#[derive(Default)]
pub(crate) struct Checkouts(Mutex<Vec<Checkout>>);

struct Checkout {
    tree: gix::ObjectId,
    filters: gix::filter::plumbing::Pipeline,
    attributes: Stack,
}

/// What the attributes of a path ask for beyond what the library does well.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    lfs: bool,
    /// `ident`, which the library expands without git's space.
    ident: bool,
    /// `working-tree-encoding`, where it writes UTF-8 instead of UTF-16.
    encoding: bool,
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

    /// The id that the file or symlink at `path` would have in git as `repo_path`; nothing is written.
    pub fn hash_object(&self, path: &Path, repo_path: &str) -> Result<ObjectId, FilterError> {
        let ids = self.hash_objects([(path, repo_path)])?;
        Ok(ids.into_iter().next().expect("one id for one file"))
    }

    /// As [`Repo::hash_object`] for many files, reading the attributes once; faster if they come sorted.
    pub fn hash_objects<'a>(
        &self,
        files: impl IntoIterator<Item = (&'a Path, &'a str)>,
    ) -> Result<Vec<ObjectId>, FilterError> {
        let repo = self.handle();
        let index = repo
            .index_or_empty()
            .map_err(GitError::reading("the index"))?;
        let source = match self.work_dir() {
            Some(_) => Source::WorktreeThenIdMapping,
            None => Source::IdMapping,
        };
        let stack = || {
            repo.attributes_only(&index, source)
                .map(gix::AttributeStack::detach)
        };
        let mut attributes = stack().map_err(GitError::reading("git's attributes"))?;
        let mut filters = stack()
            .and_then(|stack| gix::filter::Pipeline::new(&repo, stack))
            .map_err(GitError::reading("git's filters"))?;
        let mut ids = Vec::new();
        for (path, repo_path) in files {
            let io = |source| GitError::Io {
                path: path.to_owned(),
                source,
            };
            let bytes = if fs::symlink_metadata(path).map_err(io)?.is_symlink() {
                let target = fs::read_link(path).map_err(io)?;
                target.into_os_string().into_encoded_bytes()
            } else if asked(&repo, &mut attributes, repo_path)?.encoding {
                ids.push(self.hashed_by_git(path, repo_path)?);
                continue;
            } else {
                let file = fs::File::open(path).map_err(io)?;
                let mut clean = filters
                    .convert_to_git(file, Path::new(repo_path), &index)
                    .map_err(|source| FilterError::Filter {
                        path: repo_path.to_owned(),
                        source: Box::new(source),
                    })?;
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
            ids.push(id::ours(id));
        }
        Ok(ids)
    }

    fn hashed_by_git(&self, path: &Path, repo_path: &str) -> Result<ObjectId, FilterError> {
        let not_utf8 = || GitError::NotUtf8(path.display().to_string());
        let absolute = std::path::absolute(path).map_err(|source| GitError::Io {
            path: path.to_owned(),
            source,
        })?;
        let file = absolute.to_str().ok_or_else(not_utf8)?;
        let path_flag = format!("--path={repo_path}");
        let printed = self.converted_by_git(repo_path, &["hash-object", &path_flag, "--", file])?;
        let printed = String::from_utf8_lossy(&printed);
        Ok(printed
            .trim()
            .parse()
            .expect("`git hash-object` prints an object id"))
    }

    fn converted_by_git(&self, path: &str, args: &[&str]) -> Result<Vec<u8>, FilterError> {
        let failed = |source| FilterError::Git {
            path: path.to_owned(),
            source,
        };
        let finished = self.run_git(args).map_err(failed)?;
        if finished.success() {
            Ok(finished.into_bytes())
        } else {
            Err(failed(finished.error()))
        }
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

fn asked(repo: &gix::Repository, attributes: &mut Stack, path: &str) -> Result<Asked, FilterError> {
    let mut found = attributes.selected_attribute_matches(ATTRIBUTES);
    let at = attributes
        .at_entry(BStr::new(path), None, &repo.objects)
        .map_err(no_attributes(path))?;
    at.matching_attributes(&mut found);
    let mut asked = Asked::default();
    for attribute in found.iter_selected() {
        let state = attribute.assignment.state;
        match attribute.assignment.name.as_str() {
            "filter" => {
                asked.lfs = matches!(state, StateRef::Value(name) if name.as_bstr() == "lfs")
            }
            "ident" => asked.ident = state.is_set(),
            _ => asked.encoding = matches!(state, StateRef::Value(_)),
        }
    }
    Ok(asked)
}

fn no_attributes(path: &str) -> impl FnOnce(std::io::Error) -> GitError {
    let path = path.into();
    move |source| GitError::Io { path, source }
}
