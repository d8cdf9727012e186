//! What builds one target: the recipe it gets, what it hands back, and why it may refuse.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use refit_context::ContextEntry;
pub use refit_deps::{image::Attestation, key::EngineKind};
use refit_dockerfile::{Dockerfile, Resolved};
use refit_oci::{Descriptor, Digest, ImageConfig, Platform, Reference, Repository};
use refit_registry::{BasicLogin, Registry, RegistryError};

/// An endpoint that turns a recipe into layers and a config.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Which engine this is; part of the staging key.
    fn kind(&self) -> EngineKind;

    /// How its layers are compressed (`gzip`); part of the staging key.
    fn layer_format(&self) -> &str;

    /// Refuses what this engine cannot do, before anything is started.
    fn check(&self, recipe: &Recipe) -> Result<(), Refusal>;

    /// Whether it is still there.
    async fn answers(&self) -> Result<(), EngineError>;

    /// Builds. What the build prints goes to `log` line by line, as it happens.
    async fn build(
        &self,
        recipe: &Recipe,
        log: &mut (dyn io::Write + Send),
    ) -> Result<Built, EngineError>;
}

/// Everything that decides what is built: one Dockerfile for one platform on pinned bases.
pub struct Recipe {
    /// The Dockerfile as its author wrote it; spans are over these bytes.
    pub dockerfile_text: String,
    /// Its path in the repository, for messages.
    pub file_name: String,
    /// `dockerfile_text`, parsed.
    pub file: Dockerfile,
    /// What the target stage reaches on this platform.
    pub resolved: Resolved,
    /// The platform to build for.
    pub platform: Platform,
    /// The target stage as configured; absent means the last one.
    pub target_stage: Option<String>,
    /// Values for ARG.
    pub build_args: BTreeMap<String, String>,
    /// Labels that the configuration adds.
    pub labels: BTreeMap<String, String>,
    /// `none`, `host` or `default` for RUN; absent means the engine's own default.
    pub network: Option<String>,
    /// What BuildKit attests of the build, by its words, with its attributes.
    pub attest: BTreeMap<Attestation, String>,
    /// What `RUN --mount=type=secret` may ask for.
    pub secrets: SecretValues,
    /// For images that BuildKit itself fetches.
    pub logins: Logins,
    /// The SSH agent that `RUN --mount=type=ssh` may ask; none: there is none.
    pub ssh: Option<SshAgent>,
    /// Whether layer caches are left unread.
    pub no_cache: bool,
    /// Layer caches that outlive the engine.
    pub caches: Caches,
    /// The packed main context.
    pub context: ContextTar,
    /// One entry for each external reference or in-repo parent of `resolved.found`.
    pub pins: Vec<PinnedBase>,
    /// An existing empty folder for this build's files; what [`Built`] names lies in it and lives as long.
    pub work_dir: PathBuf,
}

/// The values of build secrets by id. Printing them shows their ids only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretValues(pub BTreeMap<String, Vec<u8>>);

impl fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What an engine may show to registries by their hosts. Printing it shows these only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Logins(pub BTreeMap<String, BasicLogin>);

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// An SSH agent, and the ids under which a Dockerfile may ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshAgent {
    /// `default`, unless a mount names another.
    pub ids: BTreeSet<String>,
    /// Its Unix socket.
    pub socket: PathBuf,
}

/// Layer caches that outlive the engine.
#[derive(Clone, Default)]
pub struct Caches {
    /// Read: of each list the first that is there.
    pub from: Vec<Vec<CachePlace>>,
    /// Written.
    pub to: Vec<CachePlace>,
    /// Whether the image itself says what its layers are made of, so that a later build can read it as a cache.
    pub inline: bool,
}

/// Where a layer cache is kept.
#[derive(Clone)]
pub struct CachePlace {
    /// The endpoint.
    pub registry: Arc<dyn Registry>,
    /// Repository and tag there.
    pub reference: Reference,
}

impl Caches {
    /// Whether nothing is read or written.
    pub fn is_empty(&self) -> bool {
        self.from.is_empty() && self.to.is_empty() && !self.inline
    }
}

/// A deterministic tar of the main build context, and what is in it.
pub struct ContextTar {
    /// The plain (uncompressed) tar file.
    pub path: PathBuf,
    /// Its entries, sorted bytewise.
    pub entries: Vec<ContextEntry>,
}

/// The platform manifest that one found reference is pinned to, and where to read it.
#[derive(Clone)]
pub struct PinnedBase {
    /// Its index in `resolved.found`.
    pub found_index: usize,
    /// The endpoint that has it.
    pub registry: Arc<dyn Registry>,
    /// The repository there.
    pub repository: Repository,
    /// The platform's manifest; never an index.
    pub manifest: Digest,
}

/// A finished image in parts, to be assembled into a manifest and pushed.
#[derive(Debug)]
pub struct Built {
    /// The exact bytes of the image config.
    pub config: Vec<u8>,
    /// `config`, parsed.
    pub image: ImageConfig,
    /// The layers in order, one for each of the config's diff ids, with OCI media types.
    pub layers: Vec<BuiltLayer>,
    /// What the engine attests of it.
    pub attested: Vec<Attested>,
}

/// A statement of an engine about what it has built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// What kind of statement it is, as in-toto names them.
    pub predicate_type: String,
    /// The statement: JSON, about a manifest of the engine's own.
    pub statement: Vec<u8>,
}

/// One layer of a finished image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltLayer {
    /// Digest, size and type of the compressed layer.
    pub descriptor: Descriptor,
    /// Where its bytes are.
    pub source: LayerSource,
}

