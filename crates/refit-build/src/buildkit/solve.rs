//! One build inside BuildKit: the request, and its progress as it happens.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptions, SolveRequest, StatusRequest};
use refit_oci::{Digest, Reference};
use tonic::Status;

use super::{endpoint::Control, names::Names, progress::Progress};

/// How often progress is asked for while BuildKit does not know the build yet, and the pause between.
const ATTEMPTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// How long progress may lag behind the result.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is asked of BuildKit's Dockerfile frontend.
pub(super) struct Solve {
    /// The session that serves the folders `context` and `dockerfile`.
    pub(super) session: String,
    /// The frontend's options (`platform`, `build-arg:NAME`, …).
    pub(super) options: BTreeMap<String, String>,
    /// What the build may do beyond the usual (`network.host`).
    pub(super) entitlements: Vec<String>,
    /// What becomes of the result.
    pub(super) exporter: Exporter,
    /// Layer caches that are read and written.
    pub(super) caches: Option<CacheOptions>,
    /// What bases are called in the log.
    pub(super) names: Names,
}

/// What becomes of a result, by an exporter of BuildKit's.
pub(crate) struct Exporter {
    name: &'static str,
    attributes: BTreeMap<String, String>,
}

impl Exporter {
    /// The image is kept in Docker Engine's own store, under this name.
    pub(crate) fn kept(image: &Reference) -> Self {
        Self {
            name: "moby",
            attributes: BTreeMap::from([("name".to_owned(), image.to_string())]),
        }
    }

    /// The image is pushed there and kept nowhere.
    pub(crate) fn pushed(image: &Reference) -> Self {
        let attributes = [
            ("name", image.to_string()),
            ("push", "true".to_owned()),
            ("store", "false".to_owned()),
            ("oci-mediatypes", "true".to_owned()),
            ("compression", "gzip".to_owned()),
        ];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value));
        Self {
            name: "image",
            attributes: attributes.into(),
        }
    }

    /// The same, with another attribute.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.attributes.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// What BuildKit says of a result.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exported {
    /// The digest of what was exported, where the exporter has one.
    pub(crate) digest: Option<Digest>,
}

/// Builds; progress goes to `log`.
pub(super) async fn solve(
    control: &Control,
    solve: Solve,
    log: &mut (dyn Write + Send),
) -> Result<Exported, Failure> {
    let id = format!("refit-{:032x}", rand::random::<u128>());
    let request = SolveRequest {
        r#ref: id.clone(),
        session: solve.session,
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: solve.options.into_iter().collect(),
        entitlements: solve.entitlements,
        cache: solve.caches,
        // Older servers know no other fields; newer ones still read them.
        exporter_deprecated: solve.exporter.name.to_owned(),
        exporter_attrs_deprecated: solve.exporter.attributes.into_iter().collect(),
        ..SolveRequest::default()
    };
    let mut progress = Progress::new(solve.names);
    let mut solving = control.clone();
    let solving = async move { solving.solve(request).await };
    let (solved, watched) = {
        let watching = watch(control.clone(), id, &mut progress, log);
        tokio::pin!(solving, watching);
        tokio::select! {
            solved = &mut solving => {
                // What is left to tell comes at once; a build that BuildKit has forgotten tells nothing.
                let watched = tokio::time::timeout(LAST_WORDS, watching).await;
                (solved, watched.unwrap_or(Ok(())))
            }
            watched = &mut watching => (solving.await, watched),
        }
    };
    watched.map_err(Failure::Log)?;
    match solved {
        Ok(response) => {
            let told = response.into_inner().exporter_response;
            let digest = told.get("containerimage.digest");
            Ok(Exported {
                digest: digest.and_then(|digest| digest.parse().ok()),
            })
        }
        Err(status) => Err(Failure::Build {
            status,
            step: progress.failed(),
        }),
    }
}

/// Why a build ended without an image.
pub(super) enum Failure {
    /// BuildKit's answer, and the step that failed.
    Build {
        status: Status,
        step: Option<String>,
    },
    /// The log could not be written.
    Log(io::Error),
}

/// Copies progress to the log until the build ends.
async fn watch(
    mut control: Control,
    id: String,
    progress: &mut Progress,
    log: &mut (dyn Write + Send),
) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        let request = StatusRequest { r#ref: id.clone() };
        if let Ok(updates) = control.status(request).await {
            let mut updates = updates.into_inner();
            let mut update = updates.message().await;
            if let Ok(Some(_)) = update {
                while let Ok(Some(seen)) = update {
                    progress.write(&seen, log)?;
                    update = updates.message().await;
                }
                return progress.finish(log);
            }
        }
        // The request to build has not arrived yet.
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
