//! Where tests put what they make and throw away: in memory, where there is enough of it. Daemons write every file to the
//! disk before they go on, which is what most of their tests would wait for.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::shell::output;

/// A file system in memory, on Linux.
const MEMORY: &str = "/dev/shm";
/// How much must be free, in KiB: an engine's images, as many times as tests run at once.
const ENOUGH: u64 = 8 << 20;

/// A folder in memory; what tests have left there goes with it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// None where there is no such file system, it is small, or the user says where temporary files go.
    pub(crate) fn in_memory() -> Option<Self> {
        let is_small = || {
            [free(MEMORY), available()]
                .into_iter()
                .any(|free| free < Some(ENOUGH))
        };
        if std::env::var_os("TMPDIR").is_some() || is_small() {
            return None;
        }
        Self::below(Path::new(MEMORY))
    }

    fn below(parent: &Path) -> Option<Self> {
        // Short: a socket's path has 107 bytes at most.
        let folder = parent.join(format!("refit-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        Some(Self(folder))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a file system has free, in KiB.
fn free(folder: &str) -> Option<u64> {
    let told = output(std::process::Command::new("df").args(["-kP", folder])).ok()?;
    column_of_df(&told)
}

/// Available blocks: the fourth column of the second line (POSIX `df -P`).
fn column_of_df(told: &str) -> Option<u64> {
    let line = told.lines().nth(1)?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// The memory that programs could have without swapping, in KiB.
fn available() -> Option<u64> {
    let told = fs::read_to_string("/proc/meminfo").ok()?;
    let line = told.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_df_says_is_read() {
        let told = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                    tmpfs 24684092 4 24684088 1% /dev/shm\n";
        assert_eq!(column_of_df(told), Some(24_684_088));
        assert_eq!(column_of_df(""), None);
    }

    #[test]
    fn what_is_left_there_goes() {
        let scratch = Scratch::below(&std::env::temp_dir()).unwrap();
        let folder = scratch.folder().to_owned();
        fs::create_dir(folder.join("left")).unwrap();
        drop(scratch);
        assert!(!folder.exists());
    }
}
