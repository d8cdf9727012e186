//! Sentences: the lines of `refs/notes/refit`, for people who read `git log --notes=refit`.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashSet;
use jiff::Timestamp;
use refit_dockerfile::Kind;
use refit_oci::{Digest, ObjectId, Reference};

use crate::record::{DepsRecord, Records};

/// A line for each image of some `deps` records of one commit:
/// `web: debian:12-slim 1f3c09aa71c2 (linux/amd64, linux/arm64)`.
pub fn deps(records: &[DepsRecord], parents: &BTreeMap<Reference, String>) -> Vec<String> {
    let mut images: BTreeMap<&str, Vec<&DepsRecord>> = BTreeMap::new();
    for record in records {
        images.entry(&record.image).or_default().push(record);
    }
    images
        .into_iter()
        .map(|(image, records)| one_line(&format!("{image}: {}", bases(&records, parents))))
        .collect()
}

/// A sentence as a line: records that others wrote may name what no configuration could.
fn one_line(sentence: &str) -> String {
    let shown = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    sentence.chars().map(shown).collect()
}

fn bases(records: &[&DepsRecord], parents: &BTreeMap<Reference, String>) -> String {
    let mut bases: BTreeMap<(String, Option<&Digest>), BTreeSet<String>> = BTreeMap::new();
    for record in records {
        let base = record.deps.iter().find(|pin| pin.kind == Kind::Base);
        let (name, digest) = match base {
            None => ("scratch".to_owned(), None),
            Some(pin) => {
                if let Some(parent) = parents.get(&pin.reference) {
                    (format!("{parent} of this repository"), None)
                } else {
                    // A digest that the Dockerfile gives is known without asking anybody.
                    let known = pin.index.as_ref().or(pin.manifest.as_ref());
                    (tagged(&pin.reference), known.or(pin.reference.digest()))
                }
            }
        };
        bases
            .entry((name, digest))
            .or_default()
            .insert(record.platform.to_string());
    }
    let texts = bases.into_iter().map(|((name, digest), platforms)| {
        let platforms: Vec<String> = platforms.into_iter().collect();
        let of_platforms = format!("({})", platforms.join(", "));
        match digest {
            _ if name == "scratch" => name,
            Some(digest) => format!("{name} {} {of_platforms}", digest.short()),
            None if name.ends_with(" of this repository") => format!("{name} {of_platforms}"),
            None => format!("{name} not resolved {of_platforms}"),
        }
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// The reference without its digest, which the sentence gives in short.
fn tagged(reference: &Reference) -> String {
    match reference.without_digest() {
        Some(tagged) => tagged.familiar(),
        None => reference.repository().familiar(),
    }
}

/// Images, and the word for what was done with them (`rebuilt`, `rebased`).
pub type Done<'d> = BTreeMap<&'d str, BTreeSet<String>>;

/// A line about a run: `2026-11-22 sweep 01J…: web rebased, worker rebuilt, 88 kept; debian:12-slim 1f3c… → 9ab0…`.
pub fn run(
    (date, kind, id): (&str, &str, &str),
    done: &Done<'_>,
    kept: usize,
    bases: &[BaseMove],
) -> String {
    let done = done.iter().map(|(word, images)| {
        let names: Vec<&str> = images.iter().map(String::as_str).collect();
        // A line stays a line: the rest is in the records.
        let shown = match names.len() {
            0..=6 => names.join(", "),
            more => format!("{} and {} more", names[..5].join(", "), more - 5),
        };
        format!("{shown} {word}")
    });
    let done: Vec<String> = done.collect();
    let mut text = format!("{date} {kind} {id}: {}", done.join(", "));
    if kept > 0 {
        text = format!("{text}, {kept} kept");
    }
    let moves = bases.iter().map(|base| {
        let name = base.reference.familiar();
        match &base.from {
            Some(from) => format!("{name} {} → {}", from.short(), base.to.short()),
            None => format!("{name} {}", base.to.short()),
        }
    });
    let moves: Vec<String> = moves.collect();
    if !moves.is_empty() {
        text = format!("{text}; {}", moves.join(", "));
    }
    one_line(&text)
}

/// Lines about runs that published, and were killed before they said so: by commit, `2026-11-22 run 01J…: web built`.
///
/// What was published after `before` may still be said by whoever published it.
pub fn left_out(
    records: &Records,
    said: impl Iterator<Item: AsRef<str>>,
    before: Timestamp,
) -> BTreeMap<ObjectId, Vec<String>> {
    // `2026-11-22 sweep 01J…: …`
    let id = |line: &str| Some(line.split(' ').nth(2)?.strip_suffix(':')?.to_owned());
    let said: HashSet<String> = said.filter_map(|line| id(line.as_ref())).collect();
    let mut runs: BTreeMap<(&str, &ObjectId), (Timestamp, BTreeSet<String>)> = BTreeMap::new();
    for publish in records.publishes() {
        let (Some(commit), Ok(at)) = (&publish.commit, publish.at.parse::<Timestamp>()) else {
            continue;
        };
        // What was adopted or restored was published by another run, if by one of ours at all.
        let is_own = publish.id == format!("{}-{}", publish.run, publish.image);
        if !is_own || at > before || said.contains(publish.run.as_str()) {
            continue;
        }
        let (first, images) = runs
            .entry((&publish.run, commit))
            .or_insert((at, BTreeSet::new()));
        *first = at.min(*first);
        images.insert(publish.image.clone());
    }
    let mut left: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
    for ((id, commit), (at, images)) in runs {
        let date = at.strftime("%Y-%m-%d").to_string();
        let done = BTreeMap::from([("built", images)]);
        let sentence = run((&date, "run", id), &done, 0, &[]);
        left.entry(commit.clone()).or_default().push(sentence);
    }
    left
}

/// A line about adoptions: `2026-11-22 adopt 01J…: web 0151fd0321b0, api 9af2c851d98b adopted as published`.
pub fn adopted(date: &str, id: &str, images: &BTreeMap<&str, &Digest>) -> String {
    let names = images.iter().take(6);
    let names: Vec<String> = names
        .map(|(image, index)| format!("{image} {}", index.short()))
        .collect();
    let more = match images.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names = names.join(", ");
    one_line(&format!(
        "{date} adopt {id}: {names}{more} adopted as published"
    ))
}

/// A base that moved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseMove {
    /// Which.
    pub reference: Reference,
    /// What was built on.
    pub from: Option<Digest>,
    /// What is built on now.
    pub to: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pin::Pin;

    #[track_caller]
    fn check(reference: &str, index: Option<&str>, expect: &str) {
        let pin = Pin {
            kind: Kind::Base,
            reference: reference.parse().unwrap(),
            platform: "linux/amd64".parse().unwrap(),
            index: index.map(|digest| digest.parse().unwrap()),
            manifest: None,
        };
        let record = DepsRecord {
            image: "web".to_owned(),
            platform: pin.platform.clone(),
            source: format!("s1:{}", "0".repeat(64)).parse().unwrap(),
            commit: "a".repeat(40).parse().unwrap(),
            deps: vec![pin],
            at: String::new(),
        };
        let parents = BTreeMap::from([("r.example/base".parse().unwrap(), "base".to_owned())]);
        assert_eq!(deps(&[record], &parents), [expect]);
    }

    #[test]
    fn a_sentence_is_one_line_whatever_is_in_a_name() {
        let digest: Digest = format!("sha256:{}", "1f".repeat(32)).parse().unwrap();
        let said = adopted("2026-11-22", "R", &BTreeMap::from([("a\nb", &digest)]));
        assert_eq!(
            said,
            "2026-11-22 adopt R: a\u{fffd}b 1f1f1f1f1f1f adopted as published"
        );
        let names = BTreeSet::from(["a\rb".to_owned()]);
        let done = BTreeMap::from([
            ("rebuilt", names),
            ("rebased", BTreeSet::from(["c".to_owned()])),
        ]);
        let said = run(("2026-11-22", "sweep", "R"), &done, 0, &[]);
        assert_eq!(said, "2026-11-22 sweep R: c rebased, a\u{fffd}b rebuilt");
    }

    #[test]
    fn an_adoption_names_what_was_published() {
        let digest: Digest = format!("sha256:{}", "1f".repeat(32)).parse().unwrap();
        let names: Vec<String> = (0..8).map(|n| format!("i{n}")).collect();
        let images = |n| names.iter().take(n).map(|name| (name.as_str(), &digest));
        let said = |n| adopted("2026-11-22", "R", &images(n).collect());
        assert_eq!(
            said(1),
            "2026-11-22 adopt R: i0 1f1f1f1f1f1f adopted as published"
        );
        assert!(said(8).ends_with("i5 1f1f1f1f1f1f and 2 more adopted as published"));
    }

    #[test]
    fn a_sentence_names_the_base_and_a_short_digest() {
        let digest = format!("sha256:{}", "1f".repeat(32));
        let short = "1f1f1f1f1f1f";
        check(
            "debian:12",
            Some(&digest),
            &format!("web: debian:12 {short} (linux/amd64)"),
        );
        check(
            "debian:12",
            None,
            "web: debian:12 not resolved (linux/amd64)",
        );
        check(
            "r.example/base",
            None,
            "web: base of this repository (linux/amd64)",
        );
        let pinned = format!("debian:12@{digest}");
        check(
            &pinned,
            None,
            &format!("web: debian:12 {short} (linux/amd64)"),
        );
    }
}
