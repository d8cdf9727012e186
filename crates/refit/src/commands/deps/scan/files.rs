//! Which files the arguments of a scan mean.

use std::{
    io::{self, BufRead as _},
    path::{Path, PathBuf},
};

use refit_dockerfile::{is_template, looks_like_dockerfile};

use super::shown;
use crate::{commands::App, error::CommandError};

/// The paths of a list, one a line; `-` is standard input.
pub(super) fn read_list(app: &App, list: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let problem =
        |error: io::Error| CommandError::new(format!("cannot read `{}`: {error}", list.display()));
    let lines: Vec<String> = if list == Path::new("-") {
        io::stdin()
            .lock()
            .lines()
            .collect::<Result<_, _>>()
            .map_err(problem)?
    } else {
        let text = std::fs::read_to_string(app.dir.join(list)).map_err(problem)?;
        text.lines().map(str::to_owned).collect()
    };
    Ok(lines
        .into_iter()
        .filter(|line| !line.is_empty())
        .map(PathBuf::from)
        .collect())
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
