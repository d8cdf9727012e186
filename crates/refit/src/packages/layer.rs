//! One layer: what it says of packages, read once and kept under its digest.

use std::{io::Write as _, path::Path};

use refit_context::{LayerError, TarError, TarKind, open_layer, read_tar};
use refit_deps::packages::{FILE_LIMIT, LayerPackages};
use serde::{Deserialize, Serialize};

/// More than any layer has when it is decompressed.
const PLAIN_LIMIT: u64 = 16 << 30;
/// What is kept in another form is read again.
const FORM: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Tar(#[from] TarError),
}

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    form: u32,
    layer: T,
}

/// Reads a layer's file.
pub(super) fn read(path: &Path, media_type: &str) -> Result<LayerPackages, Unreadable> {
    let mut found = LayerPackages::default();
    let archive = open_layer(path, media_type, PLAIN_LIMIT)?;
    read_tar(archive, |entry, data| {
        found.see(&entry.path);
        let is_wanted = LayerPackages::wants(&entry.path);
        if let TarKind::File { size } = entry.kind
            && is_wanted
            && size <= FILE_LIMIT
        {
            let mut bytes = Vec::new();
            let read = data.read_to_end(&mut bytes);
            read.map_err(|source| TarError::Io {
                action: "read",
                source,
            })?;
            found.add(&entry.path, &bytes);
        }
        Ok::<(), TarError>(())
    })?;
    Ok(found)
}

/// What was kept of a layer.
pub(super) fn recall(kept: &Path) -> Option<LayerPackages> {
    let bytes = std::fs::read(kept).ok()?;
    let kept: Kept<LayerPackages> = serde_json::from_slice(&bytes).ok()?;
    (kept.form == FORM).then_some(kept.layer)
}

/// Keeps it. A write that fails costs a download some day, and nothing now.
pub(super) fn remember(kept: &Path, layer: &LayerPackages) {
    let Some(folder) = kept.parent() else { return };
    let Ok(bytes) = serde_json::to_vec(&Kept { form: FORM, layer }) else {
        return;
    };
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(folder))
        .and_then(|mut file| file.write_all(&bytes).map(|()| file));
    if let Ok(file) = written {
        let _ = file.persist(kept);
    }
}
