//! An in-process registry that keeps to the distribution specification, and misbehaves when told to.
//!
//! Blobs are linked per repository, so a push that forgets a blob fails as it does in the world; mounts answer 201 or
//! 202; tokens are granted by scope. It runs on a thread of its own: tests may be synchronous, asynchronous or about a
//! child process. Every request is logged for assertions.
//!
//! ```
//! use refit_testkit::registry::{Fault, Image, Options, TestRegistry};
//!
//! let registry = TestRegistry::start(Options::default());
//! let image = Image::new("linux/amd64", &[&[("etc/os-release", "ID=test\n")]]);
//! registry.put_image("library/debian", "12", &image);
//! registry.fail("GET", "/manifests/", 1, Fault::Status(503));
//! assert_eq!(registry.count("GET", "/manifests/"), 0);
//! ```

mod access;
mod fault;
mod image;
mod listen;
mod message;
mod push;
mod routes;
mod store;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    thread::JoinHandle,
};

use refit_oci::{Descriptor, Digest, Document, media_type};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

pub use access::{Access, Login, TokenService};
pub use fault::{Fault, Gate};
pub use image::{Image, index, layer, read_layer};

use listen::{Connections, Door};
use store::Store;

use crate::tls::Certificate;

/// How a registry behaves when nothing was scripted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who may do what.
    pub access: Access,
    /// Whether mounts succeed (201), or every one begins an upload instead (202).
    pub mounts: bool,
    /// Whether it keeps lists of what refers to a document, as of the distribution specification 1.1.
    pub referrers: bool,
    /// The most tags on one page of a listing.
    pub page: usize,
    /// HTTPS with this certificate, and HTTP/2 for who wants it; none: plain HTTP.
    pub tls: Option<Certificate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access: Access::Open,
            mounts: true,
            referrers: false,
            page: 1000,
            tls: None,
        }
    }
}

/// One request, as it was answered.
#[derive(Clone, Debug)]
pub struct Logged {
    /// `GET`, …
    pub method: String,
    /// The path of the URL.
    pub path: String,
    /// The query of the URL, decoded pair by pair.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub version: String,
    /// The answer's status; none if the connection was cut instead.
    pub status: Option<u16>,
}

impl Logged {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A running registry; it stops when dropped.
pub struct TestRegistry {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What requests and the test share.
struct Shared {
    options: Options,
    address: SocketAddr,
    connections: Connections,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    store: Store,
    tokens: access::Tokens,
    faults: Vec<fault::Scripted>,
    log: Vec<Logged>,
}

impl TestRegistry {
    /// Starts on a free loopback port.
    ///
    /// # Panics
    /// If there is none.
    pub fn start(options: Options) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            options,
            address,
            connections: Connections::default(),
            state: Mutex::default(),
        });
        let running = Some(run(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            running,
        }
    }

