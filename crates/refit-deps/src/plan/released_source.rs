//! The source that a patch is built from: the one that was released.

use std::{borrow::Cow, sync::Arc};

use refit_oci::{ObjectId, Platform};

use super::{
    evaluate::{Candidate, Evaluator},
    onbuild::Answered,
};
use crate::{
    image::Image,
    observe::{Answer, Relation, Release},
    publication::Published,
    reason::StateKind,
};

/// What a patch is built from, and the commit that has it.
pub(super) type Source = (Arc<Release>, Option<ObjectId>);

/// What is built is the release's; how it is treated is the tip's.
pub(super) fn patched<'r>(tip: &Image, release: &'r Release) -> Cow<'r, Image> {
    let released = &release.image;
    if (&released.platforms, released.pinned) == (&tip.platforms, tip.pinned) {
        return Cow::Borrowed(released);
    }
    Cow::Owned(Image {
        platforms: tip.platforms.clone(),
        pinned: tip.pinned,
        ..released.clone()
    })
}

fn has_source(release: &Release, platform: &Platform, candidates: &[Candidate<'_>]) -> bool {
    let source = release.sources.get(platform);
    source.is_some_and(|source| candidates.iter().any(|c| c.is_from(&source.id)))
}

pub(super) fn unlisted(published: &Published, platform: &Platform) -> StateKind {
    let commit = short(published);
    let message = format!("its source at {commit} can't be listed for {platform}");
    StateKind::ReleaseSourceGone { message }
}

fn short(published: &Published) -> String {
    published.commit.as_ref().map_or_else(
        || "an unknown commit".to_owned(),
        |commit| commit.short().to_owned(),
    )
}

impl Evaluator<'_> {
    /// The source that made what is published: at its commit, or at the tip if that has the same source id.
    pub(super) fn released(
        &self,
        image: &Image,
        platform: &Platform,
        published: &Published,
    ) -> Option<Result<Source, StateKind>> {
        if published.adopted {
            return self.adopted_source(image, platform, published);
        }
        let Some(commit) = &published.commit else {
            return Some(Err(StateKind::source_unknown()));
        };
        let gone = |message| StateKind::ReleaseSourceGone { message };
        let state = match self.lookup.release(&image.name, Some(commit))? {
            Answer::Found(release) => match release.relation {
                Relation::Tip | Relation::Ancestor => {
                    return Some(Ok((release.clone(), Some(commit.clone()))));
                }
                // The line as it is known here is older than what was released from it.
                Relation::Newer => StateKind::NewerIsPublished {
                    commit: commit.clone(),
                },
                Relation::Elsewhere => gone(format!(
                    "commit {} is not in the history of `{}`",
                    commit.short(),
                    self.line()
                )),
            },
            Answer::Missing => gone(format!(
                "commit {} has no image `{}`",
                commit.short(),
                image.name
            )),
            Answer::Failed(failure) => gone(failure.message.clone()),
        };
        let Some(manifest) = published.platforms.get(platform) else {
            return Some(Err(state));
        };
        let candidates = self.candidates(image, platform, manifest)?;
        Some(match self.lookup.release(&image.name, None)? {
            Answer::Found(tip) if has_source(tip, platform, &candidates) => {
                Ok((tip.clone(), self.lookup.ground.line.commit.clone()))
            }
            _ => Err(state),
        })
    }

    /// What was released from a commit that can be read, and that the line no longer has: nothing is built from it, and
    /// what it says of the published layers is as true as it was.
    pub(super) fn no_longer_on_the_line(
        &self,
        image: &Image,
        published: &Published,
        kind: StateKind,
    ) -> Answered<(Source, StateKind)> {
        let commit = published.commit.as_ref().filter(|_| !published.adopted);
        let (StateKind::ReleaseSourceGone { .. }, Some(commit)) = (&kind, commit) else {
            return Some(Err(kind));
        };
        Some(match self.lookup.release(&image.name, Some(commit))? {
            Answer::Found(release) => Ok(((release.clone(), Some(commit.clone())), kind)),
            Answer::Missing | Answer::Failed(_) => Err(kind),
        })
    }
}
