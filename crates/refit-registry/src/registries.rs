//! The router: which endpoint serves a registry host.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Layout, Registry, Settings,
    http::{Clients, Counters, Endpoint},
};

/// The host name of the embedded store, an OCI layout.
pub const EMBEDDED_HOST: &str = "refit.local";

/// All registries of a run: endpoints are made on demand and shared, with their connections and tokens.
pub struct Registries {
    settings: Settings,
    clients: Clients,
    counters: Arc<Counters>,
    endpoints: Mutex<BTreeMap<String, Arc<dyn Registry>>>,
}

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
            clients: Clients::new(&settings.patience),
            counters: Arc::default(),
            settings,
            endpoints: Mutex::default(),
        }
    }

    /// The endpoint of a host, as [`Repository::registry`](refit_oci::Repository::registry) spells it.
    pub fn registry(&self, host: &str) -> Arc<dyn Registry> {
        let endpoints = self.endpoints.lock();
        let mut endpoints = endpoints.unwrap_or_else(PoisonError::into_inner);
        let endpoint = endpoints.entry(host.to_owned());
        Arc::clone(endpoint.or_insert_with(|| self.make(host)))
    }

    /// The requests sent so far, by method.
    pub fn requests(&self) -> Requests {
        self.counters.read()
    }

    fn make(&self, host: &str) -> Arc<dyn Registry> {
        let settings = self.settings.hosts.get(host);
        if let Some(path) = settings.and_then(|s| s.layout.clone()) {
            return Arc::new(Layout::expected(path));
        }
        match (host, &self.settings.embedded) {
            (EMBEDDED_HOST, Some(path)) => Arc::new(Layout::made_on_demand(path.clone())),
            (EMBEDDED_HOST, None) => Arc::new(Layout::nowhere(host)),
            _ => {
                let counters = Arc::clone(&self.counters);
                let endpoint = Endpoint::new(host, &self.settings, &self.clients, counters);
                Arc::new(endpoint)
            }
        }
    }
}
