//! `SHA256SUMS`, as `sha256sum --check` reads it.

use std::{fmt::Write as _, fs, path::Path};

use sha2::{Digest as _, Sha256};

use crate::shell::{Outcome, io_failure};

const NAME: &str = "SHA256SUMS";

/// Writes the sums of all other files of a folder, sorted by name.
pub(super) fn write(folder: &Path) -> Outcome {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_failure(folder))? {
        let entry = entry.map_err(io_failure(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == NAME {
            continue;
        }
        let bytes = fs::read(entry.path()).map_err(io_failure(&entry.path()))?;
        lines.push((name, hex::encode(Sha256::digest(&bytes))));
    }
    lines.sort();
    let mut text = String::new();
    for (name, sum) in lines {
        let _ = writeln!(text, "{sum}  {name}");
    }
    let path = folder.join(NAME);
    fs::write(&path, text).map_err(io_failure(&path))
}
