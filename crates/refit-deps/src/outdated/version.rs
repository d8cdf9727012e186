//! A tag as a version: `v1.2.3-rc1-alpine` is prefix, numbers, prerelease and flavour.

use std::cmp::Ordering;

/// What comes before a release, earliest first.
const PRERELEASES: [(&str, u8); 19] = [
    ("nightly", 1),
    ("snapshot", 1),
    ("canary", 1),
    ("unstable", 1),
    ("experimental", 1),
    ("insiders", 1),
    ("dev", 2),
    ("alpha", 3),
    ("a", 3),
    ("beta", 4),
    ("b", 4),
    ("milestone", 4),
    ("m", 4),
    ("preview", 5),
    ("pre", 5),
    ("next", 5),
    ("ea", 5),
    ("rc", 6),
    ("cr", 6),
];
/// More numbers than any version has.
const MOST_NUMBERS: usize = 8;

/// A tag that is a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagVersion<'a> {
    /// The whole tag.
    pub tag: &'a str,
    /// What stands before the version: `v`, `jdk-`.
    prefix: &'a str,
    /// The numbers, the major one first.
    pub(super) numbers: Vec<u64>,
    /// What separates the parts of a date.
    shape: Shape,
    /// The rank and the numbers of `-rc.1`.
    prerelease: Option<(u8, Vec<u64>)>,
    /// The build behind `-r` or `_`.
    revision: Option<u64>,
    /// What stands behind the version: `-slim-bookworm`.
    flavour: &'a str,
}

/// What the numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Numbers,
    /// How long the first number is, and the character between year and month; none where there is none.
    Date(usize, Option<char>),
}

/// Why a tag has no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unordered {
    /// A name without a number: `bookworm`, `latest`.
    Name,
    /// The id of a commit.
    Commit,
    /// Numbers that no version has.
    Number,
}

impl Unordered {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "a name has no order",
            Self::Commit => "a commit id has no order",
            Self::Number => "its numbers are no version's",
        }
    }
}

impl<'a> TagVersion<'a> {
    /// Reads a tag.
    pub fn parse(tag: &'a str) -> Result<Self, Unordered> {
        if is_commit(tag) {
            return Err(Unordered::Commit);
        }
        let start = tag.find(|c: char| c.is_ascii_digit());
        let (prefix, rest) = tag.split_at(start.ok_or(Unordered::Name)?);
        let (numbers, shape, rest) = numbers(rest).ok_or(Unordered::Number)?;
        let (prerelease, rest) = prerelease(rest);
        let (revision, flavour) = revision(rest);
        Ok(Self {
            tag,
            prefix,
            numbers,
            shape,
            prerelease,
            revision,
            flavour,
        })
    }

    /// Whether the two can be told apart by their versions alone.
    pub fn is_in_track_of(&self, other: &Self) -> bool {
        self.prefix == other.prefix
            && self.numbers.len() == other.numbers.len()
            && self.shape == other.shape
            && self.revision.is_some() == other.revision.is_some()
            && self.flavour == other.flavour
    }

    /// Whether it is something like a release candidate.
    pub fn is_prerelease(&self) -> bool {
        self.prerelease.is_some()
    }

    /// Whether its numbers are a date.
    pub fn is_date(&self) -> bool {
        self.shape != Shape::Numbers
    }

    /// The order within a track.
    pub fn order(&self, other: &Self) -> Ordering {
        let prereleases = match (&self.prerelease, &other.prerelease) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => a.cmp(b),
        };
        self.numbers
            .cmp(&other.numbers)
            .then(prereleases)
            .then_with(|| self.revision.cmp(&other.revision))
    }

    pub(super) fn major(&self) -> u64 {
        self.numbers.first().copied().unwrap_or_default()
    }
}

/// Hex digits, letters among them, of an abbreviated or whole id; with `sha-` also without letters.
fn is_commit(tag: &str) -> bool {
    let id = tag
        .strip_prefix("sha-")
        .or_else(|| tag.strip_prefix("git-"));
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let text = id.unwrap_or(tag);
    (7..=64).contains(&text.len())
        && text.bytes().all(hex)
        && (id.is_some() || text.bytes().any(|b| b.is_ascii_alphabetic()))
}

/// The numbers at the start of a text that starts with a digit, and the rest.
fn numbers(text: &str) -> Option<(Vec<u64>, Shape, &str)> {
    if let Some((numbers, shape, rest)) = date(text) {
        return Some((numbers, shape, rest));
    }
    let mut rest = text;
    let mut numbers = vec![number(&mut rest)?];
    while let Some(behind) = rest.strip_prefix('.') {
        let mut behind = behind;
        if !behind.starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        numbers.push(number(&mut behind)?);
        rest = behind;
    }
    (numbers.len() <= MOST_NUMBERS).then_some((numbers, Shape::Numbers, rest))
}

