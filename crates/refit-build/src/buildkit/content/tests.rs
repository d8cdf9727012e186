use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use futures_util::stream;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use refit_oci::{Descriptor, Digest, Document, Exact, ImageConfig, Manifest, media_type};
use refit_registry::{
    EMBEDDED_HOST, Registries, Registry, Settings,
    contents::{Contents, Failure},
};
use tempfile::TempDir;
use tokio::{io::DuplexStream, sync::mpsc};
use tonic::{
    Code, Request, Response, Status, Streaming,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint, Server},
};
use tonic_prost::ProstCodec;

use super::{
    ContentServer,
    messages::{
        AbortRequest, Empty, InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse,
        StatusRequest, StatusResponse, WriteAction, WriteContentRequest, WriteContentResponse,
    },
};

const LAYER: &[u8] = b"a layer of some bytes";

/// The service with a store `bases` of one image, and an output `export` that knows the image's layer.
struct Stores {
    client: Grpc<Channel>,
    contents: Arc<Contents>,
    manifest: Digest,
    folder: TempDir,
}

impl Stores {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let registries = Registries::new(Settings {
            embedded: Some(folder.path().join("store")),
            ..Settings::default()
        });
        let registry = registries.registry(EMBEDDED_HOST);
        let manifest = put(registry.as_ref()).await;
        let spool = folder.path().join("spool");
        std::fs::create_dir(&spool).unwrap();
        let contents = Contents::new(&spool).unwrap();
        contents.allow("bases", registry, repository(), manifest.clone());
        let layer = Descriptor::of(media_type::OCI_LAYER_GZIP, LAYER);
        contents.output("export", vec![layer]);
        let contents = Arc::new(contents);
        let (near, far) = tokio::io::duplex(1 << 16);
        let server = ContentServer::new(Arc::clone(&contents));
        tokio::spawn(async move {
            let incoming = stream::iter([Ok::<DuplexStream, io::Error>(far)]);
            let serving = Server::builder().add_service(server);
            let _ = serving.serve_with_incoming(incoming).await;
        });
        let near = Mutex::new(Some(near));
        let connector = tower::service_fn(move |_| {
            let near = near.lock().unwrap().take();
            async move { Ok::<_, io::Error>(TokioIo::new(near.unwrap())) }
        });
        let endpoint = Endpoint::from_static("http://refit");
        let channel = endpoint.connect_with_connector(connector).await.unwrap();
        Self {
            client: Grpc::new(channel),
            contents,
            manifest,
            folder,
        }
    }

    async fn unary<T, U>(&self, method: &'static str, store: &str, message: T) -> Result<U, Status>
    where
        T: prost::Message + 'static,
        U: prost::Message + Default + 'static,
    {
        let mut client = self.client.clone();
        client.ready().await.unwrap();
        let codec = ProstCodec::default();
        let answer = client.unary(request(store, message), path(method), codec);
        answer.await.map(Response::into_inner)
    }

    async fn size(&self, store: &str, digest: &str) -> Result<i64, Code> {
        let digest = digest.to_owned();
        let asked = self.unary("Info", store, InfoRequest { digest });
        let answer: InfoResponse = asked.await.map_err(|status| status.code())?;
        Ok(answer.info.unwrap().size)
    }

    async fn read(&self, digest: &str, offset: i64, size: i64) -> Result<Vec<u8>, Code> {
        let mut client = self.client.clone();
        client.ready().await.unwrap();
        let digest = digest.to_owned();
        let message = ReadContentRequest {
            digest,
            offset,
            size,
        };
        let codec = ProstCodec::default();
        let answer = client.server_streaming(request("bases", message), path("Read"), codec);
        let answer: Result<Response<Streaming<ReadContentResponse>>, _> = answer.await;
        let mut answer = answer.map_err(|status| status.code())?.into_inner();
        let mut bytes = Vec::new();
        while let Some(piece) = answer.message().await.map_err(|status| status.code())? {
            assert_eq!(usize::try_from(piece.offset.max(0)).unwrap(), {
                let from = usize::try_from(offset.max(0)).unwrap();
                from + bytes.len()
            });
            bytes.extend_from_slice(&piece.data);
        }
        Ok(bytes)
    }

    /// A blob that is being written.
    async fn write(&self, first: WriteContentRequest) -> Result<Writer, Code> {
        let mut client = self.client.clone();
        client.ready().await.unwrap();
        let (sender, mut receiver) = mpsc::channel(1);
        let messages = stream::poll_fn(move |cx| receiver.poll_recv(cx));
        sender.send(first).await.unwrap();
        let codec = ProstCodec::default();
        let answers = client.streaming(request("export", messages), path("Write"), codec);
        let answers: Response<_> = answers.await.map_err(|status: Status| status.code())?;
        let mut writer = Writer {
            sender,
            answers: answers.into_inner(),
        };
        writer.answer().await?;
        Ok(writer)
    }

    /// Writes a blob in one go.
    async fn put(&self, reference: &str, bytes: &[u8]) -> Result<Digest, Code> {
        let digest = Digest::sha256(bytes);
        let mut writer = self.write(stat(reference, &digest)).await?;
        writer.send(data(0, bytes)).await?;
        let committed = writer.send(commit(bytes.len(), &digest)).await?;
        Ok(committed.digest.parse().unwrap())
    }

    /// Files in the spool.
    fn n_spooled(&self) -> usize {
        let spool = std::fs::read_dir(self.folder.path().join("spool")).unwrap();
        let folder = spool.map(|entry| entry.unwrap().path()).next().unwrap();
        std::fs::read_dir(folder).unwrap().count()
    }
}

