//! `refit hold`: decisions that an image is not patched, or that a base's digest is not taken.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;
use clap::Args;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use refit_deps::{
    inventory::clean,
    problem::nearest,
    record::{HoldRecord, Record},
};
use refit_dockerfile::FoundSource;
use refit_git::{Head, notes::Batch};
use refit_oci::{ObjectId, Reference};
use serde_json::{Value, json};

use super::App;
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    project::{Project, Snapshot},
    ui::{Format, Table},
    workshop,
};

/// Keep an image, or a base's digest, out of patches
///
/// A held image is not patched. Of a held base the digest is not taken: what is built on the one before stays on it, and
/// the next digest is taken again. Without a digest, the base is held whatever it moves to. The decision is recorded in
/// the notes, and pushed at once where there is a remote. Without an argument: what is held.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit hold                                            what is held\n  \
    refit hold web --reason audit\n  \
    refit hold debian:12-slim --until 2030-01-31          whatever it moves to\n  \
    refit hold web --release")]
pub(crate) struct HoldArgs {
    /// An image, or a base with the digest that is not to be taken
    #[arg(value_name = "IMAGE|REFERENCE[@DIGEST]")]
    subject: Option<String>,
    /// When the hold ends by itself: a date, or a time as RFC 3339 has it
    #[arg(
        long,
        value_name = "DATE",
        requires = "subject",
        conflicts_with = "release"
    )]
    until: Option<String>,
    /// Why, for whoever meets it
    #[arg(
        long,
        value_name = "TEXT",
        requires = "subject",
        conflicts_with = "release"
    )]
    reason: Option<String>,
    /// End the hold
    #[arg(long, requires = "subject")]
    release: bool,
    /// Say what would be recorded, and record nothing
    #[arg(long, short = 'n', requires = "subject")]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(app: &App, args: &HoldArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let Some(subject) = &args.subject else {
        list(app, &project, args.format.format)?;
        return Ok(Exit::Fine);
    };
    let Head::Commit { id: head, .. } = project.repo.head()? else {
        return Err(
            CommandError::new("there is no commit yet").hint("commit the Dockerfiles first")
        );
    };
    let remote = workshop::notes_remote(&project, !args.dry_run)?;
    let tip = project.at(&head)?;
    let subject = Subject::of(&tip, subject)?;
    let now = app.environment.now();
    let record = if args.release {
        subject.ended(&project, now)?
    } else {
        let until = args.until.as_deref();
        let until = until.map(|text| moment(text, now)).transpose()?;
        HoldRecord {
            until: until.map(|until| until.to_string()),
            reason: args.reason.clone().unwrap_or_default(),
            ..subject.record(now)
        }
    };
    let said = sentence(&record, args.release);
    if !args.dry_run {
        keep(&project, &tip, (&head, remote.as_deref()), &record, &said)?;
    }
    match args.format.format {
        Format::Json => app.ui.json(&view(&record)),
        Format::Human => app.ui.data(&said),
    }
    Ok(Exit::Fine)
}

/// What is held.
struct Subject {
    /// The image; of a base, the first that is built on it.
    image: String,
    reference: Option<Reference>,
}

impl Subject {
    fn of(tip: &Snapshot, text: &str) -> Result<Self, CommandError> {
        if tip.inventory.image(text).is_some() {
            return Ok(Self {
                image: text.to_owned(),
                reference: None,
            });
        }
        // What is no image, and does not look like a base, is a misspelt image.
        let reference = match text.parse::<Reference>() {
            Ok(reference) if text.contains([':', '/', '@']) => reference,
            _ => return Err(tip.image(text).err().unwrap_or_else(|| unknown(tip, text))),
        };
        let Some(tag) = tagged(&reference) else {
            return Err(CommandError::new(format!("`{text}` names no tag"))
                .hint("name the tag whose digest is not to be taken, as `NAME:TAG@sha256:…`"));
        };
        let users = tip.scans.found().filter(|(image, _, found)| {
            tip.edges.parent(image, found).is_none()
                && base_of(&found.source).as_ref() == Some(&tag)
        });
        match users.map(|(image, ..)| image).min() {
            Some(image) => Ok(Self {
                image: image.to_owned(),
                reference: Some(reference),
            }),
            None => Err(unknown(tip, &tag.familiar())),
        }
    }

    fn record(&self, now: Timestamp) -> HoldRecord {
        HoldRecord {
            id: ulid::Ulid::new().to_string(),
            ends: Vec::new(),
            image: self.image.clone(),
            reference: self.reference.as_ref().and_then(tagged),
            digest: self.reference.as_ref().and_then(|r| r.digest().cloned()),
            until: None,
            reason: String::new(),
            at: now.to_string(),
        }
    }

    /// The record that ends all holds on it; of a base without a digest, those on any.
    fn ended(&self, project: &Project, now: Timestamp) -> Result<HoldRecord, CommandError> {
        let record = self.record(now);
        let records = project.records()?;
        let held = records.holds(now).into_iter().filter(|hold| {
            let digest = record.digest.as_ref();
            hold.reference == record.reference
                && (record.reference.is_some() || hold.image == record.image)
                && (digest.is_none() || hold.digest.as_ref() == digest)
        });
        let ends: Vec<String> = held.map(|hold| hold.id.clone()).collect();
        if ends.is_empty() {
            return Err(CommandError::new(format!(
                "`{}` is not held by a record",
                subject(&record)
            ))
            .hint("`refit hold` shows what is held"));
        }
        Ok(HoldRecord { ends, ..record })
    }
}