/// `20240115`, `2024-01-15`, `2024.01`, `2024`: more numbers may follow, also a time of day (`T16-07-38Z`).
fn date(text: &str) -> Option<(Vec<u64>, Shape, &str)> {
    let mut rest = text;
    let first = digits(&mut rest);
    let mut numbers = vec![first.parse().ok()?];
    let is_date = match first.len() {
        8 => {
            let (month, day) = (first.get(4..6)?, first.get(6..8)?);
            let year: u64 = first.get(..4)?.parse().ok()?;
            is_year(year) && is_part(month, 12) && is_part(day, 31)
        }
        4 => is_year(*numbers.first()?),
        _ => false,
    };
    if !is_date {
        return None;
    }
    let separator = rest.chars().next().filter(|c| matches!(c, '.' | '-' | '_'));
    let mut parts = 0;
    while let Some(separator) = separator
        && let Some(behind) = rest.strip_prefix(separator)
    {
        let mut behind = behind;
        let part = digits(&mut behind);
        let ends = behind.is_empty() || behind.starts_with([separator, '-', 'T', '_']);
        // Behind a dash there is a month or a day, or something that is no part of the date.
        let fits = separator == '.' || (first.len() == 4 && part.len() == 2 && parts < 2);
        if part.is_empty() || !fits || !ends {
            break;
        }
        numbers.push(part.parse().ok()?);
        parts += 1;
        rest = behind;
    }
    if let Some((time, behind)) = time_of_day(rest) {
        numbers.push(time);
        rest = behind;
    }
    let separator = separator.filter(|_| parts > 0);
    (numbers.len() <= MOST_NUMBERS).then_some((numbers, Shape::Date(first.len(), separator), rest))
}

/// The number of `T16-07-38Z`.
fn time_of_day(text: &str) -> Option<(u64, &str)> {
    let (time, rest) = text.strip_prefix('T')?.split_once('Z')?;
    let is_time = time.len() <= 8 && time.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let time: String = time.chars().filter(char::is_ascii_digit).collect();
    Some((time.parse().ok().filter(|_| is_time)?, rest))
}

fn is_year(year: u64) -> bool {
    (1970..2200).contains(&year)
}

fn is_part(text: &str, most: u64) -> bool {
    text.parse().is_ok_and(|n: u64| (1..=most).contains(&n))
}

/// The prerelease at the start of a text, and the rest.
fn prerelease(text: &str) -> (Option<(u8, Vec<u64>)>, &str) {
    let is_separator = |c: char| matches!(c, '-' | '.' | '_');
    let after_separator = text.strip_prefix(is_separator);
    let rest = after_separator.unwrap_or(text);
    let end = rest.find(|c: char| !c.is_ascii_alphabetic());
    let (word, mut rest) = rest.split_at(end.unwrap_or(rest.len()));
    let word = word.to_ascii_lowercase();
    let Some((_, rank)) = PRERELEASES.iter().find(|(name, _)| *name == word) else {
        return (None, text);
    };
    let mut numbers = Vec::new();
    loop {
        let mut behind = rest;
        // A number belongs to the word as in `rc1`, `rc.1`, `rc-1`; to the number before it with a dot.
        if let Some(without) = behind.strip_prefix(is_separator)
            && (behind.starts_with('.') || numbers.is_empty())
        {
            behind = without;
        }
        let digits = digits(&mut behind);
        let ends = behind.is_empty() || behind.starts_with(is_separator);
        let Some(number) = digits.parse().ok().filter(|_| ends) else {
            break;
        };
        numbers.push(number);
        rest = behind;
    }
    let ends = rest.is_empty() || rest.starts_with(is_separator);
    // `a`, `b` and `m` alone are words of flavours as well.
    let is_clear =
        word.len() > 1 || (!numbers.is_empty() && (word == "m" || after_separator.is_none()));
    if ends && is_clear {
        (Some((*rank, numbers)), rest)
    } else {
        (None, text)
    }
}

/// The build in `_9-jre` and `-debian-12-r5`, and the flavour without it.
fn revision(text: &str) -> (Option<u64>, &str) {
    if let Some(behind) = text.strip_prefix('_') {
        let mut rest = behind;
        let revision = number(&mut rest);
        if revision.is_some() && (rest.is_empty() || rest.starts_with('-')) {
            return (revision, rest);
        }
    }
    let Some((before, behind)) = text.rsplit_once("-r") else {
        return (None, text);
    };
    match behind.parse() {
        Ok(revision) if behind.bytes().all(|b| b.is_ascii_digit()) => (Some(revision), before),
        _ => (None, text),
    }
}

/// None for what no version has.
fn number(rest: &mut &str) -> Option<u64> {
    digits(rest).parse().ok()
}

fn digits<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(|c: char| !c.is_ascii_digit());
    let (digits, left) = rest.split_at(end.unwrap_or(rest.len()));
    *rest = left;
    digits
}
