//! How long to wait before asking again, and when to stop asking.

use std::time::Duration;

use reqwest::{Response, StatusCode, header::RETRY_AFTER};

use crate::{Patience, RegistryError};

/// The attempts of one operation, however many requests it takes.
pub(super) struct Backoff<'a> {
    patience: &'a Patience,
    attempt: u32,
}

impl<'a> Backoff<'a> {
    pub(super) fn new(patience: &'a Patience) -> Self {
        Self {
            patience,
            attempt: 1,
        }
    }

    /// Waits before the next attempt, at least as long as the registry `asked` for; false if there is to be none.
    pub(super) async fn pause(&mut self, asked: Option<Duration>) -> bool {
        let asked = asked.unwrap_or_default();
        if self.attempt >= self.patience.attempts || asked > self.patience.longest_pause {
            return false;
        }
        let pause = self.nominal().mul_f64(rand::random_range(0.5..=1.0));
        self.attempt += 1;
        tokio::time::sleep(pause.max(asked)).await;
        true
    }

    /// The pause before jitter: doubling, bounded.
    fn nominal(&self) -> Duration {
        let factor = 1_u32 << (self.attempt - 1).min(16);
        let pause = self.patience.pause.saturating_mul(factor);
        pause.min(self.patience.longest_pause)
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

/// `Retry-After` in its seconds form; registries do not send dates, and a clock would be needed for them.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[tokio::test]
    async fn a_wait_that_is_too_long_is_not_waited_for() {
        let patience = Patience::default();
        let mut backoff = Backoff::new(&patience);
        assert!(!backoff.pause(Some(Duration::from_hours(1))).await);
    }
}
