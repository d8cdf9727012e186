//! A way to an engine that does not reach this machine: in a virtual machine, in a container beside, on another host.
//!
//! refit itself runs there, in a container of the engine's own network, for as long as a build lasts: it listens on the
//! loopback interface over there, and what connects is brought here over the container's standard input and output, which
//! are the engine's API. The engine needs no other way to this machine than the one that its API came by.

mod image;
mod serve;

use std::{
    collections::HashMap,
    env,
    error::Error,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bollard::{
    Docker,
    container::LogOutput,
    models::{ContainerCreateBody, HostConfig, HostConfigLogConfig},
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptions, ListImagesOptionsBuilder,
        RemoveImageOptionsBuilder, StartContainerOptions,
    },
};
use futures_util::{Stream, TryStreamExt as _};
use http_body_util::StreamBody;
use refit_oci::Platform;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    sync::OnceCell,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::io::StreamReader;

pub use serve::relay;

use self::image::{Program, REPOSITORY};
use super::{
    Address, EngineFacts,
    classic::{Told, last_word},
    image::{Left, What},
};
use crate::connection::{self, PostError, frames};

/// What refit is told to do in the container.
const ARGUMENTS: [&str; 1] = ["relay"];

/// How long the container may take to say its port.
const PATIENCE: Duration = Duration::from_mins(1);

/// Bytes of what it says that are kept for an error, and those of a port's line.
const WORDS: usize = 4096;
const PORT_LINE: u64 = 8;

/// Relays of an engine.
pub(crate) struct Relay {
    client: Docker,
    address: Address,
    /// As paths of the API begin with it.
    api_version: String,
    platform: Platform,
    image: OnceCell<String>,
}

impl Relay {
    /// For an engine whose machine runs this program. Nothing is asked of it yet.
    pub(super) fn new(
        client: &Docker,
        address: &Address,
        facts: &EngineFacts,
    ) -> Result<Self, RelayError> {
        let own = Platform::new(env::consts::OS, env::consts::ARCH, None);
        if (&own.os, &own.architecture) != (&facts.native.os, &facts.native.architecture) {
            return Err(RelayError::Platform {
                own: Box::new(own),
                engines: Box::new(facts.native.clone()),
            });
        }
        Ok(Self {
            client: client.clone(),
            address: address.clone(),
            api_version: facts.api_version.clone(),
            platform: own,
            image: OnceCell::new(),
        })
    }

    /// The image that a relay runs from; the engine gets it with the first build, and once for each version of refit.
    async fn image(&self) -> Result<&String, RelayError> {
        self.image.get_or_try_init(|| self.load()).await
    }

    async fn load(&self) -> Result<String, RelayError> {
        let program = Program::running().map_err(RelayError::Pack)?;
        let told = move || program.tag().map(|tag| (program, tag));
        let (program, tag) = off_the_threads(told).await?;
        let image = format!("{REPOSITORY}:{tag}");
        if self.client.inspect_image(&image).await.is_err() {
            let (name, platform) = (image.clone(), self.platform.clone());
            let packed = move || program.pack(&name, (&ARGUMENTS, &platform));
            let archive = off_the_threads(packed).await?;
            send(&self.address, &self.api_version, archive.path()).await?;
            forget_others(&self.client, &image).await;
        }
        Ok(image)
    }

