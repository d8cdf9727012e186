//! Whether a BuildKit reaches this machine's loopback interface, where a registry of refit's hands out bases.

use std::{collections::BTreeMap, io, time::Duration};

use refit_oci::Digest;
use refit_registry::loopback::Loopback;
use tonic::Code;

use super::{
    endpoint::Endpoint,
    names::Names,
    request::{CONTEXT, DOCKERFILE, DOCKERFILE_FOLDER, failed, spooling},
    session::{Served, Session},
    solve::{self, Exporter, Failure, Solve},
    tree::Tree,
};
use crate::engine::EngineError;

/// How bases get to a BuildKit, and results from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// By a registry of refit's on the loopback interface, which BuildKit reaches.
    Registry,
    /// By the session of the build: BuildKit is on another host, in a virtual machine, or in a network of its own.
    Session,
}

/// How long a BuildKit may take to find out.
const PATIENCE: Duration = Duration::from_secs(20);

/// Has BuildKit look for an image that is not there, and sees whether it comes to look. A connection that is refused, and
/// one to what else listens over there, is none to refit.
pub(super) async fn exchange(endpoint: &Endpoint) -> Result<Exchange, EngineError> {
    // Over there the registry is at a port that is lent for the build.
    if endpoint.ssh().is_some() {
        return Ok(Exchange::Registry);
    }
    let folder = tempfile::tempdir().map_err(spooling)?;
    let loopback = Loopback::start(folder.path()).await.map_err(failed)?;
    let nothing = loopback.output("nothing", Vec::new()).map_err(failed)?;
    let dockerfile = format!("FROM {nothing}\n");
    let looked = tokio::time::timeout(PATIENCE, look(endpoint, &dockerfile)).await;
    if let Ok(Err(error)) = looked {
        return Err(error);
    }
    Ok(if loopback.was_asked() {
        Exchange::Registry
    } else {
        Exchange::Session
    })
}

/// Builds in vain.
async fn look(endpoint: &Endpoint, dockerfile: &str) -> Result<(), EngineError> {
    let control = endpoint.control().await;
    let control = control.map_err(|e| endpoint.unreachable(e.into()))?;
    let file = Tree::of_file(DOCKERFILE, dockerfile.as_bytes());
    let served = Served {
        folders: BTreeMap::from([(CONTEXT, Tree::default()), (DOCKERFILE_FOLDER, file)]),
        ..Served::default()
    };
    let key = Digest::sha256(dockerfile.as_bytes());
    let session = Session::open(endpoint, &control, &key, served).await;
    let session = session.map_err(|e| endpoint.unreachable(e.into()))?;
    let request = Solve {
        session: session.id().to_owned(),
        options: BTreeMap::from([("filename".to_owned(), DOCKERFILE.to_owned())]),
        entitlements: Vec::new(),
        exporter: Exporter::nothing(),
        caches: None,
        names: Names::default(),
        internal: true,
    };
    match solve::solve(&control, request, &mut io::sink()).await {
        Err(Failure::Build { status, .. }) if status.code() == Code::Unavailable => {
            Err(endpoint.unreachable(status.into()))
        }
        _ => Ok(()),
    }
}
