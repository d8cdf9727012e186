//! Reading: HEAD and GET of manifests and blobs, everything bounded, verified, and resumed where it broke off.

use std::{io, path::Path, sync::Arc};

use refit_oci::{Descriptor, Digest, Document, DocumentError, Reference, Repository, media_type};
use reqwest::{
    Method, Response, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE},
};
use tempfile::NamedTempFile;
use tokio::{
    fs::File,
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
};

use super::{
    answer::refusal,
    backoff::{Backoff, may_pass},
    endpoint::{Ask, Endpoint},
    scopes::Scopes,
};
use crate::{BlobFile, DOCUMENT_LIMIT, Head, RegistryError, error::io_error, verify::Verifier};

const CONTENT_DIGEST: &str = "docker-content-digest";
/// A download that got so many bytes further has all its attempts again.
pub(super) const GETTING_ON: u64 = 1 << 20;

impl Endpoint {
    pub(super) async fn head_manifest(&self, reference: &Reference) -> Result<Head, RegistryError> {
        let what = reference.to_string();
        let ask = self.manifest_ask(Method::HEAD, reference)?;
        let mut backoff = Backoff::new(&self.wire.patience);
        let response = self.send(&mut backoff, &ask).await?;
        let headers = response.headers();
        match (response.status(), content_digest(headers)) {
            // The registry's own words are JSON; anything else may come from something that knows no HEAD.
            (StatusCode::NOT_FOUND, _) if is_json(headers) => Ok(Head::Missing),
            (StatusCode::OK, Some(digest)) => {
                if let Some(pinned) = reference.digest()
                    && pinned.algorithm() == digest.algorithm()
                    && *pinned != digest
                {
                    return Err(RegistryError::DigestMismatch {
                        what,
                        actual: digest,
                    });
                }
                Ok(Head::Found {
                    digest: reference.digest().cloned().unwrap_or(digest),
                    media_type: text(headers, CONTENT_TYPE.as_str()).map(str::to_owned),
                    // Not `content_length()`: that is what is left of the body, and a HEAD has none.
                    size: text(headers, CONTENT_LENGTH.as_str()).and_then(|n| n.parse().ok()),
                })
            }
            // A registry that does not name digests, or knows no HEAD: read it, and count it as what it is.
            (
                StatusCode::OK
                | StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_IMPLEMENTED,
                _,
            ) => self.head_by_get(reference).await,
            _ => Err(refusal(&self.wire, response, &what).await),
        }
    }

    async fn head_by_get(&self, reference: &Reference) -> Result<Head, RegistryError> {
        let Some((media_type, bytes)) = self.get_manifest(reference).await? else {
            return Ok(Head::Missing);
        };
        let digest = match reference.digest() {
            Some(pinned) => verified(pinned, &bytes, reference)?,
            None => Digest::sha256(&bytes),
        };
        let size = bytes.len() as u64;
        // Only a manifest will do: a portal's login page is answered with 200 as well.
        let what = reference.to_string();
        let read = Document::decode(media_type.as_deref(), bytes);
        let document = read.map_err(|source| RegistryError::Document { what, source })?;
        Ok(Head::Found {
            digest,
            media_type: Some(document.media_type().to_owned()),
            size: Some(size),
        })
    }

    pub(super) async fn get_document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Document, RegistryError> {
        let reference = repository.at(digest);
        let what = reference.to_string();
        let Some((media_type, bytes)) = self.get_manifest(&reference).await? else {
            return Err(RegistryError::Missing { what });
        };
        if let Err(error) = verified(digest, &bytes, &reference) {
            // The digest of a signed schema 1 is over a part of it.
            return Err(match Document::decode(media_type.as_deref(), bytes) {
                Err(source @ DocumentError::Schema1 { .. }) => {
                    RegistryError::Document { what, source }
                }
                _ => error,
            });
        }
        Document::decode(media_type.as_deref(), bytes)
            .map_err(|source| RegistryError::Document { what, source })
    }

