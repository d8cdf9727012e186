//! Run ids: ULIDs, so that their order is the order in time.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// The id of one run: 26 characters of Crockford's base 32, upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Ulid);

/// Why a text is no run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no run id (want a ULID: 26 digits and letters without I, L, O and U)")]
pub struct RunIdError(pub String);

impl RunId {
    /// The id of a run that starts at `at` (kept to the millisecond); `randomness` tells apart what starts together.
    pub fn new(at: Timestamp, randomness: [u8; 10]) -> Self {
        // Before 1970 there were no runs; ULIDs cannot say it.
        let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
        let mut bytes = [0; 16];
        bytes[6..].copy_from_slice(&randomness);
        Self(Ulid::from_parts(millis, u128::from_be_bytes(bytes)))
    }

    /// When the run started, to the millisecond.
    pub fn started(&self) -> Timestamp {
        let millis = i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let id = Ulid::from_string(text).map_err(|_| RunIdError(text.to_owned()))?;
        // The parser drops what overflows 128 bits; such a text would not come back as it was written.
        if id.to_string() == text.to_ascii_uppercase() {
            Ok(Self(id))
        } else {
            Err(RunIdError(text.to_owned()))
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, RunIdError> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_round_trip() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let early = RunId::new(at(1_700_000_000_000), [0xff; 10]);
        let late = RunId::new(at(1_700_000_000_001), [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.started(), at(1_700_000_000_000));
        assert_eq!(early.to_string(), "01HF7YAT00ZZZZZZZZZZZZZZZZ");
        assert_eq!(early.to_string().parse::<RunId>().unwrap(), early);
        assert_eq!(
            "01hf7yat00zzzzzzzzzzzzzzzz".parse::<RunId>().unwrap(),
            early
        );
        assert_eq!(RunId::new(at(-5), [0; 10]).started(), at(0));
    }

    #[test]
    fn what_is_no_ulid_is_refused() {
        for bad in [
            "",
            "01HF7YAT00",
            "01HF7YAT00ZZZZZZZZZZZZZZZZZ",
            "01HF7YAT00ZZZZZZZZZZZZZZZI",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "../../../../../../etc/pass",
            "éééééééééééééé",
        ] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }
}
