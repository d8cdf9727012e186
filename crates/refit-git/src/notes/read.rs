//! Reading notes: all of a ref, or one object's.

use std::collections::BTreeMap;

use gix::{bstr::ByteSlice, note::plumbing::State, objs::tree::EntryKind};
use refit_oci::ObjectId;

use super::{NotesError, lines};
use crate::{GitError, Repo, id, tree};

/// Annotated object → the blobs of its note: one, unless a writer broke git's rules.
pub(crate) type Listing = BTreeMap<ObjectId, Vec<gix::ObjectId>>;

impl Repo {
    /// Every note of a ref with its lines, by annotated object; none if the ref is absent.
    pub fn notes_all(&self, reference: &str) -> Result<Vec<(ObjectId, Vec<String>)>, NotesError> {
        let Some(commit) = self.commit_of_ref(reference)? else {
            return Ok(Vec::new());
        };
        let listing = self.reading(|repo| listing(repo, &commit))?;
        let blobs: Vec<ObjectId> = listing.values().flatten().map(id::ours).collect();
        self.fetch_promised(&blobs)?;
        let repo = self.handle();
        let mut notes = Vec::with_capacity(listing.len());
        for (annotated, blobs) in listing {
            let mut text = Vec::new();
            for blob in blobs {
                text.extend(text_lines(&tree::blob(&repo, &id::ours(blob))?));
            }
            notes.push((annotated, text));
        }
        Ok(notes)
    }

    /// The lines of one object's note; none if it has no note or the ref is absent.
    pub fn notes_of(
        &self,
        reference: &str,
        annotated: &ObjectId,
    ) -> Result<Vec<String>, NotesError> {
        let repo = self.handle();
        check_kind(&repo, annotated)?;
        let Some(commit) = self.commit_of_ref(reference)? else {
            return Ok(Vec::new());
        };
        let root = tree::tree_of(&repo, &commit)?;
        let what = || format!("the note of `{annotated}` in `{reference}`");
        let mut state = State::new(root, &*repo).map_err(GitError::reading(what()))?;
        let blob = state
            .get(&id::theirs(annotated), &*repo)
            .map_err(GitError::reading(what()))?;
        match blob {
            Some(blob) => Ok(text_lines(&self.blob(&id::ours(blob))?)),
            None => Ok(Vec::new()),
        }
    }

    /// Whether a notes ref doesn't exist, which is not the same as an empty one: nobody has written notes, or nobody fetched them.
    pub fn notes_absent(&self, reference: &str) -> Result<bool, NotesError> {
        Ok(self.commit_of_ref(reference)?.is_none())
    }
}

/// The notes of a notes commit, at whatever depth writers put them (git's `notes.c`, `load_subtree`).
pub(crate) fn listing(repo: &gix::Repository, commit: &ObjectId) -> Result<Listing, GitError> {
    let hex_len = repo.object_hash().len_in_hex();
    let mut listing = Listing::new();
    let mut pending = vec![(String::new(), tree::tree_of(repo, commit)?)];
    while let Some((prefix, id)) = pending.pop() {
        let found = tree::object(repo, id, "tree")?
            .try_into_tree()
            .map_err(|_| GitError::WrongKind {
                kind: "tree",
                id: id::ours(id),
            })?;
        for entry in found.iter() {
            let entry = entry.map_err(GitError::reading(format!("tree `{id}`")))?;
            let Ok(name) = entry.filename().to_str() else {
                continue;
            };
            if !name
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            {
                continue; // not a note: others may keep files beside them
            }
            let hex = format!("{prefix}{name}");
            match entry.mode().kind() {
                EntryKind::Tree if name.len() == 2 && hex.len() < hex_len => {
                    pending.push((hex, entry.object_id()));
                }
                EntryKind::Blob | EntryKind::BlobExecutable if hex.len() == hex_len => {
                    let annotated = hex.parse().expect("full-length lower-case hex");
                    listing
                        .entry(annotated)
                        .or_default()
                        .push(entry.object_id());
                }
                _ => {}
            }
        }
    }
    Ok(listing)
}

/// Whether an id is of the repository's hash; the library panics on others.
pub(crate) fn check_kind(repo: &gix::Repository, annotated: &ObjectId) -> Result<(), NotesError> {
    if annotated.as_str().len() == repo.object_hash().len_in_hex() {
        Ok(())
    } else {
        Err(NotesError::HashKind {
            id: annotated.clone(),
        })
    }
}

/// A line that isn't UTF-8 is no record; what matters is that writers keep it.
fn text_lines(note: &[u8]) -> Vec<String> {
    lines::of(note)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}
