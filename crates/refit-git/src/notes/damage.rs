//! What can be wrong with single notes: each is named by its object, and stops nothing else.

use std::fmt;

use refit_oci::ObjectId;

use crate::GitError;

/// Something wrong with a note, or with a part of the tree of notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// What the note is on; none for a tree.
    pub annotated: Option<ObjectId>,
    /// The note, or the tree.
    pub object: ObjectId,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read: it is not there, or the object database is damaged.
    Unreadable(String),
    /// It is no blob, or no tree.
    WrongKind,
    /// Its bytes are not those that its id is the hash of.
    OtherBytes,
    /// A line, counted from 1, is not UTF-8.
    NotUtf8(usize),
    /// A line, counted from 1, is not behind the one before it.
    Unsorted(usize),
    /// A line, counted from 1, is there before.
    Repeated(usize),
    /// The object has more than one note.
    Split,
    /// What the note is on is not in this repository.
    Orphaned,
    /// An entry of a tree of notes that is no note.
    NoNote(String),
}

impl Fault {
    /// Whether something is lost. Otherwise everything is read, and the next writer puts it in order.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Unreadable(_) | Self::WrongKind | Self::OtherBytes | Self::NotUtf8(_) => true,
            Self::Unsorted(_)
            | Self::Repeated(_)
            | Self::Split
            | Self::Orphaned
            | Self::NoNote(_) => false,
        }
    }

    /// The word in JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::WrongKind => "wrong-kind",
            Self::OtherBytes => "other-bytes",
            Self::NotUtf8(_) => "not-utf8",
            Self::Unsorted(_) => "unsorted",
            Self::Repeated(_) => "repeated",
            Self::Split => "split",
            Self::Orphaned => "orphaned",
            Self::NoNote(_) => "no-note",
        }
    }

    /// What an object's reader said of the object itself. What is said of the way to it remains an error.
    pub(crate) fn of(error: GitError) -> Result<Self, GitError> {
        match error {
            GitError::Missing { .. } => Ok(Self::Unreadable("it is missing".to_owned())),
            GitError::WrongKind { .. } => Ok(Self::WrongKind),
            GitError::Read { source, .. } => Ok(Self::Unreadable(source.to_string())),
            other => Err(other),
        }
    }
}

/// Whether bytes are those that an id is the hash of: loose objects are read without looking.
pub(super) fn is_whole(kind: gix::hash::Kind, id: gix::ObjectId, text: &[u8]) -> bool {
    let hash = gix::objs::compute_hash(kind, gix::objs::Kind::Blob, text);
    hash.is_ok_and(|hash| hash == id)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Self::WrongKind => f.write_str("is an object of another kind"),
            Self::OtherBytes => f.write_str("does not hold what its id is the hash of"),
            Self::NotUtf8(line) => write!(f, "line {line} is not UTF-8"),
            Self::Unsorted(line) => write!(f, "line {line} is out of order"),
            Self::Repeated(line) => write!(f, "line {line} is there twice"),
            Self::Split => f.write_str("is one of several on the same object"),
            Self::Orphaned => f.write_str("is on an object that is not in this repository"),
            Self::NoNote(name) => write!(f, "holds `{name}`, which is no note"),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            annotated,
            object,
            fault,
        } = self;
        match annotated {
            Some(annotated) => write!(f, "note `{object}` on `{annotated}` {fault}"),
            None => write!(f, "the tree of notes `{object}` {fault}"),
        }
    }
}
