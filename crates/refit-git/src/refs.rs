//! Where refs point: HEAD, revisions, branch tips, the default branch.

use gix::bstr::ByteSlice;
use refit_oci::ObjectId;

use crate::{GitError, Repo, id};

/// What HEAD is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// No commit yet.
    Unborn {
        /// The branch that the first commit will create, without `refs/heads/`.
        branch: Option<String>,
    },
    /// A commit is checked out.
    Commit {
        /// The commit.
        id: ObjectId,
        /// The branch, without `refs/heads/`; none when detached.
        branch: Option<String>,
    },
}

/// Why a revision names no commit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevError {
    /// Nothing of that name, or nothing reachable in a shallow clone.
    #[error("`{rev}` is no revision of this repository")]
    Unknown {
        /// As given.
        rev: String,
        /// What the library said.
        source: Option<Box<gix::Error>>,
    },
    /// It names a tree or a blob.
    #[error("`{rev}` is no commit")]
    NotACommit {
        /// As given.
        rev: String,
    },
}

impl Repo {
    /// What HEAD points to.
    pub fn head(&self) -> Result<Head, GitError> {
        let repo = self.handle();
        let mut head = repo.head().map_err(GitError::reading("`HEAD`"))?;
        let branch = head
            .referent_name()
            .and_then(|name| name.as_bstr().strip_prefix(b"refs/heads/"))
            .map(|name| name.to_str_lossy().into_owned());
        if head.is_unborn() {
            return Ok(Head::Unborn { branch });
        }
        let commit = head
            .peel_to_commit()
            .map_err(GitError::reading("the commit of `HEAD`"))?;
        Ok(Head::Commit {
            id: id::ours(commit.id),
            branch,
        })
    }

    /// The commit that a revision (`HEAD~2`, a branch, a tag, an abbreviated id) names.
    pub fn resolve(&self, rev: &str) -> Result<ObjectId, RevError> {
        let unknown = |source: Option<gix::Error>| RevError::Unknown {
            rev: rev.to_owned(),
            source: source.map(Box::new),
        };
        if rev.is_empty() || rev.starts_with('-') {
            return Err(unknown(None));
        }
        let repo = self.handle();
        let found = repo
            .rev_parse_single(rev)
            .map_err(|error| unknown(Some(error)))?;
        let object = found.object().map_err(|error| unknown(Some(error)))?;
        match object.peel_to_commit() {
            Ok(commit) => Ok(id::ours(commit.id)),
            Err(_) => Err(RevError::NotACommit {
                rev: rev.to_owned(),
            }),
        }
    }

    /// How many states the log of a ref remembers, for `NAME@{N}`: a branch, a tag or `HEAD`. None: no such ref.
    pub fn n_log_entries(&self, name: &str) -> Result<Option<usize>, GitError> {
        let name = if name.is_empty() { "HEAD" } else { name };
        let Ok(name) = gix::refs::PartialName::try_from(name) else {
            return Ok(None);
        };
        let repo = self.handle();
        let what = || format!("the log of `{}`", name.as_ref().as_bstr());
        let found = repo.try_find_reference(name.as_ref());
        let Some(found) = found.map_err(GitError::reading(what()))? else {
            return Ok(None);
        };
        let mut log = found.log_iter();
        let lines = log
            .all()
            .map_err(|e| GitError::reading(what())(gix::Error::from_error(e)))?;
        Ok(Some(lines.map_or(0, Iterator::count)))
    }