    /// The registry's name in references, `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Cuts all connections and refuses new ones; what was stored stays.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
            let _ = running.thread.join();
        }
    }

    /// Listens again on the same port after [`stop`](Self::stop).
    ///
    /// # Panics
    /// If somebody else has taken the port.
    pub fn resume(&mut self) {
        if self.running.is_none() {
            let listener = TcpListener::bind(self.address).expect("the port is still free");
            self.running = Some(run(listener, Arc::clone(&self.shared)));
        }
    }

    /// The next `times` requests with this method (`*`: any), and this text in their path, meet a fault.
    pub fn fail(&self, method: &str, path_part: &str, times: usize, fault: Fault) {
        let scripted = fault::Scripted::new(method, path_part, times, fault);
        self.shared.state().faults.push(scripted);
    }

    /// Forgets the faults that no request has met yet.
    pub fn behave(&self) {
        self.shared.state().faults.clear();
    }

    /// How many scripted faults no request has met yet.
    pub fn faults_left(&self) -> usize {
        self.shared.state().faults.len()
    }

    /// All requests so far, in the order of their answers.
    pub fn requests(&self) -> Vec<Logged> {
        self.shared.state().log.clone()
    }

    /// How many requests with this method (`*`: any) had this text in their path.
    pub fn count(&self, method: &str, path_part: &str) -> usize {
        let state = self.shared.state();
        let hits = state.log.iter().filter(|logged| {
            (method == "*" || logged.method == method) && logged.path.contains(path_part)
        });
        hits.count()
    }

    /// How many connections there were so far; a TLS handshake that failed is none.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Empties the log.
    pub fn forget_requests(&self) {
        self.shared.state().log.clear();
    }

    /// Makes all tokens invalid, as after a change of keys.
    pub fn revoke_tokens(&self) {
        self.shared.state().tokens = access::Tokens::default();
    }

    /// Stores a blob, linked to a repository.
    pub fn put_blob(&self, repository: &str, media_type: &str, bytes: &[u8]) -> Descriptor {
        let descriptor = Descriptor::of(media_type, bytes);
        let mut state = self.shared.state();
        state.store.put_blob(repository, bytes.to_vec().into());
        descriptor
    }

    /// Stores a document under a tag, or without one if it is empty.
    ///
    /// # Panics
    /// If a part of it is not in the repository.
    pub fn put_document(&self, repository: &str, tag: &str, document: &Document) -> Digest {
        let reference = if tag.is_empty() {
            document.digest().as_str()
        } else {
            tag
        };
        let bytes = document.bytes().to_vec();
        let stored = {
            let mut state = self.shared.state();
            state
                .store
                .put_document(repository, reference, document.media_type(), bytes.into())
        };
        stored.expect("a document's parts are stored before it")
    }

    /// Stores bytes as a document under any digest, whether they are one or not.
    pub fn put_raw(&self, repository: &str, digest: &Digest, media_type: &str, bytes: &[u8]) {
        let mut state = self.shared.state();
        state.store.put_raw(repository, digest, media_type, bytes);
    }

    /// Points a tag at whatever lies under a digest.
    pub fn tag_raw(&self, repository: &str, tag: &str, digest: &Digest) {
        self.shared.state().store.tag_raw(repository, tag, digest);
    }

    /// Stores an image with all its blobs, under a tag or (empty) without one; returns the manifest's digest.
    pub fn put_image(&self, repository: &str, tag: &str, image: &Image) -> Digest {
        self.put_blob(repository, media_type::OCI_CONFIG, &image.config);
        for layer in &image.layers {
            self.put_blob(repository, media_type::OCI_LAYER_GZIP, layer);
        }
        let manifest = Document::Manifest(image.manifest.clone());
        self.put_document(repository, tag, &manifest)
    }

    /// Stores images and an index over them under a tag; returns the index's digest.
    pub fn put_index(&self, repository: &str, tag: &str, images: &[Image]) -> Digest {
        for image in images {
            self.put_image(repository, "", image);
        }
        self.put_document(repository, tag, &Document::Index(index(images)))
    }

    /// What a tag stands for.
    pub fn tag(&self, repository: &str, tag: &str) -> Option<Digest> {
        self.shared.state().store.tag(repository, tag)
    }

    /// All tags of a repository.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        self.shared
            .state()
            .store
            .tags(repository)
            .unwrap_or_default()
    }

    /// Removes a tag; what it stood for stays.
    pub fn delete_tag(&self, repository: &str, tag: &str) {
        self.shared.state().store.delete(repository, tag);
    }

    /// A document's exact bytes.
    pub fn document(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        let state = self.shared.state();
        let stored = state.store.document(repository, digest.as_str());
        stored.map(|document| document.bytes.to_vec())
    }

    /// A blob's bytes, if it is linked to the repository.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        let state = self.shared.state();
        state
            .store
            .blob(repository, digest)
            .map(|bytes| bytes.to_vec())
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// `http://127.0.0.1:PORT`.
    fn url(&self) -> String {
        let scheme = match self.options.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves on a thread until told to stop; then every connection is cut.
fn run(listener: TcpListener, shared: Arc<Shared>) -> Running {
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs a few file descriptors");
        runtime.block_on(async move {
            listener.set_nonblocking(true).expect("an open socket");
            let listener = tokio::net::TcpListener::from_std(listener).expect("an open socket");
            let tls = shared.options.tls.as_ref();
            let acceptor = tls.map(|tls| TlsAcceptor::from(tls.server()));
            let connections = Arc::clone(&shared.connections);
            let door = Door::new(listener, acceptor, connections).expect("an open socket");
            tokio::select! {
                _ = async { axum::serve(door, routes::router(shared)).await } => {}
                _ = stopped => {}
            }
        });
        runtime.shutdown_background();
    });
    Running { stop, thread }
}