fn tagged(reference: &Reference) -> Option<Reference> {
    match reference.digest() {
        Some(_) => reference.without_digest(),
        None => Some(reference.clone()),
    }
}

fn base_of(source: &FoundSource) -> Option<Reference> {
    match source {
        FoundSource::Reference(reference) => tagged(reference),
        FoundSource::InRepo(_) => None,
    }
}

fn unknown(tip: &Snapshot, name: &str) -> CommandError {
    let bases = tip.scans.found();
    let bases = bases.filter_map(|(_, _, found)| base_of(&found.source));
    let bases: BTreeSet<String> = bases.map(|base| base.familiar()).collect();
    let error = CommandError::new(format!("no Dockerfile refers to `{name}`"));
    match nearest(name, bases.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`refit deps list` shows the bases"),
    }
}

/// A date, from its beginning in UTC, or a time; in the future.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, CommandError> {
    let date = || -> Option<Timestamp> {
        let date: Date = text.parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let time = text.parse().ok().or_else(date);
    let Some(time) = time else {
        return Err(CommandError::new(format!("`{text}` is no date"))
            .hint("give it as `2030-01-31` or `2030-01-31T12:00:00Z`"));
    };
    if time <= now {
        return Err(CommandError::new(format!("`{text}` is over already")));
    }
    Ok(time)
}

/// The record, with a line for people on the commit.
fn keep(
    project: &Project,
    tip: &Snapshot,
    (head, remote): (&ObjectId, Option<&str>),
    record: &HoldRecord,
    said: &str,
) -> Result<(), CommandError> {
    let dockerfile = clean(&tip.image(&record.image)?.dockerfile);
    let Some((blob, _)) = project.repo.blob_at(head, &dockerfile)? else {
        return Err(CommandError::new(format!(
            "`{dockerfile}` is not committed"
        )));
    };
    let line = Record::Hold(record.clone()).to_line();
    let batch = Batch {
        records: BTreeMap::from([(blob, BTreeSet::from([line]))]),
        sentences: BTreeMap::from([(head.clone(), vec![said.to_owned()])]),
        message: format!("refit: {said}"),
    };
    workshop::decide(project, &batch, remote)
}

fn subject(record: &HoldRecord) -> String {
    let Some(reference) = &record.reference else {
        return record.image.clone();
    };
    match &record.digest {
        Some(digest) => format!("{} {}", reference.familiar(), digest.short()),
        None => reference.familiar(),
    }
}

fn sentence(record: &HoldRecord, released: bool) -> String {
    let subject = subject(record);
    if released {
        return format!("{subject} is not held any more");
    }
    let until = record.until.as_ref();
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    let reason = if record.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", record.reason.replace(['\n', '\r'], " "))
    };
    format!("{subject} is held{until}{reason}")
}

fn list(app: &App, project: &Project, format: Format) -> Result<(), CommandError> {
    let tip = project.working()?;
    let records = project.records()?;
    let holds = records.holds(app.environment.now());
    let configured = tip.inventory.images.iter();
    let configured: Vec<(&str, &str)> = configured
        .filter_map(|image| Some((image.name.as_str(), image.hold.as_deref()?)))
        .collect();
    if format == Format::Json {
        let mut all: Vec<Value> = holds.iter().map(|hold| view(hold)).collect();
        let of_file = configured
            .iter()
            .map(|(image, reason)| json!({ "image": image, "reason": reason, "by": "config" }));
        all.extend(of_file);
        app.ui.json(&json!({ "format_version": 1, "holds": all }));
        return Ok(());
    }
    if holds.is_empty() && configured.is_empty() {
        app.ui.note("nothing is held");
        return Ok(());
    }
    let mut table = Table::new();
    for hold in holds {
        let until = hold.until.as_ref();
        let until = until.map_or_else(String::new, |until| format!("until {until}"));
        let cells = vec![subject(hold), until, hold.reason.clone()];
        table.row(cells, Style::new());
    }
    for (image, reason) in configured {
        let cells = [image, "by the configuration", reason];
        table.row(cells.map(str::to_owned).to_vec(), Style::new());
    }
    app.ui.table(&table);
    Ok(())
}

fn view(hold: &HoldRecord) -> Value {
    json!({
        "id": hold.id, "image": hold.image, "reference": hold.reference, "digest": hold.digest,
        "until": hold.until, "reason": hold.reason, "at": hold.at, "ends": hold.ends, "by": "record",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_at_a_day_or_a_time_to_come() {
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let at = |text| moment(text, now).map(|time| time.to_string());
        assert_eq!(at("2026-06-02").unwrap(), "2026-06-02T00:00:00Z");
        assert_eq!(
            at("2026-06-01T12:00:00+02:00").unwrap(),
            "2026-06-01T10:00:00Z"
        );
        for wrong in ["", "tomorrow", "2026-06-01", "2025-01-01", "2026-13-01"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
