//! What a registry holds: blobs once, and for each repository links to them, manifests and tags.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use refit_oci::{Descriptor, Digest, Document, Exact, Index, media_type};

/// All repositories.
#[derive(Default)]
pub(super) struct Store {
    blobs: BTreeMap<Digest, Bytes>,
    repositories: BTreeMap<String, Repository>,
    uploads: BTreeMap<String, Upload>,
    next_upload: u64,
}

#[derive(Default)]
struct Repository {
    links: BTreeSet<Digest>,
    documents: BTreeMap<Digest, Stored>,
    tags: BTreeMap<String, Digest>,
}

/// A manifest or index as it was pushed.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
}

struct Upload {
    repository: String,
    bytes: Vec<u8>,
}

/// Why a document was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// No manifest or index.
    Invalid(String),
    /// Another digest than the reference's.
    Digest(Digest),
    /// Something that it refers to is not in the repository.
    Part(Digest),
}

/// Why bytes were not appended.
pub(super) enum NotAppended {
    Unknown,
    /// The upload has this many bytes.
    OutOfOrder(usize),
}

impl Store {
    pub(super) fn put_blob(&mut self, repository: &str, bytes: Bytes) -> Digest {
        let digest = Digest::sha256(&bytes);
        self.blobs.insert(digest.clone(), bytes);
        self.link(repository, digest.clone());
        digest
    }

    pub(super) fn put_raw(
        &mut self,
        repository: &str,
        digest: &Digest,
        media_type: &str,
        bytes: &[u8],
    ) {
        let stored = Stored {
            digest: digest.clone(),
            media_type: media_type.to_owned(),
            bytes: Bytes::copy_from_slice(bytes),
        };
        let repository = self.repositories.entry(repository.to_owned());
        let documents = &mut repository.or_default().documents;
        documents.insert(digest.clone(), stored);
    }

    pub(super) fn tag_raw(&mut self, repository: &str, tag: &str, digest: &Digest) {
        let repository = self.repositories.entry(repository.to_owned());
        let tags = &mut repository.or_default().tags;
        tags.insert(tag.to_owned(), digest.clone());
    }

    fn link(&mut self, repository: &str, digest: Digest) {
        let repository = self.repositories.entry(repository.to_owned());
        repository.or_default().links.insert(digest);
    }

    pub(super) fn blob(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        let linked = self.repositories.get(repository)?.links.contains(digest);
        linked.then(|| self.blobs.get(digest).cloned())?
    }

    /// Links a blob of another repository; false if it is not there.
    pub(super) fn mount(&mut self, repository: &str, from: &str, digest: &Digest) -> bool {
        let there = self.blob(from, digest).is_some();
        if there {
            self.link(repository, digest.clone());
        }
        there
    }

    /// What a manifest is about.
    pub(super) fn subject(&self, repository: &str, digest: &Digest) -> Option<Digest> {
        let documents = &self.repositories.get(repository)?.documents;
        subject(documents.get(digest)?).map(|(subject, _)| subject)
    }

    /// An index of all manifests about a document.
    pub(super) fn referrers(&self, repository: &str, of: &str) -> Vec<u8> {
        let documents = self.repositories.get(repository).map(|r| &r.documents);
        let about = documents.into_iter().flatten().filter_map(|(_, stored)| {
            let (subject, entry) = subject(stored)?;
            (subject.as_str() == of).then_some(entry)
        });
        let index = Index::new(about.collect(), BTreeMap::new());
        Exact::encode(media_type::OCI_INDEX, index).bytes
    }

