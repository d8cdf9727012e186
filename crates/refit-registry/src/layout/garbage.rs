//! Blobs that no entry leads to: left by pushes that were cut short, and by documents that were removed.

use std::{collections::BTreeSet, fs, io, path::Path, time::SystemTime};

use refit_oci::{Digest, Document, Index};

use super::{
    files::PARTIAL,
    store::{Store, parts},
};
use crate::{Collect, Garbage, RegistryError, error::io_error};

impl Store {
    /// Removes, or counts, what nothing leads to. Writers of entries wait meanwhile, and look again for what they name;
    /// a blob that was written or asked for short ago stays, as its push may be under way.
    pub(super) fn collect(&self, settings: &Collect) -> Result<Garbage, RegistryError> {
        if !self.root().join("blobs").exists() {
            return Ok(Garbage::default());
        }
        self.update(|index| {
            let mut entries = index.clone();
            entries
                .manifests
                .retain(|entry| !settings.without.contains(&entry.digest));
            let reached = self.reached(&entries)?;
            self.remove_others(&reached, settings)
        })?
    }

    /// Everything that entries lead to. What can't be read may lead anywhere: then nothing is garbage.
    fn reached(&self, index: &Index) -> Result<BTreeSet<Digest>, RegistryError> {
        let mut reached = BTreeSet::new();
        let entries = index.manifests.iter();
        let mut open: Vec<Digest> = entries.map(|entry| entry.digest.clone()).collect();
        let nameless = "store".parse().expect("a word is a repository");
        while let Some(digest) = open.pop() {
            if !reached.insert(digest.clone()) {
                continue;
            }
            let document = match self.document(&nameless, &digest) {
                Ok(document) => document,
                Err(error) if error.is_missing() => continue,
                Err(error) => return Err(error),
            };
            match &document {
                Document::Index(index) => {
                    open.extend(index.value.manifests.iter().map(|held| held.digest.clone()));
                }
                Document::Manifest(manifest) => {
                    reached.extend(parts(&document).into_iter().map(|part| part.digest.clone()));
                    let subject = manifest.value.subject.as_ref();
                    open.extend(subject.map(|subject| subject.digest.clone()));
                }
            }
        }
        Ok(reached)
    }

    fn remove_others(
        &self,
        reached: &BTreeSet<Digest>,
        settings: &Collect,
    ) -> Result<Garbage, RegistryError> {
        let mut garbage = Garbage::default();
        let blobs = self.root().join("blobs");
        for algorithm in read_dir(&blobs)? {
            for path in read_dir(&algorithm)? {
                let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
                let digest = name(&algorithm).zip(name(&path));
                let digest = digest.and_then(|(a, hex)| format!("{a}:{hex}").parse().ok());
                // What has no digest for a name is not ours.
                if digest.is_some_and(|digest: Digest| !reached.contains(&digest)) {
                    remove(&path, settings, &mut garbage)?;
                }
            }
        }
        for path in read_dir(self.root())? {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with(PARTIAL)) {
                remove(&path, settings, &mut garbage)?;
            }
        }
        Ok(garbage)
    }
}

fn remove(path: &Path, settings: &Collect, garbage: &mut Garbage) -> Result<(), RegistryError> {
    let failed = |source| io_error(path, source);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(source)),
    };
    let at = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    if !metadata.is_file() || at >= settings.before {
        return Ok(());
    }
    if !settings.dry_run {
        fs::remove_file(path).map_err(failed)?;
    }
    garbage.n_blobs += 1;
    garbage.bytes += metadata.len();
    Ok(())
}

/// What is in a folder, sorted; nothing of what is none.
fn read_dir(folder: &Path) -> Result<Vec<std::path::PathBuf>, RegistryError> {
    let failed = |source| io_error(folder, source);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}
