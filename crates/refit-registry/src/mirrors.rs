//! Mirrors of a registry: asked first for what a digest names, as nothing can be wrong with that but its absence.
//!
//! What a *tag* holds is the origin's to say: a mirror may be behind, and a sweep that believed one would rebuild onto
//! an older base. HEADs do not count against pull limits, so asking the origin costs nothing. Where the origin is out of
//! reach for good, `mirror-tags` lets mirrors answer for tags as well. Repositories that are pushed to are never
//! mirrored, and nothing is ever pushed to a mirror. A mirror is asked with its own host's credential and settings.

use std::{
    collections::BTreeSet,
    str::FromStr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use refit_oci::{Descriptor, Digest, Document, Exact, Manifest, Reference, Repository};

use crate::{
    BlobFile, BlobSource, Collect, Deleted, Garbage, Head, Registry, RegistryError, Uploaded,
};

/// The address of a mirror: `mirror.example.com`, `mirror.example.com:5000/prefix`, `http://127.0.0.1:5001/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The host, with a port if one was given.
    pub host: String,
    /// HTTP or HTTPS, where the address says which.
    pub plain_http: Option<bool>,
    /// What comes before the origin's paths; often empty.
    prefix: String,
}

/// Why a text is no mirror.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no mirror's address: a host, or a URL, and a path before the registry's own if need be"
)]
pub struct MirrorError(String);

impl FromStr for Mirror {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, MirrorError> {
        let (plain_http, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(true), rest),
            Some(("https", rest)) => (Some(false), rest),
            Some(_) => return Err(MirrorError(text.to_owned())),
            None => (None, text),
        };
        let rest = rest.trim_end_matches('/');
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let mirror = Self {
            host: host.to_owned(),
            plain_http,
            prefix: prefix.to_owned(),
        };
        // Docker's own rule for what is a host, and that of repositories for the rest.
        match mirror.path("x") {
            Some(repository) if repository.registry() == host => Ok(mirror),
            _ => Err(MirrorError(text.to_owned())),
        }
    }
}

impl Mirror {
    /// Where a repository of the origin is on the mirror.
    fn repository(&self, of: &Repository) -> Option<Repository> {
        self.path(of.path())
    }

    fn path(&self, path: &str) -> Option<Repository> {
        let Self { host, prefix, .. } = self;
        let text = match prefix.as_str() {
            "" => format!("{host}/{path}"),
            prefix => format!("{host}/{prefix}/{path}"),
        };
        text.parse().ok()
    }
}

/// Repositories that are read where they are pushed to.
pub(crate) type Own = Arc<RwLock<BTreeSet<Repository>>>;

/// A registry with mirrors before it.
pub(crate) struct Mirrored {
    pub(crate) origin: Arc<dyn Registry>,
    pub(crate) mirrors: Vec<Before>,
    /// Whether mirrors answer for tags as well.
    pub(crate) tags: bool,
    pub(crate) own: Own,
}

/// A mirror, and its endpoint.
pub(crate) struct Before {
    mirror: Mirror,
    registry: Arc<dyn Registry>,
    /// It did not answer: for the rest of the run it is left alone.
    down: AtomicBool,
}

impl Before {
    pub(crate) fn new(mirror: Mirror, registry: Arc<dyn Registry>) -> Self {
        Self {
            mirror,
            registry,
            down: AtomicBool::new(false),
        }
    }

    /// Where the repository is on this mirror, unless that is no use.
    fn place(&self, of: &Repository) -> Option<Repository> {
        let repository = self.mirror.repository(of)?;
        (!self.down.load(Ordering::Relaxed)).then_some(repository)
    }

    /// An answer of the mirror, if it is one; whatever else it says, the next is asked.
    fn answer<T>(&self, answer: Result<T, RegistryError>) -> Option<T> {
        if let Err(error) = &answer
            && (error.is_offline() || matches!(error, RegistryError::RateLimited { .. }))
        {
            self.down.store(true, Ordering::Relaxed);
        }
        answer.ok()
    }
}

impl Mirrored {
    /// The mirrors that may have something of a repository.
    fn places<'a>(
        &'a self,
        of: &'a Repository,
    ) -> impl Iterator<Item = (&'a Before, Repository)> + 'a {
        let is_own = {
            let own = self.own.read();
            own.unwrap_or_else(PoisonError::into_inner).contains(of)
        };
        let mirrors = self.mirrors.iter().filter(move |_| !is_own);
        mirrors.filter_map(|before| Some((before, before.place(of)?)))
    }
}

