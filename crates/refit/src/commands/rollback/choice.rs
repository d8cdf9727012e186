//! Which publication a rollback goes back to.

use refit_deps::record::{PublishRecord, Records};
use refit_oci::{Digest, Reference};

use crate::error::CommandError;

/// How few digits of a digest, or characters of a run's id, still name it.
const SHORTEST: usize = 6;

/// What is known of the image.
pub(super) struct Wanted<'r> {
    pub(super) records: &'r Records,
    pub(super) image: &'r str,
    pub(super) lead: &'r Reference,
    /// What the lead tag holds now.
    pub(super) holds: Option<&'r Digest>,
}

/// What is done.
#[derive(Debug)]
pub(super) enum Choice<'r> {
    /// It is decided and done: nothing.
    There { to: &'r PublishRecord },
    /// It was decided before, and the tags did not move yet.
    Finish { to: &'r PublishRecord },
    /// It is decided now, instead of what `head` published.
    Decide {
        to: &'r PublishRecord,
        head: &'r PublishRecord,
    },
}

impl<'r> Choice<'r> {
    /// What the tags are to hold.
    pub(super) fn to(&self) -> &'r PublishRecord {
        match self {
            Self::There { to } | Self::Finish { to } | Self::Decide { to, .. } => to,
        }
    }
}

/// Chooses by the records, and refuses to move what somebody else moved.
pub(super) fn choose<'r>(
    wanted: &Wanted<'r>,
    to: Option<&str>,
) -> Result<Choice<'r>, CommandError> {
    let Wanted {
        records,
        image,
        lead,
        holds,
    } = *wanted;
    let history = records.history(image, lead);
    let Some(head) = history.first().copied() else {
        return Err(
            CommandError::new(format!("no record says what `{}` held", lead.familiar()))
                .hint("run `refit notes restore` to record what the registry says"),
        );
    };
    let meant = match to {
        Some(text) => Some(named(wanted, text)?),
        None => None,
    };
    // A rollback whose tags did not move: it is the head already, and what it takes back is still published.
    let is_unfinished = records.rollback(&head.id).is_some()
        && holds != Some(&head.index)
        && holds == head.replaces.as_ref();
    if is_unfinished && meant.is_none_or(|to| to.index == head.index) {
        return Ok(Choice::Finish { to: head });
    }
    let earlier = || {
        let mut earlier = history.iter().skip(1);
        earlier.find(|record| record.index != head.index).copied()
    };
    let Some(to) = meant.or_else(earlier) else {
        return Err(
            CommandError::new(format!("nothing was published of `{image}` before"))
                .hint(format!("`refit hold {image}` keeps patches away from it")),
        );
    };
    if holds == Some(&to.index) && to.index == head.index {
        return Ok(Choice::There { to });
    }
    if holds == Some(&head.index) || holds == Some(&to.index) || is_unfinished {
        return Ok(Choice::Decide { to, head });
    }
    let (tag, published) = (lead.familiar(), head.index.short());
    let holds = holds.map_or("nothing", Digest::short);
    Err(CommandError::new(format!(
        "somebody else moved `{tag}`: it holds {holds}, and {published} was published last"
    ))
    .hint(format!(
        "run `refit build {image} --push --take-over` to release over it"
    )))
}

/// The publication that a run's id or an index's digest names; of a rollback, what that went back to.
fn named<'r>(wanted: &Wanted<'r>, text: &str) -> Result<&'r PublishRecord, CommandError> {
    let Wanted {
        records,
        image,
        lead,
        ..
    } = *wanted;
    let all: Vec<&PublishRecord> = records.publishes_of(image, lead).collect();
    let hex = text
        .strip_prefix("sha256:")
        .unwrap_or(text)
        .to_ascii_lowercase();
    let run = text.to_ascii_uppercase();
    let is_meant = |record: &&&PublishRecord| {
        let by_run = record.run == text || record.run == run || {
            run.len() >= SHORTEST && (record.run.starts_with(&run) || record.run.ends_with(&run))
        };
        by_run || (hex.len() >= SHORTEST && record.index.hex().starts_with(&hex))
    };
    let mut meant: Vec<&PublishRecord> = Vec::new();
    for record in all.iter().filter(is_meant) {
        let original = records.rollback(&record.id).map(|rollback| &rollback.to);
        let original = original.and_then(|to| all.iter().find(|record| record.id == *to));
        let record = *original.unwrap_or(record);
        // One index may have been published, and published again.
        if meant.iter().all(|known| known.index != record.index) {
            meant.push(record);
        }
    }
    match meant.as_slice() {
        [record] => Ok(record),
        [] => Err(CommandError::new(format!(
            "`{text}` is nothing that was published as `{}`",
            lead.familiar()
        ))
        .hint(publications(&records.history(image, lead)))),
        many => Err(CommandError::new(format!(
            "`{text}` may be any of {}",
            many.iter()
                .map(|record| format!("`{}`", record.index.short()))
                .collect::<Vec<_>>()
                .join(", ")
        ))
        .hint("give more of it")),
    }
}

/// The newest publications, for who named none of them.
fn publications(history: &[&PublishRecord]) -> String {
    let newest = history.iter().take(5);
    let newest: Vec<String> = newest
        .map(|record| format!("{} ({})", record.index.short(), record.at))
        .collect();
    format!("these were, the newest first: {}", newest.join(", "))
}
