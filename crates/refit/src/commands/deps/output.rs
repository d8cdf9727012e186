//! A result in a file: the old one stays until the new one is complete.

use std::{fs, io, io::Write as _, path::Path};

use crate::error::CommandError;

/// Writes `text` beside `path`, and renames it into place; straight into what is no file, such as a pipe.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let is_special = fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir());
    let written = if is_special {
        fs::write(path, text)
    } else {
        replace(path, text)
    };
    written
        .map_err(|error| CommandError::new(format!("cannot write `{}`: {error}", path.display())))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // A link stays one: what it leads to is replaced.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = temporary(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A temporary file that is as readable as any new file, unlike others.
fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::PermissionsExt as _;
        fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.prefix(".refit-").tempfile_in(folder)
}
