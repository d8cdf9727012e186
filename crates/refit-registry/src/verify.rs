//! Bytes checked against a descriptor while they pass: digest, size, and no more than announced.

use refit_oci::{Descriptor, Digest};
use sha2::{Digest as _, Sha256, Sha512};

use crate::RegistryError;

/// Takes bytes as they come and says at the end whether they were the right ones.
pub(crate) struct Verifier<'a> {
    what: String,
    expected: &'a Digest,
    size: u64,
    seen: u64,
    hasher: Hasher,
}

/// The hash that a digest asks for, while bytes pass.
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub(crate) fn of(digest: &Digest) -> Self {
        match digest.algorithm() {
            "sha512" => Self::Sha512(Sha512::new()),
            _ => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Forgets what has passed.
    pub(crate) fn restart(&mut self) {
        match self {
            Self::Sha256(hasher) => hasher.reset(),
            Self::Sha512(hasher) => hasher.reset(),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        let text = match self {
            Self::Sha256(hasher) => format!("sha256:{}", hex::encode(hasher.finalize())),
            Self::Sha512(hasher) => format!("sha512:{}", hex::encode(hasher.finalize())),
        };
        text.parse().expect("a hasher writes well-formed hex")
    }
}

impl<'a> Verifier<'a> {
    /// For the blob of a descriptor; `owner` is the repository or layout that it comes from.
    pub(crate) fn new(owner: &str, descriptor: &'a Descriptor) -> Self {
        Self {
            what: format!("{owner}@{}", descriptor.digest),
            expected: &descriptor.digest,
            size: descriptor.size,
            seen: 0,
            hasher: Hasher::of(&descriptor.digest),
        }
    }

    /// How many bytes have passed.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// More bytes; an error as soon as they are more than announced.
    pub(crate) fn update(&mut self, bytes: &[u8]) -> Result<(), RegistryError> {
        self.seen += bytes.len() as u64;
        if self.seen > self.size {
            return Err(RegistryError::TooLarge {
                what: self.what.clone(),
                limit: self.size,
            });
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// The verdict.
    pub(crate) fn finish(self) -> Result<(), RegistryError> {
        if self.seen != self.size {
            return Err(RegistryError::SizeMismatch {
                what: self.what,
                expected: self.size,
                actual: self.seen,
            });
        }
        let actual = self.hasher.finish();
        if actual == *self.expected {
            Ok(())
        } else {
            Err(RegistryError::DigestMismatch {
                what: self.what,
                actual,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_oci::media_type;

    fn check(announced: &[u8], came: &[&[u8]]) -> Result<(), RegistryError> {
        let descriptor = Descriptor::of(media_type::OCI_LAYER, announced);
        let mut verifier = Verifier::new("example.com/x", &descriptor);
        for part in came {
            verifier.update(part)?;
        }
        verifier.finish()
    }

    #[test]
    fn only_the_announced_bytes_pass() {
        assert!(check(b"refit", &[b"re", b"", b"fit"]).is_ok());
        assert!(matches!(
            check(b"refit", &[b"ref1t"]),
            Err(RegistryError::DigestMismatch { .. })
        ));
        assert!(matches!(
            check(b"refit", &[b"re"]),
            Err(RegistryError::SizeMismatch { actual: 2, .. })
        ));
        assert!(matches!(
            check(b"refit", &[b"refit", b"!"]),
            Err(RegistryError::TooLarge { limit: 5, .. })
        ));
    }
}
