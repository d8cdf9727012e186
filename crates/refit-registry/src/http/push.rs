//! Writing: blobs mounted or streamed in one PUT, manifests with their exact bytes.

use std::path::Path;

use bytes::Bytes;
use refit_oci::{Descriptor, Digest, Document, Repository};
use reqwest::{
    Body, Method, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION},
};
use tokio::{fs::File, io::AsyncReadExt as _};

use super::{
    answer::refusal,
    auth::Pass,
    backoff::{Backoff, is_passing, may_pass, retry_after},
    endpoint::{Ask, Endpoint},
    pull::{content_digest, text},
    scopes::Scopes,
    wire::Progress,
};
use crate::{BlobSource, RegistryError, Uploaded, blocks::blocks, error::io_error};

impl Endpoint {
    pub(super) async fn mount(
        &self,
        repository: &Repository,
        from: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let mut url = self.url(repository, "blobs/uploads/")?;
        url.query_pairs_mut()
            .append_pair("mount", digest.as_str())
            .append_pair("from", from.path());
        let scopes = Scopes::mount(repository.path(), from.path());
        let mut backoff = Backoff::new(&self.wire.patience);
        let ask = Ask::new(Method::POST, url, scopes);
        let response = match self.send(&mut backoff, &ask).await {
            // The token service may not grant both scopes at once; uploading asks for one.
            Err(RegistryError::Unauthorized { .. }) => return Ok(false),
            sent => sent?,
        };
        match response.status() {
            StatusCode::CREATED => Ok(true),
            StatusCode::ACCEPTED => {
                self.cancel(&response, repository).await;
                Ok(false)
            }
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED => Ok(false),
            _ => Err(refusal(&self.wire, response, &format!("{repository}@{digest}")).await),
        }
    }

    /// Gives back an upload that a registry began instead of mounting; it would time out there otherwise.
    async fn cancel(&self, begun: &Response, repository: &Repository) {
        if let Ok(location) = self.location(begun) {
            let patience = crate::Patience {
                attempts: 1,
                ..self.wire.patience.clone()
            };
            let mut backoff = Backoff::new(&patience);
            let ask = Ask::new(Method::DELETE, location, Scopes::push(repository.path()));
            // Nothing depends on it.
            let _ = self.send(&mut backoff, &ask).await;
        }
    }

    pub(super) async fn put_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<Uploaded, RegistryError> {
        // Nothing is asked for what can't be sent.
        check_length(descriptor, source).await?;
        let scopes = Scopes::push(repository.path());
        let existing = self.head_blob_as(repository, &descriptor.digest, scopes);
        if existing.await? {
            return Ok(Uploaded::Existed);
        }
        self.upload(repository, descriptor, source).await?;
        Ok(Uploaded::Uploaded)
    }

    /// Sends a blob, whether it is there or not.
    pub(super) async fn put_new_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<(), RegistryError> {
        check_length(descriptor, source).await?;
        self.upload(repository, descriptor, source).await
    }

