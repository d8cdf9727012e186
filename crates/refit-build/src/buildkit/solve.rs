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

/// How often a build is asked for where BuildKit loses what it had made.
const TRIES: u32 = 3;

/// How long progress may lag behind the result.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is asked of BuildKit's Dockerfile frontend.
#[derive(Clone)]
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
    /// Whether it is nothing that a user has asked for: it is left out of BuildKit's history of builds.
    pub(super) internal: bool,
}

/// What becomes of a result, by an exporter of BuildKit's.
#[derive(Clone)]
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

    /// The image goes to the store of the session, blob by blob; those that are there already do not.
    pub(super) fn through_session() -> Self {
        let attributes = [
            ("tar", "false"),
            ("oci-mediatypes", "true"),
            ("compression", "gzip"),
        ];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self {
            name: "oci",
            attributes: attributes.into(),
        }
    }

    /// Nothing becomes of it.
    pub(super) fn nothing() -> Self {
        Self {
            name: "",
            attributes: BTreeMap::new(),
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
///
/// A snapshot that is lost is no fault of what is built: it is built again, mostly out of BuildKit's cache.
pub(super) async fn solve(
    control: &Control,
    solve: Solve,
    log: &mut (dyn Write + Send),
) -> Result<Exported, Failure> {
    for next in 2..=TRIES {
        match once(control, solve.clone(), log).await {
            Err(Failure::Build { status, .. }) if is_lost_snapshot(status.message()) => {
                let told = writeln!(
                    log,
                    "BuildKit lost a snapshot of its own; building again ({next} of {TRIES}): {}",
                    status.message()
                );
                told.map_err(Failure::Log)?;
            }
            ended => return ended,
        }
    }
    once(control, solve, log).await
}

/// Whether these words are that a snapshot went while it was used. containerd's image store unpacks images that have
/// layers in common side by side, and its garbage collection may take what one of them is about to stand on
/// (moby/buildkit issue 6521).
pub(super) fn is_lost_snapshot(message: &str) -> bool {
    message.contains("snapshot ") && message.ends_with("does not exist: not found")
}

async fn once(
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
        internal: solve.internal,
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

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
    use http_body_util::Empty;
    use hyper::{Request, Response, body::Incoming, server::conn::http2, service::service_fn};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::io::DuplexStream;
    use tonic::{Code, transport::Endpoint};

    use super::*;

    const LOST: &str = "failed to prepare extraction snapshot \"extract-1 sha256:aa\": parent snapshot sha256:bb does not exist: not found";
    const OTHER: &str = "process \"make\" did not complete successfully: exit code: 2";

    /// A BuildKit whose builds end with these words, one after the other; it has no progress.
    async fn ending(answers: &[&'static str]) -> (Control, Arc<Mutex<Vec<&'static str>>>) {
        let left: Vec<_> = answers.iter().rev().copied().collect();
        let left = Arc::new(Mutex::new(left));
        let (near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(serve(far, Arc::clone(&left)));
        let near = Mutex::new(Some(near));
        let connector = tower::service_fn(move |_| {
            let near = near.lock().unwrap().take();
            async move { Ok::<_, io::Error>(TokioIo::new(near.unwrap())) }
        });
        let endpoint = Endpoint::from_static("http://buildkit");
        let channel = endpoint.connect_with_connector(connector).await.unwrap();
        (ControlClient::new(channel), left)
    }

    async fn serve(far: DuplexStream, left: Arc<Mutex<Vec<&'static str>>>) {
        let answer = service_fn(move |request: Request<Incoming>| {
            let of_solve = request.uri().path().ends_with("/Solve");
            let message = of_solve.then(|| left.lock().unwrap().pop()).flatten();
            async move {
                let answer = Response::builder()
                    .header("content-type", "application/grpc")
                    .header("grpc-status", i32::from(Code::Unknown).to_string())
                    .header("grpc-message", message.unwrap_or("unknown"));
                Ok::<_, Infallible>(answer.body(Empty::<bytes::Bytes>::new()).unwrap())
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new());
        let _ = connection.serve_connection(TokioIo::new(far), answer).await;
    }

    /// How a build ends, how many answers are left then, and what the log says.
    async fn built(answers: &[&'static str]) -> (String, usize, String) {
        let (control, left) = ending(answers).await;
        let image = "localhost:1/a:b".parse().unwrap();
        let request = Solve {
            session: String::new(),
            options: BTreeMap::new(),
            entitlements: Vec::new(),
            exporter: Exporter::kept(&image),
            caches: None,
            names: Names::default(),
            internal: false,
        };
        let mut log = Vec::new();
        let Err(Failure::Build { status, .. }) = solve(&control, request, &mut log).await else {
            panic!("it did not fail");
        };
        let n_left = left.lock().unwrap().len();
        (
            status.message().to_owned(),
            n_left,
            String::from_utf8(log).unwrap(),
        )
    }

    #[tokio::test]
    async fn what_loses_a_snapshot_is_built_again_and_nothing_else_is() {
        let (message, n_left, log) = built(&[LOST, LOST, OTHER, OTHER]).await;
        assert_eq!((message.as_str(), n_left), (OTHER, 1));
        assert!(log.contains("building again (2 of 3): failed to prepare"));
        assert!(log.contains("building again (3 of 3): failed to prepare"));

        let (message, n_left, log) = built(&[OTHER, OTHER]).await;
        assert_eq!((message.as_str(), n_left, log.as_str()), (OTHER, 1, ""));
    }

    #[tokio::test]
    async fn a_buildkit_that_always_loses_them_is_given_up() {
        let (message, n_left, _) = built(&[LOST; 4]).await;
        assert_eq!((message.as_str(), n_left), (LOST, 1));
    }
}
