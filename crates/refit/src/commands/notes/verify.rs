//! `refit notes verify`: what of the notes is damaged, by object.

use std::collections::BTreeMap;

use anstyle::Style;
use clap::Args;
use refit_deps::record::{Record, Unread};
use refit_git::notes::{self, Damage, Signatures, Verified};
use refit_oci::ObjectId;
use serde_json::{Value, json};

use super::App;
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    ui::{ERROR, Format, Table, WARNING, count},
};

/// Look at every note, and name what is damaged
///
/// Each note is read from git, whatever is cached: whether it is there, is what its id says, is UTF-8 and in order, and
/// whether its records can be read. Records of types and versions that this refit does not know are counted and kept.
/// A damaged note stops nothing else. Exit code 1: something is lost. What is only out of order is put right by the
/// next writer.
///
/// With `[notes] sign = true`, git checks the signatures of the notes' commits as well, and each commit without a good
/// one is named. Those that come before the first signed one are only counted. Exit code 1: there is one.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit notes verify\n  \
    refit notes verify --format json")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    format: FormatArgs,
}

/// What was found of one ref.
struct Looked {
    reference: &'static str,
    verified: Verified,
    n_lines: usize,
    /// Lines of types and versions that are not known.
    unknown: BTreeMap<Unread, usize>,
    /// Lines that are no records at all: what the note is on, the note, and why.
    malformed: Vec<(ObjectId, ObjectId, String)>,
    /// None: notes are not signed here.
    signatures: Option<Signatures>,
}

pub(super) fn run(app: &App, args: &VerifyArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let mut all = Vec::new();
    for reference in [notes::RECORDS, notes::SENTENCES] {
        let mut looked = Looked {
            reference,
            verified: Verified::default(),
            n_lines: 0,
            unknown: BTreeMap::new(),
            malformed: Vec::new(),
            signatures: None,
        };
        looked.verified = project
            .repo
            .notes_verify(reference, |annotated, note, line| {
                looked.n_lines += 1;
                if reference != notes::RECORDS || Record::parse(line).is_some() {
                    return;
                }
                match Unread::of(line) {
                    Unread::Malformed(why) => {
                        let at = (annotated.clone(), note.clone(), why);
                        looked.malformed.push(at);
                    }
                    unknown @ Unread::Unknown { .. } => {
                        *looked.unknown.entry(unknown).or_default() += 1;
                    }
                }
            })?;
        if project.repo.signs_notes() {
            looked.signatures = Some(project.repo.notes_signatures(reference)?);
        }
        all.push(looked);
    }
    match args.format.format {
        Format::Json => app.ui.json(&json!({
            "format_version": 1,
            "refs": all.iter().map(Looked::json).collect::<Vec<_>>(),
        })),
        Format::Human => all.iter().for_each(|looked| looked.print(app)),
    }
    let is_lost = all.iter().any(|looked| looked.n_lost() > 0);
    if is_lost && args.format.format == Format::Human {
        let remote = project.repo.default_remote();
        app.ui.hint(&match remote {
            Some(remote) => format!(
                "where another clone has them whole: `git fetch --refetch {remote} '+refs/notes/refit*:refs/refit/whole/*'`"
            ),
            None => "`git fsck` says what else is damaged".to_owned(),
        });
        app.ui.hint("what published images say of themselves is recorded again by `refit notes restore --from-registry`");
    }
    let is_forged = all.iter().any(|looked| looked.n_not_good() > 0);
    Ok(if is_lost || is_forged {
        Exit::Partial
    } else {
        Exit::Fine
    })
}

impl Looked {
    /// How many notes have lost something.
    fn n_lost(&self) -> usize {
        let damaged = self.verified.damaged.iter();
        damaged.filter(|damage| damage.fault.is_loss()).count() + self.malformed.len()
    }

    /// How many commits lack the signature that they should have.
    fn n_not_good(&self) -> usize {
        self.signatures
            .as_ref()
            .map_or(0, |found| found.not_good.len())
    }

    fn print(&self, app: &App) {
        let name = self.reference;
        if self.verified.commit.is_none() {
            app.ui.note(&format!("there is no {name}"));
            return;
        }
        let mut table = Table::new();
        for damage in &self.verified.damaged {
            let (mark, style) = mark(damage);
            if mark == "fine" && !app.ui.is_verbose() {
                continue;
            }
            table.row(vec![mark.to_owned(), damage.to_string()], style);
        }
        for (annotated, note, why) in &self.malformed {
            let text =
                format!("note `{note}` on `{annotated}` has a line that is no record: {why}");
            table.row(vec!["lost".to_owned(), text], ERROR);
        }
        for found in self.signatures.iter().flat_map(|found| &found.not_good) {
            let mark = if found.is_there {
                "forged?"
            } else {
                "unsigned"
            };
            let text = format!(
                "commit `{}` by {}: {}",
                found.commit, found.author, found.said
            );
            table.row(vec![mark.to_owned(), text], ERROR);
        }
        app.ui.table(&table);
        for (unknown, n) in &self.unknown {
            let Unread::Unknown { version, kind } = unknown else {
                continue;
            };
            let version = version.map_or("no".to_owned(), |version| version.to_string());
            let kind = kind.as_deref().unwrap_or("no type");
            app.ui.note(&format!(
                "{name}: {} of `{kind}`, version {version}, kept unread",
                count(*n, "record")
            ));
        }
        let said = format!(
            "{name}: {} with {}",
            count(self.verified.n_notes, "note"),
            count(self.n_lines, "line")
        );
        app.ui.note(&match self.n_lost() {
            0 => format!("{said}, nothing is lost"),
            n => format!("{said}, {} can't be read", count(n, "place")),
        });
        if let Some(found) = &self.signatures {
            let good = count(found.n_good, "commit");
            let before = match found.n_before {
                0 => String::new(),
                n => format!(", {n} before them without"),
            };
            app.ui
                .note(&format!("{name}: {good} with a good signature{before}"));
        }
    }

    fn json(&self) -> Value {
        let damaged = self.verified.damaged.iter().map(|damage| {
            json!({
                "kind": damage.fault.word(), "lost": damage.fault.is_loss(),
                "annotated": damage.annotated, "object": damage.object, "message": damage.to_string(),
            })
        });
        let malformed = self.malformed.iter().map(|(annotated, note, why)| {
            json!({
                "kind": "no-record", "lost": true,
                "annotated": annotated, "object": note, "message": why,
            })
        });
        let unknown = self
            .unknown
            .iter()
            .filter_map(|(unknown, n)| match unknown {
                Unread::Unknown { version, kind } => {
                    Some(json!({ "v": version, "type": kind, "lines": n }))
                }
                Unread::Malformed(_) => None,
            });
        json!({
            "ref": self.reference, "commit": self.verified.commit, "notes": self.verified.n_notes,
            "lines": self.n_lines, "unknown": unknown.collect::<Vec<_>>(),
            "damaged": damaged.chain(malformed).collect::<Vec<_>>(),
            "signatures": self.signatures.as_ref().map(|found| json!({
                "good": found.n_good, "before": found.n_before,
                "not_good": found.not_good.iter().map(|found| json!({
                    "commit": found.commit, "signed": found.is_there, "author": found.author, "message": found.said,
                })).collect::<Vec<_>>(),
            })),
        })
    }
}

/// What is elsewhere is no damage: history was rewritten, or not all of it is here.
fn mark(damage: &Damage) -> (&'static str, Style) {
    match &damage.fault {
        fault if fault.is_loss() => ("lost", ERROR),
        notes::Fault::Orphaned => ("fine", Style::new()),
        _ => ("untidy", WARNING),
    }
}
