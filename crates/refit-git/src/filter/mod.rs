//! Git's filters: what attributes ask for, and what can go wrong on the way into a checkout or back.

mod checkout;
mod clean;

use gix::{attrs::StateRef, bstr::BStr, worktree::Stack};

pub(crate) use checkout::Checkouts;

use crate::{ChildError, GitError, Repo};

/// The attributes we look at ourselves.
const ATTRIBUTES: [&str; 3] = ["filter", "ident", "working-tree-encoding"];

/// Why a file's bytes can't be had as a checkout would have them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The file is kept by git-lfs and came out as its pointer: no filter is set up, or it is told to skip.
    #[error(
        "`{path}` is kept by git-lfs and its content is not here; run `git lfs install` and `git lfs fetch`"
    )]
    Lfs {
        /// The file.
        path: String,
    },
    /// A filter that git is configured to run failed.
    #[error("git's filter for `{path}` failed")]
    Filter {
        /// The file.
        path: String,
        /// What it said.
        source: Box<gix::Error>,
    },
    /// A filter's output broke off.
    #[error("git's filter for `{path}` failed")]
    Output {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A conversion that is left to git failed.
    #[error("git cannot convert `{path}`")]
    Git {
        /// The file.
        path: String,
        /// What git said.
        source: ChildError,
    },
    /// The file or its attributes can't be read.
    #[error(transparent)]
    Read(#[from] GitError),
}

/// What the attributes of a path ask for beyond what the library does well.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    lfs: bool,
    /// `ident`, which the library expands without git's space.
    ident: bool,
    /// `working-tree-encoding`, where it writes UTF-8 instead of UTF-16.
    encoding: bool,
}

impl Repo {
    /// What git prints for a file that the library would convert otherwise.
    fn converted_by_git(&self, path: &str, args: &[&str]) -> Result<Vec<u8>, FilterError> {
        let failed = |source| FilterError::Git {
            path: path.to_owned(),
            source,
        };
        let finished = self.run_git(args).map_err(failed)?;
        if finished.success() {
            Ok(finished.into_bytes())
        } else {
            Err(failed(finished.error()))
        }
    }
}

fn asked(repo: &gix::Repository, attributes: &mut Stack, path: &str) -> Result<Asked, FilterError> {
    let mut found = attributes.selected_attribute_matches(ATTRIBUTES);
    let at = attributes
        .at_entry(BStr::new(path), None, &repo.objects)
        .map_err(no_attributes(path))?;
    at.matching_attributes(&mut found);
    let mut asked = Asked::default();
    for attribute in found.iter_selected() {
        let state = attribute.assignment.state;
        match attribute.assignment.name.as_str() {
            "filter" => {
                asked.lfs = matches!(state, StateRef::Value(name) if name.as_bstr() == "lfs");
            }
            "ident" => asked.ident = state.is_set(),
            _ => asked.encoding = matches!(state, StateRef::Value(_)),
        }
    }
    Ok(asked)
}

fn no_attributes(path: &str) -> impl FnOnce(std::io::Error) -> GitError {
    let path = path.into();
    move |source| GitError::Io { path, source }
}
