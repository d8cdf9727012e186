//! Fetching commits that a shallow clone lacks.

use refit_oci::ObjectId;

use crate::{ChildError, GitError, Repo, child::FETCH, history};

/// Why a commit could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The remote has it no longer, or gives out only what its refs reach.
    #[error("remote `{remote}` does not give out commit `{commit}`")]
    Gone {
        /// The remote.
        remote: String,
        /// The commit.
        commit: ObjectId,
    },
    /// No remote of that name.
    #[error("there is no remote `{0}`")]
    UnknownRemote(String),
    /// `git fetch` failed otherwise.
    #[error(transparent)]
    Git(#[from] ChildError),
    /// The repository can't be read.
    #[error(transparent)]
    Read(#[from] GitError),
}

impl Repo {
    /// Makes a commit and its tree available, from the remote if they aren't here; whether anything was fetched.
    ///
    /// A shallow clone gets that one commit, a full one its history as well. No ref changes.
    pub fn fetch_commit(&self, remote: &str, commit: &ObjectId) -> Result<bool, FetchError> {
        match history::commit_object(&self.handle(), commit) {
            Ok(_) => return Ok(false),
            Err(GitError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.known_remote(remote)?;
        let mut args = FETCH.to_vec();
        if self.is_shallow() {
            args.push("--depth=1");
        }
        args.extend(["--", remote, commit.as_str()]);
        let finished = self.run_network_git(&args)?;
        if finished.success() {
            return Ok(true);
        }
        let said = finished.stderr();
        if said.contains("not our ref") || said.contains("unadvertised object") {
            return Err(FetchError::Gone {
                remote: remote.to_owned(),
                commit: commit.clone(),
            });
        }
        Err(finished.error().into())
    }

    /// Gives a shallow clone the history that it lacks, so that ancestry can be told; whether anything was fetched.
    pub fn unshallow(&self, remote: &str) -> Result<bool, FetchError> {
        if !self.is_shallow() {
            return Ok(false);
        }
        self.known_remote(remote)?;
        // Named one by one: the configured refspecs may move refs that are not ours to move.
        let branches = self.branches()?;
        let refspecs: Vec<String> = branches
            .iter()
            .map(|(name, _)| format!("refs/heads/{name}"))
            .collect();
        let mut args = FETCH.to_vec();
        args.extend(["--unshallow", "--", remote]);
        args.extend(refspecs.iter().map(String::as_str));
        if refspecs.is_empty() {
            args.push("HEAD");
        }
        let finished = self.run_network_git(&args)?;
        if finished.success() {
            Ok(true)
        } else {
            Err(finished.error().into())
        }
    }

    /// Asks a remote which branch its HEAD is, and for that branch's commit, which need not be here; none if it has none.
    pub fn ask_remote_head(&self, remote: &str) -> Result<Option<(String, ObjectId)>, FetchError> {
        self.known_remote(remote)?;
        let finished =
            self.run_network_git(&["ls-remote", "--quiet", "--symref", "--", remote, "HEAD"])?;
        if !finished.success() {
            return Err(finished.error().into());
        }
        let said = finished.stdout();
        let lines = said.lines().filter_map(|line| line.strip_suffix("\tHEAD"));
        let (mut branch, mut commit) = (None, None);
        for value in lines {
            match value.strip_prefix("ref: refs/heads/") {
                Some(name) => branch = Some(name.to_owned()),
                None => commit = value.parse().ok(),
            }
        }
        Ok(branch.zip(commit))
    }

    fn known_remote(&self, remote: &str) -> Result<(), FetchError> {
        if self.has_remote(remote)? {
            Ok(())
        } else {
            Err(FetchError::UnknownRemote(remote.to_owned()))
        }
    }

    /// Whether a remote of this name is configured.
    pub fn has_remote(&self, remote: &str) -> Result<bool, GitError> {
        let known = || {
            self.handle()
                .remote_names()
                .iter()
                .any(|name| *name == remote)
        };
        if known() {
            return Ok(true);
        }
        // It may have been added since the repository was opened.
        self.reload()
            .map_err(GitError::reading("git's configuration"))?;
        Ok(known())
    }
}