    /// Makes a port of this machine's loopback interface reachable on that of the engine, until it is dropped.
    pub(crate) async fn lend(&self, port: u16) -> Result<Lent, RelayError> {
        let client = &self.client;
        let body = ContainerCreateBody {
            image: Some(self.image().await?.clone()),
            open_stdin: Some(true),
            // Its input ends with this side of it, and the container with its input.
            stdin_once: Some(true),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            host_config: Some(HostConfig {
                network_mode: Some("host".to_owned()),
                // An engine that maps users lends its host's network to nobody else.
                userns_mode: Some("host".to_owned()),
                auto_remove: Some(true),
                readonly_rootfs: Some(true),
                cap_drop: Some(vec!["ALL".to_owned()]),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                // All that goes through would be logged otherwise.
                log_config: Some(HostConfigLogConfig {
                    typ: Some("none".to_owned()),
                    config: None,
                }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let created = client.create_container(None::<CreateContainerOptions>, body);
        let id = created.await.map_err(RelayError::Run)?.id;
        let left = Left::behind(client, What::Container(id.clone()));
        let attach = AttachContainerOptionsBuilder::default()
            .stream(true)
            .stdin(true)
            .stdout(true)
            .stderr(true);
        let attached = client.attach_container(&id, Some(attach.build())).await;
        let attached = attached.map_err(RelayError::Run)?;
        let started = client.start_container(&id, None::<StartContainerOptions>);
        started.await.map_err(RelayError::Run)?;

        let said = Said::default();
        let output = StreamReader::new(output(attached.output, said.clone()));
        let mut wire = BufReader::new(tokio::io::join(output, attached.input));
        let mut line = String::new();
        let told = timeout(PATIENCE, (&mut wire).take(PORT_LINE).read_line(&mut line)).await;
        let there = match told {
            Ok(Ok(_)) => line.trim_end().parse().ok(),
            Ok(Err(_)) | Err(_) => None,
        };
        let there = there.ok_or_else(|| RelayError::Silent { said: said.words() })?;
        Ok(Lent {
            port: there,
            carrying: tokio::spawn(async move {
                // A wire that breaks is noticed by whoever uses it.
                let _ = serve::receive(wire, port).await;
            }),
            _left: left,
        })
    }
}

/// A port of the engine's machine that leads to one of this machine's.
pub(crate) struct Lent {
    /// The port over there.
    pub(crate) port: u16,
    carrying: JoinHandle<()>,
    _left: Left,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

/// What a container says on its standard error.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn hear(&self, bytes: &[u8]) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = WORDS.saturating_sub(said.len());
        said.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn words(&self) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).trim().to_owned()
    }
}

/// The standard output of a container; what it says beside is kept.
fn output(
    attached: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send,
    said: Said,
) -> impl Stream<Item = io::Result<bytes::Bytes>> + Send {
    let output = attached.map_err(io::Error::other);
    output.try_filter_map(move |piece| {
        let kept = match piece {
            LogOutput::StdOut { message } => Some(message),
            LogOutput::StdErr { message } => {
                said.hear(&message);
                None
            }
            LogOutput::StdIn { .. } | LogOutput::Console { .. } => None,
        };
        std::future::ready(Ok(kept))
    })
}

/// Reads and writes large files where nothing waits for it.
async fn off_the_threads<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, RelayError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other)
        .flatten()
        .map_err(RelayError::Pack)
}

/// Gives the engine an image.
async fn send(address: &Address, api_version: &str, archive: &Path) -> Result<(), RelayError> {
    let file = tokio::fs::File::open(archive).await;
    let body = StreamBody::new(frames(file.map_err(RelayError::Pack)?));
    let path = format!("/v{api_version}/images/load?quiet=1");
    let headers = [("Content-Type", "application/x-tar")];
    let told = match connection::post(address, &path, &headers, body).await {
        Ok(answer) => last_word(answer).await,
        Err(PostError::Refused(words)) => Told::Failed(words),
        Err(PostError::Lost(error)) => Told::Lost(error),
    };
    match told {
        Told::Ended => Ok(()),
        Told::Failed(words) => Err(RelayError::Load(words.into())),
        Told::Lost(error) => Err(RelayError::Load(error)),
    }
}

/// Removes the images of other versions, but for those that are in use.
async fn forget_others(client: &Docker, image: &str) {
    let filters = HashMap::from([("reference", vec![REPOSITORY])]);
    let options = ListImagesOptionsBuilder::default().filters(&filters);
    let Ok(images) = client.list_images(Some(options.build())).await else {
        return;
    };
    let names = images.into_iter().flat_map(|image| image.repo_tags);
    for name in names.filter(|name| name != image) {
        let options = RemoveImageOptionsBuilder::default().build();
        let _ = client.remove_image(&name, Some(options), None).await;
    }
}

/// Why there is no relay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// This program is none for the engine's machine.
    #[error("this refit is for {own}, and the engine's machine is {engines}")]
    Platform {
        /// refit's own.
        own: Box<Platform>,
        /// The engine's.
        engines: Box<Platform>,
    },
    /// The running program could not be put into an image.
    #[error("refit cannot pack itself")]
    Pack(#[source] io::Error),
    /// The engine did not take the image.
    #[error("the engine did not take refit's relay")]
    Load(#[source] Box<dyn Error + Send + Sync>),
    /// The engine did not run it.
    #[error("the engine did not run refit's relay")]
    Run(#[source] bollard::errors::Error),
    /// It ran, and said no port.
    #[error("refit's relay did not start over there: {}", if said.is_empty() { "it said nothing" } else { said })]
    Silent {
        /// What it said instead.
        said: String,
    },
}
