//! One host's connections: requests sent with timeouts, counted, limited in number, and repeated while that may help.

use std::{
    error::Error,
    future::Future,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{Client, Method, Request, Response, StatusCode, Url};
use tokio::sync::Semaphore;

use super::backoff::{Backoff, Closed, is_passing, may_pass, retry_after};
use crate::{Patience, RegistryError, Requests};

/// After the last byte of an upload a registry may still move the blob to its storage: read timeouts granted for that.
const COMMIT_TIMEOUTS: u32 = 5;

/// Bytes a second that an answer's body brings at least, behind a first read timeout: one that drips would never end.
const LEAST_RATE: u32 = 4 << 10;

/// A host's connections.
pub(super) struct Wire {
    pub(super) host: String,
    pub(super) patience: Patience,
    setup: Result<Setup, String>,
    counters: Arc<Counters>,
    in_flight: Semaphore,
    asked_as: Mutex<Option<String>>,
    closed: Closed,
}

/// What talking to a host takes.
pub(super) struct Setup {
    pub(super) client: Client,
    /// `https://host/v2/`.
    pub(super) root: Url,
    /// Requests at the same time.
    pub(super) concurrency: NonZeroUsize,
}

/// Requests sent by all hosts of a run.
#[derive(Default)]
pub(crate) struct Counters {
    head: AtomicU64,
    get: AtomicU64,
    post: AtomicU64,
    put: AtomicU64,
    patch: AtomicU64,
    delete: AtomicU64,
    token: AtomicU64,
}

/// Who a request is for, in [`Requests`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    ByMethod,
    AsToken,
}

