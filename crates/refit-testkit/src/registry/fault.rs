//! Misbehaviour on request.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

/// One way to misbehave.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status instead of an answer.
    Status(u16),
    /// This status and nothing else, as from a server that does not know the method.
    Bare(u16),
    /// 429 with `Retry-After` in seconds.
    TooManyRequests(u64),
    /// 307 to this URL instead of an answer.
    Redirect(String),
    /// 200 with a page for people, as a network's portal answers.
    Page,
    /// The answer's `Location` is this URL.
    Location(String),
    /// The body breaks off after so many bytes, although more were announced.
    Truncated(usize),
    /// One bit of the body is flipped.
    Corrupt,
    /// Every byte of the body comes twice.
    TwiceAsLong,
    /// `Docker-Content-Digest` names other content.
    WrongDigest,
    /// A header is left out (`location`, `docker-content-digest`).
    Without(&'static str),
    /// The answer takes so long.
    Slow(Duration),
    /// The answer waits until the test lets it go: a moment to look around, to interfere, or to kill the client.
    Held(Gate),
    /// The body comes a byte at a time, with such a pause before each.
    Drip(Duration),
    /// The connection is cut before an answer.
    Disconnect,
}

/// Where a request waits. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    shared: Arc<GateState>,
}

#[derive(Debug, Default)]
struct GateState {
    arrived: Mutex<bool>,
    arrival: Condvar,
    opened: Notify,
}

impl Gate {
    /// Waits until a request stands before the gate; false if none comes within a minute.
    pub fn wait(&self) -> bool {
        let arrived = self.shared.arrived.lock();
        let arrived = arrived.unwrap_or_else(PoisonError::into_inner);
        let waited =
            self.shared
                .arrival
                .wait_timeout_while(arrived, Duration::from_mins(1), |arrived| !*arrived);
        let (arrived, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *arrived
    }

    /// Waits until a request stands before the gate, or the client is done without one; whether it was done.
    pub fn wait_or(&self, mut done: impl FnMut() -> bool) -> bool {
        let mut arrived = self
            .shared
            .arrived
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while !*arrived {
            if done() {
                return true;
            }
            let waited = self
                .shared
                .arrival
                .wait_timeout(arrived, Duration::from_millis(20));
            (arrived, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        false
    }

    /// Lets the request go on, and one that has yet to come.
    pub fn open(&self) {
        self.shared.opened.notify_one();
    }

    pub(super) async fn pass(&self) {
        {
            let arrived = self.shared.arrived.lock();
            *arrived.unwrap_or_else(PoisonError::into_inner) = true;
        }
        self.shared.arrival.notify_all();
        self.shared.opened.notified().await;
    }
}

/// A fault waiting for its requests.
pub(super) struct Scripted {
    method: String,
    path_part: String,
    times: usize,
    fault: Fault,
}

impl Scripted {
    pub(super) fn new(method: &str, path_part: &str, times: usize, fault: Fault) -> Self {
        Self {
            method: method.to_owned(),
            path_part: path_part.to_owned(),
            times,
            fault,
        }
    }
}

/// The fault that a request meets, used up by one.
pub(super) fn meet(faults: &mut Vec<Scripted>, method: &str, path: &str) -> Option<Fault> {
    let hit = |scripted: &Scripted| {
        (scripted.method == "*" || scripted.method == method) && path.contains(&scripted.path_part)
    };
    let scripted = faults.iter_mut().find(|scripted| hit(scripted))?;
    let fault = scripted.fault.clone();
    scripted.times = scripted.times.saturating_sub(1);
    faults.retain(|scripted| scripted.times > 0);
    Some(fault)
}
