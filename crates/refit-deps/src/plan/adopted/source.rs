//! From which source an image of another tool was built.

use std::sync::Arc;

use refit_dockerfile::StageBase;
use refit_oci::{Digest, Document, ObjectId, Platform, annotations};

use super::{Evaluator, Evidence, entry};
use crate::{
    adopt::{Match, Origin, OriginKey, RecipeHint, UserSource, begins_with, revision},
    image::Image,
    observe::{Absent, Answer, Relation},
    plan::{dependencies::Hints, release::differences, released_source::Source},
    publication::{self, Publication, Published},
    reason::{Reason, StateKind},
    scan::Triggers,
};

/// What an image says of its source.
#[derive(Clone, PartialEq, Eq)]
struct Told {
    revision: String,
    recipe: RecipeHint,
    /// It says so in a label only, which may be its base's.
    by_label: bool,
}

impl Told {
    fn by(user: &UserSource) -> Self {
        Self {
            revision: user.commit.to_string(),
            recipe: match &user.dockerfile {
                Some(path) => RecipeHint::Dockerfile(path.clone()),
                None => RecipeHint::None,
            },
            by_label: false,
        }
    }
}

impl Evaluator<'_> {
    /// The source that a patch of it is built from.
    pub(in crate::plan) fn adopted_source(
        &self,
        image: &Image,
        platform: &Platform,
        published: &Published,
    ) -> Option<Result<Source, StateKind>> {
        match self.origin(image, published)? {
            Ok(origin) => Some(Ok((origin.release.clone(), Some(origin.commit.clone())))),
            Err(StateKind::ReleaseSourceUnknown { .. }) => {
                let reasons = self.reasons_by_tip(image, platform, published)?;
                Some(Err(StateKind::ReleaseSourceUnknown { reasons }))
            }
            Err(kind) => Some(Err(kind)),
        }
    }

    /// Why it is stale if it was built like the tip: nothing can be built of that, and it is worth knowing.
    fn reasons_by_tip(
        &self,
        image: &Image,
        platform: &Platform,
        published: &Published,
    ) -> Option<Vec<Reason>> {
        let (Ok(file), Some(manifest)) = (
            self.scanned(image, platform, &Triggers::new()),
            published.platforms.get(platform),
        ) else {
            return Some(Vec::new());
        };
        let Ok(pins) = self.pins(image, &file, &Hints::none())? else {
            return Some(Vec::new());
        };
        let tag = (&published.index, manifest);
        let evidence = Evidence::new((image, image), (platform, &file), tag);
        let candidate = self.candidate(&evidence, &pins)?;
        Some(self.compare(&pins, &[candidate])?.reasons)
    }

    /// The commit that it was built from, and the image there.
    pub(in crate::plan) fn origin(
        &self,
        image: &Image,
        published: &Published,
    ) -> Option<Result<Arc<Origin>, StateKind>> {
        let unknown = StateKind::source_unknown();
        let named = self.scope.adopting.taken.contains(&image.name);
        let user = self.scope.adopting.source.as_ref();
        let own = self.own_commit(image, published)?.ok();
        if let (Some(commit), Some(user), true) = (&own, user, named)
            && (user.commit != *commit || user.dockerfile.is_some())
        {
            let commit = commit.clone();
            return Some(Err(StateKind::ReleaseSourceKnown { commit }));
        }
        let by_user = || user.filter(|_| own.is_none()).map(Told::by);
        let told = match by_user().filter(|_| named) {
            Some(told) => Some(told),
            None => self.told(image, published)?.ok(),
        };
        // What an image does not say itself, or says of another repository, the user may say of all of them.
        let mut told = told.into_iter().chain(by_user().filter(|_| !named));
        let found = loop {
            let Some(told) = told.next() else {
                return Some(Err(match own {
                    Some(commit) => {
                        let message = format!("commit {} is not here", commit.short());
                        StateKind::ReleaseSourceGone { message }
                    }
                    None => unknown,
                }));
            };
            let key = OriginKey {
                image: image.name.clone(),
                revision: told.revision,
                recipe: told.recipe,
            };
            match self.lookup.origin(&key)? {
                Answer::Found(origin) => break (origin, told.by_label),
                Answer::Missing => {}
                Answer::Failed(failure) => {
                    let message = failure.message.clone();
                    return Some(Err(StateKind::ReleaseSourceGone { message }));
                }
            }
        };
        let (origin, by_label) = found;
        let commit = &origin.commit;
        match origin.release.relation {
            Relation::Tip | Relation::Ancestor => {}
            Relation::Newer => {
                let commit = commit.clone();
                return Some(Err(StateKind::NewerIsPublished { commit }));
            }
            Relation::Elsewhere => {
                let (commit, line) = (commit.short(), self.line());
                let message = format!("commit {commit} is not in the history of `{line}`");
                return Some(Err(StateKind::ReleaseSourceGone { message }));
            }
        }
        if by_label && !self.label_is_its_own(image, published, origin)? {
            return Some(Err(unknown));
        }
        Some(Ok(origin.clone()))
    }

    /// The commit that an index of ours names. It decides: the index is the proof of how it was made, and a record that
    /// says otherwise would ship, as a patch, what nobody released.
    fn own_commit(&self, image: &Image, published: &Published) -> Option<Result<ObjectId, Absent>> {
        let document = self
            .lookup
            .document(image.destination(), &published.index)?;
        let Answer::Found(document) = document else {
            return Some(Err(Absent));
        };
        Some(match document.as_ref() {
            Document::Index(index)
                if index.value.annotations.get(annotations::IMAGE) == Some(&image.name) =>
            {
                publication::revision(&index.value).ok_or(Absent)
            }
            _ => Err(Absent),
        })
    }

    /// What the manifests of the configured platforms say of their source; none if they say nothing, or not the same.
    fn told(&self, image: &Image, published: &Published) -> Option<Result<Told, Absent>> {
        let configured = published
            .platforms
            .iter()
            .filter(|(platform, _)| image.platforms.contains(platform));
        let all: Vec<_> = configured
            .map(|(_, manifest)| self.told_by(image, &published.index, manifest))
            .collect();
        let mut told: Option<Told> = None;
        for one in all {
            let Ok(one) = one? else { continue };
            match &told {
                Some(known) if known.revision != one.revision => return Some(Err(Absent)),
                Some(known) if !known.by_label => {}
                _ => told = Some(one),
            }
        }
        // Abbreviations are for people, names move, and an unclean working tree is no commit.
        let is_commit = |told: &Told| {
            let hex = told.revision.bytes().all(|b| b.is_ascii_hexdigit());
            hex && (7..=64).contains(&told.revision.len())
        };
        Some(told.filter(is_commit).ok_or(Absent))
    }

    fn told_by(
        &self,
        image: &Image,
        index: &Digest,
        manifest: &Digest,
    ) -> Option<Result<Told, Absent>> {
        let repository = image.destination();
        let provenance = self.provenance(image, index, manifest)?.ok();
        let recipe = provenance.and_then(|p| p.recipe.clone());
        let recipe = recipe.map_or(RecipeHint::None, RecipeHint::Told);
        let told = |revision: &str, by_label| {
            let (revision, recipe) = (revision.to_owned(), recipe.clone());
            Some(Ok(Told {
                revision,
                recipe,
                by_label,
            }))
        };
        if let Some(revision) = provenance.and_then(|p| p.revision.as_deref()) {
            return told(revision, false);
        }
        if let Answer::Found(document) = self.lookup.document(repository, index)? {
            let on_entry = match document.as_ref() {
                Document::Index(index) => entry(&index.value, manifest).map(|e| &e.annotations),
                Document::Manifest(_) => None,
            };
            let mut said = std::iter::once(document.annotations()).chain(on_entry);
            if let Some(revision) = said.find_map(revision) {
                return told(revision, false);
            }
        }
        if let Answer::Found(document) = self.lookup.document(repository, manifest)?
            && let Some(revision) = revision(document.annotations())
        {
            return told(revision, false);
        }
        match self.lookup.config(repository, manifest)? {
            Answer::Found(config) => match revision(&config.config.labels) {
                Some(revision) => told(revision, true),
                None => Some(Err(Absent)),
            },
            _ => Some(Err(Absent)),
        }
    }

    /// Whether a label that names a commit is the image's own. One whose base is another image of this repository may
    /// have inherited it, and its own commit is a later one: then it counts only if the base it was built on says
    /// something else, or if nothing of its source has changed since.
    fn label_is_its_own(
        &self,
        image: &Image,
        published: &Published,
        origin: &Origin,
    ) -> Option<bool> {
        let Some((platform, manifest)) = published
            .platforms
            .iter()
            .find(|(platform, _)| image.platforms.contains(platform))
        else {
            return Some(true);
        };
        let Ok(file) = self.scanned(&origin.release.image, platform, &Triggers::new()) else {
            return Some(true);
        };
        let StageBase::External(at) = file.base else {
            return Some(true);
        };
        let edges = self.lookup.ground.edges;
        let parent = edges.parent(&image.name, &file.found[at]);
        let parent = parent.and_then(|p| self.lookup.ground.inventory.image(p.image));
        let Some(parent) = parent else {
            return Some(true);
        };
        let tip = match self.lookup.release(&image.name, None)? {
            Answer::Found(tip) => tip.sources.get(platform).map(|source| &source.id),
            _ => None,
        };
        let then = origin.release.sources.get(platform);
        if then.is_some_and(|then| tip == Some(&then.id)) {
            return Some(true);
        }
        let publication = self.publication(parent)?;
        let Publication::Ours(base) = &*publication else {
            return Some(false);
        };
        let Some(base) = base.platforms.get(platform) else {
            return Some(false);
        };
        let own = self.lookup.config(image.destination(), manifest);
        let base = self.lookup.config(parent.destination(), base);
        Some(match (own?, base?) {
            (Answer::Found(own), Answer::Found(base)) => {
                begins_with(own, base, None) == Match::Built
                    && revision(&own.config.labels) != revision(&base.config.labels)
            }
            _ => false,
        })
    }

    /// Notes what of the tip is unreleased.
    pub(in crate::plan) fn unreleased_adopted(
        &self,
        image: &Image,
        platform: &Platform,
        published: &Published,
    ) -> Option<()> {
        let Ok(origin) = self.origin(image, published)? else {
            return Some(());
        };
        let Ok((_, now, _)) = self.tip(image, platform)? else {
            return Some(());
        };
        let Some(was) = origin.release.sources.get(platform) else {
            return Some(());
        };
        let reasons = differences(was, &now);
        if was.id != now.id && !reasons.is_empty() {
            let kind = StateKind::Unreleased { reasons };
            self.state(&image.name, Some(platform), kind);
        }
        Some(())
    }
}
