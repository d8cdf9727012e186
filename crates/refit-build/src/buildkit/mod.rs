//! The engine `buildkit`: a buildkitd, or the BuildKit inside a Docker Engine that has containerd's image store.
//!
//! Bases come from, and the result goes to, a registry of refit's own on the loopback interface, by BuildKit itself: it
//! needs no credentials and no configuration, and keeps nothing of a build but its cache.

mod agent;
mod auth;
mod cache;
mod endpoint;
mod facts;
mod failure;
mod names;
mod options;
mod output;
mod progress;
mod request;
mod session;
mod solve;
mod tree;

use std::io::Write;

use async_trait::async_trait;

pub use endpoint::{DaemonAddress, Endpoint};
pub use facts::BuildKitFacts;

pub(crate) use facts::{Workers, others};
pub(crate) use failure::explain;
pub(crate) use names::{Names, renamed};
pub(crate) use output::assemble;
pub(crate) use request::{Ask, Counter, is_out_of_reach, reduced, root_pin, run};
pub(crate) use solve::Exporter;

use self::cache::Opened;
use crate::{
    check,
    engine::{Built, Engine, EngineError, EngineKind, Recipe, Refusal},
};

/// The build argument that fixes the times of an image and, where BuildKit can, of the files in its layers.
pub(crate) const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// A BuildKit that answered.
pub struct BuildKitEngine {
    endpoint: Endpoint,
    facts: BuildKitFacts,
}

impl BuildKitEngine {
    /// Connects, and asks what it can do.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, EngineError> {
        Ok(Self {
            endpoint: endpoint.clone(),
            facts: BuildKitFacts::ask(endpoint).await?,
        })
    }

    /// What it is.
    pub fn facts(&self) -> &BuildKitFacts {
        &self.facts
    }
}

#[async_trait]
impl Engine for BuildKitEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::BuildKit
    }

    fn layer_format(&self) -> &'static str {
        "gzip"
    }

    fn check(&self, recipe: &Recipe) -> Result<(), Refusal> {
        check::check(recipe, &self.facts.abilities())
    }

    async fn answers(&self) -> Result<(), EngineError> {
        Workers::of(&self.endpoint).await.map(drop)
    }

    async fn build(
        &self,
        recipe: &Recipe,
        log: &mut (dyn Write + Send),
    ) -> Result<Built, EngineError> {
        self.check(recipe)?;
        let counter = Counter::open(recipe, &self.endpoint).await?;
        let mut to = Exporter::pushed(&counter.output);
        if recipe.build_args.contains_key(EPOCH) && self.facts.rewrites_times() {
            to = to.with("rewrite-timestamp", "true");
        }
        let caches = Opened::open(recipe, &counter, log).await?;
        let ask = Ask {
            exporter: to,
            caches: caches.options(),
            names: caches.names(),
        };
        let exported = run(&self.endpoint, recipe, &counter, ask, log).await?;
        caches.keep(&counter.loopback, log).await;
        let mut pushed = counter.take()?;
        caches.complete(recipe, &mut pushed).await?;
        if exported.digest.as_ref() != Some(pushed.manifest.digest()) {
            return Err(EngineError::BadResult {
                reason: "what it pushed is not what it says that it built".to_owned(),
            });
        }
        let mut built = assemble(recipe, &pushed, &counter.layers, root_pin(recipe))?;
        for attested in &mut built.attested {
            attested.statement = renamed(recipe, &counter.bases, &attested.statement);
        }
        Ok(built)
    }
}
