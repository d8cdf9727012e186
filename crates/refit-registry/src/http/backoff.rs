//! How long to wait before asking again, and when to stop asking.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use reqwest::{Response, StatusCode, header::RETRY_AFTER};

use crate::{Patience, RegistryError};

/// Requests that waited for the same moment do not all come at once: they are spread over this part of the wait.
const SPREAD: f64 = 0.25;

/// The attempts of one operation, however many requests it takes.
pub(super) struct Backoff<'a> {
    patience: &'a Patience,
    attempt: u32,
    give_up: Instant,
}

impl<'a> Backoff<'a> {
    pub(super) fn new(patience: &'a Patience) -> Self {
        Self {
            patience,
            attempt: 1,
            give_up: Instant::now() + patience.longest_wait,
        }
    }

    /// Waits before the next attempt, at least as long as the registry `asked` for; false if there is to be none.
    pub(super) async fn pause(&mut self, asked: Option<Duration>) -> bool {
        let Some(pause) = self.next_pause(asked) else {
            return false;
        };
        tokio::time::sleep(pause).await;
        true
    }

    /// The pause before the next attempt, which is counted; none if there is to be none.
    pub(super) fn next_pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let asked = asked.unwrap_or_default();
        if self.attempt >= self.patience.attempts || !self.is_worth(asked) {
            return None;
        }
        let pause = self.nominal().mul_f64(rand::random_range(0.5..=1.0));
        self.attempt += 1;
        Some(pause.max(asked)).filter(|pause| self.is_worth(*pause))
    }

    /// Whether there is patience for a wait of that length.
    pub(super) fn is_worth(&self, wait: Duration) -> bool {
        wait <= self.patience.longest_pause && Instant::now() + wait <= self.give_up
    }

    /// The pause before jitter: doubling, bounded.
    fn nominal(&self) -> Duration {
        let factor = 1_u32 << (self.attempt - 1).min(16);
        let pause = self.patience.pause.saturating_mul(factor);
        pause.min(self.patience.longest_pause)
    }
}

/// A host that has said to be asked too often: nobody asks it before it wants to be asked again.
#[derive(Default)]
pub(super) struct Closed {
    until: Mutex<Option<Instant>>,
}

impl Closed {
    /// Nobody asks for so long; an earlier word that lasts longer stands.
    pub(super) fn close(&self, wait: Duration) {
        // An hour is as good as forever, and some hosts say nonsense.
        let until = Instant::now() + wait.min(Duration::from_hours(24));
        let mut known = self.lock();
        if known.is_none_or(|known| known < until) {
            *known = Some(until);
        }
    }

    /// How long it is still closed; nothing if it is open.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let until = (*self.lock())?;
        let now = Instant::now();
        (until > now).then(|| until - now)
    }

    /// Waits until it is open; an error is the wait that `backoff` has no patience for.
    pub(super) async fn wait(&self, backoff: &Backoff<'_>) -> Result<(), Duration> {
        while let Some(wait) = self.remaining() {
            if !backoff.is_worth(wait) {
                return Err(wait);
            }
            tokio::time::sleep(wait + wait.mul_f64(rand::random_range(0.0..=SPREAD))).await;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an answer may be better next time.
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// Whether an error may be gone next time.
pub(super) fn may_pass(error: &RegistryError) -> bool {
    matches!(
        error,
        RegistryError::Unreachable { .. } | RegistryError::TimedOut { .. }
    )
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    wait_of(value, SystemTime::now())
}

fn wait_of(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date in the past: at once.
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_retry_after_is_read_without_panic(value in "\\PC{0,40}", close in any::<u64>()) {
            let _ = wait_of(&value, SystemTime::UNIX_EPOCH);
            Closed::default().close(Duration::from_secs(close));
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let patience = Patience {
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(3),
            ..Patience::default()
        };
        let mut backoff = Backoff::new(&patience);
        let mut pauses = Vec::new();
        for attempt in [1, 2, 3, 4, 40] {
            backoff.attempt = attempt;
            pauses.push(backoff.nominal().as_millis());
        }
        assert_eq!(pauses, [500, 1000, 2000, 3000, 3000]);
    }

    #[test]
    fn a_wait_that_is_too_long_is_not_waited_for() {
        let patience = Patience::default();
        let mut backoff = Backoff::new(&patience);
        assert_eq!(backoff.next_pause(Some(Duration::from_hours(1))), None);
    }

    #[test]
    fn all_pauses_together_are_bounded() {
        let patience = Patience {
            attempts: 1000,
            longest_wait: Duration::from_secs(30),
            ..Patience::default()
        };
        let mut backoff = Backoff::new(&patience);
        assert!(backoff.next_pause(Some(Duration::from_secs(29))).is_some());
        assert_eq!(backoff.next_pause(Some(Duration::from_secs(31))), None);
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        // 21 October 2015, 07:28:00 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_mins(24_090_208);
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
            ("Wednesday, 21-Oct-15 07:28:30 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let wait = wait_of(value, now).map(|wait| wait.as_secs());
            assert_eq!(wait, seconds, "{value}");
        }
    }

    #[test]
    fn a_host_stays_closed_as_long_as_the_longest_word() {
        let closed = Closed::default();
        assert_eq!(closed.remaining(), None);
        closed.close(Duration::from_mins(5));
        closed.close(Duration::from_secs(1));
        assert!(
            closed
                .remaining()
                .is_some_and(|r| r > Duration::from_mins(4))
        );
    }
}
