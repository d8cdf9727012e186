//! The files of an OCI layout: blobs by digest, `index.json` under a lock and replaced at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use super::files::{self, copy, persist};
use crate::{
    BlobSource, DOCUMENT_LIMIT, RegistryError, Uploaded, error::io_error, verify::Verifier,
};
use refit_oci::{Descriptor, Digest, Document, Index, Repository};

const MARKER: &str = "oci-layout";
const MARKER_TEXT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = "index.json";
const LOCK: &str = ".lock";

/// A blob that is younger counts as just written.
const FRESH: Duration = Duration::from_mins(5);

/// What a layout that is not there means.
#[derive(Debug)]
pub(super) enum Absence {
    /// Somebody named a wrong folder.
    Error,
    /// Nothing was pushed yet.
    Empty,
    /// There cannot be one: the host that stands for it.
    Nowhere(String),
}

/// A layout's folder.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    absence: Absence,
    /// Blobs that this process has read or written completely: hashing a large layer twice is a waste.
    verified: Mutex<BTreeSet<Digest>>,
}

impl Store {
    pub(super) fn new(root: PathBuf, absence: Absence) -> Self {
        Self {
            root,
            absence,
            verified: Mutex::default(),
        }
    }

    /// Whether the folder may be read: it is a layout, or counts as an empty one.
    pub(super) fn check(&self) -> Result<(), RegistryError> {
        if let Absence::Nowhere(host) = &self.absence {
            return Err(RegistryError::NoStore { host: host.clone() });
        }
        // Looked at before the marker, which a writer makes first.
        let has_index = self.root.join(INDEX).exists();
        let path = self.root.join(MARKER);
        match fs::read(&path) {
            Ok(bytes) if is_marker(&bytes) => Ok(()),
            Ok(_) => Err(self.no_layout()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => match self.absence {
                Absence::Empty if !has_index => Ok(()),
                _ => Err(self.no_layout()),
            },
            Err(source) => Err(io_error(&path, source)),
        }
    }

    /// Makes what is not there yet.
    pub(super) fn create(&self) -> Result<(), RegistryError> {
        self.check()?;
        let marker = self.root.join(MARKER);
        if marker.exists() {
            return Ok(());
        }
        if matches!(self.absence, Absence::Error) {
            return Err(self.no_layout());
        }
        let blobs = self.root.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(|source| io_error(&blobs, source))?;
        files::replace(&marker, MARKER_TEXT.as_bytes())
    }

    /// The entries; none if nothing was pushed yet.
    pub(super) fn index(&self) -> Result<Index, RegistryError> {
        self.check()?;
        let path = self.root.join(INDEX);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| RegistryError::LayoutIndex { path, source }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Ok(Index::new(Vec::new(), BTreeMap::new()))
            }
            Err(source) => Err(io_error(&path, source)),
        }
    }

    /// Changes the entries; writers wait for each other, readers see the old or the new file.
    pub(super) fn update<T>(
        &self,
        change: impl FnOnce(&mut Index) -> T,
    ) -> Result<T, RegistryError> {
        self.create()?;
        let path = self.root.join(LOCK);
        let lock = File::create(&path).map_err(|source| io_error(&path, source))?;
        lock.lock().map_err(|source| io_error(&path, source))?;
        let mut index = self.index()?;
        let before = index.clone();
        let result = change(&mut index);
        if index != before || !self.root.join(INDEX).exists() {
            let bytes = serde_json::to_vec(&index).expect("documents have only string keys");
            files::replace(&self.root.join(INDEX), &bytes)?;
        }
        // The lock goes with its file handle, also if the process is killed.
        Ok(result)
    }

    pub(super) fn has(&self, digest: &Digest) -> Result<bool, RegistryError> {
        self.check()?;
        Ok(self.path_of(digest).is_file())
    }

    /// The same for whoever goes on to refer to it: until then it is no garbage.
    pub(super) fn has_fresh(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let has = self.has(digest)?;
        if has {
            self.freshen(digest);
        }
        Ok(has)
    }

    /// Makes a blob as young as if it had just been written. Where that is not allowed, nothing can be removed either.
    fn freshen(&self, digest: &Digest) {
        let now = SystemTime::now();
        let Ok(file) = File::open(self.path_of(digest)) else {
            return;
        };
        let written = file.metadata().and_then(|metadata| metadata.modified());
        let age = written.map(|written| now.duration_since(written).unwrap_or_default());
        if age.is_ok_and(|age| age > FRESH) {
            let _ = file.set_modified(now);
        }
    }

    /// A verified document.
    pub(super) fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Document, RegistryError> {
        let what = || format!("{repository}@{digest}");
        let file = self.open(repository, digest)?;
        let path = self.path_of(digest);
        let mut bytes = Vec::new();
        let read = file.take(DOCUMENT_LIMIT + 1).read_to_end(&mut bytes);
        read.map_err(|source| io_error(&path, source))?;
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            return Err(RegistryError::TooLarge {
                what: what(),
                limit: DOCUMENT_LIMIT,
            });
        }
        if !digest.verifies(&bytes) {
            return Err(RegistryError::DigestMismatch {
                what: what(),
                actual: Digest::sha256(&bytes),
            });
        }
        // A document may leave out its media type; then its entry has it.
        let entries = self.index()?.manifests;
        let entry = entries.into_iter().find(|entry| entry.digest == *digest);
        let media_type = entry.map(|entry| entry.media_type);
        Document::decode(media_type.as_deref(), bytes).map_err(|source| RegistryError::Document {
            what: what(),
            source,
        })
    }

    /// The path of a verified blob.
    pub(super) fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<PathBuf, RegistryError> {
        let path = self.path_of(&descriptor.digest);
        let file = self.open(repository, &descriptor.digest)?;
        self.verify(file, &repository.to_string(), descriptor)?;
        Ok(path)
    }

    /// Hashes a blob, unless this process has done so.
    fn verify(
        &self,
        mut file: File,
        owner: &str,
        descriptor: &Descriptor,
    ) -> Result<(), RegistryError> {
        let path = self.path_of(&descriptor.digest);
        let metadata = file.metadata();
        let length = metadata.map_err(|source| io_error(&path, source))?.len();
        if length != descriptor.size || !self.is_verified(&descriptor.digest) {
            let verifier = Verifier::new(owner, descriptor);
            copy(&mut file, &mut io::sink(), verifier, &path)?;
            self.mark_verified(&descriptor.digest);
        }
        Ok(())
    }

    /// Stores a blob unless it is there, undamaged.
    pub(super) fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<Uploaded, RegistryError> {
        self.create()?;
        let path = self.path_of(&descriptor.digest);
        let owner = self.root.display().to_string();
        if let Ok(there) = File::open(&path)
            && self.verify(there, &owner, descriptor).is_ok()
        {
            self.freshen(&descriptor.digest);
            return Ok(Uploaded::Existed);
        }
        let verifier = Verifier::new(&owner, descriptor);
        let mut target = files::temporary(&self.root)?;
        match source {
            BlobSource::Path(from) => {
                let mut file = File::open(from).map_err(|source| io_error(from, source))?;
                copy(&mut file, target.as_file_mut(), verifier, from)?;
            }
            BlobSource::Bytes(bytes) => {
                copy(&mut bytes.as_ref(), target.as_file_mut(), verifier, &path)?;
            }
        }
        persist(target, &path)?;
        self.mark_verified(&descriptor.digest);
        Ok(Uploaded::Uploaded)
    }

    /// Stores a document, whose parts must be there already, as registries want it.
    pub(super) fn put_document(
        &self,
        repository: &Repository,
        document: &Document,
    ) -> Result<(), RegistryError> {
        self.has_parts(repository, document)?;
        let descriptor = Descriptor::new(
            document.media_type(),
            document.digest().clone(),
            document.bytes().len() as u64,
        );
        let bytes = document.bytes().to_vec();
        self.put_blob(&descriptor, &bytes.into()).map(|_| ())
    }

    /// Whether everything that a document needs is there.
    pub(super) fn has_parts(
        &self,
        repository: &Repository,
        document: &Document,
    ) -> Result<(), RegistryError> {
        for part in parts(document) {
            if !self.has(&part.digest)? {
                let what = format!("{repository}@{}", part.digest);
                return Err(RegistryError::Missing { what });
            }
        }
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn open(&self, repository: &Repository, digest: &Digest) -> Result<File, RegistryError> {
        self.check()?;
        let path = self.path_of(digest);
        File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => RegistryError::Missing {
                what: format!("{repository}@{digest}"),
            },
            _ => io_error(&path, source),
        })
    }

    fn path_of(&self, digest: &Digest) -> PathBuf {
        let folder = self.root.join("blobs").join(digest.algorithm());
        folder.join(digest.hex())
    }

    fn no_layout(&self) -> RegistryError {
        RegistryError::NotALayout {
            path: self.root.clone(),
        }
    }

    fn is_verified(&self, digest: &Digest) -> bool {
        let verified = self.verified.lock();
        let verified = verified.unwrap_or_else(PoisonError::into_inner);
        verified.contains(digest)
    }

    fn mark_verified(&self, digest: &Digest) {
        let verified = self.verified.lock();
        let mut verified = verified.unwrap_or_else(PoisonError::into_inner);
        verified.insert(digest.clone());
    }
}

/// What a document needs in its repository; layers with URLs of their own live elsewhere.
pub(super) fn parts(document: &Document) -> Vec<&Descriptor> {
    match document {
        Document::Index(index) => index.value.manifests.iter().collect(),
        Document::Manifest(manifest) => {
            let layers = manifest.value.layers.iter();
            let layers = layers.filter(|layer| layer.urls.is_empty());
            std::iter::once(&manifest.value.config)
                .chain(layers)
                .collect()
        }
    }
}

fn is_marker(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Marker {
        #[serde(rename = "imageLayoutVersion")]
        version: String,
    }
    serde_json::from_slice(bytes).is_ok_and(|marker: Marker| marker.version == "1.0.0")
}
