//! Content digests (`sha256:…`), as of the OCI image specification's descriptor chapter.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

/// An OCI digest: algorithm and lower-case hex.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(Arc<str>);

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no digest (want `sha256:` and 64 lower-case hex digits, or `sha512:` and 128)")]
pub struct DigestError(pub String);

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", hex::encode(Sha256::digest(bytes))).into())
    }

    /// A digest from 32 finished SHA-256 bytes.
    pub fn from_sha256(finished: &[u8; 32]) -> Self {
        Self(format!("sha256:{}", hex::encode(finished)).into())
    }

    /// `sha256` or `sha512`.
    pub fn algorithm(&self) -> &str {
        &self.0[..6]
    }

    /// The hex digits behind the colon.
    pub fn hex(&self) -> &str {
        &self.0[7..]
    }

    /// The whole text, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 hex digits, for people; never for data.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// Whether `bytes` have this digest.
    pub fn verifies(&self, bytes: &[u8]) -> bool {
        match self.algorithm() {
            "sha512" => hex::encode(Sha512::digest(bytes)) == self.hex(),
            _ => hex::encode(Sha256::digest(bytes)) == self.hex(),
        }
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let length = match text.get(..7) {
            Some("sha256:") => 64,
            Some("sha512:") => 128,
            _ => return Err(DigestError(text.to_owned())),
        };
        let digits = &text[7..];
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if digits.len() == length && digits.bytes().all(lower_hex) {
            Ok(Self(text.into()))
        } else {
            Err(DigestError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.as_str().to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_digests_parse() {
        let good = format!("sha256:{}", "a1".repeat(32));
        assert_eq!(good.parse::<Digest>().unwrap().short(), "a1a1a1a1a1a1");
        for bad in [
            "",
            "sha256:",
            "sha256:zz",
            "md5:00",
            &good.to_uppercase(),
            &good[..70],
            "sha256é",
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_verifies_its_own_bytes_only() {
        let digest = Digest::sha256(b"refit");
        assert!(digest.verifies(b"refit"));
        assert!(!digest.verifies(b"refit\n"));
    }
}
