//! The id a file of the working tree would get in git, after its clean filters.

use std::{fs, io::Read, path::Path};

use gix::worktree::{Stack, stack::state::attributes::Source};
use refit_oci::ObjectId;

use super::{FilterError, asked};
use crate::{GitError, Repo, id};

/// The index, its attributes and filters, read once for many files.
struct Cleaner<'repo> {
    repo: &'repo gix::Repository,
    index: gix::worktree::Index,
    attributes: Stack,
    filters: gix::filter::Pipeline<'repo>,
}

impl Repo {
    /// The id that the file or symlink at `path` would have in git as `repo_path`; nothing is written.
    pub fn hash_object(&self, path: &Path, repo_path: &str) -> Result<ObjectId, FilterError> {
        let repo = self.handle();
        Cleaner::new(&repo)?.hash(self, path, repo_path)
    }

    /// As [`Repo::hash_object`] for many files, reading the attributes once; faster if they come sorted.
    pub fn hash_objects<'a>(
        &self,
        files: impl IntoIterator<Item = (&'a Path, &'a str)>,
    ) -> Result<Vec<ObjectId>, FilterError> {
        let repo = self.handle();
        let mut cleaner = Cleaner::new(&repo)?;
        files
            .into_iter()
            .map(|(path, repo_path)| cleaner.hash(self, path, repo_path))
            .collect()
    }

    fn hashed_by_git(&self, path: &Path, repo_path: &str) -> Result<ObjectId, FilterError> {
        let not_utf8 = || GitError::NotUtf8(path.display().to_string());
        let absolute = std::path::absolute(path).map_err(|source| GitError::Io {
            path: path.to_owned(),
            source,
        })?;
        let file = absolute.to_str().ok_or_else(not_utf8)?;
        let path_flag = format!("--path={repo_path}");
        let printed = self.converted_by_git(repo_path, &["hash-object", &path_flag, "--", file])?;
        let printed = String::from_utf8_lossy(&printed);
        Ok(printed
            .trim()
            .parse()
            .expect("`git hash-object` prints an object id"))
    }
}

impl<'repo> Cleaner<'repo> {
    fn new(repo: &'repo gix::Repository) -> Result<Self, GitError> {
        let index = repo
            .index_or_empty()
            .map_err(GitError::reading("the index"))?;
        let source = match repo.workdir() {
            Some(_) => Source::WorktreeThenIdMapping,
            None => Source::IdMapping,
        };
        let stack = || Ok(repo.attributes_only(&index, source)?.detach());
        let attributes = stack().map_err(GitError::reading("git's attributes"))?;
        let filters = stack()
            .and_then(|stack| gix::filter::Pipeline::new(repo, stack))
            .map_err(GitError::reading("git's filters"))?;
        Ok(Self {
            repo,
            index,
            attributes,
            filters,
        })
    }

    fn hash(&mut self, git: &Repo, path: &Path, repo_path: &str) -> Result<ObjectId, FilterError> {
        let io = |source| GitError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = if fs::symlink_metadata(path).map_err(io)?.is_symlink() {
            let target = fs::read_link(path).map_err(io)?;
            target.into_os_string().into_encoded_bytes()
        } else if asked(self.repo, &mut self.attributes, repo_path)?.encoding {
            return git.hashed_by_git(path, repo_path);
        } else {
            self.cleaned(fs::File::open(path).map_err(io)?, repo_path)?
        };
        let id = gix::objs::compute_hash(self.repo.object_hash(), gix::objs::Kind::Blob, &bytes)
            .map_err(GitError::reading(format!("`{}`", path.display())))?;
        Ok(id::ours(id))
    }

    fn cleaned(&mut self, file: fs::File, repo_path: &str) -> Result<Vec<u8>, FilterError> {
        let mut clean = self
            .filters
            .convert_to_git(file, Path::new(repo_path), &self.index)
            .map_err(|source| FilterError::Filter {
                path: repo_path.to_owned(),
                source: Box::new(source),
            })?;
        let mut bytes = Vec::new();
        clean
            .read_to_end(&mut bytes)
            .map_err(|source| FilterError::Output {
                path: repo_path.to_owned(),
                source,
            })?;
        Ok(bytes)
    }
}
