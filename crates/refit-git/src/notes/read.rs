//! Reading notes: all of a ref, or one object's.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use gix::{bstr::ByteSlice, note::plumbing::State, objs::tree::EntryKind};
use refit_oci::ObjectId;

use super::{
    NotesError,
    cache::{self, Cached, Place},
    damage::{Damage, Fault},
    lines,
};
use crate::{GitError, Repo, id, tree};

/// Annotated object → the blobs of its note: one, unless a writer broke git's rules.
pub(crate) type Listing = BTreeMap<ObjectId, Vec<gix::ObjectId>>;

impl Repo {
    /// Every note of a ref with its lines, by annotated object; none if the ref is absent.
    pub fn notes_all(&self, reference: &str) -> Result<Vec<(ObjectId, Vec<String>)>, NotesError> {
        let notes = self.notes(reference)?;
        let mut all: Vec<(ObjectId, Vec<String>)> = Vec::new();
        for (annotated, lines) in notes.iter() {
            let lines = lines.map(str::to_owned);
            match all.last_mut() {
                Some((last, there)) if *last == annotated => there.extend(lines),
                _ => all.push((annotated, lines.collect())),
            }
        }
        Ok(all)
    }

    /// The same as they lie in memory. What is cached of them under the git directory is not read from git again.
    ///
    /// What cannot be read is left out and named by [`Notes::damaged`]: one damaged note stops nothing else.
    pub fn notes(&self, reference: &str) -> Result<Notes, NotesError> {
        let Some(commit) = self.commit_of_ref(reference)? else {
            return Ok(Notes::default());
        };
        let hash = self.handle().object_hash();
        let cached = Cached::read(self, reference, hash);
        let tree = self.reading(|repo| tree::tree_of(repo, &commit))?;
        if cached.tree == Some(tree) {
            return Ok(Notes {
                cached,
                damaged: Vec::new(),
            });
        }
        let mut damaged = Vec::new();
        let listing = self.reading(|repo| {
            damaged.clear();
            changed(repo, tree, &cached, &mut damaged)
        })?;
        let texts: HashMap<gix::ObjectId, &Place> =
            cached.places.iter().map(|place| (place.1, place)).collect();
        let unread = listing.iter().map(|(_, blob)| blob);
        let unread: BTreeSet<&gix::ObjectId> = unread.filter(|b| !texts.contains_key(*b)).collect();
        let blobs: Vec<ObjectId> = unread.iter().map(id::ours).collect();
        self.fetch_promised(&blobs)?;
        let repo = self.handle();
        let mut read: HashMap<gix::ObjectId, String> = HashMap::new();
        let mut faults: HashMap<gix::ObjectId, Fault> = HashMap::new();
        for (blob, id) in unread.into_iter().zip(&blobs) {
            match tree::blob(&repo, id) {
                // A line that isn't UTF-8 is no record; what matters is that writers keep it.
                Ok(text) => {
                    read.insert(*blob, String::from_utf8_lossy(&text).into_owned());
                }
                Err(error) => {
                    faults.insert(*blob, Fault::of(error)?);
                }
            }
        }
        let mut notes = Vec::with_capacity(listing.len());
        for (annotated, blob) in listing {
            let text = match (texts.get(&blob), read.get(&blob), faults.get(&blob)) {
                (Some(place), ..) => cached.text(place),
                (None, Some(text), _) => text,
                (None, None, fault) => {
                    damaged.extend(fault.map(|fault| Damage {
                        annotated: Some(id::ours(annotated)),
                        object: id::ours(blob),
                        fault: fault.clone(),
                    }));
                    continue;
                }
            };
            notes.push((annotated, blob, Cow::Borrowed(text)));
        }
        // What lacks something is not what the tree holds: the next reader looks whether it is there again.
        let known = if damaged.is_empty() {
            tree
        } else {
            gix::ObjectId::null(hash)
        };
        let cached = cache::assemble(known, notes.into_iter());
        cache::write(self, reference, &cached);
        Ok(Notes { cached, damaged })
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

/// The notes of a ref.
#[derive(Default)]
pub struct Notes {
    cached: Cached,
    damaged: Vec<Damage>,
}

impl Notes {
    /// Each note's object and lines, in the order of the objects; an object whose note a writer split comes twice.
    pub fn iter(&self) -> impl Iterator<Item = (ObjectId, impl Iterator<Item = &str>)> {
        let places = self.cached.places.iter();
        places.map(|place| (id::ours(place.0), lines_of(self.cached.text(place))))
    }

    /// What could not be read.
    pub fn damaged(&self) -> &[Damage] {
        &self.damaged
    }

    /// The lines of all notes.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let places = self.cached.places.iter();
        let texts = places.map(|place| self.cached.text(place));
        texts.flat_map(lines_of)
    }
}

fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').filter(|line| !line.is_empty())
}

