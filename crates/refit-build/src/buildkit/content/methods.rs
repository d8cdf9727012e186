//! What each method of the content service does.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _, stream};
use refit_oci::Digest;
use refit_registry::contents::{Contents, Store, Unwritten, Writing};
use tokio::sync::mpsc;
use tonic::{Request, Status, Streaming, metadata::MetadataMap};

use super::messages::{
    self, AbortRequest, Empty, Info, InfoRequest, InfoResponse, ReadContentRequest,
    ReadContentResponse, StatusRequest, StatusResponse, WriteAction, WriteContentRequest,
    WriteContentResponse,
};

/// The metadata key by which BuildKit says which store is meant.
const STORE: &str = "buildkit-attachable-store-id";

/// A stream of answers.
pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(super) async fn info(
    contents: &Contents,
    request: Request<InfoRequest>,
) -> Result<InfoResponse, Status> {
    let store = store(contents, request.metadata())?;
    let digest = parsed(&request.get_ref().digest)?;
    let size = size(&store, &digest).await?;
    let info = Info {
        digest: digest.to_string(),
        size: wire(size),
    };
    Ok(InfoResponse { info: Some(info) })
}

pub(super) async fn read(
    contents: &Contents,
    request: Request<ReadContentRequest>,
) -> Result<Answers<ReadContentResponse>, Status> {
    let store = store(contents, request.metadata())?;
    let ReadContentRequest {
        digest,
        offset,
        size: wanted,
    } = request.into_inner();
    let digest = parsed(&digest)?;
    let size = size(&store, &digest).await?;
    let offset = u64::try_from(offset).unwrap_or(0);
    let Some(rest) = size.checked_sub(offset) else {
        let message = format!("`{digest}` has {size} bytes, and none at {offset}");
        return Err(Status::out_of_range(message));
    };
    let wanted = match u64::try_from(wanted) {
        Ok(wanted) if wanted > 0 => wanted.min(rest),
        _ => rest,
    };
    if wanted == 0 {
        return Ok(Box::pin(stream::empty()));
    }
    let content = store.open(&digest).await.map_err(Status::internal)?;
    let content = content.ok_or_else(|| unknown(&digest))?;
    let pieces = content.read(offset, wanted).await;
    let pieces = pieces.map_err(|error| unreadable(&error))?;
    let mut at = offset;
    let answers = pieces.map(move |piece| {
        let data = piece.map_err(|error| unreadable(&error))?;
        let answer = ReadContentResponse {
            offset: wire(at),
            data,
        };
        at += answer.data.len() as u64;
        Ok(answer)
    });
    Ok(Box::pin(answers))
}

pub(super) async fn status(
    contents: &Contents,
    request: Request<StatusRequest>,
) -> Result<StatusResponse, Status> {
    let store = store(contents, request.metadata())?;
    let StatusRequest { reference } = request.into_inner();
    let offset = store.progress(&reference);
    let offset = offset.ok_or_else(|| not_written(&reference))?;
    let status = messages::Status {
        reference,
        offset: wire(offset),
    };
    Ok(StatusResponse {
        status: Some(status),
    })
}

pub(super) async fn abort(
    contents: &Contents,
    request: Request<AbortRequest>,
) -> Result<Empty, Status> {
    let store = store(contents, request.metadata())?;
    let reference = &request.get_ref().reference;
    if store.abort(reference) {
        Ok(Empty {})
    } else {
        Err(not_written(reference))
    }
}

pub(super) fn write(
    contents: &Contents,
    request: Request<Streaming<WriteContentRequest>>,
) -> Result<Answers<WriteContentResponse>, Status> {
    let store = store(contents, request.metadata())?;
    // Each message is answered before the next one is sent.
    let (out, mut answers) = mpsc::channel(1);
    tokio::spawn(async move {
        if let Err(status) = take(store, request.into_inner(), &out).await {
            let _ = out.send(Err(status)).await;
        }
    });
    Ok(Box::pin(stream::poll_fn(move |cx| answers.poll_recv(cx))))
}

type Out = mpsc::Sender<Result<WriteContentResponse, Status>>;

