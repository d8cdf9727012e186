//! Which files the arguments of a scan mean.

use std::{
    ffi::OsStr,
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use refit_dockerfile::{is_template, looks_like_dockerfile};

use super::shown;
use crate::{commands::App, error::CommandError};

/// The paths of a list, one a line, or each with a NUL behind it; `-` is standard input. They need not be UTF-8.
pub(super) fn read_list(app: &App, list: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let mut bytes = Vec::new();
    let read = if list == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(app.dir.join(list)).map(|read| bytes = read)
    };
    read.map_err(|error| CommandError::new(format!("cannot read `{}`: {error}", list.display())))?;
    let end = if bytes.contains(&0) { 0 } else { b'\n' };
    let paths = bytes.split(|byte| *byte == end).map(|path| match end {
        0 => path,
        _ => path.strip_suffix(b"\r").unwrap_or(path),
    });
    let paths = paths.filter(|path| !path.is_empty());
    Ok(paths.map(|path| OsStr::from_bytes(path).into()).collect())
}

/// The file itself, or the Dockerfiles below a folder in bytewise order, templates left out.
pub(super) fn expand(dir: &Path, path: &Path) -> io::Result<Vec<PathBuf>> {
    let full = dir.join(path);
    if !std::fs::metadata(&full)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(dir.join(&folder))? {
            let entry = entry?;
            let below = folder.join(entry.file_name());
            // A linked folder is not entered: it may lead back up. A linked Dockerfile counts.
            if entry.file_type()?.is_dir() {
                if entry.file_name() != ".git" {
                    folders.push(below);
                }
            } else if looks_like_dockerfile(&entry.file_name().to_string_lossy())
                && !entry.path().is_dir()
            {
                let text = std::fs::read(entry.path()).unwrap_or_default();
                if !is_template(&shown(&below), &String::from_utf8_lossy(&text)) {
                    found.push(below);
                }
            }
        }
    }
    found.sort_by(|a, b| {
        a.as_os_str()
            .as_encoded_bytes()
            .cmp(b.as_os_str().as_encoded_bytes())
    });
    Ok(found)
}
