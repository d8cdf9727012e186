//! What `refit init` changes: built first, then shown or done.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::diff::unified;
use crate::{error::CommandError, project::Project};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A file gets this text.
    Write {
        /// The file.
        path: PathBuf,
        /// Its text now; none if it is new.
        before: Option<String>,
        /// Its text then.
        after: String,
        /// Whether it is a program.
        executable: bool,
    },
    /// A file gets out of the way, bit for bit.
    Rename {
        /// Its name now.
        from: PathBuf,
        /// Its name then.
        to: PathBuf,
    },
    /// A value is added to git's configuration of this repository.
    Config {
        /// `remote.origin.fetch`.
        key: String,
        /// The value.
        value: String,
    },
}

impl Change {
    /// Does it.
    pub(super) fn apply(&self, project: &Project) -> Result<(), CommandError> {
        match self {
            Self::Write {
                path,
                after,
                executable,
                ..
            } => write(path, after, *executable).map_err(|error| failed("write", path, &error)),
            Self::Rename { from, to } => {
                fs::rename(from, to).map_err(|error| failed("rename", from, &error))
            }
            Self::Config { key, value } => {
                project.repo.add_config_value(key, value)?;
                Ok(())
            }
        }
    }

    /// What was done, for people.
    pub(super) fn done(&self, root: &Path) -> String {
        match self {
            Self::Write {
                path, before: None, ..
            } => format!("wrote {}", shown(path, root)),
            Self::Write {
                path,
                before: Some(_),
                ..
            } => format!("updated {}", shown(path, root)),
            Self::Rename { from, to } => {
                format!("moved {} to {}", shown(from, root), shown(to, root))
            }
            Self::Config { key, value } => format!("added {value} to {key}"),
        }
    }

    /// What would be done, as a diff.
    pub(super) fn diff(&self, root: &Path) -> String {
        match self {
            Self::Write {
                path,
                before,
                after,
                executable,
            } => {
                let name = shown(path, root);
                let mode = if *executable { "100755" } else { "100644" };
                match before {
                    None => {
                        let body = unified("", after);
                        format!("new file {name}, mode {mode}\n--- /dev/null\n+++ {name}\n{body}")
                    }
                    Some(before) => format!("--- {name}\n+++ {name}\n{}", unified(before, after)),
                }
            }
            Self::Rename { from, to } => format!(
                "rename from {}\nrename to {}\n",
                shown(from, root),
                shown(to, root)
            ),
            Self::Config { key, value } => format!("git config --add {key} {value}\n"),
        }
    }
}

fn failed(verb: &str, path: &Path, error: &io::Error) -> CommandError {
    CommandError::new(format!("cannot {verb} `{}`: {error}", path.display()))
}

fn write(path: &Path, text: &str, executable: bool) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    // A temporary file is its owner's alone; this one is for whoever may read the folder.
    set_mode(file.path(), if executable { 0o755 } else { 0o644 })?;
    file.persist(path)?;
    Ok(())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

/// The path from the working tree's root, where it lies below.
fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}
