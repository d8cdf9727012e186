//! What of a note can be said shorter, and what has no say any more. Nothing that is asked of records has another answer
//! afterwards.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use refit_oci::{Digest, Platform};

use super::{FailureRecord, HadRecord, HoldRecord, Record, Records};

/// Up to when history is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoff {
    /// What was written before this; in the past.
    pub before: Timestamp,
}

impl Cutoff {
    /// Whether a time of a record lies before. What is no time never does.
    fn has(self, at: &str) -> bool {
        at.parse().is_ok_and(|at: Timestamp| at < self.before)
    }
}

/// What stays on lines of its own, and what is gone for good, over all notes.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Publications that no other follows.
    heads: BTreeSet<String>,
    /// What they hold.
    manifests: BTreeSet<Digest>,
    /// The newest of the dependencies recorded of a target.
    newest: BTreeMap<(String, Platform), String>,
    /// Ids of holds, and of records that ended some, that say nothing any more.
    over: BTreeSet<String>,
    /// When a digest was seen first.
    seen: BTreeMap<(String, Digest), Timestamp>,
    /// When a line was swept last.
    swept: BTreeMap<String, Timestamp>,
    /// The last failures.
    failures: BTreeMap<String, FailureRecord>,
    /// When the cutoff is.
    before: Timestamp,
}

impl Live {
    /// Decides over all records.
    pub fn of(records: &Records, cutoff: Cutoff) -> Self {
        let mut live = Self::default();
        for publish in records.publishes() {
            let Some(lead) = publish.tags.first() else {
                continue;
            };
            for head in records.heads(&publish.image, lead) {
                live.heads.insert(head.id.clone());
                live.manifests.extend(head.platforms.values().cloned());
            }
        }
        for deps in records.deps() {
            let key = (deps.image.clone(), deps.platform.clone());
            let newest = live.newest.entry(key).or_default();
            *newest = deps.at.clone().max(std::mem::take(newest));
        }
        for ((reference, digest), times) in &records.seen {
            let first = times.first().copied();
            live.seen
                .extend(first.map(|at| ((reference.to_string(), digest.clone()), at)));
        }
        live.swept.clone_from(&records.swept);
        live.failures.clone_from(&records.failures);
        live.before = cutoff.before;
        live.over = over(&records.holds, cutoff);
        live
    }

    /// Whether a record has no say any more.
    fn is_over(&self, record: &Record) -> bool {
        match record {
            Record::Hold(hold) => self.over.contains(&hold.id),
            Record::Seen(seen) => {
                let first = self
                    .seen
                    .get(&(seen.reference.to_string(), seen.digest.clone()));
                let at: Option<Timestamp> = seen.at.parse().ok();
                first.is_some_and(|first| at.is_some_and(|at| at > *first))
            }
            Record::Failure(failure) => {
                let until = failure.until();
                let is_last = self.failures.get(&failure.key) == Some(failure);
                !is_last || until.is_none_or(|until| until < self.before)
            }
            Record::Swept(swept) => {
                let last = self.swept.get(&swept.line);
                let at: Option<Timestamp> = swept.at.parse().ok();
                last.is_some_and(|last| at.is_some_and(|at| at < *last))
            }
            _ => false,
        }
    }

    /// Whether a record is history.
    fn is_history(&self, record: &Record, cutoff: Cutoff) -> bool {
        match record {
            Record::Build(build) => {
                cutoff.has(&build.at) && !self.manifests.contains(&build.manifest)
            }
            Record::Publish(publish) => {
                cutoff.has(&publish.at) && !self.heads.contains(&publish.id)
            }
            Record::Deps(deps) => {
                let key = (deps.image.clone(), deps.platform.clone());
                cutoff.has(&deps.at) && self.newest.get(&key) != Some(&deps.at)
            }
            Record::Seen(_)
            | Record::Swept(_)
            | Record::Hold(_)
            | Record::Adopt(_)
            | Record::Rollback(_)
            | Record::Failure(_)
            | Record::Had(_)
            | Record::Compacted { .. } => false,
        }
    }
}

/// Holds whose time is over or that are ended, and what ended only such: of what ends a hold that is not here, another
/// replica may have the hold.
fn over(holds: &[HoldRecord], cutoff: Cutoff) -> BTreeSet<String> {
    let old = holds.iter().filter(|hold| cutoff.has(&hold.at));
    let ends: BTreeSet<&str> = old
        .clone()
        .flat_map(|hold| hold.ends.iter().map(String::as_str))
        .collect();
    let mut over: BTreeSet<String> = old
        .clone()
        .filter(|hold| hold.ends.is_empty())
        .filter(|hold| ends.contains(hold.id.as_str()) || hold.is_over(cutoff.before))
        .map(|hold| hold.id.clone())
        .collect();
    let ending: Vec<String> = old
        .filter(|hold| !hold.ends.is_empty() && hold.ends.iter().all(|id| over.contains(id)))
        .map(|hold| hold.id.clone())
        .collect();
    over.extend(ending);
    over
}

/// What becomes of a note.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Lines that go.
    pub dropped: Vec<String>,
    /// Lines that say the same in their place.
    pub added: Vec<String>,
    /// How many of the lines that go are said by others.
    pub n_folded: usize,
}

impl Folded {
    /// Bytes of lines that go, and of those that come.
    pub fn sizes(&self) -> (usize, usize) {
        let size = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum();
        (size(&self.dropped), size(&self.added))
    }
}

/// What can be done to a note; none if that is nothing. What is not read stays as it is.
pub fn fold<'l>(
    lines: impl IntoIterator<Item = &'l str>,
    live: &Live,
    cutoff: Cutoff,
) -> Option<Folded> {
    let mut folded = Folded::default();
    let mut history: BTreeMap<String, Vec<(&str, Record)>> = BTreeMap::new();
    let mut earlier: BTreeMap<String, Vec<(&str, HadRecord)>> = BTreeMap::new();
    for line in lines {
        match Record::parse(line) {
            Some(Record::Had(had)) => {
                earlier
                    .entry(had.image.clone())
                    .or_default()
                    .push((line, had));
            }
            Some(record) if live.is_over(&record) => folded.dropped.push(line.to_owned()),
            Some(record) if live.is_history(&record, cutoff) => {
                let image = record.image().to_owned();
                history.entry(image).or_default().push((line, record));
            }
            _ => {}
        }
    }
    for (image, records) in history {
        let earlier = earlier.remove(&image).unwrap_or_default();
        let before: Vec<Record> = earlier.iter().flat_map(|(_, had)| had.records()).collect();
        let all = records.iter().map(|(_, record)| record).chain(&before);
        let added = Record::Had(HadRecord::of(&image, all)).to_line();
        let dropped: Vec<&str> = records
            .iter()
            .map(|(line, _)| *line)
            .chain(earlier.iter().map(|(line, _)| *line))
            .collect();
        let size: usize = dropped.iter().map(|line| line.len() + 1).sum();
        if added.len() < size {
            folded.n_folded += records.len();
            folded
                .dropped
                .extend(dropped.into_iter().map(str::to_owned));
            folded.added.push(added);
        }
    }
    (!folded.dropped.is_empty()).then_some(folded)
}
