//! SSH's agent for `RUN --mount=type=ssh`: keys sign for a build, and never go there.

use std::pin::Pin;

use bollard_buildkit_proto::moby::sshforward::v1::{
    BytesMessage, CheckAgentRequest, CheckAgentResponse, ssh_server::Ssh,
};
use futures_util::Stream;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf},
    net::UnixStream,
};
use tonic::{Request, Response, Status, Streaming};

use crate::engine::SshAgent;

/// The metadata key that says which agent is meant.
const ID: &str = "buildkit.ssh.id";

/// What a mount without an id asks for.
const DEFAULT: &str = "default";

/// Bytes in one message.
const PIECE: usize = 32 * 1024;

/// The agents of one build.
pub(super) struct Agents(pub(super) Option<SshAgent>);

impl Agents {
    fn agent(&self, id: &str) -> Result<&SshAgent, Status> {
        let id = if id.is_empty() { DEFAULT } else { id };
        let agent = self.0.as_ref().filter(|agent| agent.ids.contains(id));
        agent.ok_or_else(|| Status::not_found(format!("no SSH agent `{id}` is given")))
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<BytesMessage, Status>> + Send>>;

#[tonic::async_trait]
impl Ssh for Agents {
    type ForwardAgentStream = Messages;

    async fn check_agent(
        &self,
        request: Request<CheckAgentRequest>,
    ) -> Result<Response<CheckAgentResponse>, Status> {
        self.agent(&request.into_inner().id)?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Messages>, Status> {
        let id = request.metadata().get(ID);
        let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let agent = self.agent(id)?;
        let socket = UnixStream::connect(&agent.socket).await;
        let socket = socket.map_err(|error| {
            let socket = agent.socket.display();
            Status::unavailable(format!("no SSH agent answers at `{socket}`: {error}"))
        })?;
        let (answers, questions) = tokio::io::split(socket);
        tokio::spawn(ask(request.into_inner(), questions));
        Ok(Response::new(Box::pin(answered(answers))))
    }
}

/// What the build says goes to the agent until it hangs up.
async fn ask(mut asked: Streaming<BytesMessage>, mut questions: WriteHalf<UnixStream>) {
    while let Ok(Some(message)) = asked.message().await {
        if questions.write_all(&message.data).await.is_err() {
            return;
        }
    }
    let _ = questions.shutdown().await;
}

/// What the agent says, in messages.
fn answered(
    answers: ReadHalf<UnixStream>,
) -> impl Stream<Item = Result<BytesMessage, Status>> + Send {
    futures_util::stream::unfold(answers, |mut answers| async move {
        let mut data = vec![0; PIECE];
        let read = answers.read(&mut data).await.ok().filter(|&n| n > 0)?;
        data.truncate(read);
        Some((Ok(BytesMessage { data }), answers))
    })
}