    /// The bytes and media type that a reference stands for; none if it is missing.
    async fn get_manifest(
        &self,
        reference: &Reference,
    ) -> Result<Option<(Option<String>, Vec<u8>)>, RegistryError> {
        let what = reference.to_string();
        let ask = self.manifest_ask(Method::GET, reference)?;
        let mut backoff = Backoff::new(&self.wire.patience);
        loop {
            let response = self.send(&mut backoff, &ask).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(None),
                _ => return Err(refusal(&self.wire, response, &what).await),
            }
            let media_type = text(response.headers(), CONTENT_TYPE.as_str()).map(str::to_owned);
            match self.wire.body(response, DOCUMENT_LIMIT, &what).await {
                Err(error) if may_pass(&error) && backoff.pause(None).await => {}
                read => return read.map(|bytes| Some((media_type, bytes))),
            }
        }
    }

    fn manifest_ask(&self, method: Method, reference: &Reference) -> Result<Ask, RegistryError> {
        let repository = reference.repository();
        let key = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => "latest",
        };
        let url = self.url(repository, &format!("manifests/{key}"))?;
        let accept = HeaderValue::from_str(&media_type::MANIFESTS.join(", "));
        let accept = accept.expect("media types are visible ASCII");
        Ok(Ask::new(method, url, Scopes::pull(repository.path())).header(ACCEPT, accept))
    }

    pub(super) async fn head_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        self.head_blob_as(repository, digest, Scopes::pull(repository.path()))
            .await
    }

    /// Whether a blob is there, asked with rights that are needed next anyway.
    pub(super) async fn head_blob_as(
        &self,
        repository: &Repository,
        digest: &Digest,
        scopes: Scopes,
    ) -> Result<bool, RegistryError> {
        let url = self.url(repository, &format!("blobs/{digest}"))?;
        let ask = Ask::new(Method::HEAD, url, scopes);
        let mut backoff = Backoff::new(&self.wire.patience);
        let response = self.send(&mut backoff, &ask).await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(refusal(&self.wire, response, &format!("{repository}@{digest}")).await),
        }
    }

    pub(super) async fn get_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<BlobFile, RegistryError> {
        let spool = match &self.spool_dir {
            Some(folder) => NamedTempFile::new_in(folder),
            None => NamedTempFile::new(),
        };
        let folder = || self.spool_dir.clone().unwrap_or_else(std::env::temp_dir);
        let spool = spool.map_err(|source| io_error(&folder(), source))?;
        let (file, path) = spool.into_parts();
        let mut download = Download {
            endpoint: self,
            owner: repository.to_string(),
            descriptor,
            file: File::from_std(file),
            path: &path,
        };
        let url = self.url(repository, &format!("blobs/{}", descriptor.digest))?;
        let ask = || Ask::new(Method::GET, url.clone(), Scopes::pull(repository.path()));
        download.run(ask).await?;
        Ok(BlobFile::temporary(Arc::new(path)))
    }
}

/// A blob on its way to a file.
struct Download<'a> {
    endpoint: &'a Endpoint,
    owner: String,
    descriptor: &'a Descriptor,
    file: File,
    path: &'a Path,
}

impl Download<'_> {
    async fn run(&mut self, ask: impl Fn() -> Ask) -> Result<(), RegistryError> {
        let wire = &self.endpoint.wire;
        let mut backoff = Backoff::new(&wire.patience);
        let mut verifier = Verifier::new(&self.owner, self.descriptor);
        loop {
            let from = verifier.seen();
            if from > 0 && from == self.descriptor.size {
                break; // It broke off behind its last byte.
            }
            let ask = match from {
                0 => ask(),
                n => ask().header(RANGE, range(n)),
            };
            let response = self.endpoint.send(&mut backoff, &ask).await?;
            let what = || format!("{}@{}", self.owner, self.descriptor.digest);
            match response.status() {
                // The whole blob, although the rest may have been asked for.
                StatusCode::OK if from > 0 => {
                    verifier = Verifier::new(&self.owner, self.descriptor);
                    self.restart().await?;
                }
                StatusCode::OK => {}
                StatusCode::PARTIAL_CONTENT if starts_at(&response, from) => {}
                StatusCode::PARTIAL_CONTENT => {
                    return Err(wire.protocol("it sent another part of a blob than was asked for"));
                }
                StatusCode::NOT_FOUND => return Err(RegistryError::Missing { what: what() }),
                _ => return Err(refusal(wire, response, &what()).await),
            }
            let received = self.receive(response, &mut verifier).await;
            if verifier.seen() >= from + GETTING_ON {
                backoff = Backoff::new(&wire.patience);
            }
            match received {
                Ok(()) => break,
                Err(error) if may_pass(&error) && backoff.pause(None).await => {}
                Err(error) => return Err(error),
            }
        }
        let flushed = self.file.flush().await;
        flushed.map_err(|source| io_error(self.path, source))?;
        verifier.finish()
    }

    async fn receive(
        &mut self,
        response: Response,
        verifier: &mut Verifier<'_>,
    ) -> Result<(), RegistryError> {
        let mut reading = self.endpoint.wire.reading(response);
        while let Some(chunk) = reading.chunk().await? {
            verifier.update(&chunk)?;
            let written = self.file.write_all(&chunk).await;
            written.map_err(|source| io_error(self.path, source))?;
        }
        Ok(())
    }

    async fn restart(&mut self) -> Result<(), RegistryError> {
        let rewound = async {
            self.file.set_len(0).await?;
            self.file.seek(io::SeekFrom::Start(0)).await
        };
        let rewound = rewound.await;
        rewound.map_err(|source| io_error(self.path, source))?;
        Ok(())
    }
}

fn verified(
    expected: &Digest,
    bytes: &[u8],
    reference: &Reference,
) -> Result<Digest, RegistryError> {
    if expected.verifies(bytes) {
        Ok(expected.clone())
    } else {
        Err(RegistryError::DigestMismatch {
            what: reference.to_string(),
            actual: Digest::sha256(bytes),
        })
    }
}

/// Whether an answer is in a registry's own words.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let media_type = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    media_type
        .split(';')
        .next()
        .is_some_and(|t| t.contains("json"))
}

pub(super) fn range(from: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("bytes={from}-")).expect("digits are visible ASCII")
}

pub(super) fn starts_at(response: &Response, from: u64) -> bool {
    let range = text(response.headers(), CONTENT_RANGE.as_str());
    let start = range.and_then(|range| range.trim().strip_prefix("bytes "));
    start.and_then(|range| range.split('-').next()?.parse().ok()) == Some(from)
}

/// What the registry says that the digest is.
pub(super) fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    text(headers, CONTENT_DIGEST)?.parse().ok()
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
