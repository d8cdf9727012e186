//! A connection that is the standard input and output of an `ssh`.

use std::{
    future::Future,
    io,
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

use super::{WORDS, not_started, words};

/// How long `ssh` may take to end once its connection has. What a control master holds open for later is not waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A connection through one `ssh`, which ends with it.
pub(crate) struct SshConnection {
    stdin: ChildStdin,
    stdout: ChildStdout,
    end: End,
}

/// A process, and what it says.
struct Running {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    listening: JoinHandle<()>,
}

/// How `ssh` ends: with what it has said, unless all went well.
enum End {
    /// It runs.
    Open(Option<Running>),
    /// It is waited for.
    Ending(Pin<Box<dyn Future<Output = Option<String>> + Send>>),
    /// It said this.
    Ended(Option<String>),
}

impl SshConnection {
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| not_started(&error))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let said = Arc::default();
        let listening = tokio::spawn(listen(stderr, Arc::clone(&said)));
        Ok(Self {
            stdin,
            stdout,
            end: End::Open(Some(Running {
                child,
                said,
                listening,
            })),
        })
    }

    /// Nothing more can be read or written: an error with the words of `ssh`, unless all went well.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.end {
                End::Open(open) => {
                    let Some(running) = open.take() else {
                        return Poll::Ready(Ok(()));
                    };
                    self.end = End::Ending(Box::pin(last_words(running)));
                }
                End::Ending(ending) => self.end = End::Ended(ready!(ending.as_mut().poll(cx))),
                End::Ended(None) => return Poll::Ready(Ok(())),
                End::Ended(Some(words)) => {
                    return Poll::Ready(Err(io::Error::other(words.clone())));
                }
            }
        }
    }
}

/// Keeps the end of what is said.
async fn listen(mut stderr: ChildStderr, said: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = stderr.read(&mut piece).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&piece[..read]);
        let too_many = said.len().saturating_sub(WORDS);
        said.drain(..too_many);
    }
}

async fn last_words(running: Running) -> Option<String> {
    let Running {
        mut child,
        said,
        listening,
    } = running;
    let status = timeout(LAST_WORDS, child.wait()).await;
    if matches!(&status, Ok(Ok(status)) if status.success()) {
        return None;
    }
    let _ = timeout(LAST_WORDS, listening).await;
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    Some(words(&said))
}

impl AsyncRead for SshConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stdout).poll_read(cx, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.poll_end(cx)
    }
}

impl AsyncWrite for SshConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.stdin).poll_write(cx, bytes)) {
            Ok(written) => Poll::Ready(Ok(written)),
            // A pipe that broke says less than the one that let go of it.
            Err(error) => match ready!(self.poll_end(cx)) {
                Ok(()) => Poll::Ready(Err(error)),
                Err(words) => Poll::Ready(Err(words)),
            },
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}