    pub(super) fn put_document(
        &mut self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Digest, NotTaken> {
        let document = Document::decode(Some(media_type), bytes.to_vec())
            .map_err(|error| NotTaken::Invalid(error.to_string()))?;
        let digest = document.digest().clone();
        let wanted: Option<Digest> = reference.parse().ok();
        if wanted.as_ref().is_some_and(|wanted| *wanted != digest) {
            return Err(NotTaken::Digest(digest));
        }
        let into = self.repositories.entry(repository.to_owned()).or_default();
        if let Some(part) = missing_part(into, &document) {
            return Err(NotTaken::Part(part));
        }
        let stored = Stored {
            digest: digest.clone(),
            media_type: media_type.to_owned(),
            bytes,
        };
        into.documents.insert(digest.clone(), stored);
        if wanted.is_none() {
            into.tags.insert(reference.to_owned(), digest.clone());
        }
        Ok(digest)
    }

    /// By digest or tag.
    pub(super) fn document(&self, repository: &str, reference: &str) -> Option<Stored> {
        let repository = self.repositories.get(repository)?;
        let digest = match reference.parse::<Digest>() {
            Ok(digest) => digest,
            Err(_) => repository.tags.get(reference)?.clone(),
        };
        repository.documents.get(&digest).cloned()
    }

    pub(super) fn tag(&self, repository: &str, tag: &str) -> Option<Digest> {
        self.repositories.get(repository)?.tags.get(tag).cloned()
    }

    pub(super) fn tags(&self, repository: &str) -> Option<Vec<String>> {
        let repository = self.repositories.get(repository)?;
        Some(repository.tags.keys().cloned().collect())
    }

    /// Removes a tag, or a document with all its tags; false if there is nothing.
    pub(super) fn delete(&mut self, repository: &str, reference: &str) -> bool {
        let Some(repository) = self.repositories.get_mut(repository) else {
            return false;
        };
        match reference.parse::<Digest>() {
            Ok(digest) => {
                repository.tags.retain(|_, tagged| *tagged != digest);
                repository.documents.remove(&digest).is_some()
            }
            Err(_) => repository.tags.remove(reference).is_some(),
        }
    }

    pub(super) fn begin(&mut self, repository: &str) -> String {
        self.next_upload += 1;
        let id = format!("upload-{}", self.next_upload);
        let upload = Upload {
            repository: repository.to_owned(),
            bytes: Vec::new(),
        };
        self.uploads.insert(id.clone(), upload);
        id
    }

    /// Appends to an upload; the new length.
    pub(super) fn append(
        &mut self,
        repository: &str,
        id: &str,
        start: Option<usize>,
        bytes: &[u8],
    ) -> Result<usize, NotAppended> {
        let upload = self.uploads.get_mut(id);
        let upload = upload.filter(|upload| upload.repository == repository);
        let upload = upload.ok_or(NotAppended::Unknown)?;
        if start.is_some_and(|start| start != upload.bytes.len()) {
            return Err(NotAppended::OutOfOrder(upload.bytes.len()));
        }
        upload.bytes.extend_from_slice(bytes);
        Ok(upload.bytes.len())
    }

    /// Ends an upload; its bytes.
    pub(super) fn end(&mut self, id: &str) -> Option<Vec<u8>> {
        self.uploads.remove(id).map(|upload| upload.bytes)
    }
}

/// The first part of a document that the repository lacks; layers with URLs live elsewhere.
fn missing_part(repository: &Repository, document: &Document) -> Option<Digest> {
    match document {
        Document::Manifest(manifest) => {
            let layers = manifest.value.layers.iter();
            let layers = layers.filter(|layer| layer.urls.is_empty());
            let mut parts = std::iter::once(&manifest.value.config).chain(layers);
            let missing = parts.find(|part| !repository.links.contains(&part.digest));
            missing.map(|part| part.digest.clone())
        }
        Document::Index(index) => {
            let mut parts = index.value.manifests.iter();
            let missing = parts.find(|part| !repository.documents.contains_key(&part.digest));
            missing.map(|part| part.digest.clone())
        }
    }
}

/// A manifest's subject, and the entry for it in a list.
fn subject(stored: &Stored) -> Option<(Digest, Descriptor)> {
    let document = Document::decode(Some(&stored.media_type), stored.bytes.to_vec()).ok()?;
    let Document::Manifest(manifest) = document else {
        return None;
    };
    let entry = Descriptor {
        artifact_type: manifest.value.artifact_type.clone(),
        annotations: manifest.value.annotations.clone(),
        ..manifest.descriptor()
    };
    Some((manifest.value.subject?.digest, entry))
}