    async fn upload(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<(), RegistryError> {
        let scopes = Scopes::push(repository.path());
        let digest = &descriptor.digest;
        let what = format!("{repository}@{digest}");
        let mut backoff = Backoff::new(&self.wire.patience);
        loop {
            // An upload that broke off cannot be sent again: its session knows half of it.
            let url = self.url(repository, "blobs/uploads/")?;
            let ask = Ask::new(Method::POST, url, scopes.clone());
            let begun = self.send(&mut backoff, &ask).await?;
            if begun.status() != StatusCode::ACCEPTED {
                return Err(refusal(&self.wire, begun, &what).await);
            }
            let mut location = self.location(&begun)?;
            location
                .query_pairs_mut()
                .append_pair("digest", digest.as_str());
            match self.stream(location, &scopes, descriptor, source).await {
                Ok(response) if response.status() == StatusCode::CREATED => {
                    return Ok(());
                }
                Ok(response) if is_passing(response.status()) => {
                    // The next POST waits for a host that limits how often it may be asked.
                    if !backoff.pause(retry_after(&response)).await {
                        return Err(refusal(&self.wire, response, &what).await);
                    }
                }
                Ok(response) => return Err(refusal(&self.wire, response, &what).await),
                Err(error) if may_pass(&error) && backoff.pause(None).await => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The one PUT of a monolithic upload.
    async fn stream(
        &self,
        location: Url,
        scopes: &Scopes,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<Response, RegistryError> {
        let pass = if self.is_ours(&location) {
            self.auth.pass(scopes, &self.wire).await?
        } else {
            Pass::Nothing
        };
        let progress = Progress::default();
        let body = match source {
            BlobSource::Bytes(bytes) => {
                progress.add(bytes.len());
                Body::from(bytes.clone())
            }
            BlobSource::Path(path) => {
                let file = File::open(path).await;
                let file = file.map_err(|source| io_error(path, source))?;
                let sent = progress.clone();
                // Exactly as many bytes as announced, whatever happens to the file meanwhile.
                let file = file.take(descriptor.size);
                Body::wrap_stream(blocks(file, move |n| sent.add(n)))
            }
        };
        let make = |client: &reqwest::Client| {
            let mut request = client
                .request(Method::PUT, location)
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, descriptor.size);
            if let Some(header) = pass.header() {
                request = request.header(AUTHORIZATION, header);
            }
            request.body(body).build()
        };
        self.wire.upload(make, &progress, descriptor.size).await
    }

    /// Where a registry wants an upload sent; relative to its own address if need be.
    fn location(&self, begun: &Response) -> Result<Url, RegistryError> {
        let location = text(begun.headers(), LOCATION.as_str());
        let location = location.ok_or_else(|| {
            self.wire
                .protocol("it began an upload without saying where it goes (no `Location`)")
        })?;
        let joined = begun.url().join(location);
        let mut url =
            joined.map_err(|_| self.wire.protocol("its upload's address is malformed"))?;
        let root = &self.wire.setup()?.root;
        if root.scheme() == "https" && url.scheme() == "http" {
            if url.host_str() != root.host_str() {
                return Err(self.wire.protocol("it wants an upload sent without TLS"));
            }
            // A proxy that terminates TLS, and a registry behind it that does not know.
            let port = root.port();
            if url.set_scheme("https").is_err() || url.set_port(port).is_err() {
                return Err(self.wire.protocol("its upload's address is malformed"));
            }
        }
        Ok(url)
    }

    pub(super) async fn put_document(
        &self,
        repository: &Repository,
        document: &Document,
        tag: Option<&str>,
    ) -> Result<Stored, RegistryError> {
        let digest = document.digest();
        let key = tag.unwrap_or(digest.as_str());
        let reference = match tag {
            Some(tag) => repository.tagged(tag)?,
            None => repository.at(digest),
        };
        let what = reference.to_string();
        let media_type = HeaderValue::from_str(document.media_type());
        let media_type = media_type.map_err(|_| self.wire.protocol("malformed media type"))?;
        let url = self.url(repository, &format!("manifests/{key}"))?;
        let ask = Ask::new(Method::PUT, url, Scopes::push(repository.path()))
            .header(CONTENT_TYPE, media_type)
            .body(Bytes::copy_from_slice(document.bytes()));
        let mut backoff = Backoff::new(&self.wire.patience);
        let response = self.send(&mut backoff, &ask).await?;
        if !response.status().is_success() {
            return Err(refusal(&self.wire, response, &what).await);
        }
        match content_digest(response.headers()) {
            Some(stored) if stored.algorithm() == digest.algorithm() && stored != *digest => {
                Err(RegistryError::DigestMismatch {
                    what,
                    actual: stored,
                })
            }
            _ => Ok(Stored {
                digest: digest.clone(),
                lists_subject: response.headers().contains_key("oci-subject"),
            }),
        }
    }
}

/// A document that the registry has taken.
pub(super) struct Stored {
    pub(super) digest: Digest,
    /// The registry has put it into its own list of what refers to its subject.
    pub(super) lists_subject: bool,
}

/// A source that is not as long as its descriptor says is refused before anything is sent.
async fn check_length(descriptor: &Descriptor, source: &BlobSource) -> Result<(), RegistryError> {
    let (actual, what) = match source {
        BlobSource::Bytes(bytes) => (bytes.len() as u64, descriptor.digest.to_string()),
        BlobSource::Path(path) => {
            let metadata = tokio::fs::metadata(path).await;
            let metadata = metadata.map_err(|source| io_error(path, source))?;
            (metadata.len(), path_text(path))
        }
    };
    if actual == descriptor.size {
        return Ok(());
    }
    Err(RegistryError::SizeMismatch {
        what,
        expected: descriptor.size,
        actual,
    })
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}
