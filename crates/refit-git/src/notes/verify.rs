//! Looking at every note of a ref: nothing is repaired, everything that is wrong is named.

use std::collections::{BTreeMap, BTreeSet};

use gix::objs::tree::EntryKind;
use refit_oci::ObjectId;

use super::{
    NotesError, RECORDS,
    damage::{self, Damage, Fault},
    lines, read,
};
use crate::{GitError, Repo, id, tree};

/// What a ref of notes holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// The ref's commit; none if the ref is absent.
    pub commit: Option<ObjectId>,
    /// How many notes there are, readable or not.
    pub n_notes: usize,
    /// What is wrong, in the order of the objects.
    pub damaged: Vec<Damage>,
}

impl Repo {
    /// Reads every note of a ref from git, whatever is cached, and shows its readable lines with what it is on and itself.
    ///
    /// The objects that notes are on may be elsewhere: in a shallow clone, or where history was rewritten.
    pub fn notes_verify(
        &self,
        reference: &str,
        mut line: impl FnMut(&ObjectId, &ObjectId, &str),
    ) -> Result<Verified, NotesError> {
        let Some(commit) = self.commit_of_ref(reference)? else {
            return Ok(Verified::default());
        };
        let repo = self.handle();
        let root = self.reading(|repo| tree::tree_of(repo, &commit))?;
        let mut damaged = Vec::new();
        let all = walk(&repo, root, &mut damaged)?;
        let blobs: BTreeSet<ObjectId> = all.values().flatten().cloned().collect();
        let blobs: Vec<ObjectId> = blobs.into_iter().collect();
        self.fetch_promised(&blobs)?;
        let n_notes = all.values().map(Vec::len).sum();
        for (annotated, notes) in &all {
            let mut found = |object: &ObjectId, fault| {
                damaged.push(Damage {
                    annotated: Some(annotated.clone()),
                    object: object.clone(),
                    fault,
                });
            };
            for note in notes {
                if notes.len() > 1 {
                    found(note, Fault::Split);
                }
                if !repo.has_object(id::theirs(annotated)) {
                    found(note, Fault::Orphaned);
                }
                let text = match tree::blob(&repo, note) {
                    Ok(text) => text,
                    Err(error) => {
                        found(note, Fault::of(error)?);
                        continue;
                    }
                };
                if !damage::is_whole(repo.object_hash(), id::theirs(note), &text) {
                    found(note, Fault::OtherBytes);
                }
                check_lines(&text, reference == RECORDS, |fault| found(note, fault));
                for text in lines::of(&text) {
                    if let Ok(text) = std::str::from_utf8(text) {
                        line(annotated, note, text);
                    }
                }
            }
        }
        Ok(Verified {
            commit: Some(commit),
            n_notes,
            damaged,
        })
    }
}

/// The first of each kind: a note whose every line is wrong is one damaged note.
fn check_lines(text: &[u8], sorted: bool, mut found: impl FnMut(Fault)) {
    let lines = || text.split(|&byte| byte == b'\n').zip(1..);
    if let Some((_, number)) = lines().find(|(line, _)| std::str::from_utf8(line).is_err()) {
        found(Fault::NotUtf8(number));
    }
    if !sorted {
        return; // a person's text
    }
    let mut before: &[u8] = b"";
    let mut seen = BTreeSet::new();
    let (mut unsorted, mut repeated) = (None, None);
    for (line, number) in lines().filter(|(line, _)| !line.is_empty()) {
        if !seen.insert(line) {
            repeated.get_or_insert(number);
        } else if line < before {
            unsorted.get_or_insert(number);
        }
        before = line;
    }
    if let Some(line) = unsorted {
        found(Fault::Unsorted(line));
    }
    if let Some(line) = repeated {
        found(Fault::Repeated(line));
    }
}

/// Annotated objects and their notes, as git finds them (`notes.c`, `load_subtree`), and whatever git passes over.
fn walk(
    repo: &gix::Repository,
    root: gix::ObjectId,
    damaged: &mut Vec<Damage>,
) -> Result<BTreeMap<ObjectId, Vec<ObjectId>>, GitError> {
    let hex_len = repo.object_hash().len_in_hex();
    let mut all: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::new();
    let mut pending = vec![(String::new(), root)];
    while let Some((prefix, tree)) = pending.pop() {
        let mut found = |fault| {
            damaged.push(Damage {
                annotated: None,
                object: id::ours(tree),
                fault,
            });
        };
        let entries = match read::entries(repo, tree) {
            Ok(entries) => entries,
            Err(error) => {
                found(Fault::of(error)?);
                continue;
            }
        };
        for (name, mode, child) in entries {
            let is_hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
            let name = name.to_string();
            let hex = format!("{prefix}{name}");
            let is_hex = name.as_bytes().iter().all(is_hex);
            match mode {
                EntryKind::Tree if is_hex && name.len() == 2 && hex.len() < hex_len => {
                    pending.push((hex, child));
                }
                EntryKind::Blob | EntryKind::BlobExecutable if is_hex && hex.len() == hex_len => {
                    let annotated = hex.parse().expect("full-length lower-case hex");
                    all.entry(annotated).or_default().push(id::ours(child));
                }
                _ => found(Fault::NoNote(name)),
            }
        }
    }
    Ok(all)
}