/// One blob, message by message. A sender that goes away before it commits leaves nothing.
async fn take(
    store: Arc<Store>,
    mut asked: Streaming<WriteContentRequest>,
    out: &Out,
) -> Result<(), Status> {
    let mut announced = Announced::default();
    let mut begun: Option<Writing> = None;
    while let Some(request) = asked.message().await? {
        announced.hear(&request)?;
        if let Some(digest) = &announced.digest
            && store.size_of(digest).await.is_ok_and(|size| size.is_some())
        {
            return Err(Status::already_exists(format!("`{digest}` is here")));
        }
        let mut writing = match begun.take() {
            Some(writing) => writing,
            None if request.reference.is_empty() => {
                let message = "the first message names no reference";
                return Err(Status::invalid_argument(message));
            }
            None => store
                .write(&request.reference)
                .await
                .map_err(|why| unwritten(&why))?,
        };
        let action = WriteAction::try_from(request.action);
        let action = action.map_err(|_| Status::invalid_argument("no such action"))?;
        if action != WriteAction::Stat {
            append(&mut writing, &request, announced.total).await?;
        }
        let mut answer = WriteContentResponse {
            action: request.action,
            offset: wire(writing.size()),
            total: announced.total.map_or(0, wire),
            digest: String::new(),
        };
        if action == WriteAction::Commit {
            let committed = writing.commit(announced.total, announced.digest.as_ref());
            answer.digest = committed.await.map_err(|why| unwritten(&why))?.to_string();
            let _ = out.send(Ok(answer)).await;
            return Ok(());
        }
        begun = Some(writing);
        if out.send(Ok(answer)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// What is expected of a blob, as it was said last.
#[derive(Default)]
struct Announced {
    total: Option<u64>,
    digest: Option<Digest>,
}

impl Announced {
    fn hear(&mut self, request: &WriteContentRequest) -> Result<(), Status> {
        if !request.expected.is_empty() {
            self.digest = Some(parsed(&request.expected)?);
        }
        let total = u64::try_from(request.total).ok().filter(|&total| total > 0);
        self.total = total.or(self.total);
        Ok(())
    }
}

/// Takes a message's bytes where they belong: after those that are here, or at the beginning again.
async fn append(
    writing: &mut Writing,
    request: &WriteContentRequest,
    total: Option<u64>,
) -> Result<(), Status> {
    let size = writing.size();
    match u64::try_from(request.offset) {
        Ok(0) if size > 0 => writing.restart().await.map_err(|why| unwritten(&why))?,
        Ok(offset) if offset == size => {}
        _ => {
            let message = format!("{size} bytes are here, and {} is elsewhere", request.offset);
            return Err(Status::out_of_range(message));
        }
    }
    let after = writing.size() + request.data.len() as u64;
    if total.is_some_and(|total| after > total) {
        let message = format!("{after} bytes are more than were announced");
        return Err(Status::out_of_range(message));
    }
    if request.data.is_empty() {
        return Ok(());
    }
    writing
        .append(&request.data)
        .await
        .map_err(|why| unwritten(&why))
}

fn store(contents: &Contents, metadata: &MetadataMap) -> Result<Arc<Store>, Status> {
    let id = metadata.get(STORE).and_then(|id| id.to_str().ok());
    let id = id.ok_or_else(|| Status::invalid_argument(format!("`{STORE}` is missing")))?;
    let store = contents.store(id);
    store.ok_or_else(|| Status::not_found(format!("no store `{id}`")))
}

async fn size(store: &Store, digest: &Digest) -> Result<u64, Status> {
    // Not `unavailable`: BuildKit hands codes on, and that one is about BuildKit itself then.
    let size = store.size_of(digest).await.map_err(Status::internal)?;
    size.ok_or_else(|| unknown(digest))
}

fn parsed(digest: &str) -> Result<Digest, Status> {
    let parsed = digest.parse();
    parsed.map_err(|_| Status::invalid_argument(format!("`{digest}` is no digest")))
}

fn unknown(digest: &Digest) -> Status {
    Status::not_found(format!("`{digest}` is not here"))
}

fn not_written(reference: &str) -> Status {
    Status::not_found(format!("nothing is written as `{reference}`"))
}

fn unreadable(error: &std::io::Error) -> Status {
    Status::internal(format!("the blob can't be read: {error}"))
}

fn unwritten(why: &Unwritten) -> Status {
    let message = why.to_string();
    match why {
        Unwritten::ReadOnly => Status::permission_denied(message),
        // containerd's clients try again after this one, and only after this one.
        Unwritten::Busy => Status::unavailable(message),
        Unwritten::Aborted => Status::aborted(message),
        Unwritten::TooLarge => Status::out_of_range(message),
        Unwritten::Mismatch(_) => Status::failed_precondition(message),
        Unwritten::Spool(_) => Status::internal(message),
    }
}

/// Sizes are signed on the wire.
fn wire(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
