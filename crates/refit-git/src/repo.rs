//! Opening a repository, and where its folders are.

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use crate::{
    Checkout, Environment,
    filter::Checkouts,
    handles::{Handle, Pool},
};

/// Repository extensions that we and the library understand; git refuses others, and so do we.
const KNOWN_EXTENSIONS: [&str; 8] = [
    "compatobjectformat",
    "noop",
    "objectformat",
    "partialclone",
    "preciousobjects",
    "refstorage",
    "relativeworktrees",
    "worktreeconfig",
];

/// One repository, usable from many threads at once.
pub struct Repo {
    pool: RwLock<Arc<Pool>>,
    git_dir: PathBuf,
    common_dir: PathBuf,
    work_dir: Option<PathBuf>,
    environment: Environment,
    signs_notes: bool,
    pub(crate) checkouts: Checkouts,
    /// What was there at the first look, if that is what counts.
    pub(crate) first_checkout: Option<Mutex<Option<Arc<Checkout>>>>,
}

/// Why a repository can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Neither the folder nor its parents are a repository.
    #[error("`{}` is not in a git repository", dir.display())]
    NotARepository {
        /// Where the search began.
        dir: PathBuf,
    },
    /// The folder belongs to someone else, and git's `safe.directory` doesn't list it.
    #[error(
        "`{}` belongs to another user; trust it with `git config --global --add safe.directory {}`",
        path.display(),
        path.display()
    )]
    Unsafe {
        /// The repository.
        path: PathBuf,
    },
    /// Refs live in another backend; a write by the library would be invisible to git.
    #[error("the refs of `{}` are stored as `{format}`, only `files` can be written safely", path.display())]
    Reftable {
        /// The git directory.
        path: PathBuf,
        /// The value of `extensions.refStorage`.
        format: String,
    },
    /// An extension of the repository format that git of this tool's age doesn't know.
    #[error("`{}` uses the unknown repository extension `{extension}`", path.display())]
    Extension {
        /// The git directory.
        path: PathBuf,
        /// The name under `extensions.`.
        extension: String,
    },
    /// Anything else, such as unreadable configuration.
    #[error("cannot open the repository at `{}`", dir.display())]
    Open {
        /// Where the search began.
        dir: PathBuf,
        /// What the library said.
        source: Box<gix::Error>,
    },
    /// The folder itself can't be named.
    #[error("cannot open `{}`", dir.display())]
    Io {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Repo {
    /// The repository that holds `dir`, found as git finds it (`GIT_DIR` first, as in hooks).
    pub fn discover(dir: &Path) -> Result<Self, OpenError> {
        Self::discover_with(dir, Environment::Inherited)
    }

    /// The repository that holds `dir`, with a say in what else counts.
    pub fn discover_with(dir: &Path, environment: Environment) -> Result<Self, OpenError> {
        // An absolute start makes every path absolute, whatever the process's folder becomes later.
        let dir = std::path::absolute(dir).map_err(|source| OpenError::Io {
            dir: dir.to_owned(),
            source,
        })?;
        let shared = open(&dir, environment).map_err(|source| explain(&dir, source))?;
        let repo = shared.to_thread_local();
        check_format(&repo)?;
        Ok(Self {
            git_dir: repo.git_dir().to_owned(),
            common_dir: plain(repo.common_dir()),
            work_dir: repo.workdir().map(Path::to_owned),
            pool: RwLock::new(Pool::new(shared)),
            environment,
            signs_notes: false,
            first_checkout: None,
            checkouts: Checkouts::default(),
        })
    }

    /// What all worktrees share: objects, refs, configuration.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The git directory of this worktree.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The root of the checkout; none in a bare repository.
    pub fn work_dir(&self) -> Option<&Path> {
        self.work_dir.as_deref()
    }

    /// Whether there is no checkout.
    pub fn is_bare(&self) -> bool {
        self.work_dir.is_none()
    }

    /// Whether history is cut off somewhere.
    pub fn is_shallow(&self) -> bool {
        self.handle().is_shallow().unwrap_or(false)
    }

    /// Which environment this repository was opened with.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// Has git sign the commits of notes, as its configuration says (`gpg.format`, `user.signingKey`).
    pub fn sign_notes(&mut self, sign: bool) {
        self.signs_notes = sign;
    }

    /// Whether it has.
    pub fn signs_notes(&self) -> bool {
        self.signs_notes
    }

    pub(crate) fn handle(&self) -> Handle {
        self.pool().handle()
    }

    pub(crate) fn pool(&self) -> Arc<Pool> {
        Arc::clone(&self.pool.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the configuration again, after it was written.
    pub(crate) fn reload(&self) -> Result<(), gix::Error> {
        let mut repo = self.pool().private();
        repo.reload()?;
        *self.pool.write().unwrap_or_else(PoisonError::into_inner) = Pool::new(repo.into_sync());
        Ok(())
    }
}

impl fmt::Debug for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repo")
            .field("git_dir", &self.git_dir)
            .finish_non_exhaustive()
    }
}

fn open(dir: &Path, environment: Environment) -> Result<gix::ThreadSafeRepository, gix::Error> {
    let options = match environment {
        Environment::Inherited => gix::open::Options::default(),
        Environment::Isolated => gix::open::Options::isolated(),
    };
    // Like git, and unlike the library's default: nothing of an untrusted repository is used.
    let options = options.bail_if_untrusted(true);
    // Git reads indexes without checking their sums, and of a large one the sum takes longer than all else.
    let options = options.config_overrides(["index.skipHash=true"]);
    let mut upwards = gix::discover::upwards::Options {
        match_ceiling_dir_or_error: false,
        ..Default::default()
    };
    if environment == Environment::Inherited {
        if let Some(git_dir) = std::env::var_os("GIT_DIR") {
            // Relative to the folder in question, as `git -C` has it.
            return gix::ThreadSafeRepository::open_opts(
                dir.join(git_dir),
                options.open_path_as_is(true),
            );
        }
        upwards = upwards.apply_environment();
        upwards.cross_fs =
            std::env::var_os("GIT_DISCOVERY_ACROSS_FILESYSTEM").is_some_and(|value| {
                [OsStr::new("1"), OsStr::new("true")].contains(&value.as_os_str())
            });
    }
    let trust = gix::sec::trust::Mapping {
        full: options.clone(),
        reduced: options,
    };
    gix::ThreadSafeRepository::discover_opts(dir, upwards, trust)
}

/// A linked worktree's common folder comes as `…/worktrees/name/../..`.
fn plain(path: &Path) -> PathBuf {
    let has_detours = path
        .components()
        .any(|part| part == std::path::Component::ParentDir);
    let plain = has_detours.then(|| path.canonicalize().ok()).flatten();
    plain.unwrap_or_else(|| path.to_owned())
}

fn explain(dir: &Path, source: gix::Error) -> OpenError {
    let dir = dir.to_owned();
    if source
        .downcast_any_ref::<gix::discover::upwards::Error>()
        .is_some()
        && source.is_not_found()
    {
        OpenError::NotARepository { dir }
    } else if source.is_permission_denied() && source.downcast_any_ref::<std::io::Error>().is_none()
    {
        OpenError::Unsafe { path: dir }
    } else {
        OpenError::Open {
            dir,
            source: Box::new(source),
        }
    }
}

/// Refuses what the library would read wrongly or write where git doesn't look.
fn check_format(repo: &gix::Repository) -> Result<(), OpenError> {
    let config = repo.config_snapshot();
    let path = || repo.git_dir().to_owned();
    if let Some(format) = config.string("extensions.refStorage")
        && !format.eq_ignore_ascii_case(b"files")
    {
        return Err(OpenError::Reftable {
            path: path(),
            format: format.to_string(),
        });
    }
    if config.integer("core.repositoryFormatVersion").unwrap_or(0) < 1 {
        return Ok(());
    }
    for section in config
        .plumbing()
        .sections_by_name("extensions")
        .into_iter()
        .flatten()
    {
        for name in section.value_names() {
            let extension = name.to_ascii_lowercase();
            if !KNOWN_EXTENSIONS.contains(&extension.as_str()) {
                return Err(OpenError::Extension {
                    path: path(),
                    extension,
                });
            }
        }
    }
    Ok(())
}
