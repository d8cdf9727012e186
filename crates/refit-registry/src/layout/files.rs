//! Files that appear at once and complete, or not at all.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use tempfile::NamedTempFile;

use crate::{RegistryError, error::io_error, verify::Verifier};

/// How the names of files begin that are being written.
pub(super) const PARTIAL: &str = ".partial-";

/// Replaces a small file.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = temporary(folder)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.as_file().sync_all());
    written.map_err(|source| io_error(path, source))?;
    persist(file, path)
}

/// A file in `folder`, on the same file system as what is next to it, so that it can be renamed into place.
pub(super) fn temporary(folder: &Path) -> Result<NamedTempFile, RegistryError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The umask applies; a layout is no secret.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let made = builder.tempfile_in(folder);
    made.map_err(|source| io_error(folder, source))
}

/// Copies what `verifier` accepts; `path` is for errors.
pub(super) fn copy(
    from: &mut dyn Read,
    to: &mut dyn Write,
    mut verifier: Verifier<'_>,
    path: &Path,
) -> Result<(), RegistryError> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return verifier.finish(),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(io_error(path, source)),
        };
        verifier.update(&buffer[..n])?;
        to.write_all(&buffer[..n])
            .map_err(|source| io_error(path, source))?;
    }
}

/// Renames a finished file to its place.
pub(super) fn persist(file: NamedTempFile, path: &Path) -> Result<(), RegistryError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| io_error(folder, source))?;
    }
    let moved = file.persist(path);
    moved
        .map(|_| ())
        .map_err(|failed| io_error(path, failed.error))
}
