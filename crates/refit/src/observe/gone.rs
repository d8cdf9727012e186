//! Digests that a registry no longer has: what old images were built on is not asked for again in every run.

use std::{path::PathBuf, sync::PoisonError};

use jiff::{SignedDuration, Timestamp};
use refit_deps::{image::EMBEDDED_HOST, observe::Answer};
use refit_oci::{Digest, Document, Repository};

use super::{Observer, asked::remember};

/// For how long that is believed: what is gone may be pushed again.
const BELIEVED: SignedDuration = SignedDuration::from_hours(24);

impl Observer<'_> {
    /// Whether the registry said so less than a day ago. What a tag or an index names now is asked for in any case: it
    /// may only be under way.
    pub(super) fn is_known_to_be_gone(&self, repository: &Repository, digest: &Digest) -> bool {
        if repository.registry() == EMBEDDED_HOST {
            return false;
        }
        let Ok(text) = std::fs::read_to_string(self.gone(repository, digest)) else {
            return false;
        };
        let Ok(at) = text.trim().parse::<Timestamp>() else {
            return false;
        };
        let age = self.now.duration_since(at);
        SignedDuration::ZERO <= age && age < BELIEVED && !self.is_named(digest)
    }

    /// Remembers that the registry does not have it.
    pub(super) fn note_gone(&self, repository: &Repository, digest: &Digest) {
        if repository.registry() != EMBEDDED_HOST && !self.is_named(digest) {
            remember(
                &self.gone(repository, digest),
                self.now.to_string().as_bytes(),
            );
        }
    }

    /// Whether a tag or an index that was read in this run names it.
    fn is_named(&self, digest: &Digest) -> bool {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let holds =
            |answer: &Answer<Digest>| matches!(answer, Answer::Found(held) if held == digest);
        answers.tags.values().any(holds)
            || answers.documents.values().any(|answer| match answer {
                Answer::Found(document) => match document.as_ref() {
                    Document::Index(index) => {
                        let mut entries = index.value.manifests.iter();
                        entries.any(|entry| entry.digest == *digest)
                    }
                    Document::Manifest(_) => false,
                },
                Answer::Missing | Answer::Failed(_) => false,
            })
    }

    /// One repository may have what another lacks.
    fn gone(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        let key = Digest::sha256(format!("{repository}@{digest}").as_bytes());
        self.project.own_dir().join("gone").join(key.hex())
    }
}
