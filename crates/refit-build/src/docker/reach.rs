//! Whether an engine reaches this machine's loopback interface, where bases are handed out and results taken in.

use http_body_util::Empty;
use hyper::body::Bytes;
use refit_registry::{RegistryError, loopback::Loopback};

use super::{
    Address, Builder, DockerEngine,
    classic::{Told, last_word},
    relay::Relay,
};
use crate::{
    buildkit::is_out_of_reach,
    connection::{self, PostError},
    engine::EngineError,
};

/// How an engine comes to the registry that bases are handed out by and results taken in.
pub enum Way {
    /// On the loopback interface that it shares with this machine.
    Loopback,
    /// By `ssh`, which lends it the port for each build.
    Ssh,
    /// By a container on its own machine.
    Relay(OpenRelay),
}

/// A relay that the engine can run.
pub struct OpenRelay(Box<Relay>);

impl Way {
    pub(crate) fn relay(&self) -> Option<&Relay> {
        match self {
            Self::Relay(relay) => Some(&relay.0),
            Self::Loopback | Self::Ssh => None,
        }
    }
}

impl DockerEngine {
    /// How the engine comes to this machine's registry: found out once.
    pub async fn way(&self) -> Result<&Way, EngineError> {
        self.way.get_or_try_init(|| self.find_way()).await
    }

    async fn find_way(&self) -> Result<Way, EngineError> {
        if matches!(self.address, Address::Ssh(_)) {
            return Ok(Way::Ssh);
        }
        let Some((registry, said)) = self.out_of_reach().await? else {
            return Ok(Way::Loopback);
        };
        let elsewhere = |source| EngineError::Elsewhere {
            endpoint: self.address.to_string(),
            registry,
            source,
        };
        if !self.relays {
            return Err(elsewhere(said.into()));
        }
        let relay = Relay::new(&self.client, &self.address, &self.facts);
        relay
            .map(|relay| Way::Relay(OpenRelay(relay.into())))
            .map_err(|error| elsewhere(error.into()))
    }

    /// Has the engine look for what is not there, and sees whether it comes to look. If not: the registry, and what the
    /// engine says.
    async fn out_of_reach(&self) -> Result<Option<(String, String)>, EngineError> {
        let Ok(folder) = tempfile::tempdir() else {
            return Ok(None);
        };
        let opened = async {
            let loopback = Loopback::start(folder.path()).await?;
            let nothing = loopback.output("nothing", Vec::new())?;
            Ok((loopback, nothing))
        };
        let opened = opened.await;
        let (loopback, nothing) = opened.map_err(|source: RegistryError| EngineError::Engine {
            action: "be given a registry on this machine".to_owned(),
            source: source.into(),
        })?;
        let api = &self.facts.api_version;
        let (image, tag) = (nothing.repository(), nothing.tag().unwrap_or_default());
        let path = format!("/v{api}/images/create?fromImage={image}&tag={tag}");
        let body = Empty::<Bytes>::new();
        let said = match connection::post(&self.address, &path, &[], body).await {
            Ok(answer) => match last_word(answer).await {
                Told::Failed(said) => said,
                // What it can't say of itself is said when something is built.
                Told::Ended | Told::Lost(_) => return Ok(None),
            },
            Err(PostError::Refused(said)) => said,
            Err(PostError::Lost(_)) => return Ok(None),
        };
        let registry = loopback.host();
        let came = match self.facts.builder {
            Builder::BuildKit | Builder::Classic => loopback.was_asked(),
            // It looks by TLS alone where it is not told otherwise, which this request of its API does not do.
            Builder::Podman => !is_out_of_reach(&said, &registry),
        };
        Ok((!came).then_some((registry, said)))
    }
}
