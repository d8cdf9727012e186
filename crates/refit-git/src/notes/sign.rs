//! Signed commits of notes: git signs them and git checks them, with whatever its configuration names.

use std::collections::{BTreeSet, HashMap};

use refit_oci::ObjectId;

use super::{NotesError, append::FALLBACK};
use crate::{Repo, id};

/// What git says of a commit's signature, and the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The commit of notes.
    pub commit: ObjectId,
    /// Whether there is a signature at all.
    pub is_there: bool,
    /// Who wrote the commit, as it says.
    pub author: String,
    /// What git said.
    pub said: String,
}

/// The signatures of a ref's commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures {
    /// How many commits have one that git holds to be good.
    pub n_good: usize,
    /// How many have none, and come before the first that has one.
    pub n_before: usize,
    /// Those without a good one, the newest first.
    pub not_good: Vec<Signature>,
}

/// A commit with what git says of it.
struct Looked {
    signature: Signature,
    is_good: bool,
    parents: Vec<String>,
}

impl Repo {
    /// Has git check the signatures of all commits of a ref of notes.
    pub fn notes_signatures(&self, reference: &str) -> Result<Signatures, NotesError> {
        let Some(tip) = self.commit_of_ref(reference)? else {
            return Ok(Signatures::default());
        };
        // Fields end with a byte that is in none of them; what git's helper said may have several lines.
        let format = "--format=%H%x00%P%x00%G?%x00%an <%ae>%x00%GG%x00";
        let finished = self.run_git(&["log", "-z", "--topo-order", format, tip.as_str(), "--"])?;
        if !finished.success() {
            return Err(finished.error().into());
        }
        let (text, warned) = (finished.stdout(), finished.stderr());
        let fields: Vec<&str> = text.split('\0').collect();
        // After the last field comes what `-z` ends a commit with.
        let repo = self.handle();
        let looked: Vec<Looked> = fields
            .chunks(6)
            .filter_map(|fields| looked(&repo, fields, &warned))
            .collect();
        let before = before_the_first(&looked);
        let mut found = Signatures::default();
        for looked in looked {
            if looked.is_good {
                found.n_good += 1;
            } else if !looked.signature.is_there
                && before.contains(looked.signature.commit.as_str())
            {
                found.n_before += 1;
            } else {
                found.not_good.push(looked.signature);
            }
        }
        Ok(found)
    }
}

fn looked(repo: &gix::Repository, fields: &[&str], warned: &str) -> Option<Looked> {
    let [commit, parents, status, author, said, ..] = fields else {
        return None;
    };
    let commit: ObjectId = commit.parse().ok()?;
    let is_there = is_signed(repo, &commit);
    let one_line = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("; ")
    };
    let said = match one_line(said) {
        said if !said.is_empty() => said,
        _ if !is_there => "it has no signature".to_owned(),
        // Git has no word for the commit, but one for all that it could not check.
        _ if !warned.trim().is_empty() => {
            let lines: BTreeSet<&str> = warned.lines().collect();
            one_line(&lines.into_iter().collect::<Vec<_>>().join("\n"))
        }
        _ => format!("git says `{status}` of its signature"),
    };
    Some(Looked {
        // `U`: good, by a key that nobody has vouched for.
        is_good: *status == "G",
        signature: Signature {
            commit,
            is_there,
            author: (*author).to_owned(),
            said,
        },
        parents: parents.split(' ').map(str::to_owned).collect(),
    })
}

/// Whether a commit has a signature: git says the same of one that it has not and of one that it cannot check.
fn is_signed(repo: &gix::Repository, commit: &ObjectId) -> bool {
    let commit = repo.find_commit(id::theirs(commit)).ok();
    commit.is_some_and(|commit| {
        let header = commit.data.split(|byte| *byte == b'\n');
        let header = header.take_while(|line| !line.is_empty());
        header.into_iter().any(|line| line.starts_with(b"gpgsig"))
    })
}

/// The commits that the oldest signed one goes on from: nobody signed then.
fn before_the_first(looked: &[Looked]) -> BTreeSet<String> {
    let parents: HashMap<&str, &[String]> = looked
        .iter()
        .map(|looked| (looked.signature.commit.as_str(), looked.parents.as_slice()))
        .collect();
    let first = looked.iter().rfind(|looked| looked.is_good);
    let mut before = BTreeSet::new();
    let mut pending: Vec<&String> = first.iter().flat_map(|first| &first.parents).collect();
    while let Some(commit) = pending.pop() {
        if before.insert(commit.clone()) {
            pending.extend(parents.get(commit.as_str()).copied().unwrap_or_default());
        }
    }
    before
}

/// Makes a signed commit.
pub(super) fn commit(
    git: &Repo,
    tree: gix::ObjectId,
    parents: &[gix::ObjectId],
    message: String,
) -> Result<gix::ObjectId, NotesError> {
    let (name, email) = FALLBACK;
    let (name, email) = (format!("user.name={name}"), format!("user.email={email}"));
    let tree = tree.to_string();
    let parents: Vec<String> = parents.iter().map(ToString::to_string).collect();
    let mut args = Vec::new();
    if git.pool().private().committer().is_none() {
        args.extend(["-c", &name, "-c", &email]);
    }
    args.extend(["commit-tree", "-S"]);
    for parent in &parents {
        args.extend(["-p", parent]);
    }
    args.push(&tree);
    let finished = git.run_git_with(&args, Some(message.into_bytes()))?;
    let commit = finished.stdout().trim().parse();
    match commit {
        Ok(commit) if finished.success() => Ok(id::theirs(&commit)),
        _ => Err(NotesError::Unsigned(finished.error())),
    }
}
