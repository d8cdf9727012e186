//! What one build asks of BuildKit, whoever BuildKit is part of: the reduced Dockerfile, the context, what goes with it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Write},
    path::Path,
    sync::Arc,
};

use bollard_buildkit_proto::moby::buildkit::v1::CacheOptions;
use refit_dockerfile::StageBase;
use refit_oci::{Digest, Reference};
use refit_registry::{contents::Contents, loopback::Loopback};
use serde_json::json;
use sha2::Digest as _;
use tonic::{Code, Status};

use super::{
    carried::Carried,
    endpoint::Endpoint,
    failure,
    names::Names,
    options::{self, Bases},
    output::BaseLayers,
    session::{Served, Session},
    solve::{self, Exported, Exporter, Solve},
    tree::Tree,
};
use crate::{
    docker::{
        relay::{Lent, Relay},
        ssh::SshForward,
    },
    engine::{EngineError, PinnedBase, Recipe},
};

/// The names of the folders that BuildKit's frontend asks for, and of the Dockerfile in the second.
pub(super) const CONTEXT: &str = "context";
pub(super) const DOCKERFILE_FOLDER: &str = "dockerfile";
pub(super) const DOCKERFILE: &str = "Dockerfile";

/// The name of the result's repository in the loopback registry.
const OUTPUT: &str = "output";

/// A registry of one build: its bases are handed out there, its result is taken in.
pub(crate) struct Counter {
    pub(crate) loopback: Loopback,
    /// The bases' references there, by their index among what was found.
    pub(crate) bases: BTreeMap<usize, Reference>,
    /// What the bases consist of.
    pub(crate) layers: Vec<BaseLayers>,
    /// Where the result goes.
    pub(crate) output: Reference,
    /// What brings the registry to the engine's machine.
    _forward: Option<Forward>,
}

/// A port of another machine that leads to the registry, for as long as it is held.
enum Forward {
    Ssh { _held: SshForward },
    Relay { _held: Lent },
}

impl Counter {
    /// Opens the registry for a recipe, where the engine reaches it.
    pub(crate) async fn open(recipe: &Recipe, endpoint: &Endpoint) -> Result<Self, EngineError> {
        Self::open_through(recipe, endpoint, None).await
    }

    /// The same, and the engine reaches it by a relay.
    pub(crate) async fn open_through(
        recipe: &Recipe,
        endpoint: &Endpoint,
        relay: Option<&Relay>,
    ) -> Result<Self, EngineError> {
        let mut loopback = Loopback::start(&recipe.work_dir).await.map_err(failed)?;
        let mut forward = None;
        let here = (loopback.port(), loopback.host());
        let elsewhere = |source| EngineError::Elsewhere {
            endpoint: endpoint.to_string(),
            registry: here.1.clone(),
            source,
        };
        if let Some(host) = endpoint.ssh() {
            let lent = host.lend(here.0).await;
            let lent = lent.map_err(|source| elsewhere(source.into()))?;
            loopback = loopback.reached_at(lent.port);
            forward = Some(Forward::Ssh { _held: lent });
        } else if let Some(relay) = relay {
            let lent = relay.lend(here.0).await;
            let lent = lent.map_err(|source| elsewhere(source.into()))?;
            loopback = loopback.reached_at(lent.port);
            forward = Some(Forward::Relay { _held: lent });
        }
        let mut layers = Vec::new();
        let mut bases = BTreeMap::new();
        for pin in &recipe.pins {
            layers.push(BaseLayers::read(pin).await?);
            let (registry, repository) = (pin.registry.clone(), pin.repository.clone());
            let name = format!("base-{}", pin.found_index);
            let allowed = loopback.allow_base(&name, registry, repository, pin.manifest.clone());
            bases.insert(pin.found_index, allowed.map_err(failed)?);
        }
        let known = layers.iter().flat_map(BaseLayers::blobs).collect();
        let output = loopback.output(OUTPUT, known).map_err(failed)?;
        Ok(Self {
            loopback,
            bases,
            layers,
            output,
            _forward: forward,
        })
    }

