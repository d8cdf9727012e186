//! Which files the arguments of a scan mean, and what is in them.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::FileTypeExt as _},
    path::{Path, PathBuf},
};

use refit_deps::{problem::Problem, scan};
use refit_dockerfile::{Dockerfile, is_parsed_template, looks_like_dockerfile};

use super::shown;
use crate::{commands::App, error::CommandError};

/// The paths of a list, one a line, or each with a NUL behind it; `-` is standard input. They need not be UTF-8.
pub(super) fn read_list(app: &App, list: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let mut bytes = Vec::new();
    let read = if list == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        fs::read(app.dir.join(list)).map(|read| bytes = read)
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

/// The largest file that is read: what BuildKit takes in one message.
const MAX_FILE: u64 = 16 << 20;

/// A file, read and parsed once for all platforms.
pub(super) struct File {
    /// Its path, for people.
    pub(super) name: String,
    /// None for a template.
    pub(super) parsed: Option<Result<Dockerfile, Problem>>,
}

/// The file itself, or the Dockerfiles below a folder in bytewise order, templates left out. What cannot be read is an
/// error of that path alone.
pub(super) fn read(dir: &Path, path: &Path) -> Vec<File> {
    if !dir.join(path).is_dir() {
        return vec![read_file(dir, path)];
    }
    let mut found: Vec<(PathBuf, File)> = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        if let Err(error) = walk(dir, &folder, &mut folders, &mut found) {
            let file = failed(&folder, &error);
            found.push((folder, file));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    found.into_iter().map(|(_, file)| file).collect()
}

/// The Dockerfiles in one folder, and the folders below it.
fn walk(
    dir: &Path,
    folder: &Path,
    folders: &mut Vec<PathBuf>,
    found: &mut Vec<(PathBuf, File)>,
) -> io::Result<()> {
    for entry in fs::read_dir(dir.join(folder))? {
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
            let file = read_file(dir, &below);
            if file.parsed.is_some() {
                found.push((below, file));
            }
        }
    }
    Ok(())
}

fn read_file(dir: &Path, path: &Path) -> File {
    let bytes = match bytes(&dir.join(path)) {
        Ok(bytes) => bytes,
        Err(error) => return failed(path, &error),
    };
    let name = shown(path);
    let text = String::from_utf8_lossy(&bytes);
    let parsed = refit_dockerfile::parse(&text);
    let is_template = is_parsed_template(&name, &text, &parsed);
    let parsed = parsed.map_err(|error| scan::problem(&name, &text, &error));
    File {
        parsed: (!is_template).then_some(parsed),
        name,
    }
}

fn failed(path: &Path, error: &io::Error) -> File {
    let name = shown(path);
    File {
        parsed: Some(Err(Problem::of_file(&name, error.to_string()))),
        name,
    }
}

/// The content of a regular file of bounded size. What is none is never opened: a FIFO would wait for a writer, and a
/// device may have no end.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let refused = |reason: String| Err(io::Error::other(reason));
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return refused(format!("is {}, not a file", kind(metadata.file_type())));
    }
    let mut bytes = Vec::new();
    // Files of the kernel have no size, and content all the same.
    let file = fs::File::open(path)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
        return refused(format!(
            "has more than the {} MiB that a Dockerfile may have",
            MAX_FILE >> 20
        ));
    }
    Ok(bytes)
}

fn kind(of: fs::FileType) -> &'static str {
    if of.is_fifo() {
        "a FIFO"
    } else if of.is_socket() {
        "a socket"
    } else if of.is_dir() {
        "a folder"
    } else {
        "a device"
    }
}
