//! What another tool published, explained: what it was built on, and from which source. The rule is in
//! [`crate::adopt`].

mod layers;
mod source;

use refit_dockerfile::{FoundSource, Resolved as ResolvedFile, StageBase};
use refit_oci::{Descriptor, Digest, Document, Index, Platform, Repository, annotations};
use refit_platform::best_match;

use super::{
    PlannedPin,
    evaluate::{Candidate, Evaluator},
};
use crate::{
    adopt::{Explained, How, Provenance, digest_of_base},
    image::Image,
    observe::{Absent, Answer},
    pin::Pin,
    reason::StateKind,
};

/// One published manifest, and what it is believed to be built from.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'e> {
    /// The tip's entry.
    image: &'e Image,
    /// The entry as it was built.
    entry: &'e Image,
    /// The platform.
    platform: &'e Platform,
    /// Its Dockerfile for this platform.
    file: &'e ResolvedFile,
    /// What the lead tag holds.
    index: &'e Digest,
    /// The platform's manifest.
    manifest: &'e Digest,
}

impl<'e> Evidence<'e> {
    /// An image's entry, at the tip and as it was built; its platform and Dockerfile; what the lead tag holds, and the
    /// platform's manifest.
    pub(super) fn new(
        (image, entry): (&'e Image, &'e Image),
        (platform, file): (&'e Platform, &'e ResolvedFile),
        (index, manifest): (&'e Digest, &'e Digest),
    ) -> Self {
        Self {
            image,
            entry,
            platform,
            file,
            index,
            manifest,
        }
    }
}

/// What evidence says of one dependency.
enum Finding {
    Proven(How, Pin),
    Assumed(Pin),
    Unknown,
}

