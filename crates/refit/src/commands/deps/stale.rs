//! Which images are stale, for a graph that asks the registries.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use refit_deps::{
    plan::{StatusRow, Word},
    reason::Reason,
};
use refit_oci::{Platform, Reference};

use super::picture::{State, Tone};
use crate::{
    error::CommandError,
    observe::{self, OwnTags},
    project::Project,
    ui,
};

/// What the registries said of the images of the commit that is checked out.
#[derive(Debug, Default)]
pub(super) struct Staleness(Option<Answers>);

/// The verdicts by image, and how bases moved.
#[derive(Debug, Default)]
struct Answers {
    verdicts: BTreeMap<String, Verdict>,
    moved: BTreeMap<Reference, BTreeSet<String>>,
}

/// Whether a published image was built from something else than its bases are now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    word: &'static str,
    /// None where nothing can be said.
    is_stale: Option<bool>,
    why: Vec<Why>,
}

/// A reason in words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Why {
    text: String,
    /// The platforms that it is about; none where they are all.
    platforms: Vec<String>,
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
        Ok(Self(Some(Answers {
            verdicts: verdicts.collect(),
            moved: moved(&standing.status.rows),
        })))
    }

    /// What a test wants to have been said: image, word, whether it is stale, and why.
    #[cfg(test)]
    pub(super) fn known(said: &[(&str, &'static str, Option<bool>, &str)]) -> Self {
        let verdicts = said.iter().map(|&(image, word, is_stale, why)| {
            let why = Why {
                text: why.to_owned(),
                platforms: Vec::new(),
            };
            let verdict = Verdict {
                word,
                is_stale,
                why: vec![why],
            };
            (image.to_owned(), verdict)
        });
        Self(Some(Answers {
            verdicts: verdicts.collect(),
            ..Answers::default()
        }))
    }

    /// That a base is another one now than what images were built on, and which.
    pub(super) fn moved(&self, base: &Reference) -> Option<State> {
        let how = self.0.as_ref()?.moved.get(base)?;
        Some(State {
            word: "moved".to_owned(),
            tone: Tone::Moved,
            why: how.iter().cloned().collect(),
        })
    }

    /// Whether anybody asked.
    pub(super) fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    fn verdict(&self, image: &str) -> Option<&Verdict> {
        self.0.as_ref()?.verdicts.get(image)
    }

    /// Whether the image is stale; none where nobody asked, or nothing can be said.
    pub(super) fn of(&self, image: &str) -> Option<bool> {
        self.verdict(image)?.is_stale
    }

    /// How the image stands, in one word; none where nobody asked.
    pub(super) fn word(&self, image: &str) -> Option<&'static str> {
        Some(self.verdict(image)?.word)
    }

    /// What is to be said beside the image's name: that it is stale, or why nothing can be said.
    pub(super) fn mark(&self, image: &str) -> Option<Mark> {
        let verdict = self.verdict(image)?;
        match verdict.is_stale {
            Some(false) => None,
            Some(true) => {
                let common = match verdict.why.as_slice() {
                    [only] if !only.platforms.is_empty() => {
                        format!("stale on {}", only.platforms.join(", "))
                    }
                    _ => "stale".to_owned(),
                };
                let reasons = verdict.why.iter().map(|why| match verdict.why.len() {
                    1 => why.text.clone(),
                    _ => why.to_string(),
                });
                Some(Mark {
                    word: common,
                    why: reasons.collect(),
                })
            }
            None => Some(Mark {
                word: verdict.word.to_owned(),
                why: verdict.why.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// The same for pictures, which also show what is fresh.
    pub(super) fn state(&self, image: &str) -> Option<State> {
        let verdict = self.verdict(image)?;
        let tone = match (verdict.is_stale, verdict.word) {
            (Some(true), _) => Tone::Stale,
            (None, "held" | "deferred") => Tone::Quiet,
            (None, _) => Tone::Alarm,
            (Some(false), "fresh") => Tone::Fresh,
            (Some(false), _) => Tone::Quiet,
        };
        Some(State {
            word: verdict.word.to_owned(),
            tone,
            why: verdict.why.iter().map(ToString::to_string).collect(),
        })
    }
}

/// What is to be said beside an image's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// `stale`, `stale on linux/arm64`, `unreachable`.
    pub(super) word: String,
    /// The reasons.
    pub(super) why: Vec<String>,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.platforms.as_slice() {
            [] => f.write_str(&self.text),
            platforms => write!(f, "{} on {}", self.text, platforms.join(", ")),
        }
    }
}

/// Words under which an image was compared, or can't be stale as nothing is published.
const NOT_STALE: [&str; 5] = [
    "fresh",
    "unpublished",
    "no-moving-tag",
    "unreleased",
    "pinned",
];

/// The moves that make anything stale.
fn moved(rows: &[StatusRow]) -> BTreeMap<Reference, BTreeSet<String>> {
    let mut moved: BTreeMap<Reference, BTreeSet<String>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.word == Word::Stale) {
        for reason in &row.reasons {
            if let Reason::BaseChanged {
                reference,
                from: Some(from),
                to,
                ..
            } = reason
            {
                let (platform, from, to) = (&row.target.platform, from.short(), to.short());
                let how = format!("{platform} {from} → {to}");
                moved.entry(reference.clone()).or_default().insert(how);
            }
        }
    }
    moved
}

fn verdict(rows: &[&StatusRow]) -> Verdict {
    let stale: Vec<&StatusRow> = rows
        .iter()
        .filter(|row| row.word == Word::Stale)
        .copied()
        .collect();
    if !stale.is_empty() {
        let said = stale.iter().map(|row| {
            let why: Vec<String> = row.reasons.iter().map(ui::reason).collect();
            (why.join(", "), &row.target.platform)
        });
        return Verdict {
            word: "stale",
            is_stale: Some(true),
            why: merged(said, rows.len()),
        };
    }
    let word = |row: &&&StatusRow| !NOT_STALE.contains(&row.word.as_str());
    let row = rows.iter().find(word).or_else(|| {
        // Of those that are not, what is worth knowing.
        rows.iter().find(|row| row.word != Word::Fresh)
    });
    let Some(row) = row else {
        return Verdict {
            word: Word::Fresh.as_str(),
            is_stale: Some(false),
            why: Vec::new(),
        };
    };
    let is_open = !NOT_STALE.contains(&row.word.as_str());
    let alike = rows.iter().filter(|other| other.word == row.word);
    let said = alike.filter_map(|row| {
        let kind = row.states.iter().find(|s| s.word() == row.word.as_str())?;
        let text = ui::state_words(kind);
        // `deferred until …` follows its own word.
        let text = text
            .strip_prefix(kind.word())
            .map_or(text.as_str(), str::trim_start);
        Some((text.to_owned(), &row.target.platform))
    });
    Verdict {
        word: row.word.as_str(),
        is_stale: (!is_open).then_some(false),
        why: merged(said, rows.len()),
    }
}

/// Each text once, with its platforms where they are not all.
fn merged<'a>(said: impl Iterator<Item = (String, &'a Platform)>, n_rows: usize) -> Vec<Why> {
    let mut merged: Vec<(String, BTreeSet<&Platform>)> = Vec::new();
    for (text, platform) in said {
        match merged.iter_mut().find(|(known, _)| *known == text) {
            Some((_, platforms)) => _ = platforms.insert(platform),
            None => merged.push((text, BTreeSet::from([platform]))),
        }
    }
    let why = merged.into_iter().map(|(text, platforms)| Why {
        text,
        platforms: if platforms.len() == n_rows {
            Vec::new()
        } else {
            platforms.iter().map(ToString::to_string).collect()
        },
    });
    why.collect()
}

