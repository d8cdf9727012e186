//! The objects of new notes: blobs, the tree that names them, the commit.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use gix::{
    note::plumbing::State,
    objs::{Kind, Write as _, tree::EntryKind},
};
use refit_oci::ObjectId;

use super::{
    NotesError,
    damage::{self, Fault},
    lines::{self, Rule},
    read, sign,
};
use crate::{
    GitError, Repo, bulk, id,
    pack::{self, New, Object},
    tree,
};

/// From this many objects on they go into one pack rather than a file each: an order of magnitude fewer system calls.
const PACK_FROM: usize = 500;

/// The notes tree of `tip` with lines added; `None` if all are there.
pub(super) fn tree<'a, L: Iterator<Item = &'a [u8]>>(
    git: &Repo,
    repo: &gix::Repository,
    tip: Option<gix::ObjectId>,
    rule: Rule,
    new: impl Iterator<Item = (&'a ObjectId, L)>,
) -> Result<Option<Tree>, NotesError> {
    let root = match tip {
        Some(tip) => tree::tree_of(repo, &id::ours(tip))?,
        None => gix::ObjectId::empty_tree(repo.object_hash()),
    };
    if !root.is_empty_tree() {
        git.fetch_promised([&id::ours(root)])?;
    }
    let mut state = State::new(root, repo).map_err(GitError::reading("the notes tree"))?;
    let mut adding: Vec<Adding<'a>> = Vec::new();
    for (annotated, lines) in new {
        let key = id::theirs(annotated);
        adding.push(Adding {
            key,
            there: note_of(git, repo, &mut state, key)?,
            lines: lines.collect(),
        });
    }
    let changed = changed(git, repo, &mut state, rule, &adding)?;
    if changed.is_empty() {
        return Ok(None);
    }
    for (key, note) in &changed {
        let edited = state.edit(*key, Some(note.id), repo);
        edited.map_err(NotesError::writing("a note"))?;
    }
    let tree = state.write(repo);
    Ok(Some(Tree {
        id: tree.map_err(NotesError::writing("the notes tree"))?,
        notes: changed.into_values().collect(),
    }))
}

/// A tree of notes, with those that are not written yet.
pub(super) struct Tree {
    id: gix::ObjectId,
    notes: Vec<NewNote>,
}

impl From<gix::ObjectId> for Tree {
    /// One that is there.
    fn from(id: gix::ObjectId) -> Self {
        Self {
            id,
            notes: Vec::new(),
        }
    }
}

/// Lines for one object.
struct Adding<'a> {
    key: gix::ObjectId,
    /// Its note.
    there: Option<gix::ObjectId>,
    lines: Vec<&'a [u8]>,
}

/// A note's blob that is not written yet.
struct NewNote {
    id: gix::ObjectId,
    text: Text,
}

/// The lines of a note.
enum Text {
    Plain(Vec<u8>),
    /// As packs have it: of many large notes, none is held as it is.
    Packed(pack::Entry),
}

impl NewNote {
    fn of(text: Vec<u8>, hash: gix::hash::Kind) -> Result<Self, NotesError> {
        let id = gix::objs::compute_hash(hash, Kind::Blob, &text);
        let id = id.map_err(NotesError::writing("a note"))?;
        let text = Text::Plain(text);
        Ok(Self { id, text })
    }

    fn packed(self) -> Self {
        let text = match self.text {
            Text::Plain(text) => Text::Packed(pack::Entry::of(Kind::Blob, &text)),
            packed @ Text::Packed(_) => packed,
        };
        Self { text, ..self }
    }

    fn text(&self) -> Cow<'_, [u8]> {
        match &self.text {
            Text::Plain(text) => Cow::Borrowed(text),
            Text::Packed(entry) => Cow::Owned(entry.object()),
        }
    }
}

