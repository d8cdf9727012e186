//! Where a context is: a folder of a commit, or a folder on disk.

use std::path::{Path, PathBuf};

use refit_git::{Entry, FilterError, GitError, Repo};
use refit_oci::ObjectId;

use crate::TarError;

/// A context's root. What lies outside of it cannot be copied.
#[derive(Clone, Copy)]
pub enum Location<'a> {
    /// A folder of a commit: no checkout is needed, and none is read.
    Commit {
        /// Holds the commit.
        repo: &'a Repo,
        /// Names the tree.
        commit: &'a ObjectId,
        /// Relative to the repository's root; `""` and `"."` are the root.
        folder: &'a str,
    },
    /// The same of a commit that is listed already: however many folders are asked for, its trees are not read again.
    Listed {
        /// Holds the commit.
        repo: &'a Repo,
        /// Names the tree.
        commit: &'a ObjectId,
        /// What [`Repo::tree`] says of the commit.
        entries: &'a [Entry],
        /// Relative to the repository's root; `""` and `"."` are the root.
        folder: &'a str,
    },
    /// A folder of the index: what the next commit would hold. It is listed, and never packed.
    Index {
        /// Holds the blobs.
        repo: &'a Repo,
        /// What [`Repo::staged`] says.
        entries: &'a [Entry],
        /// Relative to the repository's root; `""` and `"."` are the root.
        folder: &'a str,
    },
    /// A folder on disk, as it is now.
    Dir {
        /// The folder.
        dir: &'a Path,
        /// The repository whose checkout it lies in: entries get their object ids from it.
        repo: Option<&'a Repo>,
    },
}

/// Why a context could not be listed or packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// The repository could not be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file's bytes, as a checkout has them, could not be had.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A file or folder on disk.
    #[error("could not {action} `{}`", path.display())]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither a manifest nor a Dockerfile can name it.
    #[error("`{}` is no UTF-8 name; rename the file, or leave it out in the ignore file", .0.display())]
    NotUtf8(PathBuf),
    /// A pipe or a device.
    #[error("`{}` is no file, folder or link; leave it out in the ignore file", .0.display())]
    Special(PathBuf),
    /// The files of a submodule are in another repository.
    #[error(
        "`{0}` is a submodule, whose files are in another repository; leave it out in the ignore file"
    )]
    Submodule(String),
    /// An entry of a folder on disk cannot be packed from a commit.
    #[error("`{0}` was listed without its object id")]
    NoId(String),
    /// What a build reads is a commit or a folder.
    #[error("`{0}` is in the index only: commit it before it is packed")]
    NotCommitted(String),
    /// The file's size is not what it was when it was opened.
    #[error("`{0}` changed while it was packed")]
    Changed(String),
    /// The folder is absent at that commit.
    #[error("there is no folder `{folder}` {}", commit.as_ref().map_or_else(|| "in the index".to_owned(), |commit| format!("at commit `{}`", commit.short())))]
    NoFolder {
        /// As given.
        folder: String,
        /// As given; none for the index.
        commit: Option<ObjectId>,
    },
    /// The tar could not be written.
    #[error(transparent)]
    Tar(#[from] TarError),
}

impl ContextError {
    /// For `map_err`: keeps the path beside the system's error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
