//! Decisions: notes that are on a remote, or not made at all.

use gix::refs::transaction::PreviousValue;
use refit_oci::ObjectId;

use super::{Appended, Batch, NotesError, RECORDS, SENTENCES, lock::Lock};
use crate::{GitError, Repo, id};

/// Where our refs were, and where the batch moved them.
struct Moved {
    reference: &'static str,
    from: Option<ObjectId>,
    to: ObjectId,
}

impl Repo {
    /// Adds a batch of lines and pushes it; where the push fails, our refs are what they were before.
    ///
    /// A remote's hook is asked by nothing but the push itself. Where another process has written on top of the batch in
    /// the meantime it stays, and goes along with that one's push: [`NotesError::Kept`].
    pub fn notes_decide(&self, batch: &Batch, remote: &str) -> Result<Appended, NotesError> {
        let before = [self.commit_of_ref(RECORDS)?, self.commit_of_ref(SENTENCES)?];
        let appended = self.notes_append(batch)?;
        let Err(refused) = self.notes_push(remote) else {
            return Ok(appended);
        };
        let [records, sentences] = before;
        let moved = [
            (SENTENCES, sentences, &appended.sentences),
            (RECORDS, records, &appended.records),
        ];
        let moved = moved.into_iter().filter_map(|(reference, from, to)| {
            let to = to.clone()?;
            Some(Moved {
                reference,
                from,
                to,
            })
        });
        let lock = Lock::acquire(self.common_dir())?;
        let mut taken_back = true;
        for moved in moved {
            lock.remove_stale_ref_lock(self.common_dir(), moved.reference)?;
            taken_back &= self.take_back(&moved)?;
        }
        Err(if taken_back {
            refused
        } else {
            NotesError::Kept(Box::new(refused))
        })
    }

    /// Moves a ref back, unless there is more on it than the batch and what was united with it since.
    fn take_back(&self, moved: &Moved) -> Result<bool, NotesError> {
        let repo = self.writer()?;
        let Some(tip) = self.commit_of_ref(moved.reference)? else {
            return Ok(true);
        };
        if !self.is_batch_alone(&tip, moved)? {
            return Ok(false);
        }
        let writing = || NotesError::writing(format!("`{}`", moved.reference));
        let expected = PreviousValue::MustExistAndMatch(id::theirs(&tip).into());
        if let Some(from) = &moved.from {
            let from = id::theirs(from);
            let message = "notes: taken back by refit";
            let set = repo.reference(moved.reference, from, expected, message);
            set.map_err(writing())?;
        } else {
            let found = repo.find_reference(moved.reference);
            found.map_err(writing())?.delete().map_err(writing())?;
        }
        Ok(true)
    }

    /// Whether everything from the tip down to the batch's commit unites it with what others had pushed.
    fn is_batch_alone(&self, tip: &ObjectId, moved: &Moved) -> Result<bool, NotesError> {
        let repo = self.handle();
        let mut at = id::theirs(tip);
        let batch = id::theirs(&moved.to);
        while at != batch {
            let commit = repo.find_commit(at);
            let commit = commit.map_err(GitError::reading(format!("commit `{at}`")))?;
            let mut parents = commit.parent_ids();
            match (parents.next(), parents.next()) {
                (Some(ours), Some(_)) => at = ours.detach(),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}
