//! The engine `buildkit`: a buildkitd, or the BuildKit inside a Docker Engine that has containerd's image store.
//!
//! Bases come from, and the result goes to, a registry of refit's own on the loopback interface, by BuildKit itself: it
//! needs no credentials and no configuration, and keeps nothing of a build but its cache. With a BuildKit that does not
//! reach that interface both go through the session of the build, which is open anyway.

mod agent;
mod auth;
mod cache;
mod carried;
mod content;
mod endpoint;
mod facts;
mod failure;
mod mend;
mod names;
mod options;
mod output;
mod progress;
mod reach;
mod request;
mod session;
mod solve;
mod tree;

use std::io::Write;

use async_trait::async_trait;
use refit_registry::loopback::Pushed;
use tokio::sync::OnceCell;

pub use endpoint::{DaemonAddress, Endpoint};
pub use facts::BuildKitFacts;
pub use reach::Exchange;

pub(crate) use facts::{Workers, others};
pub(crate) use failure::explain;
pub(crate) use names::{Names, renamed};
pub(crate) use output::assemble;
pub(crate) use request::{Ask, Counter, is_out_of_reach, reduced, root_pin, run};
pub(crate) use solve::Exporter;

use self::{
    cache::{Opened, Way},
    carried::Carried,
    solve::Exported,
};
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
    exchange: OnceCell<Exchange>,
}

impl BuildKitEngine {
    /// Connects, and asks what it can do.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, EngineError> {
        Ok(Self {
            endpoint: endpoint.clone(),
            facts: BuildKitFacts::ask(endpoint).await?,
            exchange: OnceCell::new(),
        })
    }

    /// What it is.
    pub fn facts(&self) -> &BuildKitFacts {
        &self.facts
    }

    /// How bases get to it, and results from it: found out once. One that is too old for the second way is refused.
    pub async fn exchange(&self) -> Result<Exchange, EngineError> {
        let find_out = || async {
            let exchange = Box::pin(reach::exchange(&self.endpoint)).await?;
            if exchange == Exchange::Session && !self.facts.reads_from_sessions() {
                return Err(EngineError::Elsewhere {
                    endpoint: self.endpoint.to_string(),
                    registry: "127.0.0.1".to_owned(),
                    source: format!("{} can't build without it", self.facts.name).into(),
                });
            }
            Ok(exchange)
        };
        self.exchange.get_or_try_init(find_out).await.copied()
    }

    /// Whether files in new layers get the time that a build argument fixes.
    fn fixes_times(&self, recipe: &Recipe) -> bool {
        recipe.build_args.contains_key(EPOCH) && self.facts.rewrites_times()
    }

    async fn build_by_registry(
        &self,
        recipe: &Recipe,
        log: &mut (dyn Write + Send),
    ) -> Result<Built, EngineError> {
        let counter = Counter::open(recipe, &self.endpoint).await?;
        let mut to = Exporter::pushed(&counter.output);
        if self.fixes_times(recipe) {
            to = to.with("rewrite-timestamp", "true");
        }
        let way = Way::Registry(&counter);
        let caches = Opened::open(recipe, &way, log).await?;
        let ask = Ask {
            exporter: to,
            caches: caches.options(),
            names: caches.names(),
        };
        let exported = run(&self.endpoint, recipe, &counter, ask, log).await?;
        caches.keep(&way, log).await;
        let mut pushed = counter.take()?;
        caches.complete(recipe, &mut pushed).await?;
        is_that(&exported, &pushed)?;
        let mut built = assemble(recipe, &pushed, &counter.layers, root_pin(recipe))?;
        for attested in &mut built.attested {
            attested.statement = renamed(recipe, &counter.bases, &attested.statement);
        }
        Ok(built)
    }

    async fn build_by_session(
        &self,
        recipe: &Recipe,
        log: &mut (dyn Write + Send),
    ) -> Result<Built, EngineError> {
        let carried = Carried::open(recipe).await?;
        let mut to = Exporter::through_session();
        if self.fixes_times(recipe) {
            if self.facts.knows_contexts_as_bases() {
                to = to.with("rewrite-timestamp", "true");
            } else {
                let name = &self.facts.name;
                let told = writeln!(
                    log,
                    "{EPOCH}: files keep their times: {name} does not reach refit's registry on this machine, and may \
                     set the times of the base's files as well"
                );
                told.map_err(|source| EngineError::Io {
                    path: "(log)".into(),
                    source,
                })?;
            }
        }
        let way = Way::Session(&carried);
        let caches = Opened::open(recipe, &way, log).await?;
        carried.accept(caches.layers());
        let ask = Ask {
            exporter: to,
            caches: caches.options(),
            names: caches.names(),
        };
        let exported =
            request::run_through_session(&self.endpoint, recipe, &carried, ask, log).await?;
        caches.keep(&way, log).await;
        let mut pushed = carried.take()?;
        caches.complete(recipe, &mut pushed).await?;
        is_that(&exported, &pushed)?;
        let root = root_pin(recipe);
        let mut built = assemble(recipe, &pushed, &carried.layers, root)?;
        let mut bases = carried.layers.iter();
        let base = bases.find(|base| root.is_some_and(|pin| pin.found_index == base.found_index()));
        if let Some(base) = base
            && !self.facts.knows_contexts_as_bases()
        {
            mend::mend(&mut built, base)?;
        }
        for attested in &mut built.attested {
            let statement = carried::renamed(&carried.bases, &attested.statement);
            attested.statement = renamed(recipe, &carried.bases, &statement);
        }
        Ok(built)
    }
}

/// Whether BuildKit handed over what it says that it has built.
fn is_that(exported: &Exported, pushed: &Pushed) -> Result<(), EngineError> {
    if exported.digest.as_ref() == Some(pushed.manifest.digest()) {
        return Ok(());
    }
    Err(EngineError::BadResult {
        reason: "what it pushed is not what it says that it built".to_owned(),
    })
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
        match self.exchange().await? {
            Exchange::Registry => self.build_by_registry(recipe, log).await,
            Exchange::Session => self.build_by_session(recipe, log).await,
        }
    }
}