    /// What was pushed.
    pub(crate) fn take(&self) -> Result<refit_registry::loopback::Pushed, EngineError> {
        let pushed = self.loopback.take(OUTPUT);
        pushed.ok_or_else(|| EngineError::BadResult {
            reason: "the engine pushed no manifest".to_owned(),
        })
    }
}

/// What becomes of a result, and which layer caches are read and written.
pub(crate) struct Ask {
    pub(crate) exporter: Exporter,
    pub(super) caches: Option<CacheOptions>,
    /// What caches' addresses on loopback are called.
    pub(super) names: Names,
}

impl Ask {
    /// No caches but the engine's own.
    pub(crate) fn of(exporter: Exporter) -> Self {
        Self {
            exporter,
            caches: None,
            names: Names::default(),
        }
    }
}

/// Runs the build; its result is then where the exporter puts it.
pub(crate) async fn run(
    endpoint: &Endpoint,
    recipe: &Recipe,
    counter: &Counter,
    ask: Ask,
    log: &mut (dyn Write + Send),
) -> Result<Exported, EngineError> {
    let given = Given {
        bases: &counter.bases,
        contents: None,
    };
    let failed = match build(endpoint, recipe, given, ask, log).await {
        Ok(exported) => return Ok(exported),
        Err(failed) => failed,
    };
    let registry = counter.loopback.host();
    match failed {
        Failed::Build { status, .. } if is_out_of_reach(status.message(), &registry) => {
            Err(EngineError::Elsewhere {
                endpoint: endpoint.to_string(),
                registry,
                source: status.into(),
            })
        }
        failed => Err(failed.explained(recipe)),
    }
}

/// The same through the session alone; the result is then in its store.
pub(super) async fn run_through_session(
    endpoint: &Endpoint,
    recipe: &Recipe,
    carried: &Carried,
    ask: Ask,
    log: &mut (dyn Write + Send),
) -> Result<Exported, EngineError> {
    let given = Given {
        bases: &carried.bases,
        contents: Some(Arc::clone(&carried.contents)),
    };
    let built = build(endpoint, recipe, given, ask, log).await;
    built.map_err(|failed| {
        // What could not be read here is told by BuildKit at second hand.
        let of_ours = match &failed {
            Failed::Build { status, .. } => carried.failure(status.message()),
            Failed::Other(_) => None,
        };
        of_ours.unwrap_or_else(|| failed.explained(recipe))
    })
}

/// What a build gets of its bases.
struct Given<'a> {
    bases: &'a BTreeMap<usize, Reference>,
    /// What the session serves, where no registry does.
    contents: Option<Arc<Contents>>,
}

/// Why a build ended without a result.
enum Failed {
    /// Something beside BuildKit.
    Other(EngineError),
    /// BuildKit's answer, and the step that failed.
    Build {
        status: Status,
        step: Option<String>,
        names: Names,
    },
}

impl Failed {
    fn explained(self, recipe: &Recipe) -> EngineError {
        let (status, step, names) = match self {
            Self::Other(error) => return error,
            Self::Build {
                status,
                step,
                names,
            } => (status, step, names),
        };
        if solve::is_lost_snapshot(status.message()) {
            return EngineError::Engine {
                action: "keep the snapshots of a build".to_owned(),
                source: status.into(),
            };
        }
        let message = names.put(status.message());
        failure::explain(recipe, &message, step.as_deref())
    }
}