/// The notes that get another text, by what they are on.
fn changed(
    git: &Repo,
    repo: &gix::Repository,
    state: &mut State,
    rule: Rule,
    adding: &[Adding<'_>],
) -> Result<BTreeMap<gix::ObjectId, NewNote>, NotesError> {
    let hash = repo.object_hash();
    let noted: Vec<(gix::ObjectId, &Adding<'_>)> = adding
        .iter()
        .filter_map(|adding| Some((adding.there?, adding)))
        .collect();
    let blobs: Vec<gix::ObjectId> = noted.iter().map(|(blob, _)| *blob).collect();
    git.fetch_promised(&blobs.iter().map(id::ours).collect::<Vec<_>>())?;
    let is_many = adding.len() >= PACK_FROM;
    let new = |text| {
        let note = NewNote::of(text, hash);
        if is_many {
            note.map(NewNote::packed)
        } else {
            note
        }
    };
    // None: it is not as it was written.
    let united = bulk::blobs(git, &blobs, |at, text| {
        let (blob, adding) = &noted[at];
        let text = text
            .ok()
            .filter(|text| damage::is_whole(hash, *blob, text))?;
        let united = lines::add(rule, &text, adding.lines.iter().copied());
        Some(united.map(new).transpose())
    });
    let mut changed = BTreeMap::new();
    let mut damaged: Vec<&Adding<'_>> = Vec::new();
    for ((_, adding), united) in noted.into_iter().zip(united) {
        match united.transpose()? {
            Some(note) => changed.extend(note.map(|note| (adding.key, note))),
            None => damaged.push(adding),
        }
    }
    let absent = adding.iter().filter(|adding| adding.there.is_none());
    for adding in absent.chain(damaged) {
        let (key, there) = there(git, repo, state, adding.key)?;
        let there = changed.get(&key).map_or(Cow::Owned(there), NewNote::text);
        if let Some(note) = lines::add(rule, &there, adding.lines.iter().copied()) {
            changed.insert(key, NewNote::of(note, hash)?);
        }
    }
    Ok(changed)
}

/// The blob of an object's note. Subtrees that a partial clone has left to its remote are fetched.
fn note_of(
    git: &Repo,
    repo: &gix::Repository,
    state: &mut State,
    key: gix::ObjectId,
) -> Result<Option<gix::ObjectId>, NotesError> {
    loop {
        let source = match state.get(&key, repo) {
            Ok(note) => return Ok(note),
            Err(source) => source,
        };
        let Some(tree) = unreadable(repo, state.root_tree_id(), key) else {
            return Err(GitError::reading(format!("the note of `{key}`"))(source).into());
        };
        let tree = id::ours(tree);
        if !git.fetch_promised([&tree])? {
            return Err(NotesError::Subtree {
                tree,
                annotated: id::ours(key),
                refetch: git.default_remote(),
                source: Box::new(source),
            });
        }
    }
}

/// The first tree on the way to an object's note that cannot be read.
fn unreadable(
    repo: &gix::Repository,
    root: gix::ObjectId,
    key: gix::ObjectId,
) -> Option<gix::ObjectId> {
    let hex = key.to_string();
    let mut tree = root;
    for folder in hex.as_bytes().chunks(2) {
        let Ok(entries) = read::entries(repo, tree) else {
            return Some(tree);
        };
        let mut entries = entries.into_iter();
        let below = entries.find(|(name, mode, _)| *name == folder && *mode == EntryKind::Tree);
        (_, _, tree) = below?;
    }
    None
}

/// The note of an object, and what it is on.
///
/// A note that cannot be read stays as it is, for whoever has it whole: what is new is then a note on the damaged note.
fn there(
    git: &Repo,
    repo: &gix::Repository,
    state: &mut State,
    mut key: gix::ObjectId,
) -> Result<(gix::ObjectId, Vec<u8>), NotesError> {
    let mut seen = BTreeSet::new();
    loop {
        let there = note_of(git, repo, state, key)?;
        let Some(blob) = there else {
            return Ok((key, Vec::new()));
        };
        match git.blob(&id::ours(blob)) {
            Ok(text) if damage::is_whole(repo.object_hash(), blob, &text) => {
                return Ok((key, text));
            }
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

/// Keeps what a handle writes in memory, until [`flush`].
pub(super) fn in_memory(repo: &mut gix::Repository) {
    repo.objects.take_object_memory();
    repo.objects.enable_object_memory();
}

/// Writes notes, and what a handle has in memory.
fn flush(repo: &mut gix::Repository, notes: &[NewNote]) -> Result<(), NotesError> {
    let memory = repo.objects.take_object_memory().unwrap_or_default();
    let memory = memory.iter().map(|(id, (kind, bytes))| New {
        id: *id,
        kind: *kind,
        object: Object::Plain(bytes),
    });
    let notes = notes.iter().map(|note| New {
        id: note.id,
        kind: Kind::Blob,
        object: match &note.text {
            Text::Plain(text) => Object::Plain(text),
            Text::Packed(entry) => Object::Packed(entry),
        },
    });
    let mut new: Vec<New<'_>> = notes
        .chain(memory)
        .filter(|new| !repo.objects.exists_without_refresh(&new.id))
        .collect();
    // Objects are in place before what names them.
    let rank = |kind| match kind {
        Kind::Blob => 0,
        Kind::Tree => 1,
        Kind::Commit | Kind::Tag => 2,
    };
    new.sort_unstable_by_key(|new| (rank(new.kind), new.id));
    // Two objects may have the same note.
    new.dedup_by_key(|new| new.id);
    if new.len() >= PACK_FROM {
        let folder = repo.objects.store_ref().path().join("pack");
        return pack::write(&folder, repo.object_hash(), &new);
    }
    for New { id, kind, object } in new {
        let bytes = match object {
            Object::Plain(bytes) => Cow::Borrowed(bytes),
            Object::Packed(entry) => Cow::Owned(entry.object()),
        };
        let written = repo.objects.write_buf_with_known_id(kind, &bytes, id);
        written.map_err(NotesError::writing(format!("{kind} `{id}`")))?;
    }
    Ok(())
}

/// Where a ref of notes goes next.
pub(super) enum Next {
    /// To a commit that is to be made.
    Commit {
        tree: Tree,
        parents: Vec<gix::ObjectId>,
        message: String,
    },
    /// To one that is there.
    There(gix::ObjectId),
}

impl Next {
    /// The commit, with everything it names written to the object database.
    pub(super) fn write(
        self,
        git: &Repo,
        repo: &mut gix::Repository,
    ) -> Result<gix::ObjectId, NotesError> {
        let (tree, parents, message) = match self {
            Self::There(commit) => {
                flush(repo, &[])?;
                return Ok(commit);
            }
            Self::Commit {
                tree,
                parents,
                message,
            } => (tree, parents, format!("{}\n", message.trim_end())),
        };
        if git.signs_notes() {
            flush(repo, &tree.notes)?;
            return sign::commit(git, tree.id, &parents, message);
        }
        let commit = commit(repo, &message, tree.id, parents)?;
        flush(repo, &tree.notes)?;
        Ok(commit)
    }
}

/// A notes commit by whoever git knows here.
pub(super) fn commit(
    repo: &gix::Repository,
    message: &str,
    tree: gix::ObjectId,
    parents: Vec<gix::ObjectId>,
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
    let commit = repo
        .new_commit_as(committer, author, message, tree, parents)
        .map_err(writing())?;
    Ok(commit.id)
}
