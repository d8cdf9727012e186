//! Newer tags in the same track: the same prefix, precision and flavour, with a later version.

#[cfg(test)]
mod tests;
mod version;

use std::cmp::Ordering;

pub use version::{TagVersion, Unordered};

/// What a repository offers instead of a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newer {
    /// The latest without a change of the major version, and how far it is.
    pub within: Option<(String, Leap)>,
    /// The latest of a later major version.
    pub major: Option<String>,
}

/// How far a newer tag is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leap {
    /// The first two numbers are the same.
    Patch,
    /// The first number is the same.
    Minor,
    /// Versions of this track are dates.
    Date,
}

impl Leap {
    /// The word in JSON and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Date => "date",
        }
    }
}

impl Newer {
    /// Whether there is nothing newer.
    pub fn is_none(&self) -> bool {
        self.within.is_none() && self.major.is_none()
    }
}

/// What of `tags` is newer than `current` in its track. Prereleases count only for one that is a prerelease itself.
pub fn newer<'t>(
    current: &str,
    tags: impl IntoIterator<Item = &'t str>,
) -> Result<Newer, Unordered> {
    let now: TagVersion<'_> = TagVersion::parse(current)?;
    let (mut within, mut major): (Option<TagVersion<'t>>, Option<TagVersion<'t>>) = (None, None);
    for tag in tags {
        let Ok(candidate) = TagVersion::parse(tag) else {
            continue;
        };
        let is_offered = candidate.is_in_track_of(&now)
            && (now.is_prerelease() || !candidate.is_prerelease())
            && candidate.order(&now) == Ordering::Greater;
        if !is_offered {
            continue;
        }
        let best = if candidate.is_date() || candidate.major() == now.major() {
            &mut within
        } else {
            &mut major
        };
        // Of two spellings of one version, the one that sorts last: the same whatever the order of the list.
        let key = |version: &TagVersion<'t>| version.tag;
        let is_better = best.as_ref().is_none_or(|best| {
            candidate
                .order(best)
                .then_with(|| key(&candidate).cmp(key(best)))
                .is_gt()
        });
        if is_better {
            *best = Some(candidate);
        }
    }
    Ok(Newer {
        within: within.map(|best| (best.tag.to_owned(), leap(&now, &best))),
        major: major.map(|best| best.tag.to_owned()),
    })
}

fn leap(now: &TagVersion<'_>, then: &TagVersion<'_>) -> Leap {
    if then.is_date() {
        return Leap::Date;
    }
    if then.numbers.get(1) == now.numbers.get(1) {
        Leap::Patch
    } else {
        Leap::Minor
    }
}
