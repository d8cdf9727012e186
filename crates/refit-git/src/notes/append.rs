//! Writing notes: records first, then sentences, each ref moved by compare-and-swap.

use std::time::{Duration, Instant};

use gix::refs::transaction::PreviousValue;
use refit_oci::ObjectId;

use super::{
    Batch, NotesError, RECORDS, SENTENCES,
    lines::Rule,
    lock::{self, Lock},
    read,
    write::{self, Next},
};
use crate::{Repo, id};

/// Who commits notes where git has no identity configured, as on a fresh CI machine.
pub(super) const FALLBACK: (&str, &str) = ("refit", "refit@localhost");
/// How long one ref is tried; longer than a killed process's ref lock needs to count as stale.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a writer has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It alone writes.
    Locked,
    /// Everything that the ref is to lead to is there.
    Written(&'static str),
    /// The ref leads there.
    Moved(&'static str),
}

/// What an append did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// The new commit of [`RECORDS`]; `None` if every line was there.
    pub records: Option<ObjectId>,
    /// The new commit of [`SENTENCES`]; `None` if every line was there.
    pub sentences: Option<ObjectId>,
}

impl Repo {
    /// Adds a batch of lines: at most one commit per ref, records before sentences, nothing of other writers lost.
    ///
    /// What is there already is not written again, so a batch may be repeated after a crash.
    pub fn notes_append(&self, batch: &Batch) -> Result<Appended, NotesError> {
        self.notes_append_told(batch, &mut |_| {})
    }

    /// The same, with a word on every step once it is done: what is on the disk then stays, whatever happens next.
    pub fn notes_append_told(
        &self,
        batch: &Batch,
        told: &mut dyn FnMut(Step),
    ) -> Result<Appended, NotesError> {
        let handle = self.handle();
        let records: Vec<_> = batch
            .records
            .iter()
            .map(|(id, lines)| (id, lines.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        let sentences: Vec<_> = batch
            .sentences
            .iter()
            .map(|(id, lines)| (id, lines.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        for (id, lines) in records.iter().chain(&sentences) {
            read::check_kind(&handle, id)?;
            if lines
                .iter()
                .any(|line| line.is_empty() || line.contains('\n'))
            {
                return Err(NotesError::Line { id: (*id).clone() });
            }
        }
        drop(handle);
        if records.is_empty() && sentences.is_empty() {
            return Ok(Appended::default());
        }
        let lock = Lock::acquire(self.common_dir())?;
        told(Step::Locked);
        let mut add = |reference, rule, notes: &[(&ObjectId, Vec<&str>)]| {
            let next = |repo: &gix::Repository, tip: Option<gix::ObjectId>| {
                let new = notes
                    .iter()
                    .map(|(id, lines)| (*id, lines.iter().map(|line| line.as_bytes())));
                let Some(tree) = write::tree(self, repo, tip, rule, new)? else {
                    return Ok(None);
                };
                Ok(Some(Next::Commit {
                    tree,
                    parents: tip.into_iter().collect(),
                    message: batch.message.clone(),
                }))
            };
            self.move_notes_ref(&lock, reference, next, told)
        };
        Ok(Appended {
            records: add(RECORDS, Rule::SortUnique, &records)?,
            sentences: add(SENTENCES, Rule::Append, &sentences)?,
        })
    }

    /// A handle that writes commits and reflogs under some name in any case.
    pub(super) fn writer(&self) -> Result<gix::Repository, NotesError> {
        let mut repo = self.pool().private();
        repo.committer_or_set_fallback(FALLBACK.0, FALLBACK.1)
            .map_err(NotesError::writing("a commit"))?;
        Ok(repo)
    }

    /// Moves a ref to what `next` makes of its tip, again and again until nobody else moved it meanwhile.
    pub(super) fn move_notes_ref(
        &self,
        lock: &Lock,
        reference: &'static str,
        mut next: impl FnMut(
            &gix::Repository,
            Option<gix::ObjectId>,
        ) -> Result<Option<Next>, NotesError>,
        told: &mut dyn FnMut(Step),
    ) -> Result<Option<ObjectId>, NotesError> {
        let mut repo = self.writer()?;
        let deadline = Instant::now() + PATIENCE;
        let mut wait = Duration::from_millis(5);
        loop {
            lock.remove_stale_ref_lock(self.common_dir(), reference)?;
            let tip = self.commit_of_ref(reference)?.map(|tip| id::theirs(&tip));
            write::in_memory(&mut repo);
            let Some(next) = next(&repo, tip)? else {
                return Ok(None);
            };
            let commit = next.write(self, &mut repo)?;
            told(Step::Written(reference));
            let expected = match tip {
                Some(tip) => PreviousValue::MustExistAndMatch(tip.into()),
                None => PreviousValue::MustNotExist,
            };
            match repo.reference(reference, commit, expected, "notes: written by refit") {
                Ok(_) => {
                    told(Step::Moved(reference));
                    return Ok(Some(id::ours(commit)));
                }
                // Someone moved the ref, or holds its lock right now.
                Err(error) if error.is_conflict() || error.can_retry() => {
                    if Instant::now() >= deadline {
                        return Err(NotesError::Contended {
                            reference: reference.to_owned(),
                            source: Some(Box::new(error)),
                        });
                    }
                    lock::pause(wait);
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                Err(error) => return Err(NotesError::writing(format!("`{reference}`"))(error)),
            }
        }
    }
}
