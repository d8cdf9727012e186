//! Reading notes: all of a ref, or one object's.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gix::{bstr::ByteSlice, note::plumbing::State, objs::tree::EntryKind};
use refit_oci::ObjectId;

use super::{
    NotesError,
    cache::{Files, Texts},
    damage::{Damage, Fault},
    lines::{self, Located},
    loaded::Notes,
    table::{Keys, Line, Note, Table},
};
use crate::{GitError, Repo, bulk, id, tree};

/// Annotated object → the blobs of its note: one, unless a writer broke git's rules.
pub(crate) type Listing = BTreeMap<ObjectId, Vec<gix::ObjectId>>;

impl Repo {
    /// Every note of a ref with its lines, by annotated object; none if the ref is absent.
    pub fn notes_all(&self, reference: &str) -> Result<Vec<(ObjectId, Vec<String>)>, NotesError> {
        let notes = self.notes(reference)?;
        let mut all: Vec<(ObjectId, Vec<String>)> = Vec::new();
        for (annotated, lines) in notes.iter() {
            let lines = lines.map(std::borrow::Cow::into_owned);
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
        self.notes_by(reference, Keys::NONE)
    }

    /// The same, of which the lines about something can be asked for: those alone are then read.
    pub fn notes_by(&self, reference: &str, keys: Keys) -> Result<Notes, NotesError> {
        let Some(commit) = self.commit_of_ref(reference)? else {
            return Ok(Notes::default());
        };
        let hash = self.handle().object_hash();
        let files = Files::of(self, reference);
        let (before, mut texts) = files.read(hash, keys.version).unwrap_or_default();
        let tree = self.reading(|repo| tree::tree_of(repo, &commit))?;
        if before.tree == Some(tree) {
            return Ok(Notes::new(self, files, (before, texts), Vec::new()));
        }
        let mut damaged = Vec::new();
        let listing = self.reading(|repo| {
            damaged.clear();
            changed(repo, tree, &before, &mut damaged)
        })?;
        let known: HashMap<gix::ObjectId, usize> = (0..)
            .zip(&before.notes)
            .map(|(at, note)| (note.blob, at))
            .collect();
        let unread = listing.iter().map(|(_, blob)| *blob);
        let unread: BTreeSet<gix::ObjectId> = unread.filter(|b| !known.contains_key(b)).collect();
        let unread: Vec<gix::ObjectId> = unread.into_iter().collect();
        self.fetch_promised(&unread.iter().map(|id| id::ours(*id)).collect::<Vec<_>>())?;
        let read = bulk::blobs(self, &unread, |at, text| match text {
            Ok(text) => Ok((unread[at], Ok(lines::located(text, keys)))),
            Err(error) => Fault::of(error).map(|fault| (unread[at], Err(fault))),
        });
        let read: Result<HashMap<_, _>, GitError> = read.into_iter().collect();
        let read = read?;
        let mut table = Table {
            generation: before.generation,
            keys: keys.version,
            ..Table::default()
        };
        for (annotated, blob) in listing {
            match (known.get(&blob), read.get(&blob)) {
                (Some(note), _) => {
                    let lines = before.lines[before.lines_of(*note)].iter().copied();
                    table.push(annotated, blob, lines);
                }
                (None, Some(Ok(located))) => {
                    let there = there(&before, &texts, annotated);
                    let lines = added(located, &there, &mut texts);
                    table.push(annotated, blob, lines);
                }
                (None, Some(Err(fault))) => damaged.push(Damage {
                    annotated: Some(id::ours(annotated)),
                    object: id::ours(blob),
                    fault: fault.clone(),
                }),
                (None, None) => {} // all that are not known were asked for
            }
        }
        table.sort();
        // What lacks something is not what the tree holds: the next reader looks whether it is there again.
        table.tree = Some(if damaged.is_empty() {
            tree
        } else {
            gix::ObjectId::null(hash)
        });
        if before.tree.is_none() || before.keys == keys.version {
            files.write(&mut table, &texts);
        }
        Ok(Notes::new(self, files, (table, texts), damaged))
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

/// The lines that the note on an object had, by their texts.
fn there(before: &Table, texts: &Texts, annotated: gix::ObjectId) -> HashMap<String, Line> {
    let first = before
        .notes
        .partition_point(|note| note.annotated < annotated);
    let notes = before.notes[first..].iter();
    let n_notes = notes.take_while(|note| note.annotated == annotated).count();
    let lines = (first..first + n_notes).flat_map(|note| before.lines_of(note));
    let lines = lines.filter_map(|line| before.lines.get(line));
    let read = lines.filter_map(|line| Some((texts.get(line)?.into_owned(), *line)));
    read.collect()
}

/// Where the lines of a note lie, once those that are new do.
fn added(located: &Located, there: &HashMap<String, Line>, texts: &mut Texts) -> Vec<Line> {
    let start = texts.length();
    if there.is_empty() {
        texts.new.extend_from_slice(located.text.as_bytes());
    }
    let place = |line: &Line| {
        if there.is_empty() {
            let start = start + line.start;
            return Line { start, ..*line };
        }
        let text = located.line(line);
        there.get(text).copied().unwrap_or_else(|| {
            let start = texts.length();
            texts.new.extend_from_slice(text.as_bytes());
            Line { start, ..*line }
        })
    };
    located.lines.iter().map(place).collect()
}

/// The notes of a notes commit.
pub(crate) fn listing(repo: &gix::Repository, commit: &ObjectId) -> Result<Listing, GitError> {
    let mut listing = Listing::new();
    let tree = tree::tree_of(repo, commit)?;
    let mut damaged = Vec::new();
    let all = changed(repo, tree, &Table::default(), &mut damaged)?;
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
    before: &Table,
    damaged: &mut Vec<Damage>,
) -> Result<Vec<(gix::ObjectId, gix::ObjectId)>, GitError> {
    let hex_len = repo.object_hash().len_in_hex();
    let mut found = Vec::new();
    let mut pending = vec![(String::new(), tree, before.tree)];
    while let Some((prefix, id, was)) = pending.pop() {
        if was == Some(id) {
            found.extend(below(&prefix, &before.notes));
            continue;
        }
        let subtrees = was.map(|was| subtrees(repo, was)).unwrap_or_default();
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
fn below(prefix: &str, notes: &[Note]) -> impl Iterator<Item = (gix::ObjectId, gix::ObjectId)> {
    let key = |note: &Note| note.annotated.to_hex_with_len(prefix.len()).to_string();
    let start = notes.partition_point(|note| key(note).as_str() < prefix);
    let all = notes[start..].iter();
    all.take_while(move |note| key(note) == prefix)
        .map(|note| (note.annotated, note.blob))
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