#[cfg(test)]
mod tests {
    use refit_deps::reason::{Level, StateKind};

    use super::*;

    fn row(platform: &str, word: Word, reasons: &[Reason]) -> StatusRow {
        StatusRow {
            target: format!("web@{platform}").parse().unwrap(),
            word,
            reasons: reasons.to_vec(),
            states: Vec::new(),
        }
    }

    fn asked(rows: &[StatusRow]) -> Staleness {
        let verdict = verdict(&rows.iter().collect::<Vec<_>>());
        Staleness(Some(Answers {
            verdicts: BTreeMap::from([("web".to_owned(), verdict)]),
            moved: moved(rows),
        }))
    }

    fn said(rows: &[StatusRow]) -> String {
        let mark = asked(rows).mark("web");
        mark.map_or("nothing".to_owned(), |mark| {
            format!("{}: {}", mark.word, mark.why.join("; "))
        })
    }

    #[test]
    fn platforms_are_named_where_not_all_are_stale() {
        let stale = |platform| row(platform, Word::Stale, &[Reason::Forced]);
        let fresh = row("linux/amd64", Word::Fresh, &[]);
        let (amd, arm) = (stale("linux/amd64"), stale("linux/arm64"));
        assert_eq!(said(&[amd, arm.clone()]), "stale: forced");
        assert_eq!(said(&[fresh, arm]), "stale on linux/arm64: forced");
        let other = row("linux/amd64", Word::Stale, &[Reason::SourceChanged]);
        let two = "stale: its Dockerfile changed on linux/amd64; forced on linux/arm64";
        assert_eq!(said(&[other, stale("linux/arm64")]), two);
    }

    #[test]
    fn what_nobody_could_ask_is_unknown_and_what_is_unpublished_is_not_stale() {
        let reported = |word| [row("linux/amd64", Word::Reported(word), &[])];
        assert_eq!(asked(&reported("unreachable")).of("web"), None);
        assert_eq!(said(&reported("unreachable")), "unreachable: ");
        assert_eq!(asked(&reported("unpublished")).of("web"), Some(false));
        assert_eq!(said(&reported("unreleased")), "nothing");
        assert_eq!(Staleness::default().of("web"), None);
        assert_eq!(Staleness::default().word("web"), None);
    }

    #[test]
    fn pictures_say_what_is_fresh_and_why_something_is_not() {
        let state = |rows: &[StatusRow]| asked(rows).state("web").unwrap();
        let fresh = state(&[row("linux/amd64", Word::Fresh, &[])]);
        assert_eq!((fresh.word.as_str(), fresh.tone), ("fresh", Tone::Fresh));
        let mut held = row("linux/arm64", Word::Reported("held"), &[]);
        held.states.push(StateKind::Held {
            reason: "until Monday".to_owned(),
        });
        let held = state(&[row("linux/amd64", Word::Fresh, &[]), held]);
        assert_eq!((held.word.as_str(), held.tone), ("held", Tone::Quiet));
        assert_eq!(held.why, ["until Monday on linux/arm64"]);
    }

    #[test]
    fn a_base_that_makes_something_stale_has_moved() {
        let digest = |c: &str| format!("sha256:{}", c.repeat(64)).parse().unwrap();
        let base: Reference = "debian:12".parse().unwrap();
        let reason = Reason::BaseChanged {
            reference: base.clone(),
            level: Level::Manifest,
            from: Some(digest("1")),
            to: digest("9"),
            seen: None,
        };
        let rows = [row("linux/arm64", Word::Stale, &[reason])];
        let state = asked(&rows).moved(&base).unwrap();
        assert_eq!(state.why, ["linux/arm64 111111111111 → 999999999999"]);
        assert_eq!(asked(&rows).moved(&"debian:11".parse().unwrap()), None);
    }
}