/// Where a layer's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerSource {
    /// The base's own layer, of the pin with this `found_index`: mounted or copied, never re-compressed.
    Base(usize),
    /// A file in the recipe's work folder.
    File(PathBuf),
    /// The repository that the result goes to has it already.
    There,
}

/// A Dockerfile asks for something that this engine cannot do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Refusal {
    /// The instruction's line, from 1.
    pub line: usize,
    /// Its bytes in the Dockerfile's text.
    pub span: Range<usize>,
    /// What cannot be done, as a lowercase fragment.
    pub message: String,
    /// What helps: an engine that can, or another way to write it.
    pub hint: Option<String>,
}

/// Why a build gave no image.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The recipe asks for something the engine cannot do.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody answers at the engine's address.
    #[error("no engine answers at `{endpoint}`")]
    Unreachable {
        /// Which engine is looked for there.
        kind: EngineKind,
        /// A socket or URL.
        endpoint: String,
        /// What the connection said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It speaks Docker's API, without the part that is BuildKit's, which is wanted: Podman, or an older engine.
    #[error("the engine at `{endpoint}` has no BuildKit")]
    NoBuildKit {
        /// The engine's socket or URL.
        endpoint: String,
    },
    /// A BuildKit that keeps what it builds to itself.
    #[error("the BuildKit inside {engine} pushes no images")]
    NoExport {
        /// What it is called.
        engine: String,
    },
    /// The engine runs elsewhere: in a virtual machine, or on another host; and it is none that can do without the registry.
    #[error(
        "the engine at `{endpoint}` does not reach refit's registry at {registry} on this machine"
    )]
    Elsewhere {
        /// The engine's socket or URL.
        endpoint: String,
        /// The registry that bases are handed out by and results taken in.
        registry: String,
        /// What the engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine answered a request with an error of its own.
    #[error("the engine could not {action}")]
    Engine {
        /// What was asked of it, as a verb phrase.
        action: String,
        /// Its answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The build ran and an instruction failed; its output is in the log.
    #[error("the build failed: {message}")]
    Failed {
        /// The engine's own words.
        message: String,
    },
    /// An instruction failed at a known place.
    #[error("line {line}: {message}")]
    Instruction {
        /// The instruction's line, from 1.
        line: usize,
        /// Its bytes in the Dockerfile's text.
        span: Range<usize>,
        /// What is wrong, as a lowercase fragment.
        message: String,
    },
    /// The engine built for another platform than it was told to.
    #[error("the engine built an image for `{got}` instead of `{want}`")]
    WrongPlatform {
        /// The target's platform.
        want: Box<Platform>,
        /// What the config says.
        got: Box<Platform>,
    },
    /// The result does not begin with the layers of the base it was pinned to.
    #[error("the engine did not build on the pinned base `{repository}@{manifest}`")]
    WrongBase {
        /// The pinned base's repository.
        repository: Repository,
        /// Its platform manifest.
        manifest: Digest,
    },
    /// The engine handed back something that is no image.
    #[error("the engine's result is no usable image: {reason}")]
    BadResult {
        /// What is wrong with it.
        reason: String,
    },
    /// A base could not be read, or the result not be handed over.
    #[error("cannot read the base `{repository}`")]
    Base {
        /// The base's repository.
        repository: Repository,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// A file of this build could not be read or written.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl EngineError {
    /// What may help, for a `hint:` line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => refusal.hint.clone(),
            Self::Unreachable {
                kind: EngineKind::BuildKit,
                endpoint,
                ..
            } if endpoint.starts_with("ssh://") => Some(
                "see whether `buildctl debug workers` answers over there".to_owned(),
            ),
            Self::Unreachable {
                kind: EngineKind::BuildKit,
                ..
            } => Some(
                "start buildkitd, or say where it is with `BUILDKIT_HOST=unix:///path/to/buildkitd.sock`"
                    .to_owned(),
            ),
            Self::NoBuildKit { .. } => Some(
                "take `engine = \"docker\"`, which builds with what it has, or an engine with BuildKit: Docker Engine (20.10 or later), a buildkitd"
                    .to_owned(),
            ),
            Self::NoExport { .. } => Some(
                "take `engine = \"docker\"`, which builds with it all the same, or give that engine containerd's image store"
                    .to_owned(),
            ),
            Self::Unreachable { endpoint, .. } if endpoint.starts_with("ssh://") => Some(format!(
                "see whether `docker -H {endpoint} version` answers"
            )),
            Self::Unreachable { .. } => Some(
                "start Docker Engine, or say where it is with `DOCKER_HOST=unix:///path/to/docker.sock`"
                    .to_owned(),
            ),
            Self::Elsewhere { endpoint, .. } if endpoint.starts_with("ssh://") => Some(
                "let the `sshd` over there forward ports (`AllowTcpForwarding remote`)".to_owned(),
            ),
            Self::Elsewhere { .. } => Some(
                "use an engine that runs on this machine itself, reach the one in a virtual machine or on another host by `ssh://`, or take `engine = \"buildkit\"` with a BuildKit 0.11 or later, which need not reach it"
                    .to_owned(),
            ),
            Self::Base { source, .. } => source.hint(),
            _ => None,
        }
    }
}

impl Recipe {
    /// The pin of a found reference.
    pub fn pin(&self, found_index: usize) -> Option<&PinnedBase> {
        self.pins.iter().find(|p| p.found_index == found_index)
    }
}
