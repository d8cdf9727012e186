//! One writer of notes at a time, and the locks that killed writers leave behind.

use std::{
    fs::{self, File, TryLockError},
    hash::{BuildHasher, Hasher, RandomState},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::NotesError;

/// How long a writer waits for another.
const PATIENCE: Duration = Duration::from_mins(1);
/// A ref's `.lock` of this age has no living owner: git and we hold them for milliseconds.
const STALE: Duration = Duration::from_secs(10);

/// The held lock; released on drop, and by the system if the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    file: Option<File>,
}

impl Lock {
    /// Waits for `<common_dir>/refit/notes.lock`.
    ///
    /// The system's own file lock rather than the file's existence: it can't go stale, whatever kills the holder. On a
    /// file system without locks nothing is held, and compare-and-swap alone keeps writers from losing each other's lines.
    pub(crate) fn acquire(common_dir: &Path) -> Result<Self, NotesError> {
        Self::acquire_within(common_dir, PATIENCE)
    }

    fn acquire_within(common_dir: &Path, patience: Duration) -> Result<Self, NotesError> {
        let folder = common_dir.join("refit");
        let path = folder.join("notes.lock");
        let io = |path: PathBuf| move |source| NotesError::Io { path, source };
        fs::create_dir_all(&folder).map_err(io(folder.clone()))?;
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io(path.clone()))?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    pause(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    let holder = holder(&mut file);
                    return Err(NotesError::Locked { path, holder });
                }
                Err(TryLockError::Error(error))
                    if error.kind() == std::io::ErrorKind::Unsupported =>
                {
                    return Ok(Self { file: None });
                }
                Err(TryLockError::Error(error)) => return Err(io(path)(error)),
            }
        }
        // Only for the message of whoever waits in vain.
        let named = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        named.map_err(io(path))?;
        Ok(Self { file: Some(file) })
    }

    /// Removes the `.lock` of a ref that a killed process left.
    pub(crate) fn remove_stale_ref_lock(
        &self,
        common_dir: &Path,
        reference: &str,
    ) -> Result<(), NotesError> {
        if self.file.is_none() {
            return Ok(());
        }
        let path = common_dir.join(format!("{reference}.lock"));
        let age = fs::symlink_metadata(&path)
            .and_then(|metadata| metadata.modified())
            .map(|modified| {
                SystemTime::now()
                    .duration_since(modified)
                    .unwrap_or_default()
            });
        match age {
            Ok(age) if age >= STALE => match fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    Err(NotesError::Io { path, source })
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// Sleeps for between half and three halves of `about`, so that those who collided don't collide again.
pub(crate) fn pause(about: Duration) {
    let random = RandomState::new().build_hasher().finish() % 1000;
    let permille = 500 + u32::try_from(random).expect("below 1000");
    thread::sleep(about * permille / 1000);
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::{Lock, NotesError, STALE, SystemTime};

    #[test]
    fn a_second_writer_waits_and_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::acquire(dir.path()).unwrap();
        match Lock::acquire_within(dir.path(), Duration::from_millis(20)) {
            Err(NotesError::Locked { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(held);
        Lock::acquire_within(dir.path(), Duration::from_millis(20)).unwrap();
    }

    #[test]
    fn a_lock_file_that_a_dead_process_left_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("refit")).unwrap();
        fs::write(dir.path().join("refit/notes.lock"), "4194304\n").unwrap();
        Lock::acquire_within(dir.path(), Duration::ZERO).unwrap();
        let text = fs::read_to_string(dir.path().join("refit/notes.lock")).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn only_an_old_ref_lock_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(dir.path()).unwrap();
        let path = dir.path().join("refs/notes/refit.lock");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        lock.remove_stale_ref_lock(dir.path(), "refs/notes/refit")
            .unwrap();
        assert!(path.exists(), "may belong to a living git");
        let old = SystemTime::now() - STALE * 2;
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(old)
            .unwrap();
        lock.remove_stale_ref_lock(dir.path(), "refs/notes/refit")
            .unwrap();
        assert!(!path.exists());
    }
}
