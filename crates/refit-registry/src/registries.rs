//! The router: which endpoint serves a registry host.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use refit_oci::Repository;

use crate::{
    BasicLogin, HostSettings, Layout, Login, Mirror, Registry, RegistryError, Settings,
    credentials::{Credential, Credentials},
    http::{Clients, Endpoint, Shared},
    mirrors::{Before, Mirrored, Own},
};

/// The host name of the embedded store, an OCI layout.
pub const EMBEDDED_HOST: &str = "refit.local";

/// All registries of a run: endpoints are made on demand and shared, with their connections and tokens.
pub struct Registries {
    settings: Settings,
    shared: Shared,
    endpoints: Mutex<BTreeMap<String, Arc<dyn Registry>>>,
    own: Own,
}

/// How often a mirror is asked for one thing.
const MIRROR_ATTEMPTS: u32 = 2;

/// How many requests were sent, attempts that failed included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// HEAD: these do not count against pull limits.
    pub head: u64,
    /// GET.
    pub get: u64,
    /// POST: uploads begun and mounts.
    pub post: u64,
    /// PUT.
    pub put: u64,
    /// PATCH.
    pub patch: u64,
    /// DELETE.
    pub delete: u64,
    /// To token services, whatever the method.
    pub token: u64,
}

impl Requests {
    /// The HEADs and GETs among them that were not yet sent `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            head: self.head.saturating_sub(before.head),
            get: self.get.saturating_sub(before.get),
            ..self
        }
    }
}

impl Registries {
    /// Endpoints as these settings have them; nothing is contacted yet.
    pub fn new(settings: Settings) -> Self {
        // An error means that the program has chosen a TLS provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            shared: Shared {
                clients: Clients::new(&settings.patience),
                counters: Arc::default(),
                credentials: Arc::new(Credentials::new(settings.credentials.clone())),
            },
            settings,
            endpoints: Mutex::default(),
            own: Own::default(),
        }
    }

    /// The endpoint of a host, as [`Repository::registry`](refit_oci::Repository::registry) spells it.
    pub fn registry(&self, host: &str) -> Arc<dyn Registry> {
        let endpoints = self.endpoints.lock();
        let mut endpoints = endpoints.unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = endpoints.get(host) {
            return Arc::clone(known);
        }
        let made = self.make(host);
        endpoints.insert(host.to_owned(), Arc::clone(&made));
        made
    }

    /// Repositories that are pushed to: they are read where they are, whatever mirrors there are.
    pub fn never_mirror(&self, repositories: impl IntoIterator<Item = Repository>) {
        let own = self.own.write();
        let mut own = own.unwrap_or_else(PoisonError::into_inner);
        own.extend(repositories);
    }

    /// Whether there is a credential for a repository, and where it is from; helpers are asked.
    pub async fn login(&self, repository: &Repository) -> Result<Login, RegistryError> {
        let found = self
            .shared
            .credentials
            .lookup(repository.registry(), repository.path());
        let found = found.await?;
        Ok(Login {
            found: found.credential != Credential::Anonymous,
            asked_as: found.asked_as,
        })
    }

    /// The credential for a repository, for an engine that has to show it.
    pub async fn basic_login(
        &self,
        repository: &Repository,
    ) -> Result<Option<BasicLogin>, RegistryError> {
        let found = self
            .shared
            .credentials
            .lookup(repository.registry(), repository.path());
        Ok(BasicLogin::of(found.await?.credential))
    }

    /// The requests sent so far, by method.
    pub fn requests(&self) -> Requests {
        self.shared.counters.read()
    }

    fn make(&self, host: &str) -> Arc<dyn Registry> {
        let of_host = self.settings.hosts.get(host).cloned().unwrap_or_default();
        if let Some(path) = of_host.layout {
            return Arc::new(Layout::expected(path));
        }
        let origin = self.origin(host, &of_host);
        if of_host.mirrors.is_empty() {
            return origin;
        }
        let before = |mirror: Mirror| {
            let registry = self.mirror(&mirror);
            Before::new(mirror, registry)
        };
        Arc::new(Mirrored {
            origin,
            mirrors: of_host.mirrors.into_iter().map(before).collect(),
            tags: of_host.mirror_tags,
            own: Arc::clone(&self.own),
        })
    }

    /// A mirror's endpoint: with its own host's settings but for mirrors of its own, and with less patience, as
    /// somebody else can be asked.
    fn mirror(&self, mirror: &Mirror) -> Arc<dyn Registry> {
        let of_host = self.settings.hosts.get(&mirror.host);
        let mut of_host = of_host.cloned().unwrap_or_default();
        if let Some(path) = of_host.layout {
            return Arc::new(Layout::expected(path));
        }
        of_host.plain_http = mirror.plain_http.or(of_host.plain_http);
        let mut settings = self.settings.clone();
        settings.patience.attempts = settings.patience.attempts.min(MIRROR_ATTEMPTS);
        Arc::new(Endpoint::new(
            &mirror.host,
            &of_host,
            &settings,
            &self.shared,
        ))
    }

    fn origin(&self, host: &str, of_host: &HostSettings) -> Arc<dyn Registry> {
        match (host, &self.settings.embedded) {
            (EMBEDDED_HOST, Some(path)) => Arc::new(Layout::made_on_demand(path.clone())),
            (EMBEDDED_HOST, None) => Arc::new(Layout::nowhere(host)),
            _ => Arc::new(Endpoint::new(host, of_host, &self.settings, &self.shared)),
        }
    }
}
