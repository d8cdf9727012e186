//! Fetching notes beside ours, and uniting them line by line: never straight onto our refs.

use std::collections::BTreeMap;

use refit_oci::ObjectId;

use super::{
    NotesError, RECORDS, SENTENCES,
    lines::{self, Rule},
    lock::Lock,
    read,
    write::{self, Next},
};
use crate::{Repo, bulk, child::FETCH, history, id, tree};

/// The commits our refs were moved to by uniting; `None` where theirs brought nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct United {
    /// The new commit of [`RECORDS`].
    pub records: Option<ObjectId>,
    /// The new commit of [`SENTENCES`].
    pub sentences: Option<ObjectId>,
}

/// Where a remote's notes wait to be united: `refs/refit/remote/<name>/refit-records`.
pub fn tracking_ref(remote: &str, reference: &str) -> String {
    let leaf = reference.rsplit('/').next().unwrap_or(reference);
    format!("refs/refit/remote/{remote}/{leaf}")
}

impl Repo {
    /// Fetches a remote's notes to [`tracking_ref`]s; those that the remote no longer has are forgotten.
    pub fn notes_fetch(&self, remote: &str) -> Result<(), NotesError> {
        self.check_remote(remote)?;
        let refspec = format!("+refs/notes/refit*:{}", tracking_ref(remote, "refit*"));
        let mut args = FETCH.to_vec();
        // A partial clone would leave out what the notes say.
        args.extend(["--prune", "--no-filter", "--", remote, &refspec]);
        let finished = self.run_network_git(&args)?;
        if finished.success() {
            Ok(())
        } else {
            Err(finished.error().into())
        }
    }

    /// Adds the lines of a remote's fetched notes to ours, records first.
    ///
    /// What we contain already changes nothing; where we have nothing of our own our ref follows theirs; else a commit
    /// with both histories as parents holds the union.
    pub fn notes_unite(&self, remote: &str) -> Result<United, NotesError> {
        let lock = Lock::acquire(self.common_dir())?;
        let unite = |reference, rule| {
            let Some(theirs) = self.commit_of_ref(&tracking_ref(remote, reference))? else {
                return Ok(None);
            };
            let next =
                |repo: &gix::Repository, ours| unite(self, repo, rule, ours, &theirs, remote);
            self.move_notes_ref(&lock, reference, next, &mut |_| {})
        };
        Ok(United {
            records: unite(RECORDS, Rule::SortUnique)?,
            sentences: unite(SENTENCES, Rule::Append)?,
        })
    }

    pub(super) fn check_remote(&self, remote: &str) -> Result<(), NotesError> {
        if self.has_remote(remote)? {
            Ok(())
        } else {
            Err(NotesError::UnknownRemote(remote.to_owned()))
        }
    }
}

/// The commit that holds ours and theirs; `None` if ours does.
fn unite(
    git: &Repo,
    repo: &gix::Repository,
    rule: Rule,
    ours: Option<gix::ObjectId>,
    theirs: &ObjectId,
    remote: &str,
) -> Result<Option<Next>, NotesError> {
    let Some(tip) = ours else {
        return Ok(Some(Next::There(id::theirs(theirs))));
    };
    let ours = id::ours(tip);
    if history::is_ancestor(repo, theirs, &ours)? {
        return Ok(None);
    }
    if history::is_ancestor(repo, &ours, theirs)? {
        return Ok(Some(Next::There(id::theirs(theirs))));
    }
    let there = read::listing(repo, &ours)?;
    let theirs_alone = read::listing(repo, theirs)?
        .into_iter()
        .filter(|(annotated, blobs)| there.get(annotated) != Some(blobs));
    let (annotated, blobs): (Vec<ObjectId>, Vec<_>) = theirs_alone
        .flat_map(|(annotated, blobs)| blobs.into_iter().map(move |b| (annotated.clone(), b)))
        .unzip();
    git.fetch_promised(&blobs.iter().map(id::ours).collect::<Vec<_>>())?;
    let texts: Result<Vec<_>, _> = bulk::blobs(git, &blobs, |_, text| text)
        .into_iter()
        .collect();
    let mut new: BTreeMap<ObjectId, Vec<u8>> = BTreeMap::new();
    for (annotated, text) in annotated.into_iter().zip(texts?) {
        let note = new.entry(annotated).or_default();
        note.extend(text);
        note.push(b'\n');
    }
    let new = new
        .iter()
        .map(|(annotated, text)| (annotated, lines::of(text)));
    let united = match write::tree(git, repo, Some(tip), rule, new)? {
        Some(tree) => tree,
        None => tree::tree_of(repo, &ours)?.into(),
    };
    Ok(Some(Next::Commit {
        tree: united,
        parents: vec![tip, id::theirs(theirs)],
        message: format!("Unite the notes of {remote}"),
    }))
}
