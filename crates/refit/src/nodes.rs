//! `[[node]]` of the user's configuration: endpoints that share what an engine executes, by platform.

use std::{collections::BTreeSet, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::join_all;
use refit_build::{
    buildkit::{BuildKitEngine, Endpoint},
    docker::{Address, DockerEngine},
    engine::EngineError,
    nodes::{Node, NodeEngine, Nodes},
};
use refit_deps::{image::Executor, key::EngineKind};
use refit_oci::Platform;
use refit_platform::satisfies;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    environment::{BUILDKIT_HOST, DOCKER_HOST, Environment},
    error::chain,
    user_config::EngineSettings,
};

/// How long a node may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(40);

/// How many targets a node builds at once, unless it says otherwise.
const SLOTS: usize = 2;

/// One `[[node]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct NodeSettings {
    /// What it is called in messages.
    pub(crate) name: String,
    /// As `DOCKER_HOST` and `BUILDKIT_HOST` have it.
    #[serde(deserialize_with = "parsed")]
    pub(crate) endpoint: Address,
    #[serde(default)]
    pub(crate) engine: Executor,
    /// The only platforms that it is given; empty: all that it executes.
    #[serde(default, deserialize_with = "all_parsed")]
    pub(crate) platforms: Vec<Platform>,
    pub(crate) slots: Option<NonZeroUsize>,
    /// For TLS: the folder with `ca.pem`, `cert.pem` and `key.pem`, relative to the file.
    pub(crate) certificates: Option<PathBuf>,
}

fn parsed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

fn all_parsed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Platform>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parsed = texts.iter().map(|text| text.parse());
    parsed.collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// What is wrong with the nodes taken together, if anything.
pub(crate) fn problem(nodes: &[NodeSettings]) -> Option<String> {
    let mut names = BTreeSet::new();
    nodes.iter().find_map(|node| {
        let name = &node.name;
        if name.trim().is_empty() {
            return Some("a `[[node]]` needs a `name`".to_owned());
        }
        if !names.insert(name) {
            return Some(format!("two nodes are called `{name}`"));
        }
        let is_tcp = matches!(node.endpoint, Address::Tcp(_));
        (node.certificates.is_some() && !is_tcp)
            .then(|| format!("node `{name}`: `certificates` are for `tcp://` endpoints"))
    })
}

/// What the environment says of where an engine is counts more than nodes.
pub(crate) fn left_aside(kind: EngineKind, environment: &Environment) -> Option<&'static str> {
    let (variable, name) = match kind {
        EngineKind::Docker => (&environment.docker_host, DOCKER_HOST),
        EngineKind::BuildKit => (&environment.buildkit_host, BUILDKIT_HOST),
        EngineKind::Native => return None,
    };
    variable.as_ref().map(|_| name)
}

/// The nodes that execute for a kind of engine.
pub(crate) fn of_kind<'s>(
    kind: EngineKind,
    environment: &Environment,
    user: &'s EngineSettings,
) -> Vec<&'s NodeSettings> {
    if left_aside(kind, environment).is_some() {
        return Vec::new();
    }
    let nodes = user.nodes.iter();
    nodes.filter(|node| node.kind() == kind).collect()
}

/// The names of those that may be given a platform, as far as the configuration says it.
pub(crate) fn names_for<'s>(
    (kind, platform): (EngineKind, &Platform),
    environment: &Environment,
    user: &'s EngineSettings,
) -> Vec<&'s str> {
    let nodes = of_kind(kind, environment, user).into_iter();
    let nodes = nodes.filter(|node| node.is_for(&BTreeSet::from([platform.clone()])));
    nodes.map(|node| node.name.as_str()).collect()
}

impl NodeSettings {
    pub(crate) fn kind(&self) -> EngineKind {
        match self.engine {
            Executor::Docker => EngineKind::Docker,
            Executor::BuildKit => EngineKind::BuildKit,
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.map_or(SLOTS, NonZeroUsize::get)
    }

    fn is_for(&self, platforms: &BTreeSet<Platform>) -> bool {
        let listed = |platform| self.platforms.iter().any(|p| satisfies(platform, p));
        self.platforms.is_empty() || platforms.iter().any(listed)
    }

    /// Connects.
    pub(crate) async fn connect(&self, environment: &Environment) -> Result<Connected, String> {
        let connecting = self.connect_patiently(environment.docker_buildkit);
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        let late = || format!("it did not answer in {}s", PATIENCE.as_secs());
        let connected = connected.map_err(|_| late())?;
        connected.map_err(|error| chain(&error))
    }

    async fn connect_patiently(&self, buildkit: Option<bool>) -> Result<Connected, EngineError> {
        let address = match &self.certificates {
            Some(folder) => self.endpoint.clone().with_certificates(folder.clone()),
            None => self.endpoint.clone(),
        };
        Ok(match self.engine {
            Executor::Docker => {
                let engine = DockerEngine::connect_for(&address, buildkit).await?;
                let engine = engine.with_relay();
                engine.way().await?;
                let facts = engine.facts();
                Connected {
                    what: facts.name(),
                    native: facts.native.clone(),
                    emulated: facts.emulated.clone().unwrap_or_default(),
                    engine: Arc::new(engine),
                }
            }
            Executor::BuildKit => {
                let engine = BuildKitEngine::connect(&Endpoint::at(address).await).await?;
                engine.exchange().await?;
                let facts = engine.facts();
                Connected {
                    what: facts.name.clone(),
                    native: facts.native.clone(),
                    emulated: facts.emulated.clone(),
                    engine: Arc::new(engine),
                }
            }
        })
    }
}

/// A node that answered.
pub(crate) struct Connected {
    /// Its engine's name and version.
    pub(crate) what: String,
    pub(crate) native: Platform,
    pub(crate) emulated: Vec<Platform>,
    engine: Arc<dyn refit_build::engine::Engine>,
}

/// Connects all at once; those that can't be of use to these platforms are left alone. `tell` hears of each that does not
/// answer.
pub(crate) async fn connect(
    nodes: &[&NodeSettings],
    platforms: &BTreeSet<Platform>,
    environment: &Environment,
    tell: &dyn Fn(&str, &str),
) -> Nodes {
    let connecting = nodes.iter().map(|node| async move {
        if node.is_for(platforms) {
            Some(node.connect(environment).await)
        } else {
            None
        }
    });
    let connected = join_all(connecting).await;
    let nodes = nodes.iter().zip(connected).map(|(node, connected)| Node {
        name: node.name.clone(),
        slots: node.slots(),
        platforms: node.platforms.clone(),
        engine: match connected {
            Some(Ok(connected)) => Ok(NodeEngine {
                engine: connected.engine,
                native: connected.native,
                emulated: connected.emulated,
            }),
            Some(Err(why)) => {
                tell(&node.name, &why);
                Err(why)
            }
            None => Err("it is for other platforms".to_owned()),
        },
    });
    Nodes::new(nodes.collect())
}
