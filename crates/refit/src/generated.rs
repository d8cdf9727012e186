//! Generated files: an image's `prepare` runs in a checkout of the commit that is built.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use refit_build::apply::{Broken, Failed};
use refit_deps::{image::Image, record::FailureClass};
use refit_git::{Entry, Mode, Repo};
use refit_oci::{Digest, ObjectId};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{
    error::CommandError,
    program::{self, NotRun, last_line},
    project::Snapshot,
};

/// How long a command may take where the image has no `timeout`.
const TIMEOUT: Duration = Duration::from_mins(30);

/// A commit, and the command that ran in its checkout.
type Key = (ObjectId, Vec<String>);

/// What became of it, once it ran.
type Cell = Arc<OnceCell<Result<Made, Broken>>>;

/// The checkouts of a run, each command run once for a commit: all platforms and images get the same bytes of it.
pub(crate) struct Checkouts {
    folder: PathBuf,
    made: Mutex<BTreeMap<Key, Cell>>,
}

struct Made {
    dir: TempDir,
    /// What the command printed.
    output: String,
}

/// A commit's files, and whether its configuration's commands may run.
pub(crate) struct Source<'a> {
    pub(crate) repo: &'a Repo,
    pub(crate) commit: &'a ObjectId,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) may_run: bool,
}

impl Checkouts {
    /// None so far; they are made in `folder`, and go with it.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            made: Mutex::default(),
        }
    }

    /// Runs the image's command, unless it ran before. What it prints, or has printed, goes to `log`.
    pub(crate) async fn make(
        &self,
        image: &Image,
        source: Source<'_>,
        log: &mut (dyn Write + Send),
    ) -> Result<(), Broken> {
        if !source.may_run {
            return Err(Broken::from(not_accepted(image, &source)));
        }
        let cell = self.cell((source.commit.clone(), image.prepare.clone()));
        let mut ran_here = false;
        // Nobody being there to be told is no reason to fail.
        let _ = writeln!(log, "prepare: {}", image.prepare.join(" "));
        let made = cell.get_or_init(|| {
            ran_here = true;
            self.run(image, &source, log)
        });
        match made.await {
            // Who waited for another target's run is told what that printed.
            Ok(made) if !ran_here => {
                let _ = write!(log, "{}", made.output);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(broken) => Err(broken.clone()),
        }
    }

    /// The checkout that the image's command ran in.
    pub(crate) fn root(&self, image: &Image, commit: &ObjectId) -> Option<PathBuf> {
        let cell = self.cell((commit.clone(), image.prepare.clone()));
        let made = cell.get()?.as_ref().ok()?;
        Some(made.dir.path().to_owned())
    }

    fn cell(&self, key: Key) -> Cell {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.entry(key).or_default())
    }

    async fn run(
        &self,
        image: &Image,
        source: &Source<'_>,
        log: &mut (dyn Write + Send),
    ) -> Result<Made, Broken> {
        let dir = tempfile::Builder::new()
            .prefix("checkout-")
            .tempdir_in(&self.folder);
        let dir = dir.map_err(|error| unwritten(&self.folder, &error))?;
        check_out(source, dir.path()).map_err(|error| {
            let hint = error.hints.into_iter().next();
            Broken::from(Failed {
                message: error.message,
                excerpt: None,
                hint,
            })
        })?;
        let Some((name, args)) = image.prepare.split_first() else {
            let output = String::new();
            return Ok(Made { dir, output });
        };
        // A program of the repository is the commit's, not one that lies in the folder refit was started in.
        let program = match Path::new(name).components().count() {
            1 => name.clone(),
            _ => dir.path().join(name).to_string_lossy().into_owned(),
        };
        let mut output = String::new();
        let mut line = |text: &str| {
            output.push_str(text);
            output.push('\n');
            let _ = writeln!(log, "{text}");
        };
        let run = program::run_in(dir.path(), (&program, args), &mut line);
        let timeout = image.timeout.unwrap_or(TIMEOUT);
        let ended = match tokio::time::timeout(timeout, run).await {
            Err(_) => {
                let seconds = timeout.as_secs();
                return Err(failed(format!("`prepare` took longer than {seconds}s")));
            }
            Ok(Err(NotRun(action, error))) => {
                return Err(failed(format!("cannot {action} `{name}`: {error}")));
            }
            Ok(Ok(ended)) => ended,
        };
        let last = last_line(&ended.stderr).or_else(|| last_line(&ended.stdout));
        let last = last.map_or_else(String::new, |line| format!(": {line}"));
        match ended.code {
            Some(0) => Ok(Made { dir, output }),
            Some(code) => Err(failed(format!(
                "`prepare` ended with exit code {code}{last}"
            ))),
            None => Err(failed(format!("`prepare` ended with a signal{last}"))),
        }
    }
}

/// Writes a commit's files as git would, links last: nothing is written through one.
fn check_out(source: &Source<'_>, root: &Path) -> Result<(), CommandError> {
    let entries = &source.snapshot.entries;
    let (links, files): (Vec<&Entry>, Vec<&Entry>) = entries
        .iter()
        .partition(|entry| entry.mode == Mode::Symlink);
    for entry in files.into_iter().chain(links) {
        let is_outside = |name: &str| matches!(name, "" | "." | "..");
        if entry.path.split('/').any(is_outside) {
            let message = format!("`{}` is no path that can be checked out", entry.path);
            return Err(CommandError::new(message));
        }
        let path = root.join(&entry.path);
        let written = |error: io::Error| {
            CommandError::new(format!("cannot write `{}`: {error}", path.display()))
        };
        let folder = if entry.mode == Mode::Submodule {
            Some(path.as_path())
        } else {
            path.parent()
        };
        fs::create_dir_all(folder.unwrap_or(root)).map_err(written)?;
        match entry.mode {
            Mode::Submodule => {}
            Mode::Symlink => {
                let target = source.repo.blob(&entry.id)?;
                let target = String::from_utf8_lossy(&target).into_owned();
                symlink(target, &path).map_err(written)?;
            }
            Mode::File | Mode::Executable => {
                let bytes = source
                    .repo
                    .checkout_bytes(source.commit, &entry.path, &entry.id)
                    .map_err(|error| CommandError::because(&error))?;
                fs::write(&path, bytes).map_err(written)?;
                if entry.mode == Mode::Executable {
                    let executable = fs::Permissions::from_mode(0o755);
                    fs::set_permissions(&path, executable).map_err(written)?;
                }
            }
        }
    }
    Ok(())
}

fn not_accepted(image: &Image, source: &Source<'_>) -> Failed {
    let command = image.prepare.join(" ");
    let at = source.commit.short();
    let accepts = |digest: &Digest| {
        format!(
            "`refit trust` accepts the commands of this repository; `REFIT_TRUST={digest}` those of commit {at}"
        )
    };
    Failed {
        message: format!(
            "`prepare` in `.config/refit.toml` is not run before it is accepted: `{command}`"
        ),
        excerpt: None,
        hint: source.snapshot.config.as_ref().map(accepts),
    }
}

fn failed(message: String) -> Broken {
    Broken {
        class: FailureClass::Prepare,
        failed: Failed {
            message,
            excerpt: None,
            hint: None,
        },
    }
}

fn unwritten(folder: &Path, error: &io::Error) -> Broken {
    Broken::from(Failed {
        message: format!("cannot make a folder in `{}`: {error}", folder.display()),
        excerpt: None,
        hint: None,
    })
}
