//! What a BuildKit is, asked once when it is connected to.

use bollard_buildkit_proto::moby::buildkit::v1::{InfoRequest, ListWorkersRequest};
use refit_oci::Platform;

use super::endpoint::Endpoint;
use crate::{
    check::{Abilities, Release},
    docker::DockerEngine,
    engine::EngineError,
};

/// A label that workers with an image store have. The one of Docker Engine's classic store hands out no images.
const SNAPSHOTTER: &str = "org.mobyproject.buildkit.worker.snapshotter";

/// A BuildKit's version and what its workers can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildKitFacts {
    /// What it is called: `Docker Engine 26.1.5`, `BuildKit v0.13.1`.
    pub name: String,
    /// The platform of its processor: `BUILDPLATFORM`.
    pub native: Platform,
    /// Platforms that it executes by emulation.
    pub emulated: Vec<Platform>,
    pub(super) release: Release,
}

impl BuildKitFacts {
    /// Asks; what can't push images is refused.
    pub(super) async fn ask(endpoint: &Endpoint) -> Result<Self, EngineError> {
        let workers = Workers::of(endpoint).await?;
        let (name, release, native) = match endpoint {
            Endpoint::Docker(address) => {
                let docker = DockerEngine::connect(address).await?;
                let facts = docker.facts();
                let (major, minor) = facts.release;
                let release = Release::Docker(major, minor);
                (facts.name(), release, Some(facts.native.clone()))
            }
            Endpoint::Daemon(_) => {
                let version = version(endpoint).await?;
                let release = release(&version);
                let name = match release {
                    Release::Unknown => format!("the BuildKit at `{endpoint}`"),
                    _ => format!("BuildKit {version}"),
                };
                (name, release, None)
            }
        };
        if !workers.has_image_store {
            return Err(EngineError::NoExport { engine: name });
        }
        // A buildkitd lists its own processor's platform first.
        let mut platforms = workers.platforms.into_iter();
        let native = native.or_else(|| platforms.next());
        let native = native.ok_or_else(|| EngineError::BadResult {
            reason: format!("`{endpoint}` has no worker"),
        })?;
        Ok(Self {
            emulated: others(platforms, &native),
            name,
            native,
            release,
        })
    }

    pub(super) fn abilities(&self) -> Abilities<'_> {
        Abilities {
            name: self.name.clone(),
            release: self.release,
            native: &self.native,
            emulated: Some(&self.emulated),
        }
    }

    /// Whether it reads layouts from the session of a build, and writes its result there.
    pub(super) fn reads_from_sessions(&self) -> bool {
        match self.release {
            // The first with containerd's image store.
            Release::Docker(major, minor) => (major, minor) >= (24, 0),
            Release::BuildKit(major, minor) => (major, minor) >= (0, 11),
            Release::Unknown => true,
            Release::Podman(..) | Release::Classic => false,
        }
    }

    /// Whether a base that is a named context is a base to it in every respect: an older one gives its time of creation
    /// to the result, and sets the times of its history and files.
    pub(super) fn knows_contexts_as_bases(&self) -> bool {
        match self.release {
            Release::Docker(major, minor) => (major, minor) >= (28, 4),
            Release::BuildKit(major, minor) => (major, minor) >= (0, 24),
            Release::Unknown | Release::Podman(..) | Release::Classic => false,
        }
    }

    /// Whether its exporter sets the times of files.
    pub(super) fn rewrites_times(&self) -> bool {
        match self.release {
            Release::Docker(major, minor) => (major, minor) >= (26, 0),
            Release::BuildKit(major, minor) => (major, minor) >= (0, 13),
            // An older one ignores the wish.
            Release::Unknown => true,
            Release::Podman(..) | Release::Classic => false,
        }
    }
}

/// The workers of a BuildKit, taken together.
pub(crate) struct Workers {
    /// As they are listed.
    pub(crate) platforms: Vec<Platform>,
    has_image_store: bool,
}

impl Workers {
    pub(crate) async fn of(endpoint: &Endpoint) -> Result<Self, EngineError> {
        let control = endpoint.control().await;
        let mut control = control.map_err(|e| endpoint.unreachable(e.into()))?;
        let listed = control.list_workers(ListWorkersRequest::default()).await;
        let listed = listed.map_err(|status| {
            // In TLS 1.3 whoever may not connect is told so after he has.
            let cause = std::error::Error::source(&status);
            let is_cut = cause.is_some_and(<dyn std::error::Error>::is::<tonic::transport::Error>);
            if is_cut {
                return endpoint.unreachable(status.into());
            }
            refused("list its platforms", status)
        })?;
        let records = listed.into_inner().record;
        let has_image_store = records.iter().any(|r| r.labels.contains_key(SNAPSHOTTER));
        let platforms = records.into_iter().flat_map(|worker| worker.platforms);
        let platforms = platforms.map(|p| Platform::new(&p.os, &p.architecture, Some(&p.variant)));
        Ok(Self {
            platforms: platforms.collect(),
            has_image_store,
        })
    }
}

/// The platforms of other processors, sorted.
pub(crate) fn others(
    platforms: impl IntoIterator<Item = Platform>,
    native: &Platform,
) -> Vec<Platform> {
    let platforms = platforms.into_iter();
    let mut others: Vec<Platform> = platforms
        .filter(|p| (&p.os, &p.architecture) != (&native.os, &native.architecture))
        .collect();
    others.sort();
    others.dedup();
    others
}

/// The version of a buildkitd, empty if it is too old to say.
async fn version(endpoint: &Endpoint) -> Result<String, EngineError> {
    let control = endpoint.control().await;
    let mut control = control.map_err(|e| endpoint.unreachable(e.into()))?;
    let info = match control.info(InfoRequest {}).await {
        Ok(info) => info.into_inner(),
        Err(status) if status.code() == tonic::Code::Unimplemented => return Ok(String::new()),
        Err(status) => return Err(refused("say what it is", status)),
    };
    Ok(info.buildkit_version.unwrap_or_default().version)
}

/// `v0.13.1`; builds that nobody gave a version call themselves `v0.0.0+unknown`.
fn release(version: &str) -> Release {
    let numbers = version.strip_prefix('v').unwrap_or_default();
    let mut numbers = numbers.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) != (0, 0) => {
            Release::BuildKit(major, minor)
        }
        _ => Release::Unknown,
    }
}

fn refused(action: &str, status: tonic::Status) -> EngineError {
    EngineError::Engine {
        action: action.to_owned(),
        source: status.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_says_nothing_is_none() {
        for (version, expect) in [
            ("v0.13.1", Release::BuildKit(0, 13)),
            ("v0.21.0-rc1", Release::BuildKit(0, 21)),
            ("v0.0.0+unknown", Release::Unknown),
            ("", Release::Unknown),
            ("abc", Release::Unknown),
        ] {
            assert_eq!(release(version), expect, "{version}");
        }
    }
}
