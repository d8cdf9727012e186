//! Asks the same rules about many paths of one tree, each folder's verdict kept.

use std::collections::HashMap;

use super::{Ignore, Verdict};
use crate::go_path::with_parents;

/// Answers as [`Ignore`] does, without asking again about the folders on the way.
pub(crate) struct Walk<'i> {
    ignore: &'i Ignore,
    folders: HashMap<String, Folder>,
}

struct Folder {
    verdict: Verdict,
    may_be_skipped: bool,
}

/// What a listing does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    /// It is listed.
    Keep,
    /// It is left out.
    Drop,
    /// So is all that is in this folder, which it lies in.
    SkipFolder(&'p str),
}

impl<'i> Walk<'i> {
    pub(crate) fn new(ignore: &'i Ignore) -> Self {
        let root = Folder {
            verdict: Verdict::default(),
            may_be_skipped: false,
        };
        Self {
            ignore,
            folders: [(String::new(), root)].into(),
        }
    }

    /// [`Ignore::excludes`].
    pub(crate) fn excludes(&mut self, path: &str) -> bool {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let ignore = self.ignore;
        let folder = self.folder(folder);
        folder.may_be_skipped || ignore.below(&folder.verdict, path).excluded
    }

    /// [`Walk::excludes`], with the folder that need not be listed any further.
    pub(crate) fn step<'p>(&mut self, path: &'p str) -> Step<'p> {
        if !self.excludes(path) {
            return Step::Keep;
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !self.folder(folder).may_be_skipped {
            return Step::Drop;
        }
        let skipped = with_parents(folder).find(|folder| self.folder(folder).may_be_skipped);
        Step::SkipFolder(skipped.unwrap_or(folder))
    }

    /// [`Ignore::may_skip_dir`].
    pub(crate) fn may_skip_dir(&mut self, path: &str) -> bool {
        self.folder(path).may_be_skipped
    }

    fn folder(&mut self, path: &str) -> &Folder {
        if !self.folders.contains_key(path) {
            let mut parent = "";
            for path in with_parents(path) {
                if !self.folders.contains_key(path) {
                    let verdict = self.ignore.below(&self.folders[parent].verdict, path);
                    let may_be_skipped = verdict.excluded && !self.ignore.may_keep_below(path);
                    let folder = Folder {
                        verdict,
                        may_be_skipped,
                    };
                    self.folders.insert(path.to_owned(), folder);
                }
                parent = path;
            }
        }
        &self.folders[path]
    }
}
