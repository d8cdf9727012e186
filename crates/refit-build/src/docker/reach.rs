//! Whether an engine reaches this machine's loopback interface, where bases are handed out and results taken in.

use http_body_util::Empty;
use hyper::body::Bytes;
use refit_registry::loopback::Loopback;

use super::{
    Address, DockerEngine,
    classic::{Told, last_word},
};
use crate::{
    buildkit::is_out_of_reach,
    connection::{self, PostError},
    engine::EngineError,
};

/// A name that no registry of refit's has.
const NOTHING: &str = "nothing/there";

impl DockerEngine {
    /// Asks the engine for what is not there: one on another host, or in a virtual machine, says that it can't connect.
    /// To one behind `ssh` the registry is lent for each build, which is not tried here.
    pub async fn reaches_this_machine(&self) -> Result<(), EngineError> {
        if matches!(self.address, Address::Ssh(_)) {
            return Ok(());
        }
        let Ok(folder) = tempfile::tempdir() else {
            return Ok(());
        };
        let loopback = Loopback::start(folder.path()).await;
        let loopback = loopback.map_err(|source| EngineError::Engine {
            action: "be given a registry on this machine".to_owned(),
            source: source.into(),
        })?;
        let registry = loopback.host();
        let api = &self.facts.api_version;
        let path = format!("/v{api}/images/create?fromImage={registry}/{NOTHING}&tag=none");
        let body = Empty::<Bytes>::new();
        let said = match connection::post(&self.address, &path, &[], body).await {
            Ok(answer) => match last_word(answer).await {
                Told::Failed(said) => said,
                // What it can't say of itself is said when something is built.
                Told::Ended | Told::Lost(_) => return Ok(()),
            },
            Err(PostError::Refused(said)) => said,
            Err(PostError::Lost(_)) => return Ok(()),
        };
        if is_out_of_reach(&said, &registry) {
            return Err(EngineError::Elsewhere {
                endpoint: self.address.to_string(),
                registry,
                source: said.into(),
            });
        }
        Ok(())
    }
}
