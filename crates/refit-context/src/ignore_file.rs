//! Which ignore file applies: `<Dockerfile>.dockerignore` before `.dockerignore`.

use std::{fs, io, path::Path};

use refit_git::{Entry, Mode, Repo};
use refit_oci::ObjectId;

use crate::{ContextError, Ignore, Location, Problem, go_path::clean};

/// How many symbolic links may lead to an ignore file.
const MAX_LINKS: usize = 8;

/// The rules that apply, and where they were found.
#[derive(Clone, Debug, Default)]
pub struct IgnoreFile {
    /// The file's path, spelled as its candidate; none if there is no ignore file.
    pub path: Option<String>,
    /// Its rules.
    pub ignore: Ignore,
    /// Its lines that are no rules.
    pub problems: Vec<Problem>,
}

/// The paths to look at, the first that exists wins. Both arguments, and the results, start at the same folder.
pub fn ignore_candidates(dockerfile: &str, context: &str) -> [String; 2] {
    let beside_context = match context {
        "" => ".dockerignore".to_owned(),
        context => clean(&format!("{context}/.dockerignore")),
    };
    [clean(&format!("{dockerfile}.dockerignore")), beside_context]
}

/// Reads the ignore file of a context. `dockerfile` starts at the repository's root for a commit, else it is a path.
pub fn ignore_file(location: &Location<'_>, dockerfile: &str) -> Result<IgnoreFile, ContextError> {
    match location {
        Location::Commit {
            repo,
            commit,
            folder,
        } => first_of(ignore_candidates(dockerfile, folder), |path| {
            follow(path, |path| read_commit(repo, commit, path))
        }),
        Location::Listed {
            repo,
            entries,
            folder,
            ..
        }
        | Location::Index {
            repo,
            entries,
            folder,
        } => first_of(ignore_candidates(dockerfile, folder), |path| {
            follow(path, |path| read_listed(repo, entries, path))
        }),
        Location::Dir { dir, .. } => {
            // Not cleaned: behind a link, `..` is another folder.
            let beside_dockerfile = format!("{dockerfile}.dockerignore");
            let beside_context = dir.join(".dockerignore");
            let beside_context = beside_context
                .to_str()
                .ok_or_else(|| ContextError::NotUtf8(beside_context.clone()))?;
            first_of([beside_dockerfile, beside_context.to_owned()], read_disk)
        }
    }
}

fn first_of(
    candidates: [String; 2],
    read: impl Fn(&str) -> Result<Option<Vec<u8>>, ContextError>,
) -> Result<IgnoreFile, ContextError> {
    for path in candidates {
        if let Some(bytes) = read(&path)? {
            let (ignore, problems) = Ignore::parse(&String::from_utf8_lossy(&bytes));
            return Ok(IgnoreFile {
                path: Some(path),
                ignore,
                problems,
            });
        }
    }
    Ok(IgnoreFile::default())
}

fn read_disk(path: &str) -> Result<Option<Vec<u8>>, ContextError> {
    match fs::read(path) {
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        other => other
            .map(Some)
            .map_err(ContextError::io("read", Path::new(path))),
    }
}

/// The bytes of a file of a commit, and whether it is a link.
type Read = Option<(Vec<u8>, bool)>;

/// The bytes of a file at a commit; links are followed within the repository.
fn follow(
    path: &str,
    read: impl Fn(&str) -> Result<Read, ContextError>,
) -> Result<Option<Vec<u8>>, ContextError> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Some((bytes, is_link)) = read(&path)? else {
            return Ok(None);
        };
        if !is_link {
            return Ok(Some(bytes));
        }
        let target = String::from_utf8_lossy(&bytes);
        path = match path.rsplit_once('/') {
            // Out of the repository.
            _ if target.starts_with('/') => return Ok(None),
            None => clean(&target),
            Some((folder, _)) => clean(&format!("{folder}/{target}")),
        };
    }
    Ok(None)
}

fn read_commit(repo: &Repo, commit: &ObjectId, path: &str) -> Result<Read, ContextError> {
    let Some((_, bytes)) = repo.blob_at(commit, path)? else {
        return Ok(None);
    };
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    // A link's blob is its target: one line without an end. Only then is it worth a listing to tell.
    let may_be_link = (1..4096).contains(&bytes.len()) && !bytes.contains(&b'\n');
    let is_link = may_be_link
        && repo
            .tree_under(commit, folder)?
            .iter()
            .any(|entry| entry.path == name && entry.mode == Mode::Symlink);
    Ok(Some((bytes, is_link)))
}

fn read_listed(repo: &Repo, entries: &[Entry], path: &str) -> Result<Read, ContextError> {
    let Ok(at) = entries.binary_search_by(|entry| entry.path.as_str().cmp(path)) else {
        return Ok(None);
    };
    let entry = &entries[at];
    if entry.mode == Mode::Submodule {
        return Ok(None);
    }
    Ok(Some((repo.blob(&entry.id)?, entry.mode == Mode::Symlink)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dockerfiles_own_ignore_file_comes_first() {
        for (dockerfile, context, expect) in [
            (
                "Dockerfile",
                "",
                ["Dockerfile.dockerignore", ".dockerignore"],
            ),
            (
                "Dockerfile",
                ".",
                ["Dockerfile.dockerignore", ".dockerignore"],
            ),
            (
                "./web/Dockerfile",
                "web/",
                ["web/Dockerfile.dockerignore", "web/.dockerignore"],
            ),
            (
                "docker/web.Dockerfile",
                "web",
                ["docker/web.Dockerfile.dockerignore", "web/.dockerignore"],
            ),
            (
                "/src/Dockerfile",
                "/src/app",
                ["/src/Dockerfile.dockerignore", "/src/app/.dockerignore"],
            ),
        ] {
            assert_eq!(
                ignore_candidates(dockerfile, context),
                expect,
                "{dockerfile} in {context}"
            );
        }
    }
}
