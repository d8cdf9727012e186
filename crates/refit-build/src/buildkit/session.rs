//! The session of one build: the files that BuildKit asks for while it runs.
//!
//! The protocol is `fsutil`'s: all entries first, then the bytes of those that the other side asks for by number.

use std::{collections::BTreeMap, io, pin::Pin, sync::Arc, time::Duration};

use bollard_buildkit_proto::{
    fsutil::types::{Packet, packet::PacketType},
    health::{
        HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
        health_check_response::ServingStatus,
        health_server::{Health, HealthServer},
    },
    moby::{
        buildkit::secrets::v1::{
            GetSecretRequest, GetSecretResponse,
            secrets_server::{Secrets, SecretsServer},
        },
        filesync::{
            packet::file_sync_server::{FileSync, FileSyncServer},
            v1::auth_server::AuthServer,
        },
        sshforward::v1::ssh_server::SshServer,
    },
};
use futures_util::{Stream, stream};
use refit_oci::Digest;
use refit_registry::contents::Contents;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap, transport::Server};

use super::{
    agent::Agents,
    auth::Shown,
    content::{self, ContentServer},
    endpoint::{Control, Endpoint, Tunnel},
    tree::Tree,
};
use crate::engine::{Logins, SecretValues, SshAgent};

/// Bytes in one message; gRPC receivers take a few megabytes at most.
const PIECE: usize = 32 * 1024;

/// Messages that wait for the engine before reading pauses.
const IN_FLIGHT: usize = 16;

/// How long requests that are under way may take to end once nobody needs the session; whatever is left is cut off.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// What a session hands out, and takes in.
#[derive(Default)]
pub(super) struct Served {
    /// Folders by the names that the frontend has for them.
    pub(super) folders: BTreeMap<&'static str, Tree>,
    /// What `RUN --mount=type=secret` may ask for.
    pub(super) secrets: SecretValues,
    /// What `RUN --mount=type=ssh` may ask.
    pub(super) ssh: Option<SshAgent>,
    /// What registries may be shown.
    pub(super) logins: Logins,
    /// Blobs that BuildKit reads and writes there.
    pub(super) contents: Option<Arc<Contents>>,
}

/// An open session; dropped, its connection is closed.
pub(super) struct Session {
    id: String,
    _open: oneshot::Sender<()>,
}

impl Session {
    /// Opens a session that serves these folders by name.
    ///
    /// Folders of sessions with one `content` may be taken for one another: BuildKit keeps what it was sent, and asks
    /// again only for files whose size or time differ. Ours all have one fixed time, so the key must follow the bytes.
    pub(super) async fn open(
        endpoint: &Endpoint,
        control: &Control,
        content: &Digest,
        given: Served,
    ) -> io::Result<Self> {
        let id = format!("refit-{:032x}", rand::random::<u128>());
        let mut methods = vec![
            "/moby.filesync.v1.FileSync/DiffCopy",
            "/grpc.health.v1.Health/Check",
            "/moby.buildkit.secrets.v1.Secrets/GetSecret",
            "/moby.sshforward.v1.SSH/CheckAgent",
            "/moby.sshforward.v1.SSH/ForwardAgent",
            "/moby.filesync.v1.Auth/Credentials",
        ];
        if given.contents.is_some() {
            methods.extend(content::METHODS);
        }
        let mut headers = vec![
            ("X-Docker-Expose-Session-Uuid", id.as_str()),
            ("X-Docker-Expose-Session-Name", "refit"),
            ("X-Docker-Expose-Session-Sharedkey", content.as_str()),
        ];
        let methods = methods.into_iter();
        headers.extend(methods.map(|method| ("X-Docker-Expose-Session-Grpc-Method", method)));
        let tunnel = endpoint.session(control, &headers).await?;
        let (cut, tunnel) = tunnel.that_can_be_cut();
        let folders = given.folders.into_iter();
        let folders = folders.map(|(name, tree)| (name, Arc::new(tree)));
        let server = Server::builder()
            .add_service(HealthServer::new(Alive))
            .add_service(SecretsServer::new(Given(given.secrets)))
            .add_service(SshServer::new(Agents(given.ssh)))
            .add_service(AuthServer::new(Shown(given.logins)))
            .add_service(FileSyncServer::new(Folders(folders.collect())))
            .add_optional_service(given.contents.map(ContentServer::new));
        let (open, closed) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let incoming = stream::iter([Ok::<Tunnel, io::Error>(tunnel)]);
            let incoming = stream::StreamExt::chain(incoming, stream::pending());
            let closed = async {
                let _ = closed.await;
                tokio::spawn(async move {
                    tokio::time::sleep(LAST_REQUESTS).await;
                    drop(cut);
                });
            };
            // A connection that breaks ends the build with an error of its own.
            let _ = server.serve_with_incoming_shutdown(incoming, closed).await;
        });
        Ok(Self { id, _open: open })
    }

    /// The name under which a build refers to the session.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