async fn build(
    endpoint: &Endpoint,
    recipe: &Recipe,
    given: Given<'_>,
    ask: Ask,
    log: &mut (dyn Write + Send),
) -> Result<Exported, Failed> {
    let other = |e| Failed::Other(io_error(&recipe.context.path, e));
    let Given { bases, contents } = given;
    let dockerfile = reduced(recipe, bases);
    let context = &recipe.context.path;
    let key = content_key(&dockerfile, context).map_err(other)?;
    let tree = Tree::of_tar(context).map_err(other)?;
    let file = Tree::of_file(DOCKERFILE, dockerfile.as_bytes());
    let place = match contents {
        Some(_) => Bases::InSession,
        None => Bases::InRegistry,
    };
    let served = Served {
        folders: BTreeMap::from([(CONTEXT, tree), (DOCKERFILE_FOLDER, file)]),
        secrets: recipe.secrets.clone(),
        ssh: recipe.ssh.clone(),
        logins: recipe.logins.clone(),
        contents,
    };
    let unreachable = |e| Failed::Other(endpoint.unreachable(e));
    let control = endpoint.control().await;
    let control = control.map_err(|e| unreachable(e.into()))?;
    let session = Session::open(endpoint, &control, &key, served).await;
    let session = session.map_err(|e| unreachable(e.into()))?;
    let entitlements = match recipe.network.as_deref() {
        Some("host") => vec!["network.host".to_owned()],
        _ => Vec::new(),
    };
    let names = Names::of(recipe, bases).and(ask.names);
    let mut options = options::options(recipe, bases, place);
    options.extend(ask.caches.as_ref().and_then(imports));
    let request = Solve {
        session: session.id().to_owned(),
        options,
        entitlements,
        exporter: ask.exporter,
        caches: ask.caches,
        names: names.clone(),
        internal: false,
    };
    match solve::solve(&control, request, log).await {
        Ok(exported) => Ok(exported),
        Err(solve::Failure::Log(source)) => Err(Failed::Other(io_error("(log)".as_ref(), source))),
        Err(solve::Failure::Build { status, .. }) if status.code() == Code::Unavailable => {
            Err(unreachable(status.into()))
        }
        Err(solve::Failure::Build { status, step }) => Err(Failed::Build {
            status,
            step,
            names,
        }),
    }
}

/// The Dockerfile that an engine gets: what the target reaches, on the bases in refit's registry.
pub(crate) fn reduced(recipe: &Recipe, bases: &BTreeMap<usize, Reference>) -> String {
    let pinned = |found: &refit_dockerfile::Found| {
        let index = recipe.resolved.found.iter().position(|f| f == found)?;
        bases.get(&index).map(Reference::to_string)
    };
    refit_dockerfile::reduce(&recipe.file, &recipe.resolved, &pinned)
}

/// Caches that are read are told to the frontend, which resolves the Dockerfile with them.
fn imports(caches: &CacheOptions) -> Option<(String, String)> {
    let imports = caches.imports.iter();
    let imports: Vec<_> = imports
        .map(|import| json!({ "Type": import.r#type, "Attrs": import.attrs }))
        .collect();
    let text = serde_json::Value::from(imports).to_string();
    (!caches.imports.is_empty()).then(|| ("cache-imports".to_owned(), text))
}

/// Whether an engine's words are that it can't connect to the registry.
pub(crate) fn is_out_of_reach(message: &str, registry: &str) -> bool {
    let dialled = format!("dial tcp {registry}: ");
    message.contains(&dialled)
}

/// The pin of the image that the target's own stages begin with.
pub(crate) fn root_pin(recipe: &Recipe) -> Option<&PinnedBase> {
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
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Digest::from_sha256(&hash.finalize().into()));
        }
        hash.update(&buffer[..read]);
    }
}

pub(super) fn failed(source: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Engine {
        action: "be given a registry on this machine".to_owned(),
        source: source.into(),
    }
}

pub(super) fn spooling(source: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Engine {
        action: "be given what it builds on".to_owned(),
        source: source.into(),
    }
}

fn io_error(path: &Path, source: io::Error) -> EngineError {
    EngineError::Io {
        path: path.to_owned(),
        source,
    }
}
