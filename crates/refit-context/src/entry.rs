//! What a context holds.

use refit_oci::ObjectId;

/// A file of a context. Folders are implied: as in git, an empty one does not count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContextEntry {
    /// Slash-separated, relative to the context's root.
    pub path: String,
    /// What it is; all of its metadata that an image gets to see.
    pub kind: EntryKind,
    /// The blob (of a submodule, the commit); none if the location has no repository.
    pub id: Option<ObjectId>,
}

/// The kinds of entries that git keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A regular file, packed with mode 0644.
    File,
    /// A regular file that its owner may execute, packed with mode 0755.
    Executable,
    /// A symbolic link, packed as it is, wherever it points.
    Symlink,
    /// A commit of another repository: it counts, but cannot be packed.
    Submodule,
}

impl EntryKind {
    /// Git's spelling of the mode: `100644`, `100755`, `120000`, `160000`.
    pub fn git_mode(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Submodule => "160000",
        }
    }
}
