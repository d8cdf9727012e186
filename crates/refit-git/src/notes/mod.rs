//! Git notes as lines: sentences for people on commits, records for the tool on blobs.

mod append;
mod cache;
mod compacted;
mod damage;
mod decide;
mod lease;
mod lines;
mod loaded;
mod lock;
mod push;
mod read;
mod remote;
mod sign;
mod table;
mod verify;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use refit_oci::ObjectId;

pub use append::{Appended, Step};
pub use compacted::compacted;
pub use damage::{Damage, Fault};
pub use lease::{LEASE, Lease, LeaseMove};
pub use loaded::Notes;
pub use push::Pushed;
pub use remote::{United, tracking_ref};
pub use sign::{Signature, Signatures};
pub use table::{Key, Keys};
pub use verify::Verified;

use crate::{ChildError, GitError};

/// The ref whose notes are sentences, on commits.
pub const SENTENCES: &str = "refs/notes/refit";
/// The ref whose notes are records, on blobs.
pub const RECORDS: &str = "refs/notes/refit-records";

/// What one writer adds: one commit per ref, however many notes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Annotated object → lines that its note shall hold; the note's lines stay sorted and unique.
    pub records: BTreeMap<ObjectId, BTreeSet<String>>,
    /// Commit → lines appended to its note, each unless it is there already.
    pub sentences: BTreeMap<ObjectId, Vec<String>>,
    /// The message of the notes' commits.
    pub message: String,
}

/// Why notes could not be read, written or exchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotesError {
    /// A line that would be two, or none.
    #[error("a line for the note of `{id}` is empty or holds a line break")]
    Line {
        /// The annotated object.
        id: ObjectId,
    },
    /// An object id of a repository with the other hash.
    #[error("`{id}` is no object id of this repository's kind")]
    HashKind {
        /// The object id.
        id: ObjectId,
    },
    /// Another process holds the notes for too long.
    #[error("`{}` is held by another process{}", path.display(), holder.map(|pid| format!(" ({pid})")).unwrap_or_default())]
    Locked {
        /// The lock.
        path: PathBuf,
        /// The process that wrote its id into it.
        holder: Option<u32>,
    },
    /// Others kept moving the ref.
    #[error("`{reference}` kept changing while it was written")]
    Contended {
        /// The ref.
        reference: String,
        /// The last refusal.
        source: Option<Box<gix::Error>>,
    },
    /// A file under the git directory.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An object or ref could not be written.
    #[error("cannot write {what}")]
    Write {
        /// What was being written.
        what: String,
        /// What the library said.
        source: Box<gix::Error>,
    },
    /// What could not be pushed is not taken back: another process has written on top of it.
    #[error("it stays recorded here, as another process went on from it")]
    Kept(#[source] Box<NotesError>),
    /// A part of the tree of notes is not here, or damaged: who writes to it without it loses all its notes.
    #[error(
        "tree `{tree}` cannot be read, and the note of `{annotated}` is in it; nothing is written{}",
        refetch.as_ref().map(|remote| format!("; `git fetch --refetch {remote} '+refs/notes/refit*:refs/refit/whole/*'` brings it where the remote has it")).unwrap_or_default()
    )]
    Subtree {
        /// The tree.
        tree: ObjectId,
        /// What a note was to be written on.
        annotated: ObjectId,
        /// A remote that may have it.
        refetch: Option<String>,
        /// What the library said.
        source: Box<gix::Error>,
    },
    /// `[notes] sign` is set, and git cannot sign.
    #[error("the notes are not written, as their commit cannot be signed")]
    Unsigned(#[source] ChildError),
    /// No remote of that name.
    #[error("there is no remote `{0}`")]
    UnknownRemote(String),
    /// `git fetch` or `git push` failed.
    #[error(transparent)]
    Git(#[from] ChildError),
    /// Notes or refs can't be read.
    #[error(transparent)]
    Read(#[from] GitError),
}

impl NotesError {
    pub(crate) fn writing(what: impl Into<String>) -> impl FnOnce(gix::Error) -> Self {
        let what = what.into();
        move |source| Self::Write {
            what,
            source: Box::new(source),
        }
    }
}
