//! Which images are stale, for a graph that asks the registries.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::plan::{StatusRow, Word};
use refit_oci::Platform;

use crate::{
    error::CommandError,
    observe::{self, OwnTags},
    project::Project,
    ui,
};

/// What the registries said of the images of the commit that is checked out.
#[derive(Debug, Default)]
pub(super) struct Staleness(BTreeMap<String, Verdict>);

/// Whether a published image was built from something else than its bases are now.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It was not.
    Fresh,
    /// It was, and why.
    Stale(String),
    /// The state that leaves it open.
    Unknown(&'static str),
}

impl Staleness {
    /// Asks the registries.
    pub(super) async fn ask(project: &Project) -> Result<Self, CommandError> {
        let standing = observe::status(project, OwnTags::Asked).await?;
        let mut by_image: BTreeMap<&str, Vec<&StatusRow>> = BTreeMap::new();
        for row in &standing.status.rows {
            by_image.entry(&row.target.image).or_default().push(row);
        }
        let verdicts = by_image
            .iter()
            .map(|(image, rows)| ((*image).to_owned(), verdict(rows)));
        Ok(Self(verdicts.collect()))
    }

    /// Whether the image is stale; none where nobody asked, or nothing can be said.
    pub(super) fn of(&self, image: &str) -> Option<bool> {
        match self.0.get(image)? {
            Verdict::Fresh => Some(false),
            Verdict::Stale(_) => Some(true),
            Verdict::Unknown(_) => None,
        }
    }

    /// What is to be said beside the image's name.
    pub(super) fn mark(&self, image: &str) -> Option<&str> {
        match self.0.get(image)? {
            Verdict::Fresh => None,
            Verdict::Stale(why) => Some(why),
            Verdict::Unknown(word) => Some(word),
        }
    }
}

fn verdict(rows: &[&StatusRow]) -> Verdict {
    // Why, and the platforms for that reason.
    let mut stale: Vec<(String, BTreeSet<&Platform>)> = Vec::new();
    for row in rows.iter().filter(|row| row.word == Word::Stale) {
        let why: Vec<String> = row.reasons.iter().map(ui::reason).collect();
        let why = why.join(", ");
        match stale.iter_mut().find(|(known, _)| *known == why) {
            Some((_, platforms)) => _ = platforms.insert(&row.target.platform),
            None => stale.push((why, BTreeSet::from([&row.target.platform]))),
        }
    }
    if !stale.is_empty() {
        let said = stale.iter().map(|(why, platforms)| {
            if platforms.len() == rows.len() {
                return format!("stale: {why}");
            }
            let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
            format!("stale on {}: {why}", platforms.join(", "))
        });
        return Verdict::Stale(said.collect::<Vec<_>>().join("; "));
    }
    let open = rows.iter().find_map(|row| match row.word {
        // What is not published can't be stale, and what is pinned or unreleased was compared.
        Word::Fresh
        | Word::Stale
        | Word::Reported("unpublished" | "no-moving-tag" | "unreleased" | "pinned") => None,
        Word::Reported(word) => Some(word),
    });
    open.map_or(Verdict::Fresh, Verdict::Unknown)
}

#[cfg(test)]
mod tests {
    use refit_deps::reason::Reason;

    use super::*;

    fn row(platform: &str, word: Word, reasons: &[Reason]) -> StatusRow {
        StatusRow {
            target: format!("web@{platform}").parse().unwrap(),
            word,
            reasons: reasons.to_vec(),
            states: Vec::new(),
        }
    }

    #[track_caller]
    fn check(rows: &[StatusRow], expect: &Verdict) {
        assert_eq!(verdict(&rows.iter().collect::<Vec<_>>()), *expect);
    }

    #[test]
    fn platforms_are_named_where_not_all_are_stale() {
        let stale = |platform| row(platform, Word::Stale, &[Reason::Forced]);
        let fresh = row("linux/amd64", Word::Fresh, &[]);
        let (amd, arm) = (stale("linux/amd64"), stale("linux/arm64"));
        check(
            &[amd, arm.clone()],
            &Verdict::Stale("stale: forced".to_owned()),
        );
        let one = Verdict::Stale("stale on linux/arm64: forced".to_owned());
        check(&[fresh, arm], &one);
        let other = row("linux/amd64", Word::Stale, &[Reason::SourceChanged]);
        let two = "stale on linux/amd64: its Dockerfile changed; stale on linux/arm64: forced";
        check(
            &[other, stale("linux/arm64")],
            &Verdict::Stale(two.to_owned()),
        );
    }

    #[test]
    fn what_nobody_could_ask_is_unknown_and_what_is_unpublished_is_not_stale() {
        let reported = |word| row("linux/amd64", Word::Reported(word), &[]);
        check(&[reported("unreachable")], &Verdict::Unknown("unreachable"));
        check(&[reported("unpublished")], &Verdict::Fresh);
        check(&[reported("unreleased")], &Verdict::Fresh);
    }
}