struct Writer {
    sender: mpsc::Sender<WriteContentRequest>,
    answers: Streaming<WriteContentResponse>,
}

impl Writer {
    async fn send(&mut self, request: WriteContentRequest) -> Result<WriteContentResponse, Code> {
        self.sender.send(request).await.unwrap();
        self.answer().await
    }

    async fn answer(&mut self) -> Result<WriteContentResponse, Code> {
        let answer = self.answers.message().await;
        Ok(answer.map_err(|status| status.code())?.unwrap())
    }
}

fn path(method: &'static str) -> PathAndQuery {
    let path = format!("/containerd.services.content.v1.Content/{method}");
    path.parse().unwrap()
}

fn request<T>(store: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("buildkit-attachable-store-id", store.parse().unwrap());
    request
}

fn stat(reference: &str, expected: &Digest) -> WriteContentRequest {
    WriteContentRequest {
        reference: reference.to_owned(),
        expected: expected.to_string(),
        ..WriteContentRequest::default()
    }
}

fn data(offset: usize, bytes: &[u8]) -> WriteContentRequest {
    WriteContentRequest {
        action: WriteAction::Write.into(),
        offset: offset.try_into().unwrap(),
        data: bytes.to_vec().into(),
        ..WriteContentRequest::default()
    }
}

fn commit(size: usize, expected: &Digest) -> WriteContentRequest {
    WriteContentRequest {
        action: WriteAction::Commit.into(),
        offset: size.try_into().unwrap(),
        total: size.try_into().unwrap(),
        expected: expected.to_string(),
        ..WriteContentRequest::default()
    }
}

fn repository() -> refit_oci::Repository {
    format!("{EMBEDDED_HOST}/base").parse().unwrap()
}

/// An image of one layer.
async fn put(registry: &dyn Registry) -> Digest {
    let config = Exact::encode(media_type::OCI_CONFIG, ImageConfig::default());
    let layer = Descriptor::of(media_type::OCI_LAYER_GZIP, LAYER);
    let manifest = Manifest::new(config.descriptor(), vec![layer.clone()], BTreeMap::new());
    let at = repository();
    for (descriptor, bytes) in [
        (config.descriptor(), config.bytes.clone()),
        (layer, LAYER.to_vec()),
    ] {
        let pushed = registry.push_blob(&at, &descriptor, bytes.into()).await;
        pushed.unwrap();
    }
    let document = Document::Manifest(Exact::encode(media_type::OCI_MANIFEST, manifest));
    registry.push_document(&at, &document, None).await.unwrap()
}

