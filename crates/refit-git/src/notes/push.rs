//! Pushing notes: fetch, unite, push with a lease, and again if someone was faster.

use std::time::Duration;

use gix::refs::transaction::PreviousValue;
use refit_oci::ObjectId;

use super::{NotesError, RECORDS, SENTENCES, lock, remote::tracking_ref};
use crate::{Head, Repo, child::Finished, id};

/// How often a push is tried while others keep moving the refs.
const ATTEMPTS: u32 = 20;
/// How often it is tried while nobody does: such a refusal isn't about us being slow.
const UNMOVED_ATTEMPTS: u32 = 3;

/// What a push brought to the remote; `None` where it had everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The commit that is the remote's [`RECORDS`] now.
    pub records: Option<ObjectId>,
    /// The commit that is the remote's [`SENTENCES`] now.
    pub sentences: Option<ObjectId>,
}

/// One ref that the remote lacks something of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Update {
    reference: &'static str,
    ours: ObjectId,
    theirs: Option<ObjectId>,
}

impl Repo {
    /// Brings our notes to a remote, united with what it has: nothing is overwritten, and both refs move or none.
    pub fn notes_push(&self, remote: &str) -> Result<Pushed, NotesError> {
        let mut refused: Option<(Vec<Option<ObjectId>>, Finished)> = None;
        let mut unmoved = 0;
        let mut wait = Duration::from_millis(20);
        for _ in 0..ATTEMPTS {
            self.notes_fetch(remote)?;
            self.notes_unite(remote)?;
            let updates = self.notes_updates(remote)?;
            if updates.is_empty() {
                return Ok(Pushed::default());
            }
            let leases: Vec<_> = updates.iter().map(|update| update.theirs.clone()).collect();
            unmoved = match &refused {
                Some((before, _)) if *before == leases => unmoved + 1,
                _ => 0,
            };
            if let Some((_, finished)) = refused.take_if(|_| unmoved == UNMOVED_ATTEMPTS) {
                return Err(finished.error().into());
            }
            let finished = self.push_updates(remote, &updates)?;
            if finished.success() {
                return self.pushed(remote, updates);
            }
            // Git refuses single refs on stdout; anything else (no access, no network) is said on stderr alone.
            if !finished.stdout().lines().any(|line| line.starts_with('!')) {
                return Err(finished.error().into());
            }
            refused = Some((leases, finished));
            lock::pause(wait);
            wait = (wait * 2).min(Duration::from_secs(2));
        }
        Err(NotesError::Contended {
            reference: format!("{RECORDS} of {remote}"),
            source: None,
        })
    }

    /// Whether a push of notes would be let in, asked of the remote without sending anything.
    ///
    /// A repository without any commit has nothing to ask with, and passes.
    pub fn notes_probe_push(&self, remote: &str) -> Result<(), NotesError> {
        self.check_remote(remote)?;
        let ours = match self.commit_of_ref(RECORDS)? {
            Some(ours) => ours,
            None => match self.head()? {
                Head::Commit { id, .. } => id,
                Head::Unborn { .. } => return Ok(()),
            },
        };
        let refspec = format!("+{ours}:{RECORDS}");
        let no_mirror = format!("remote.{remote}.mirror=false");
        let mut args = vec!["-c", no_mirror.as_str(), "push", "--dry-run"];
        args.extend(PUSH_FLAGS);
        args.extend(["--", remote, &refspec]);
        let finished = self.run_network_git(&args)?;
        if finished.success() {
            Ok(())
        } else {
            Err(finished.error().into())
        }
    }

    fn notes_updates(&self, remote: &str) -> Result<Vec<Update>, NotesError> {
        let mut updates = Vec::new();
        for reference in [RECORDS, SENTENCES] {
            let theirs = self.commit_of_ref(&tracking_ref(remote, reference))?;
            match self.commit_of_ref(reference)? {
                Some(ours) if theirs.as_ref() != Some(&ours) => updates.push(Update {
                    reference,
                    ours,
                    theirs,
                }),
                _ => {}
            }
        }
        Ok(updates)
    }

    /// Both refs at once; where the remote can't do that, records first and sentences only after them.
    fn push_updates(&self, remote: &str, updates: &[Update]) -> Result<Finished, NotesError> {
        let finished = self.push_once(remote, updates, &["--atomic"])?;
        if finished.success() || !finished.stderr().contains("does not support --atomic") {
            return Ok(finished);
        }
        let mut last = finished;
        for update in updates {
            last = self.push_once(remote, std::slice::from_ref(update), &[])?;
            if !last.success() {
                break;
            }
        }
        Ok(last)
    }

    fn push_once(
        &self,
        remote: &str,
        updates: &[Update],
        flags: &[&str],
    ) -> Result<Finished, NotesError> {
        let mut operands = Vec::new();
        let mut leases = Vec::new();
        for Update {
            reference,
            ours,
            theirs,
        } in updates
        {
            let expected = theirs.as_ref().map_or("", ObjectId::as_str);
            leases.push(format!("--force-with-lease={reference}:{expected}"));
            operands.push(format!("{ours}:{reference}"));
        }
        // A mirror would refuse refspecs.
        let no_mirror = format!("remote.{remote}.mirror=false");
        let mut args = vec!["-c", no_mirror.as_str(), "push"];
        args.extend(PUSH_FLAGS);
        args.extend(flags);
        args.extend(leases.iter().map(String::as_str));
        args.extend(["--", remote]);
        args.extend(operands.iter().map(String::as_str));
        Ok(self.run_network_git(&args)?)
    }

    /// Remembers what the remote has now, as a fetch would find it.
    fn pushed(&self, remote: &str, updates: Vec<Update>) -> Result<Pushed, NotesError> {
        let repo = self.handle();
        let mut pushed = Pushed::default();
        for Update {
            reference, ours, ..
        } in updates
        {
            let tracking = tracking_ref(remote, reference);
            repo.reference(
                tracking.as_str(),
                id::theirs(&ours),
                PreviousValue::Any,
                "notes: pushed by refit",
            )
            .map_err(NotesError::writing(format!("`{tracking}`")))?;
            match reference {
                RECORDS => pushed.records = Some(ours),
                _ => pushed.sentences = Some(ours),
            }
        }
        Ok(pushed)
    }
}

/// A push of exactly the refs we name, whatever the user's configuration adds to pushes.
pub(super) const PUSH_FLAGS: [&str; 5] = [
    "--porcelain",
    "--no-verify",
    "--no-signed",
    "--no-follow-tags",
    "--recurse-submodules=no",
];
