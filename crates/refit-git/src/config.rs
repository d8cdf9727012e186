//! Git's configuration: reads, additions that change nothing the second time, and where hooks live.

use std::path::PathBuf;

use crate::{ChildError, Repo};

/// Why the configuration could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not `section.name` or `section.sub.section.name`.
    #[error("`{0}` is no configuration key")]
    Key(String),
    /// `git config` failed.
    #[error("cannot write git's configuration")]
    Git(#[from] ChildError),
    /// It was written but can't be read back.
    #[error("cannot read git's configuration")]
    Reload(#[source] Box<gix::Error>),
}

impl Repo {
    /// The value that counts for a key; `None` if it is absent, without a value, or not UTF-8.
    pub fn config_string(&self, key: &str) -> Option<String> {
        String::from_utf8(self.handle().config_snapshot().string(key)?.into()).ok()
    }

    /// All values of a key, in the order git reads them.
    pub fn config_strings(&self, key: &str) -> Vec<String> {
        let repo = self.handle();
        let values = repo
            .config_snapshot()
            .plumbing()
            .strings(key)
            .unwrap_or_default();
        values
            .into_iter()
            .filter_map(|value| String::from_utf8(value.into()).ok())
            .collect()
    }

    /// Sets a key in the repository's configuration unless it has a value anywhere; whether anything changed.
    pub fn set_config_if_absent(&self, key: &str, value: &str) -> Result<bool, ConfigError> {
        check_key(key)?;
        if self.config_string(key).is_some() {
            return Ok(false);
        }
        self.write_config(&["config", "--local", key, value])
    }

    /// Adds a value to a multi-valued key of the repository's configuration unless it is there; whether anything changed.
    pub fn add_config_value(&self, key: &str, value: &str) -> Result<bool, ConfigError> {
        check_key(key)?;
        if self.config_strings(key).iter().any(|there| there == value) {
            return Ok(false);
        }
        self.write_config(&["config", "--local", "--add", key, value])
    }

    /// The folder git runs hooks from: `core.hooksPath`, relative to the worktree (or a bare git directory), else `hooks`.
    pub fn hooks_dir(&self) -> PathBuf {
        let configured = self
            .handle()
            .config_snapshot()
            .trusted_path("core.hooksPath");
        match configured {
            Ok(Some(path)) if !path.as_os_str().is_empty() => {
                self.work_dir().unwrap_or(self.git_dir()).join(path)
            }
            _ => self.common_dir().join("hooks"),
        }
    }

    fn write_config(&self, args: &[&str]) -> Result<bool, ConfigError> {
        let finished = self.run_git(args)?;
        if !finished.success() {
            return Err(finished.error().into());
        }
        self.reload()
            .map_err(|source| ConfigError::Reload(Box::new(source)))?;
        Ok(true)
    }
}

fn check_key(key: &str) -> Result<(), ConfigError> {
    let well_formed = key.starts_with(|c: char| c.is_ascii_alphanumeric())
        && key.contains('.')
        && !key.contains('\n');
    if well_formed {
        Ok(())
    } else {
        Err(ConfigError::Key(key.to_owned()))
    }
}
