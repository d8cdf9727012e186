//! What can go wrong while reading objects, refs and files of a repository.

use std::path::PathBuf;

use refit_oci::ObjectId;

use crate::{ChildError, notes::Damage};

/// Why something could not be read from a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The object isn't in the object database: a shallow or partial clone, or a collected commit.
    #[error("{kind} `{id}` is not in this repository")]
    Missing {
        /// `commit`, `tree` or `blob`.
        kind: &'static str,
        /// The absent object.
        id: ObjectId,
    },
    /// The object is left to a remote (a partial clone), and could not be had from there.
    #[error("`{id}` is not in this partial clone")]
    Promised {
        /// The absent object.
        id: ObjectId,
        /// What fetching it said.
        source: ChildError,
    },
    /// An object exists but is of another kind.
    #[error("`{id}` is no {kind}")]
    WrongKind {
        /// The kind that was wanted.
        kind: &'static str,
        /// The object.
        id: ObjectId,
    },
    /// A path in a tree or an index isn't UTF-8.
    #[error("path `{0}` is not UTF-8")]
    NotUtf8(String),
    /// A path in a tree would leave its root or name git's own folder.
    #[error("tree holds the unsafe path `{0}`")]
    UnsafePath(String),
    /// A tree unfolds to more entries than any real repository has.
    #[error("tree `{id}` has more than {limit} entries")]
    TooLarge {
        /// The root of the listing.
        id: ObjectId,
        /// The bound.
        limit: usize,
    },
    /// The index holds an unmerged path.
    #[error("path `{0}` has merge conflicts")]
    Unmerged(String),
    /// A file of the working tree or the git directory.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A notes tree that is not whole.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// Anything else that the git library reports.
    #[error("cannot read {what}")]
    Read {
        /// What was being read.
        what: String,
        /// What the library said.
        source: Box<gix::Error>,
    },
}

impl GitError {
    /// An adapter for `map_err` that says what was being read.
    pub(crate) fn reading(what: impl Into<String>) -> impl FnOnce(gix::Error) -> Self {
        let what = what.into();
        move |source| Self::Read {
            what,
            source: Box::new(source),
        }
    }
}