#[tokio::test]
async fn what_is_planned_is_read_and_nothing_else() {
    let stores = Stores::new().await;
    let layer = Digest::sha256(LAYER);
    let manifest = stores.manifest.as_str();
    let size = stores.size("bases", manifest).await.unwrap();
    let bytes = stores.read(manifest, 0, 0).await.unwrap();
    assert!(stores.manifest.verifies(&bytes));
    assert_eq!(usize::try_from(size).unwrap(), bytes.len());
    assert_eq!(stores.size("bases", layer.as_str()).await, Ok(21));
    assert_eq!(
        stores.read(layer.as_str(), 0, 1 << 20).await.unwrap(),
        LAYER
    );

    let other = Digest::sha256(b"other");
    for (store, digest, expect) in [
        ("bases", other.as_str(), Code::NotFound),
        ("other", layer.as_str(), Code::NotFound),
        ("bases", "sha256:0", Code::InvalidArgument),
        ("bases", "", Code::InvalidArgument),
    ] {
        let asked = stores.size(store, digest).await;
        assert_eq!(asked, Err(expect), "{store} {digest}");
    }
    let read = stores.read(other.as_str(), 0, 0).await;
    assert_eq!(read, Err(Code::NotFound));
    let listed = stores.unary::<_, Empty>("List", "bases", Empty {}).await;
    assert_eq!(listed.unwrap_err().code(), Code::Unimplemented);
    let mut request = Request::new(InfoRequest {
        digest: layer.to_string(),
    });
    request.metadata_mut().clear();
    let mut client = stores.client.clone();
    client.ready().await.unwrap();
    let codec = ProstCodec::<InfoRequest, InfoResponse>::default();
    let nameless = client.unary(request, path("Info"), codec).await;
    assert_eq!(nameless.unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn any_range_is_what_a_file_has_there() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stores = runtime.block_on(Stores::new());
    let layer = Digest::sha256(LAYER);
    let end = i64::try_from(LAYER.len()).unwrap();
    let numbers = prop_oneof![-3..=end + 3, any::<i64>()];
    proptest!(|(offset in numbers.clone(), size in numbers)| {
        let read = runtime.block_on(stores.read(layer.as_str(), offset, size));
        let from = usize::try_from(offset.max(0)).unwrap();
        let expect = LAYER.get(from..).ok_or(Code::OutOfRange).map(|rest| {
            match usize::try_from(size) {
                Ok(size) if size > 0 => rest[..size.min(rest.len())].to_vec(),
                _ => rest.to_vec(),
            }
        });
        prop_assert_eq!(read, expect);
    });
}

#[tokio::test]
async fn what_is_written_is_taken_and_known_from_then_on() {
    let stores = Stores::new().await;
    let layer = Digest::sha256(LAYER);
    let known = stores.write(stat("layer", &layer)).await;
    assert_eq!(known.err(), Some(Code::AlreadyExists), "a base has it");

    let config = Exact::encode(media_type::OCI_CONFIG, ImageConfig::default());
    assert_eq!(
        stores.put("config", &config.bytes).await.unwrap(),
        config.digest
    );
    let again = stores.write(stat("again", &config.digest)).await;
    assert_eq!(again.err(), Some(Code::AlreadyExists));
    let size = stores.size("export", config.digest.as_str()).await;
    assert_eq!(size, Ok(i64::try_from(config.bytes.len()).unwrap()));

    let layers = vec![Descriptor::of(media_type::OCI_LAYER_GZIP, LAYER)];
    let manifest = Manifest::new(config.descriptor(), layers, BTreeMap::new());
    let manifest = Exact::encode(media_type::OCI_MANIFEST, manifest);
    stores.put("manifest", &manifest.bytes).await.unwrap();
    let pushed = stores.contents.take("export").unwrap().unwrap();
    assert_eq!(*pushed.manifest.digest(), manifest.digest);
    let sent: Vec<&Digest> = pushed.blobs.keys().collect();
    assert_eq!(sent, [&config.digest], "the layer was not sent");
    assert!(stores.contents.take("export").unwrap().is_none(), "once");
    assert!(stores.contents.failures().is_empty());
}

#[tokio::test]
async fn bytes_are_taken_in_order_or_from_the_beginning() {
    let stores = Stores::new().await;
    let bytes = b"some bytes";
    let digest = Digest::sha256(bytes);
    let mut writer = stores.write(stat("a", &digest)).await.unwrap();
    assert_eq!(writer.send(data(0, b"some")).await.unwrap().offset, 4);
    let asked = StatusRequest {
        reference: "a".to_owned(),
    };
    let status: StatusResponse = stores.unary("Status", "export", asked).await.unwrap();
    assert_eq!(status.status.unwrap().offset, 4);
    // A sender that begins again is taken at its word.
    assert_eq!(writer.send(data(0, b"some by")).await.unwrap().offset, 7);
    assert_eq!(writer.send(data(7, b"tes")).await.unwrap().offset, 10);
    let committed = writer.send(commit(10, &digest)).await.unwrap();
    assert_eq!((committed.offset, committed.total), (10, 10));
    assert_eq!(committed.digest, digest.as_str());

    let mut writer = stores
        .write(stat("b", &Digest::sha256(b"b")))
        .await
        .unwrap();
    writer.send(data(0, b"b")).await.unwrap();
    let elsewhere = writer.send(data(3, b"b")).await;
    assert_eq!(elsewhere.err(), Some(Code::OutOfRange));

    let mut announced = stat("c", &Digest::sha256(b"c"));
    announced.total = 1;
    let mut writer = stores.write(announced).await.unwrap();
    let too_many = writer.send(data(0, b"cc")).await;
    assert_eq!(too_many.err(), Some(Code::OutOfRange));

    let nameless = stores.write(stat("", &Digest::sha256(b"d"))).await;
    assert_eq!(nameless.err(), Some(Code::InvalidArgument));
}

#[tokio::test]
async fn what_is_not_what_was_announced_is_refused_and_remembered() {
    for (expected, total) in [(Digest::sha256(b"other"), 4), (Digest::sha256(b"some"), 5)] {
        let stores = Stores::new().await;
        let mut writer = stores.write(stat("a", &expected)).await.unwrap();
        writer.send(data(0, b"some")).await.unwrap();
        let last = WriteContentRequest {
            total,
            offset: 4,
            ..commit(4, &expected)
        };
        let refused = writer.send(last).await;
        assert_eq!(refused.err(), Some(Code::FailedPrecondition));
        assert_eq!(stores.n_spooled(), 0);
        let size = stores
            .size("export", Digest::sha256(b"some").as_str())
            .await;
        assert_eq!(size, Err(Code::NotFound));
        let failures = stores.contents.failures();
        assert!(matches!(failures[..], [Failure::Forged(_)]), "{failures:?}");
    }
}

#[tokio::test]
async fn one_writes_under_a_name_until_it_is_done_or_given_up() {
    let stores = Stores::new().await;
    let digest = Digest::sha256(b"some");
    let mut first = stores.write(stat("a", &digest)).await.unwrap();
    let busy = stores.write(stat("a", &digest)).await;
    assert_eq!(busy.err(), Some(Code::Unavailable));
    first.send(data(0, b"so")).await.unwrap();

    let abort = || AbortRequest {
        reference: "a".to_owned(),
    };
    stores
        .unary::<_, Empty>("Abort", "export", abort())
        .await
        .unwrap();
    assert_eq!(first.send(data(2, b"me")).await.err(), Some(Code::Aborted));
    let nothing = stores.unary::<_, Empty>("Abort", "export", abort()).await;
    assert_eq!(nothing.unwrap_err().code(), Code::NotFound);
    assert_eq!(stores.put("a", b"some").await, Ok(digest));

    // One that hangs up leaves nothing either.
    let mut gone = stores
        .write(stat("b", &Digest::sha256(b"b")))
        .await
        .unwrap();
    gone.send(data(0, b"b")).await.unwrap();
    assert_eq!(stores.n_spooled(), 2);
    drop(gone);
    while stores.n_spooled() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stores.put("b", b"b").await, Ok(Digest::sha256(b"b")));

    let mut readonly = stores.client.clone();
    readonly.ready().await.unwrap();
    let messages = stream::iter([stat("a", &Digest::sha256(b"new"))]);
    let codec = ProstCodec::<WriteContentRequest, WriteContentResponse>::default();
    let answers = readonly.streaming(request("bases", messages), path("Write"), codec);
    let mut answers = answers.await.unwrap().into_inner();
    let refused = answers.message().await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}
