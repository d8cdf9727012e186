//! Partial clones: objects that were left to a remote are fetched when they are needed, as git does.

use refit_oci::ObjectId;

use crate::{GitError, Repo, child::FETCH, handles::Handle, id};

/// Object ids that fit on one command line.
const BATCH: usize = 500;

impl Repo {
    /// Makes objects available that a partial clone lacks, many with one fetch; whether any were lacking.
    ///
    /// In a full clone this does nothing: what is absent there can't be had by asking for it.
    pub fn fetch_promised<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a ObjectId>,
    ) -> Result<bool, GitError> {
        let Some(remote) = self.promisor() else {
            return Ok(false);
        };
        let repo = self.handle();
        let lacking: Vec<&ObjectId> = ids
            .into_iter()
            .filter(|id| {
                let id = id::theirs(id);
                id.kind() == repo.object_hash() && !repo.has_object(id)
            })
            .collect();
        for ids in lacking.chunks(BATCH) {
            let mut args = vec![
                // The remote must not be told what we have: we may lack parts of it.
                "-c",
                "fetch.negotiationAlgorithm=noop",
            ];
            args.extend(FETCH);
            args.extend(["--filter=blob:none", "--", &remote]);
            args.extend(ids.iter().map(|id| id.as_str()));
            let finished = self.run_network_git(&args);
            let failure = match finished {
                Ok(finished) if finished.success() => continue,
                Ok(finished) => finished.error(),
                Err(error) => error,
            };
            return Err(GitError::Promised {
                id: ids[0].clone(),
                source: failure,
            });
        }
        Ok(!lacking.is_empty())
    }

    /// Reads, fetching what a partial clone lacks on the way.
    pub(crate) fn reading<T>(
        &self,
        mut read: impl FnMut(&Handle) -> Result<T, GitError>,
    ) -> Result<T, GitError> {
        let repo = self.handle();
        let mut before = None;
        loop {
            match read(&repo) {
                // The same object twice means that fetching it brought nothing.
                Err(GitError::Missing { kind, id }) if before.as_ref() != Some(&id) => {
                    if !self.fetch_promised([&id])? {
                        return Err(GitError::Missing { kind, id });
                    }
                    before = Some(id);
                }
                result => return result,
            }
        }
    }

    /// The remote of a partial clone.
    pub(crate) fn promisor(&self) -> Option<String> {
        if let Some(remote) = self.config_string("extensions.partialClone") {
            return Some(remote);
        }
        let repo = self.handle();
        let config = repo.config_snapshot();
        let names = repo.remote_names();
        let promises =
            |name: &str| config.boolean(format!("remote.{name}.promisor").as_str()) == Some(true);
        names
            .iter()
            .map(ToString::to_string)
            .find(|name| promises(name))
    }
}
