//! The engine `docker`: Docker Engine's API, and the BuildKit inside it.
//!
//! Bases come from, and the result goes to, a registry of refit's own on the loopback interface: the engine needs no
//! credentials and no configuration, and keeps nothing of a build but its cache.

mod address;
mod check;
mod connection;
mod facts;
mod failure;
mod image;
mod names;
mod options;
mod output;
mod progress;
mod session;
mod solve;
mod tree;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::Path,
};

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, Docker};
use refit_dockerfile::StageBase;
use refit_oci::{Digest, Reference};
use refit_registry::loopback::Loopback;
use sha2::Digest as _;
use tonic::Code;

pub use address::{Address, AddressError};
pub use facts::EngineFacts;

use self::{
    facts::unreachable, names::Names, output::BaseLayers, session::Session, solve::Solve,
    tree::Tree,
};
use crate::engine::{Built, Engine, EngineError, EngineKind, PinnedBase, Recipe, Refusal};

/// Seconds that one answer of the API may take to begin.
const TIMEOUT: u64 = 120;

/// The names of the folders that BuildKit's frontend asks for, and of the Dockerfile in the second.
const CONTEXT: &str = "context";
const DOCKERFILE_FOLDER: &str = "dockerfile";
const DOCKERFILE: &str = "Dockerfile";

/// The name of the result's repository in the loopback registry.
const OUTPUT: &str = "output";

/// A Docker Engine that answered.
pub struct DockerEngine {
    client: Docker,
    address: Address,
    facts: EngineFacts,
}

impl DockerEngine {
    /// Connects, agrees on a version of the API, and asks what the engine can do.
    pub async fn connect(address: &Address) -> Result<Self, EngineError> {
        let client = match address {
            Address::Unix(path) => {
                Docker::connect_with_unix(&path.to_string_lossy(), TIMEOUT, API_DEFAULT_VERSION)
            }
            Address::Tcp(host) => Docker::connect_with_http(host, TIMEOUT, API_DEFAULT_VERSION),
        };
        let client = client.map_err(|e| unreachable(address, e.into()))?;
        let client = client.negotiate_version().await;
        let client = client.map_err(|e| unreachable(address, e.into()))?;
        let facts = EngineFacts::ask(&client, address).await?;
        Ok(Self {
            client,
            address: address.clone(),
            facts,
        })
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

    /// Runs the build; the image is then in the engine under the output's name.
    async fn solve(
        &self,
        recipe: &Recipe,
        bases: &BTreeMap<usize, Reference>,
        output: &Reference,
        log: &mut (dyn Write + Send),
    ) -> Result<(), EngineError> {
        let pinned = |found: &refit_dockerfile::Found| {
            let index = recipe.resolved.found.iter().position(|f| f == found)?;
            bases.get(&index).map(Reference::to_string)
        };
        let dockerfile = refit_dockerfile::reduce(&recipe.file, &recipe.resolved, &pinned);
        let context = &recipe.context.path;
        let key = content_key(&dockerfile, context).map_err(|e| io_error(context, e))?;
        let folders = BTreeMap::from([
            (
                CONTEXT,
                Tree::of_tar(context).map_err(|e| io_error(context, e))?,
            ),
            (
                DOCKERFILE_FOLDER,
                Tree::of_file(DOCKERFILE, dockerfile.as_bytes()),
            ),
        ]);
        let session = Session::open(&self.address, &key, folders, &recipe.secrets).await;
        let session = session.map_err(|e| unreachable(&self.address, e.into()))?;
        let control = connection::control(&self.address).await;
        let control = control.map_err(|e| unreachable(&self.address, e.into()))?;
        let entitlements = match recipe.network.as_deref() {
            Some("host") => vec!["network.host".to_owned()],
            _ => Vec::new(),
        };
        let names = Names::of(recipe, bases);
        let request = Solve {
            session: session.id().to_owned(),
            options: options::options(recipe, bases),
            entitlements,
            image: output.to_string(),
            names: names.clone(),
        };
        match solve::solve(&control, request, log).await {
            Ok(()) => Ok(()),
            Err(solve::Failure::Log(source)) => Err(io_error("(log)".as_ref(), source)),
            Err(solve::Failure::Build { status, .. }) if status.code() == Code::Unavailable => {
                Err(unreachable(&self.address, status.into()))
            }
            Err(solve::Failure::Build { status, step }) => {
                let message = names.put(status.message());
                Err(failure::explain(recipe, &message, step.as_deref()))
            }
        }
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
        check::check(recipe, &self.facts)
    }

    async fn build(
        &self,
        recipe: &Recipe,
        log: &mut (dyn Write + Send),
    ) -> Result<Built, EngineError> {
        self.check(recipe)?;
        let loopback = Loopback::start(&recipe.work_dir)
            .await
            .map_err(loopback_failed)?;
        let mut layers = Vec::new();
        let mut references = BTreeMap::new();
        for pin in &recipe.pins {
            layers.push(BaseLayers::read(pin).await?);
            let (registry, repository) = (pin.registry.clone(), pin.repository.clone());
            let name = format!("base-{}", pin.found_index);
            let allowed = loopback.allow_base(&name, registry, repository, pin.manifest.clone());
            references.insert(pin.found_index, allowed.map_err(loopback_failed)?);
        }
        if let Some(base) = references.values().next() {
            self.probe(base, &loopback).await?;
        }
        let known = layers.iter().flat_map(BaseLayers::blobs).collect();
        let output = loopback.output(OUTPUT, known).map_err(loopback_failed)?;
        self.solve(recipe, &references, &output, log).await?;
        let pushed = image::push(&self.client, &output).await;
        image::remove(&self.client, &output).await;
        pushed?;
        let pushed = loopback
            .take(OUTPUT)
            .ok_or_else(|| EngineError::BadResult {
                reason: "the engine pushed no manifest".to_owned(),
            })?;
        output::assemble(recipe, &pushed, &layers, root_pin(recipe))
    }
}

/// The pin of the image that the target's own stages begin with.
fn root_pin(recipe: &Recipe) -> Option<&PinnedBase> {
    match recipe.resolved.base {
        StageBase::External(found_index) => recipe.pin(found_index),
        StageBase::Scratch | StageBase::Files(_) | StageBase::Opaque => None,
    }
}

/// Changes with every byte that the session serves.
fn content_key(dockerfile: &str, context: &Path) -> io::Result<Digest> {
    let mut hash = sha2::Sha256::new();
    hash.update(dockerfile.len().to_be_bytes());
    hash.update(dockerfile);
    let mut file = File::open(context)?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let read = io::Read::read(&mut file, &mut buffer)?;
        if read == 0 {
            return Ok(Digest::from_sha256(&hash.finalize().into()));
        }
        hash.update(&buffer[..read]);
    }
}

fn loopback_failed(source: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Engine {
        action: "be given a registry on this machine".to_owned(),
        source: source.into(),
    }
}

fn io_error(path: &Path, source: io::Error) -> EngineError {
    EngineError::Io {
        path: path.to_owned(),
        source,
    }
}
