//! The engine `docker`: Docker Engine's API, and the BuildKit inside it; or the builder that an engine without BuildKit
//! has, Podman among them.
//!
//! Bases come from, and the result goes to, a registry of refit's own on the loopback interface: the engine needs no
//! credentials and no configuration, and keeps nothing of a build but its cache.

mod address;
mod classic;
mod facts;
mod image;
mod reach;
pub(crate) mod relay;
pub(crate) mod ssh;
pub(crate) mod tls;

use std::io::Write;

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, Docker};
use refit_oci::Reference;
use refit_registry::loopback::Loopback;
use tokio::sync::OnceCell;

pub use address::{Address, AddressError};
pub use facts::{Builder, EngineFacts};
pub use image::clean_up;
pub use reach::Way;
pub use relay::relay;
pub use ssh::SshHost;

use self::{
    facts::unreachable,
    image::{Left, What},
};
use crate::{
    buildkit::{self, Ask, Counter, Endpoint, Exporter, assemble, root_pin},
    check, connection,
    engine::{Built, Engine, EngineError, EngineKind, Recipe, Refusal},
};

/// Seconds that one answer of the API may take to begin.
const TIMEOUT: u64 = 120;

/// A Docker Engine that answered.
pub struct DockerEngine {
    client: Docker,
    address: Address,
    facts: EngineFacts,
    relays: bool,
    way: OnceCell<Way>,
}

impl DockerEngine {
    /// Connects, agrees on a version of the API, and asks what the engine can do. It is built with what the engine
    /// prefers.
    pub async fn connect(address: &Address) -> Result<Self, EngineError> {
        Self::connect_for(address, None).await
    }

    /// The same, and the user says whether it is BuildKit that builds, as with Docker's own `DOCKER_BUILDKIT`.
    pub async fn connect_for(
        address: &Address,
        buildkit: Option<bool>,
    ) -> Result<Self, EngineError> {
        let client = match address {
            Address::Unix(path) => {
                Docker::connect_with_unix(&path.to_string_lossy(), TIMEOUT, API_DEFAULT_VERSION)
            }
            Address::Tcp(host) => Docker::connect_with_http(host, TIMEOUT, API_DEFAULT_VERSION),
            Address::Tls { .. } | Address::Ssh(_) => {
                let dialled = address.clone();
                let send = move |request| connection::send(dialled.clone(), request);
                Docker::connect_with_custom_transport(
                    send,
                    Some("http://docker"),
                    TIMEOUT,
                    API_DEFAULT_VERSION,
                )
            }
        };
        let client = client.map_err(|e| unreachable(address, e.into()))?;
        let client = client.negotiate_version().await;
        let client = client.map_err(|e| unreachable(address, e.into()))?;
        let facts = EngineFacts::ask(&client, address, buildkit).await?;
        Ok(Self {
            client,
            address: address.clone(),
            facts,
            relays: false,
            way: OnceCell::new(),
        })
    }

    /// The same engine, and where it does not reach this machine, this program runs there as a relay: it must answer to
    /// `relay` with [`relay()`].
    #[must_use]
    pub fn with_relay(mut self) -> Self {
        self.relays = true;
        self
    }

    /// What the engine is.
    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// Whether the engine reaches this machine's loopback interface. refit has read the base's manifest itself, so only
    /// the way to it can be at fault.
    async fn probe(&self, base: &Reference, loopback: &Loopback) -> Result<(), EngineError> {
        let seen = self
            .client
            .inspect_registry_image(&base.to_string(), None)
            .await;
        let elsewhere = |source: bollard::errors::Error| EngineError::Elsewhere {
            endpoint: self.address.to_string(),
            registry: loopback.host(),
            source: source.into(),
        };
        seen.map(drop).map_err(elsewhere)
    }
}

#[async_trait]
impl Engine for DockerEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Docker
    }

    fn layer_format(&self) -> &'static str {
        "gzip"
    }

    fn check(&self, recipe: &Recipe) -> Result<(), Refusal> {
        check::check(recipe, &self.facts.abilities())?;
        check::no_caches(recipe, &self.facts.name())
    }

    async fn answers(&self) -> Result<(), EngineError> {
        let answered = self.client.ping().await;
        answered
            .map(drop)
            .map_err(|e| unreachable(&self.address, e.into()))
    }

    async fn build(
        &self,
        recipe: &Recipe,
        log: &mut (dyn Write + Send),
    ) -> Result<Built, EngineError> {
        self.check(recipe)?;
        let endpoint = Endpoint::Docker(self.address.clone());
        if self.facts.builder != Builder::BuildKit {
            return classic::build(self, recipe, &endpoint, log).await;
        }
        let way = self.way().await?;
        let counter = Counter::open_through(recipe, &endpoint, way.relay()).await?;
        if let Some(base) = counter.bases.values().next() {
            self.probe(base, &counter.loopback).await?;
        }
        let output = &counter.output;
        let left = Left::behind(&self.client, What::Result(output.clone()));
        buildkit::run(
            &endpoint,
            recipe,
            &counter,
            Ask::of(Exporter::kept(output)),
            log,
        )
        .await?;
        let pushed = image::push(&self.client, output).await;
        left.remove().await;
        pushed?;
        assemble(recipe, &counter.take()?, &counter.layers, root_pin(recipe))
    }
}
