//! Builds through `POST /build`: Docker Engine's builder from before BuildKit, and Podman's.
//!
//! Both get the whole context as a tar, pull bases by themselves and keep the result as an image, which is then pushed.
//! Docker Engine's cache are images without a name; of Podman nothing is kept.

mod context;
mod options;
mod output;
mod steps;

use std::{io::Write, sync::Arc};

use http_body_util::Full;
use hyper::body::Bytes;
use refit_oci::Reference;

pub(super) use output::{Told, last_word};

use self::{context::Sent, steps::Steps};
use super::{
    Builder, DockerEngine,
    facts::unreachable,
    image::{Images, Left, Made, What},
};
use crate::{
    buildkit::{Counter, Endpoint, Names, assemble, is_out_of_reach, reduced, root_pin},
    connection::{self, PostError},
    engine::{Built, EngineError, Recipe},
};

/// Credentials for a registry that asks for none: an empty JSON object in base64.
const NO_CREDENTIALS: (&str, &str) = ("X-Registry-Auth", "e30=");

/// Builds, pushes the result to refit's registry, and takes it from there.
pub(super) async fn build(
    engine: &DockerEngine,
    recipe: &Recipe,
    endpoint: &Endpoint,
    log: &mut (dyn Write + Send),
) -> Result<Built, EngineError> {
    let way = engine.way().await?;
    let counter = Counter::open_through(recipe, endpoint, way.relay()).await?;
    // Podman finds nothing of a build again whose base it has pulled by another name.
    let has_cache = engine.facts.builder != Builder::Podman;
    let made = Made::default();
    let images = Images {
        result: counter.output.clone(),
        bases: counter.bases.values().cloned().collect(),
        made: Arc::clone(&made),
        stay: has_cache && !recipe.no_cache,
    };
    let left = Left::behind(&engine.client, What::Images(images));
    let built = run(engine, recipe, (&counter, made), log).await;
    let pushed = match built {
        Ok(()) => push(engine, &counter.output).await,
        Err(error) => Err(error),
    };
    left.remove().await;
    pushed?;
    let built = assemble(recipe, &counter.take()?, &counter.layers, root_pin(recipe))?;
    output::without_loopback(recipe, &counter.bases, built)
}

/// The build itself; its result is in the engine then.
async fn run(
    engine: &DockerEngine,
    recipe: &Recipe,
    (counter, made): (&Counter, Made),
    log: &mut (dyn Write + Send),
) -> Result<(), EngineError> {
    let facts = &engine.facts;
    let dockerfile = options::with_platforms(recipe, &reduced(recipe, &counter.bases));
    let sent = Sent::of(recipe, &dockerfile, facts.builder)?;
    let path = options::path(recipe, facts, &sent.dockerfile, &counter.output);
    let headers = [("Content-Type", "application/x-tar")];
    let result = (counter.output.to_string(), "the result".to_owned());
    let names = Names::of(recipe, &counter.bases).and(Names::known([result]));
    let mut steps = Steps::of(recipe, &dockerfile, made);
    let body = sent.body().await?;
    let told = match connection::post(&engine.address, &path, &headers, body).await {
        Ok(answer) => output::copy(answer, &names, &mut steps, log).await?,
        Err(PostError::Lost(source)) => return Err(unreachable(&engine.address, source)),
        Err(PostError::Refused(message)) => Told::Failed(message),
    };
    match told {
        Told::Ended => Ok(()),
        Told::Lost(source) => Err(unreachable(&engine.address, source)),
        Told::Failed(message) => {
            let registry = counter.loopback.host();
            if is_out_of_reach(&message, &registry) {
                return Err(EngineError::Elsewhere {
                    endpoint: engine.address.to_string(),
                    registry,
                    source: message.into(),
                });
            }
            Err(steps.explain(recipe, &names.put(&message)))
        }
    }
}

/// Sends the image to refit's registry.
async fn push(engine: &DockerEngine, output: &Reference) -> Result<(), EngineError> {
    if engine.facts.builder != Builder::Podman {
        return super::image::push(&engine.client, output).await;
    }
    let refused = |source| EngineError::Engine {
        action: "push the result to refit's registry".to_owned(),
        source,
    };
    let path = options::push_path(&engine.facts, output);
    let body = Full::<Bytes>::default();
    let answer = connection::post(&engine.address, &path, &[NO_CREDENTIALS], body).await;
    let answer = answer.map_err(|error| match error {
        PostError::Lost(source) => refused(source),
        PostError::Refused(message) => refused(message.into()),
    })?;
    match output::last_word(answer).await {
        Told::Ended => Ok(()),
        Told::Failed(message) => Err(refused(message.into())),
        Told::Lost(source) => Err(refused(source)),
    }
}