#[async_trait]
impl Registry for Mirrored {
    async fn head(&self, reference: &Reference) -> Result<Head, RegistryError> {
        if reference.digest().is_some() || self.tags {
            for (before, repository) in self.places(reference.repository()) {
                let there = match (reference.digest(), reference.tag()) {
                    (Some(digest), _) => repository.at(digest),
                    (None, tag) => repository.tagged(tag.unwrap_or("latest"))?,
                };
                let head = before.registry.head(&there).await;
                if let Some(found @ Head::Found { .. }) = before.answer(head) {
                    return Ok(found);
                }
            }
        }
        self.origin.head(reference).await
    }

    async fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Document, RegistryError> {
        for (before, there) in self.places(repository) {
            let document = before.registry.document(&there, digest).await;
            if let Some(document) = before.answer(document) {
                return Ok(document);
            }
        }
        self.origin.document(repository, digest).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<BlobFile, RegistryError> {
        for (before, there) in self.places(repository) {
            let blob = before.registry.blob(&there, descriptor).await;
            if let Some(blob) = before.answer(blob) {
                return Ok(blob);
            }
        }
        self.origin.blob(repository, descriptor).await
    }

    async fn has_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        for (before, there) in self.places(repository) {
            let has = before.registry.has_blob(&there, digest).await;
            if before.answer(has) == Some(true) {
                return Ok(true);
            }
        }
        self.origin.has_blob(repository, digest).await
    }

    async fn mount_blob(
        &self,
        repository: &Repository,
        from: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        self.origin.mount_blob(repository, from, digest).await
    }

    async fn push_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: BlobSource,
    ) -> Result<Uploaded, RegistryError> {
        self.origin.push_blob(repository, descriptor, source).await
    }

    async fn push_new_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: BlobSource,
    ) -> Result<(), RegistryError> {
        let origin = &self.origin;
        origin.push_new_blob(repository, descriptor, source).await
    }

    async fn push_document(
        &self,
        repository: &Repository,
        document: &Document,
        tag: Option<&str>,
    ) -> Result<Digest, RegistryError> {
        self.origin.push_document(repository, document, tag).await
    }

    async fn push_referrer(
        &self,
        repository: &Repository,
        manifest: &Exact<Manifest>,
    ) -> Result<Digest, RegistryError> {
        self.origin.push_referrer(repository, manifest).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        self.origin.referrers(repository, subject).await
    }

    async fn tags(&self, repository: &Repository) -> Result<Vec<String>, RegistryError> {
        self.origin.tags(repository).await
    }

    async fn delete_tag(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> Result<Deleted, RegistryError> {
        self.origin.delete_tag(repository, tag).await
    }

    async fn delete_document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Deleted, RegistryError> {
        self.origin.delete_document(repository, digest).await
    }

    async fn collect_garbage(&self, settings: &Collect) -> Result<Option<Garbage>, RegistryError> {
        self.origin.collect_garbage(settings).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirrors_address_is_a_host_with_more_or_less_around_it() {
        for (text, plain, of_debian) in [
            (
                "mirror.example.com",
                None,
                "mirror.example.com/library/debian",
            ),
            ("mirror:5000", None, "mirror:5000/library/debian"),
            ("localhost/hub/", None, "localhost/hub/library/debian"),
            (
                "http://127.0.0.1:5001/prefix",
                Some(true),
                "127.0.0.1:5001/prefix/library/debian",
            ),
            (
                "https://mirror.example.com/a/b",
                Some(false),
                "mirror.example.com/a/b/library/debian",
            ),
        ] {
            let mirror: Mirror = text.parse().unwrap();
            assert_eq!(mirror.plain_http, plain, "{text}");
            let there = mirror.repository(&"debian".parse().unwrap()).unwrap();
            assert_eq!(there.to_string(), of_debian);
        }
        for text in [
            "",
            "mirror",
            "ftp://mirror.example.com",
            "m.example.com/A",
            "http://",
            "a b.c",
        ] {
            assert!(text.parse::<Mirror>().is_err(), "{text}");
        }
    }
}