    /// The commit a line's name stands for: the default remote's branch, else the local branch, else the tag.
    pub fn branch_tip(&self, name: &str) -> Result<Option<ObjectId>, GitError> {
        let remote = self.default_remote();
        let remote_branch = remote.map(|remote| format!("refs/remotes/{remote}/{name}"));
        let candidates = remote_branch
            .into_iter()
            .chain([format!("refs/heads/{name}"), format!("refs/tags/{name}")]);
        for full_name in candidates {
            if let Some(id) = self.commit_of_ref(&full_name)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The branches that lines can name, by name: the default remote's where there is a remote, else the local ones.
    pub fn branches(&self) -> Result<Vec<(String, ObjectId)>, GitError> {
        match self.default_remote() {
            Some(remote) => self.refs_below(&format!("refs/remotes/{remote}/")),
            None => self.refs_below("refs/heads/"),
        }
    }

    /// The tags that lead to commits, by name.
    pub fn tags(&self) -> Result<Vec<(String, ObjectId)>, GitError> {
        self.refs_below("refs/tags/")
    }

    /// The branch that the default remote's HEAD names, else the current branch; none when detached.
    pub fn default_branch(&self) -> Result<Option<String>, GitError> {
        if let Some(remote) = self.default_remote()
            && let Some(branch) = self.remote_head(&remote)?
        {
            return Ok(Some(branch));
        }
        Ok(match self.head()? {
            Head::Unborn { branch } | Head::Commit { branch, .. } => branch,
        })
    }

    /// The branch that a remote's HEAD named when it was cloned; none where nobody asked, as in most CI checkouts.
    pub fn remote_head(&self, remote: &str) -> Result<Option<String>, GitError> {
        let prefix = format!("refs/remotes/{remote}/");
        let repo = self.handle();
        let head = repo
            .try_find_reference(format!("{prefix}HEAD").as_str())
            .map_err(GitError::reading(format!("`{prefix}HEAD`")))?;
        let target = head.and_then(|head| {
            head.target()
                .try_name()
                .map(|name| name.as_bstr().to_string())
        });
        let branch = target
            .as_deref()
            .and_then(|target| target.strip_prefix(&prefix));
        Ok(branch.map(str::to_owned))
    }

    /// The remote that lines follow: `origin`, else the only one, else the current branch's; none without remotes.
    pub fn default_remote(&self) -> Option<String> {
        let repo = self.handle();
        let names = repo.remote_names();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        match names.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            many if many.iter().any(|name| name == "origin") => Some("origin".to_owned()),
            _ => {
                let head = repo.head_name().ok()??;
                let branch = head
                    .as_bstr()
                    .strip_prefix(b"refs/heads/")?
                    .to_str()
                    .ok()?
                    .to_owned();
                let remote = self.config_string(&format!("branch.{branch}.remote"))?;
                names.contains(&remote).then_some(remote)
            }
        }
    }

    fn refs_below(&self, prefix: &str) -> Result<Vec<(String, ObjectId)>, GitError> {
        let repo = self.handle();
        let reading = || GitError::reading(format!("the refs below `{prefix}`"));
        let refs = repo.references().map_err(reading())?;
        let mut found = Vec::new();
        for reference in refs.prefixed(prefix).map_err(reading())? {
            let mut reference = reference.map_err(reading())?;
            let full_name = reference.name().as_bstr();
            let name = full_name
                .strip_prefix(prefix.as_bytes())
                .map(ByteSlice::as_bstr);
            let Some(Ok(name)) = name.map(|name| name.to_str().map(str::to_owned)) else {
                continue; // nobody can write such a name into a configuration
            };
            // `HEAD` points to one of the others; a tag of a tree or a blob is no line.
            if name != "HEAD"
                && let Ok(commit) = reference.peel_to_commit()
            {
                found.push((name, id::ours(commit.id)));
            }
        }
        found.sort();
        Ok(found)
    }

    /// The commit a full ref name leads to, through symbolic refs and annotated tags.
    pub(crate) fn commit_of_ref(&self, full_name: &str) -> Result<Option<ObjectId>, GitError> {
        let Ok(full_name) = gix::refs::FullName::try_from(full_name) else {
            return Ok(None);
        };
        let repo = self.handle();
        let what = || format!("ref `{}`", full_name.as_bstr());
        let found = repo
            .try_find_reference(full_name.as_ref())
            .map_err(GitError::reading(what()))?;
        let Some(mut found) = found else {
            return Ok(None);
        };
        let commit = found.peel_to_commit().map_err(GitError::reading(what()))?;
        Ok(Some(id::ours(commit.id)))
    }
}
