//! A lease: a ref on the remote that one of many machines holds, because it was the first to move it. What its commit
//! says of the holder is the caller's own.

use gix::objs::Tree;
use refit_oci::ObjectId;

use super::{NotesError, push::PUSH_FLAGS, write};
use crate::{GitError, Repo, child::FETCH, id};

/// The ref, on a remote.
pub const LEASE: &str = "refs/refit/lease";

/// What a remote's lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its commit: what the ref must still be to be moved.
    pub id: ObjectId,
    /// The commit's message.
    pub text: String,
}

/// What became of moving a lease.
#[derive(Debug)]
pub enum LeaseMove {
    /// It is this commit now; none: it is gone.
    Moved(Option<ObjectId>),
    /// Somebody else has moved it meanwhile.
    Beaten,
    /// The remote does not let it be moved: what was said.
    NotAllowed(String),
}

impl Repo {
    /// The lease as the remote has it now.
    pub fn lease(&self, remote: &str) -> Result<Option<Lease>, NotesError> {
        let Some(id) = self.remote_lease(remote)? else {
            return Ok(None);
        };
        let text = |id: &ObjectId| -> Option<String> {
            let repo = self.pool().private();
            let commit = repo.find_commit(id::theirs(id)).ok()?;
            Some(String::from_utf8_lossy(commit.message_raw_sloppy()).into_owned())
        };
        if let Some(text) = text(&id) {
            return Ok(Some(Lease { id, text }));
        }
        let refspec = format!("+{LEASE}:refs/refit/remote/{remote}/lease");
        let mut args = FETCH.to_vec();
        args.extend(["--no-filter", "--", remote, &refspec]);
        let finished = self.run_network_git(&args)?;
        if !finished.success() {
            // It may have been given up in between.
            return match self.remote_lease(remote)? {
                None => Ok(None),
                Some(_) => Err(finished.error().into()),
            };
        }
        // What was fetched may be newer than what was listed.
        let fetched = self.commit_of_ref(&format!("refs/refit/remote/{remote}/lease"))?;
        let id = fetched.unwrap_or(id);
        let text = text(&id).ok_or_else(|| GitError::Missing {
            kind: "commit",
            id: id.clone(),
        })?;
        Ok(Some(Lease { id, text }))
    }

    /// Moves the lease from `expected`, or from nothing, to a new commit with this message.
    pub fn lease_take(
        &self,
        remote: &str,
        expected: Option<&ObjectId>,
        text: &str,
    ) -> Result<LeaseMove, NotesError> {
        let repo = self.writer()?;
        let tree = repo.write_object(Tree::empty());
        let tree = tree.map_err(NotesError::writing("an empty tree"))?.detach();
        // A fast-forward, as some remotes take nothing else.
        let parents = expected.map(id::theirs).into_iter().collect();
        let commit = id::ours(write::commit(&repo, text, tree, parents)?);
        self.lease_push(remote, expected, Some(commit))
    }

    /// Gives the lease up, if it still is `held`.
    pub fn lease_drop(&self, remote: &str, held: &ObjectId) -> Result<LeaseMove, NotesError> {
        self.lease_push(remote, Some(held), None)
    }

    fn lease_push(
        &self,
        remote: &str,
        expected: Option<&ObjectId>,
        next: Option<ObjectId>,
    ) -> Result<LeaseMove, NotesError> {
        self.check_remote(remote)?;
        let old = expected.map_or("", ObjectId::as_str);
        let lease = format!("--force-with-lease={LEASE}:{old}");
        let new = next.as_ref().map_or("", ObjectId::as_str);
        let refspec = format!("{new}:{LEASE}");
        let no_mirror = format!("remote.{remote}.mirror=false");
        let mut args = vec!["-c", no_mirror.as_str(), "push"];
        args.extend(PUSH_FLAGS);
        args.extend([lease.as_str(), "--", remote, &refspec]);
        let finished = self.run_network_git(&args)?;
        if finished.success() {
            return Ok(LeaseMove::Moved(next));
        }
        // The remote's own words for a lost race differ: what it has now does not.
        match self.remote_lease(remote) {
            Ok(now) if now.as_ref() != expected => Ok(LeaseMove::Beaten),
            _ => Ok(LeaseMove::NotAllowed(finished.error().to_string())),
        }
    }

    fn remote_lease(&self, remote: &str) -> Result<Option<ObjectId>, NotesError> {
        self.check_remote(remote)?;
        let finished = self.run_network_git(&["ls-remote", "--quiet", "--", remote, LEASE])?;
        if !finished.success() {
            return Err(finished.error().into());
        }
        let said = finished.stdout();
        // A pattern matches the ends of names.
        let mut ids = said.lines().filter_map(|line| {
            let (id, name) = line.split_once('\t')?;
            (name == LEASE).then(|| id.parse().ok())?
        });
        Ok(ids.next())
    }
}