/// The notes of a notes commit.
pub(crate) fn listing(repo: &gix::Repository, commit: &ObjectId) -> Result<Listing, GitError> {
    let mut listing = Listing::new();
    let tree = tree::tree_of(repo, commit)?;
    let mut damaged = Vec::new();
    let all = changed(repo, tree, &Cached::default(), &mut damaged)?;
    if let Some(damage) = damaged.into_iter().next() {
        // Whoever unites with less than all loses the rest.
        return Err(GitError::Damaged(Box::new(damage)));
    }
    for (annotated, blob) in all {
        listing.entry(id::ours(annotated)).or_default().push(blob);
    }
    Ok(listing)
}

/// Annotated objects and their notes' blobs, at whatever depth writers put them (git's `notes.c`, `load_subtree`), sorted
/// by object. Subtrees that the cached tree has as well are taken from there; damaged ones are left out and named.
fn changed(
    repo: &gix::Repository,
    tree: gix::ObjectId,
    cached: &Cached,
    damaged: &mut Vec<Damage>,
) -> Result<Vec<(gix::ObjectId, gix::ObjectId)>, GitError> {
    let hex_len = repo.object_hash().len_in_hex();
    let mut found = Vec::new();
    let mut pending = vec![(String::new(), tree, cached.tree)];
    while let Some((prefix, id, before)) = pending.pop() {
        if before == Some(id) {
            found.extend(below(&prefix, &cached.places));
            continue;
        }
        let subtrees = before
            .map(|before| subtrees(repo, before))
            .unwrap_or_default();
        let entries = match entries(repo, id) {
            Ok(entries) => entries,
            Err(error) => {
                damaged.push(Damage {
                    annotated: None,
                    object: id::ours(id),
                    fault: Fault::of(error)?,
                });
                continue;
            }
        };
        for (name, mode, child) in &entries {
            let Ok(name) = name.to_str() else {
                continue;
            };
            if !name
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            {
                continue; // not a note: others may keep files beside them
            }
            let hex = format!("{prefix}{name}");
            match mode {
                EntryKind::Tree if name.len() == 2 && hex.len() < hex_len => {
                    pending.push((hex, *child, subtrees.get(name).copied()));
                }
                EntryKind::Blob | EntryKind::BlobExecutable if hex.len() == hex_len => {
                    let annotated = gix::ObjectId::from_hex(hex.as_bytes());
                    let annotated = annotated.expect("full-length lower-case hex");
                    found.push((annotated, *child));
                }
                _ => {}
            }
        }
    }
    // Of one object's notes, the order in which they were found stays.
    found.sort_by_key(|(annotated, _)| *annotated);
    Ok(found)
}

type TreeEntry = (gix::bstr::BString, EntryKind, gix::ObjectId);

/// The entries of one tree.
pub(super) fn entries(
    repo: &gix::Repository,
    id: gix::ObjectId,
) -> Result<Vec<TreeEntry>, GitError> {
    let tree = tree::object(repo, id, "tree")?;
    let tree = tree.try_into_tree().map_err(|_| GitError::WrongKind {
        kind: "tree",
        id: id::ours(id),
    })?;
    let entries = tree.iter().map(|entry| {
        let entry = entry.map_err(GitError::reading(format!("tree `{id}`")))?;
        let name = entry.filename().to_owned();
        Ok((name, entry.mode().kind(), entry.object_id()))
    });
    entries.collect()
}

/// The subtrees of a tree that was read before, by name; none of one that is gone.
fn subtrees(repo: &gix::Repository, tree: gix::ObjectId) -> HashMap<String, gix::ObjectId> {
    let object = tree::object(repo, tree, "tree").ok();
    let Some(tree) = object.and_then(|object| object.try_into_tree().ok()) else {
        return HashMap::new();
    };
    let entries = tree.iter().filter_map(Result::ok);
    entries
        .filter(|entry| entry.mode().kind() == EntryKind::Tree)
        .filter_map(|entry| {
            Some((
                entry.filename().to_str().ok()?.to_owned(),
                entry.object_id(),
            ))
        })
        .collect()
}

/// The cached notes on objects whose ids begin so.
fn below(prefix: &str, places: &[Place]) -> impl Iterator<Item = (gix::ObjectId, gix::ObjectId)> {
    let key = |place: &Place| place.0.to_hex_with_len(prefix.len()).to_string();
    let start = places.partition_point(|place| key(place).as_str() < prefix);
    let all = places[start..].iter();
    all.take_while(move |place| key(place) == prefix)
        .map(|place| (place.0, place.1))
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