impl Evaluator<'_> {
    /// How the manifest was built, to be compared with what its dependencies are now. Notes that nobody has adopted it.
    pub(super) fn candidate(
        &self,
        of: &Evidence<'_>,
        pins: &[PlannedPin],
    ) -> Option<Candidate<'static>> {
        let explained = self.explained(of, pins)?;
        if let Some(tag) = of.image.lead_tag() {
            let kind = StateKind::Adoptable {
                tag,
                digest: of.index.clone(),
                how: Some(explained.how),
            };
            self.state(&of.image.name, Some(of.platform), kind);
        }
        Some(Candidate {
            source: None,
            pins: explained.compared().into(),
        })
    }

    /// What the manifest was built on, dependency by dependency.
    pub(super) fn explained(&self, of: &Evidence<'_>, pins: &[PlannedPin]) -> Option<Explained> {
        let known = pins.iter().filter_map(|pin| match pin {
            PlannedPin::Known {
                pin,
                repository,
                parent,
            } => Some((pin, self.finding(of, pin, (repository, parent.as_deref())))),
            PlannedPin::Step { .. } => None,
        });
        let findings: Vec<_> = known.collect(); // all that is unknown is asked for at once
        let mut explained = Explained {
            how: How::Layers,
            pins: Vec::new(),
            assumed: Vec::new(),
            unknown: Vec::new(),
        };
        for (pin, finding) in findings {
            match finding? {
                Finding::Proven(how, pin) => {
                    explained.how = explained.how.max(how);
                    explained.pins.push(pin);
                }
                Finding::Assumed(pin) => explained.assumed.push(pin),
                Finding::Unknown => explained.unknown.push(pin.reference.clone()),
            }
        }
        explained.settle();
        if explained.pins.is_empty() && self.provenance(of.image, of.index, of.manifest)?.is_ok() {
            explained.how = How::Provenance; // it says that there is nothing to say
        }
        Some(explained)
    }

    /// What one dependency is known to have been, if it is.
    pub(super) fn proven(
        &self,
        of: &Evidence<'_>,
        pin: &PlannedPin,
    ) -> Option<Result<Pin, Absent>> {
        let PlannedPin::Known {
            pin,
            repository,
            parent,
        } = pin
        else {
            return Some(Err(Absent));
        };
        Some(
            match self.finding(of, pin, (repository, parent.as_deref()))? {
                Finding::Proven(_, built) => Ok(built),
                Finding::Assumed(_) | Finding::Unknown => Err(Absent),
            },
        )
    }

    fn finding(
        &self,
        of: &Evidence<'_>,
        pin: &Pin,
        (repository, parent): (&Repository, Option<&str>),
    ) -> Option<Finding> {
        if let Ok(own) = self.written_by_us(of, pin)? {
            return Some(Finding::Proven(How::Annotations, own));
        }
        let is_base = is_base(of.file, pin, parent);
        let provenance = self.provenance(of.image, of.index, of.manifest)?.ok();
        let named = provenance.and_then(|p| p.digest_of(&pin.reference, &pin.platform));
        let (how, named) = match named {
            Some(digest) => (How::Provenance, Some(digest.clone())),
            None if is_base => (How::Annotations, self.base_digest(of, repository)?.ok()),
            None => (How::Annotations, None),
        };
        if let Some(digest) = &named
            && let Ok(found) = self.found(pin, repository, digest)?
        {
            return Some(Finding::Proven(how, found));
        }
        if !is_base {
            return Some(match named.filter(|_| how == How::Provenance) {
                // What it names is gone, so it is not what is there now.
                Some(digest) => Finding::Proven(how, gone(pin, digest)),
                None => Finding::Assumed(pin.clone()),
            });
        }
        Some(
            match (self.by_layers(of, pin, repository, parent)?, named) {
                (Finding::Unknown, Some(digest)) => Finding::Proven(how, gone(pin, digest)),
                (finding, _) => finding,
            },
        )
    }

    /// What records or our own annotations say of a manifest of ours that a tag was moved back to.
    fn written_by_us(&self, of: &Evidence<'_>, pin: &Pin) -> Option<Result<Pin, Absent>> {
        let repository = of.image.destination();
        let Answer::Found(index) = self.lookup.document(repository, of.index)? else {
            return Some(Err(Absent));
        };
        if index.annotations().get(annotations::IMAGE) != Some(&of.image.name) {
            return Some(Err(Absent));
        }
        let candidates = self.candidates(of.image, of.platform, of.manifest)?;
        let mut pins = candidates
            .into_iter()
            .flat_map(|candidate| candidate.pins.into_owned());
        let own = pins.find(|own| own.same_dependency(&pin.reference, &pin.platform));
        Some(own.ok_or(Absent))
    }

    /// The pin behind a digest of the dependency's repository, an index or a manifest; `Some(None)` if it is gone.
    fn found(
        &self,
        pin: &Pin,
        repository: &Repository,
        digest: &Digest,
    ) -> Option<Result<Pin, Absent>> {
        if pin.manifest.as_ref() == Some(digest) || pin.index.as_ref() == Some(digest) {
            return Some(Ok(pin.clone()));
        }
        let Answer::Found(document) = self.lookup.document(repository, digest)? else {
            return Some(Err(Absent));
        };
        let (index, manifest) = match document.as_ref() {
            Document::Manifest(_) => (None, digest),
            Document::Index(index) => match best_match(&index.value, &pin.platform) {
                Some(entry) => (Some(digest.clone()), &entry.digest),
                None => return Some(Err(Absent)),
            },
        };
        let mut found = Pin {
            index: index.filter(|_| pin.index.is_some()),
            manifest: Some(manifest.clone()),
            ..pin.clone()
        };
        if found.manifest == pin.manifest {
            found.index.clone_from(&pin.index);
        }
        Some(Ok(found))
    }

    /// BuildKit's statement about a manifest, from the index that both are in.
    fn provenance(
        &self,
        image: &Image,
        index: &Digest,
        manifest: &Digest,
    ) -> Option<Result<&Provenance, Absent>> {
        let repository = image.destination();
        let Answer::Found(document) = self.lookup.document(repository, index)? else {
            return Some(Err(Absent));
        };
        let Document::Index(index) = document.as_ref() else {
            return Some(Err(Absent));
        };
        let Some(attestation) = attestation(&index.value, manifest) else {
            return Some(Err(Absent));
        };
        Some(
            match self.lookup.provenance(repository, &attestation.digest)? {
                Answer::Found(provenance) if provenance.is_about(manifest) => Ok(provenance),
                _ => Err(Absent),
            },
        )
    }

    /// The digest that the image itself gives for its base.
    fn base_digest(&self, of: &Evidence<'_>, base: &Repository) -> Option<Result<Digest, Absent>> {
        let repository = of.image.destination();
        let manifest = match self.lookup.document(repository, of.manifest)? {
            Answer::Found(document) => Some(document.annotations()),
            _ => None,
        };
        let index = match self.lookup.document(repository, of.index)? {
            Answer::Found(document) => Some(document),
            _ => None,
        };
        let entry = index.and_then(|index| match index.as_ref() {
            Document::Index(index) => entry(&index.value, of.manifest).map(|e| &e.annotations),
            Document::Manifest(_) => None,
        });
        let index = index.map(|index| index.annotations());
        let said: Vec<_> = [manifest, entry, index].into_iter().flatten().collect();
        if let Some(digest) = digest_of_base(&said, base) {
            return Some(Ok(digest));
        }
        Some(match self.lookup.config(repository, of.manifest)? {
            Answer::Found(config) => digest_of_base(&[&config.config.labels], base).ok_or(Absent),
            _ => Err(Absent),
        })
    }
}

/// The digest that evidence names, where nothing more can be known of it.
fn gone(pin: &Pin, digest: Digest) -> Pin {
    Pin {
        index: None,
        manifest: Some(digest),
        ..pin.clone()
    }
}

/// Whether a pin is what the target's own layers begin with.
fn is_base(file: &ResolvedFile, pin: &Pin, parent: Option<&str>) -> bool {
    let StageBase::External(at) = file.base else {
        return false;
    };
    let found = &file.found[at];
    let same = match &found.source {
        FoundSource::Reference(reference) => *reference == pin.reference,
        FoundSource::InRepo(image) => parent == Some(image),
    };
    same && found.kind == pin.kind && found.platform == pin.platform
}

fn attestation<'i>(index: &'i Index, manifest: &Digest) -> Option<&'i Descriptor> {
    index.manifests.iter().find(|descriptor| {
        let about = descriptor.annotations.get(annotations::REFERENCE_DIGEST);
        descriptor.is_attestation() && about.is_some_and(|about| about == manifest.as_str())
    })
}

fn entry<'i>(index: &'i Index, manifest: &Digest) -> Option<&'i Descriptor> {
    index
        .manifests
        .iter()
        .find(|entry| entry.digest == *manifest)
}