/// How far an upload has come: shared between its body and who waits for the answer.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Wire {
    pub(super) fn new(
        host: &str,
        patience: Patience,
        setup: Result<Setup, String>,
        counters: Arc<Counters>,
    ) -> Self {
        let concurrency = setup.as_ref().map_or(1, |setup| setup.concurrency.get());
        Self {
            host: host.to_owned(),
            patience,
            setup,
            counters,
            in_flight: Semaphore::new(concurrency),
            asked_as: Mutex::default(),
            closed: Closed::default(),
        }
    }

    /// Who asked last, in words.
    pub(super) fn asked_as(&self) -> String {
        let known = self.asked_as.lock();
        let known = known.unwrap_or_else(PoisonError::into_inner).clone();
        known.unwrap_or_else(|| "anonymously".to_owned())
    }

    pub(super) fn asks_as(&self, whom: &str) {
        let known = self.asked_as.lock();
        *known.unwrap_or_else(PoisonError::into_inner) = Some(whom.to_owned());
    }

    /// The client and address, or why there are none.
    pub(super) fn setup(&self) -> Result<&Setup, RegistryError> {
        self.setup
            .as_ref()
            .map_err(|message| RegistryError::Client {
                host: self.host.clone(),
                message: message.clone(),
            })
    }

    /// Sends what `make` makes until there is an answer worth having, or patience is over. An exhausted 429 is an
    /// error; any other status is the caller's.
    pub(super) async fn patiently(
        &self,
        backoff: &mut Backoff<'_>,
        counted: Counted,
        make: impl Fn(&Client) -> reqwest::Result<Request>,
    ) -> Result<Response, RegistryError> {
        let client = &self.setup()?.client;
        loop {
            self.open(backoff).await?;
            let request = make(client).map_err(|source| self.failed(source))?;
            match self.once(client, request, counted).await {
                Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => {
                    let asked = retry_after(&response);
                    // Nobody else need find that out: the whole host pauses.
                    let pause = backoff.next_pause(asked);
                    self.closed.close(pause.or(asked).unwrap_or_default());
                    if pause.is_none() {
                        return Err(self.rate_limited(asked));
                    }
                }
                Ok(response) if is_passing(response.status()) => {
                    if !backoff.pause(retry_after(&response)).await {
                        return Ok(response);
                    }
                }
                Err(error) if may_pass(&error) && backoff.pause(None).await => {}
                done => return done,
            }
        }
    }

    /// Waits until the host wants to be asked again, as far as there is patience for that.
    async fn open(&self, backoff: &Backoff<'_>) -> Result<(), RegistryError> {
        let open = self.closed.wait(backoff).await;
        open.map_err(|wait| self.rate_limited(Some(wait)))
    }

    fn rate_limited(&self, retry_after: Option<Duration>) -> RegistryError {
        RegistryError::RateLimited {
            host: self.host.clone(),
            retry_after,
        }
    }

    /// Sends a request without a body worth mentioning, once; the answer's head must come within the read timeout.
    async fn once(
        &self,
        client: &Client,
        request: Request,
        counted: Counted,
    ) -> Result<Response, RegistryError> {
        let _permit = self.permit().await;
        self.count(request.method(), counted);
        let after = self.patience.connect_timeout + self.patience.read_timeout;
        self.within(after, client.execute(request)).await
    }

    /// Sends a request whose body reports its progress, once; it may take as long as bytes keep moving.
    pub(super) async fn upload(
        &self,
        make: impl FnOnce(&Client) -> reqwest::Result<Request>,
        progress: &Progress,
        size: u64,
    ) -> Result<Response, RegistryError> {
        let _permit = self.permit().await;
        let client = &self.setup()?.client;
        let request = make(client).map_err(|source| self.failed(source))?;
        self.count(request.method(), Counted::ByMethod);
        let sending = client.execute(request);
        let mut sending = std::pin::pin!(sending);
        loop {
            let before = progress.sent();
            let after = match before {
                n if n >= size => self.patience.read_timeout * COMMIT_TIMEOUTS,
                _ => self.patience.connect_timeout + self.patience.read_timeout,
            };
            match tokio::time::timeout(after, &mut sending).await {
                Ok(answer) => return answer.map_err(|source| self.failed(source)),
                Err(_) if progress.sent() > before => {}
                Err(_) => return Err(self.timed_out(after)),
            }
        }
    }

    /// Begins to read an answer's body.
    pub(super) fn reading(&self, response: Response) -> Reading<'_> {
        Reading {
            wire: self,
            response,
            until: Instant::now() + self.patience.read_timeout,
        }
    }

    /// A whole answer of at most `limit` bytes.
    pub(super) async fn body(
        &self,
        response: Response,
        limit: u64,
        what: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        let mut reading = self.reading(response);
        while let Some(chunk) = reading.chunk().await? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(RegistryError::TooLarge {
                    what: what.to_owned(),
                    limit,
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    pub(super) fn protocol(&self, message: impl Into<String>) -> RegistryError {
        RegistryError::Protocol {
            host: self.host.clone(),
            message: message.into(),
        }
    }

    async fn within<T>(
        &self,
        after: Duration,
        work: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, RegistryError> {
        match tokio::time::timeout(after, work).await {
            Ok(done) => done.map_err(|source| self.failed(source)),
            Err(_) => Err(self.timed_out(after)),
        }
    }

    async fn permit(&self) -> tokio::sync::SemaphorePermit<'_> {
        let permit = self.in_flight.acquire().await;
        permit.expect("the semaphore is never closed")
    }

    fn failed(&self, source: reqwest::Error) -> RegistryError {
        if source.is_redirect() {
            return self.protocol("its redirects go in circles, or from HTTPS to HTTP");
        }
        if let Some(reason) = tls_error(&source) {
            return RegistryError::Tls {
                host: self.host.clone(),
                reason: reason.clone(),
            };
        }
        RegistryError::Unreachable {
            host: self.host.clone(),
            source: source.without_url(),
        }
    }

    fn timed_out(&self, after: Duration) -> RegistryError {
        RegistryError::TimedOut {
            host: self.host.clone(),
            after,
        }
    }

    fn count(&self, method: &Method, counted: Counted) {
        let all = &self.counters;
        let one = match (counted, method.as_str()) {
            (Counted::AsToken, _) => &all.token,
            (_, "HEAD") => &all.head,
            (_, "POST") => &all.post,
            (_, "PUT") => &all.put,
            (_, "PATCH") => &all.patch,
            (_, "DELETE") => &all.delete,
            _ => &all.get,
        };
        one.fetch_add(1, Ordering::Relaxed);
    }
}

/// An answer's body on its way.
pub(super) struct Reading<'w> {
    wire: &'w Wire,
    response: Response,
    /// When what has come by then is too little.
    until: Instant,
}

impl Reading<'_> {
    /// The next bytes.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let wait = self.until.saturating_duration_since(Instant::now());
        let after = wait.min(self.wire.patience.read_timeout);
        let chunk = self.wire.within(after, self.response.chunk()).await?;
        let length = chunk.as_ref().map_or(0, Bytes::len);
        let worth = u32::try_from(length).unwrap_or(u32::MAX);
        self.until += Duration::from_secs(1) * worth / LEAST_RATE;
        Ok(chunk)
    }
}

impl Counters {
    /// The counts so far.
    pub(crate) fn read(&self) -> Requests {
        let n = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Requests {
            head: n(&self.head),
            get: n(&self.get),
            post: n(&self.post),
            put: n(&self.put),
            patch: n(&self.patch),
            delete: n(&self.delete),
            token: n(&self.token),
        }
    }
}

/// What the TLS library says, if it was that which failed.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // The `source` of an I/O error leaves out the error that it wraps.
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

impl Progress {
    pub(super) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn sent(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