struct Folders(BTreeMap<&'static str, Arc<Tree>>);

type Packets = Pin<Box<dyn Stream<Item = Result<Packet, Status>> + Send>>;

#[tonic::async_trait]
impl FileSync for Folders {
    type DiffCopyStream = Packets;
    type TarStreamStream = Packets;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Packets>, Status> {
        let name = values(request.metadata(), "dir-name")
            .into_iter()
            .next()
            .unwrap_or_default();
        let tree = self.0.get(name.as_str());
        let tree = tree.ok_or_else(|| Status::not_found(format!("no folder `{name}`")))?;
        let only = values(request.metadata(), "include-patterns");
        let (sender, mut receiver) = mpsc::channel(IN_FLIGHT);
        tokio::spawn(send(Arc::clone(tree), only, request.into_inner(), sender));
        let packets = stream::poll_fn(move |cx| receiver.poll_recv(cx));
        Ok(Response::new(Box::pin(packets)))
    }

    async fn tar_stream(&self, _: Request<Streaming<Packet>>) -> Result<Response<Packets>, Status> {
        Err(Status::unimplemented("only DiffCopy is offered"))
    }
}

type Outgoing = mpsc::Sender<Result<Packet, Status>>;

/// Our side of one transfer. A receiver that has gone away ends it.
async fn send(tree: Arc<Tree>, only: Vec<String>, mut asked: Streaming<Packet>, out: Outgoing) {
    let entries = tree.matching(&only);
    for &index in &entries {
        let stat = tree.entry(index).stat.clone();
        let packet = Packet {
            stat: Some(stat),
            ..packet(PacketType::PacketStat)
        };
        if out.send(Ok(packet)).await.is_err() {
            return;
        }
    }
    if out.send(Ok(packet(PacketType::PacketStat))).await.is_err() {
        return;
    }
    while let Ok(Some(request)) = asked.message().await {
        let answered = match request.r#type() {
            PacketType::PacketReq => match entries.get(request.id as usize) {
                Some(&index) => send_bytes(&tree, index, request.id, &out).await,
                None => Err(Status::not_found("no such entry")),
            },
            PacketType::PacketFin => {
                let _ = out.send(Ok(packet(PacketType::PacketFin))).await;
                return;
            }
            PacketType::PacketErr => return,
            PacketType::PacketStat | PacketType::PacketData => {
                Err(Status::invalid_argument("a sender gets no files"))
            }
        };
        if let Err(status) = answered {
            let _ = out.send(Err(status)).await;
            return;
        }
    }
}

/// One file's bytes, then an empty message.
async fn send_bytes(tree: &Arc<Tree>, index: usize, id: u32, out: &Outgoing) -> Result<(), Status> {
    let (tree, out) = (Arc::clone(tree), out.clone());
    let data = move |data| Packet {
        id,
        data,
        ..packet(PacketType::PacketData)
    };
    let reading = tokio::task::spawn_blocking(move || {
        let give = |packet| {
            out.blocking_send(Ok(packet))
                .map_err(|_| io::Error::other("closed"))
        };
        tree.read(index, PIECE, |piece| give(data(piece)))?;
        give(data(Vec::new()))
    });
    match reading.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Status::aborted(format!("cannot read the context: {error}"))),
        Err(error) => Err(Status::internal(error.to_string())),
    }
}

fn packet(kind: PacketType) -> Packet {
    Packet {
        r#type: kind.into(),
        ..Packet::default()
    }
}

/// A metadata key's values.
fn values(metadata: &MetadataMap, key: &str) -> Vec<String> {
    let values = metadata.get_all(key).into_iter();
    values
        .filter_map(|value| value.to_str().ok().map(str::to_owned))
        .collect()
}

/// The secrets of one build, handed out by id.
struct Given(SecretValues);

#[tonic::async_trait]
impl Secrets for Given {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        let value = self.0.0.get(&id);
        // BuildKit takes "not found" for a secret that RUN can do without, unless the mount is required.
        let data = value.ok_or_else(|| Status::not_found(format!("no secret `{id}` is given")))?;
        Ok(Response::new(GetSecretResponse { data: data.clone() }))
    }
}

/// BuildKit asks now and then whether the session is alive.
struct Alive;

#[tonic::async_trait]
impl Health for Alive {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status = ServingStatus::Serving.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("only Check is offered"))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only Check is offered"))
    }
}
