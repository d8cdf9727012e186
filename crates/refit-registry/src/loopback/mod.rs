//! A registry on 127.0.0.1 for a local engine: it hands out the planned bases and takes in what the engine pushes.
//!
//! It serves below a random path, and there only what was planned: each base's manifest, config and layers, by digest.
//! So the engine needs no credentials and no registry configuration, and any [`Registry`] can be behind it. Engines take
//! loopback registries for plain HTTP without being told.

mod answer;
mod output;
mod push;
mod routes;
mod upload;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use refit_oci::{Descriptor, Digest, Reference, ReferenceError, Repository};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};

pub use crate::pushed::Pushed;
use crate::{Registry, RegistryError, error::io_error, lock, planned::Planned};
use output::Output;
use upload::Upload;

/// The tag that engines push to.
const TAG: &str = "built";

/// A running loopback registry; it stops when dropped.
pub struct Loopback {
    address: SocketAddr,
    /// Where it is for the engine.
    reached_at: SocketAddr,
    state: Arc<State>,
    /// Dropped with the server: its receiver takes that for the signal to stop.
    _stop: oneshot::Sender<()>,
}

/// What the server's requests share.
struct State {
    secret: String,
    asked: AtomicBool,
    spool: Arc<TempDir>,
    bases: Mutex<BTreeMap<String, Arc<Planned>>>,
    outputs: Mutex<BTreeMap<String, Output>>,
    uploads: Mutex<BTreeMap<String, Arc<Upload>>>,
}

impl Loopback {
    /// Starts serving on a free port; uploads are spooled in a folder of their own below `spool_dir`.
    pub async fn start(spool_dir: &Path) -> Result<Self, RegistryError> {
        let spool = tempfile::Builder::new()
            .prefix("loopback-")
            .tempdir_in(spool_dir);
        let spool = spool.map_err(|source| io_error(spool_dir, source))?;
        let here = "127.0.0.1:0";
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = bound.map_err(|source| io_error(Path::new(here), source))?;
        let address = listener.local_addr();
        let address = address.map_err(|source| io_error(Path::new(here), source))?;
        let state = Arc::new(State {
            secret: format!("{:032x}", rand::random::<u128>()),
            asked: AtomicBool::new(false),
            spool: Arc::new(spool),
            bases: Mutex::default(),
            outputs: Mutex::default(),
            uploads: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, routes::router(Arc::clone(&state)));
        let serving = serving.with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        // It ends by the signal alone: accepting goes on after errors.
        tokio::spawn(async move { serving.await });
        Ok(Self {
            address,
            reached_at: address,
            state,
            _stop: stop,
        })
    }

    /// The port of this machine.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The same for an engine on another machine, to whose loopback interface the port has been brought as another one.
    #[must_use]
    pub fn reached_at(mut self, port: u16) -> Self {
        self.reached_at.set_port(port);
        self
    }

    /// The address, `127.0.0.1:PORT`: the registry's host name in references.
    pub fn host(&self) -> String {
        self.reached_at.to_string()
    }

    /// Whether anybody has asked for anything below the random path, which only those know who were told a reference.
    pub fn was_asked(&self) -> bool {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// Lets the engine pull one platform's manifest, with its config and layers, from `repository` of `upstream`.
    /// Returns the reference to write into its Dockerfile. `name` is one component of a repository path (`base-1`).
    pub fn allow_base(
        &self,
        name: &str,
        upstream: Arc<dyn Registry>,
        repository: Repository,
        manifest: Digest,
    ) -> Result<Reference, ReferenceError> {
        let reference = self.repository(name)?.at(&manifest);
        let base = Arc::new(Planned::new(upstream, repository, manifest));
        lock(&self.state.bases).insert(name.to_owned(), base);
        Ok(reference)
    }

    /// Makes a place for the engine to push to, and returns its reference. It is told that the `known` blobs are there
    /// already, so that it does not send them.
    pub fn output(&self, name: &str, known: Vec<Descriptor>) -> Result<Reference, ReferenceError> {
        let reference = self.repository(name)?.tagged(TAG)?;
        lock(&self.state.outputs).insert(name.to_owned(), Output::new(known));
        Ok(reference)
    }

    /// What was pushed to an output, once; none until the engine has pushed the tag.
    pub fn take(&self, name: &str) -> Option<Pushed> {
        let mut outputs = lock(&self.state.outputs);
        if !outputs.get(name)?.is_complete() {
            return None;
        }
        outputs.remove(name)?.finish(Arc::clone(&self.state.spool))
    }

    fn repository(&self, name: &str) -> Result<Repository, ReferenceError> {
        format!("{}/{}/{name}", self.reached_at, self.state.secret).parse()
    }
}
