//! The objects of new notes: blobs, the tree that names them, the commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use gix::note::plumbing::State;
use refit_oci::ObjectId;

use super::{
    NotesError,
    damage::{self, Fault},
    lines::{self, Rule},
};
use crate::{GitError, Repo, id, tree};

/// From this many blobs on they go into one pack rather than a file each: an order of magnitude fewer system calls.
const PACK_FROM: usize = 500;

/// The notes tree of `tip` with lines added; `None` if all are there.
pub(super) fn tree<'a, L: Iterator<Item = &'a [u8]>>(
    git: &Repo,
    repo: &gix::Repository,
    tip: Option<gix::ObjectId>,
    rule: Rule,
    new: impl Iterator<Item = (&'a ObjectId, L)>,
) -> Result<Option<gix::ObjectId>, NotesError> {
    let root = match tip {
        Some(tip) => tree::tree_of(repo, &id::ours(tip))?,
        None => gix::ObjectId::empty_tree(repo.object_hash()),
    };
    let mut state = State::new(root, repo).map_err(GitError::reading("the notes tree"))?;
    let mut changed: BTreeMap<gix::ObjectId, Vec<u8>> = BTreeMap::new();
    for (annotated, new) in new {
        let (key, there) = there(git, repo, &mut state, annotated)?;
        let there = changed.get(&key).unwrap_or(&there);
        let new: Vec<&[u8]> = new.collect(); // lines that need not outlive what is there
        if let Some(note) = lines::add(rule, there, new.into_iter()) {
            changed.insert(key, note);
        }
    }
    if changed.is_empty() {
        return Ok(None);
    }
    let notes: Vec<&[u8]> = changed.values().map(Vec::as_slice).collect();
    let blobs = write_blobs(git, repo, &notes)?;
    let writing = || NotesError::writing("the notes tree");
    for (key, blob) in changed.keys().zip(blobs) {
        state.edit(*key, Some(blob), repo).map_err(writing())?;
    }
    Ok(Some(state.write(repo).map_err(writing())?))
}

/// The note of an object, and what it is on.
///
/// A note that cannot be read stays as it is, for whoever has it whole: what is new is then a note on the damaged note.
fn there(
    git: &Repo,
    repo: &gix::Repository,
    state: &mut State,
    annotated: &ObjectId,
) -> Result<(gix::ObjectId, Vec<u8>), NotesError> {
    let mut key = id::theirs(annotated);
    let mut seen = BTreeSet::new();
    loop {
        let there = state
            .get(&key, repo)
            .map_err(GitError::reading(format!("the note of `{key}`")))?;
        let Some(blob) = there else {
            return Ok((key, Vec::new()));
        };
        match git.blob(&id::ours(blob)) {
            Ok(text) if damage::is_whole(repo, blob, &text) => return Ok((key, text)),
            Ok(_) if !seen.insert(key) => return Ok((key, Vec::new())),
            Ok(_) => key = blob,
            Err(error) if !seen.insert(key) => return Err(error.into()),
            Err(error) => {
                Fault::of(error)?;
                key = blob;
            }
        }
    }
}

fn write_blobs(
    git: &Repo,
    repo: &gix::Repository,
    notes: &[&[u8]],
) -> Result<Vec<gix::ObjectId>, NotesError> {
    if notes.len() >= PACK_FROM {
        let mut stream = Vec::new();
        for note in notes {
            write!(stream, "blob\ndata {}\n", note.len()).expect("writing to memory works");
            stream.extend_from_slice(note);
            stream.push(b'\n');
        }
        let finished = git.run_git_with(&["fast-import", "--quiet"], Some(stream))?;
        if !finished.success() {
            return Err(finished.error().into());
        }
    }
    let blob = |note: &&[u8]| {
        if notes.len() >= PACK_FROM {
            gix::objs::compute_hash(repo.object_hash(), gix::objs::Kind::Blob, note)
        } else {
            repo.write_blob(note).map(gix::Id::detach)
        }
    };
    let blobs: Result<Vec<_>, _> = notes.iter().map(blob).collect();
    blobs.map_err(NotesError::writing("notes"))
}

/// A notes commit by whoever git knows here.
pub(super) fn commit(
    repo: &gix::Repository,
    message: &str,
    tree: gix::ObjectId,
    parents: impl IntoIterator<Item = gix::ObjectId>,
) -> Result<gix::ObjectId, NotesError> {
    let writing = || NotesError::writing("a notes commit");
    let committer = repo
        .committer()
        .expect("a fallback was set")
        .map_err(writing())?;
    let author = match repo.author() {
        Some(author) => author.map_err(writing())?,
        None => committer,
    };
    let message = format!("{}\n", message.trim_end());
    let commit = repo
        .new_commit_as(committer, author, message, tree, parents)
        .map_err(writing())?;
    Ok(commit.id)
}
