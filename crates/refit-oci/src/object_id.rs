//! Git object ids: of commits, trees and blobs.

use std::{fmt, str::FromStr};

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

/// A full git object id in lower-case hex: 40 digits (SHA-1) or 64 (SHA-256).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(ArrayString<LONGEST>);

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The digits of a SHA-256.
const LONGEST: usize = 64;

/// Why a text is no object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no git object id (want 40 or 64 lower-case hex digits)")]
pub struct ObjectIdError(pub String);

impl ObjectId {
    /// From the 20 bytes of a SHA-1, or the 32 of a SHA-256; none of any other number.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if !matches!(bytes.len(), 20 | 32) {
            return None;
        }
        let mut digits = [0; LONGEST];
        for (two, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            two[0] = DIGITS[usize::from(byte >> 4)];
            two[1] = DIGITS[usize::from(byte & 15)];
        }
        let digits = std::str::from_utf8(&digits[..2 * bytes.len()]).ok()?;
        ArrayString::from(digits).ok().map(Self)
    }

    /// All hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 hex digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    fn from_str(text: &str) -> Result<Self, ObjectIdError> {
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let is_good = matches!(text.len(), 40 | LONGEST) && text.bytes().all(lower_hex);
        let id = is_good.then(|| ArrayString::from(text).ok()).flatten();
        id.map(Self).ok_or_else(|| ObjectIdError(text.to_owned()))
    }
}

impl TryFrom<String> for ObjectId {
    type Error = ObjectIdError;

    fn try_from(text: String) -> Result<Self, ObjectIdError> {
        text.parse()
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_digits() {
        let id = |n: usize| {
            let bytes: Vec<u8> = (0..n)
                .map(|n| u8::try_from(n * 7 + 1).unwrap_or(0))
                .collect();
            (ObjectId::from_bytes(&bytes), hex::encode(bytes))
        };
        for n in [20, 32] {
            let (id, digits) = id(n);
            assert_eq!(id, digits.parse().ok());
            assert!(id.is_some());
        }
        for n in [0, 19, 21, 31, 33] {
            assert_eq!(id(n).0, None);
        }
    }
}
