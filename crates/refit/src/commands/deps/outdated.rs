//! `refit deps outdated`: newer tags in the track of what the images are built on. A finding, not an edit.

mod listing;

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use refit_deps::{
    lineage::place::{self, Place},
    outdated::{Newer, Unordered, newer},
};
use refit_dockerfile::FoundSource;
use refit_oci::{Digest, ObjectId, Reference};
use serde_json::{Value, json};

use super::App;
use crate::{
    cli::FormatArgs,
    commands::report,
    error::{CommandError, Exit},
    project::Snapshot,
    ui::{self, DIM, Format, Table, WARNING, count},
};
use listing::{Listings, Pins};

/// List newer tags of what images are built on
///
/// Within the same track: the same prefix, as many numbers, the same flavour. So `20.11-bookworm-slim` is compared with
/// `20.19-bookworm-slim` and `22.3-bookworm-slim`, and neither with `20.19` nor with `20.19.1-bookworm-slim`. A later major
/// version stands in a column of its own, and prereleases count only for what is one. Nothing is changed; the file and
/// line say where one would. Each repository's tags are listed once.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit deps outdated\n  \
    refit deps outdated web api\n  \
    refit deps outdated --exit-code    ends with 1 if there is something newer\n  \
    refit deps outdated --format json")]
pub(crate) struct OutdatedArgs {
    /// Only what these images are built on
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// End with exit code 1 if there is something newer
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// One reference, by whom and where it is used, and what there is instead.
struct Finding<'a> {
    reference: &'a Reference,
    images: BTreeSet<&'a str>,
    places: BTreeSet<Place>,
    verdict: Verdict,
    /// What the tag holds now, of a reference whose digest is another one.
    moved_to: Option<Digest>,
}

/// What is known of newer tags.
enum Verdict {
    /// There are some, or none.
    Compared(Newer),
    /// Its tag has no order.
    Unordered(Unordered),
    /// It has no tag, only a digest.
    Untagged,
    /// The registry does not list tags, or is away.
    Unlisted(String),
}

pub(super) async fn run(app: &App, args: &OutdatedArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let snapshot = project.working()?;
    for name in &args.images {
        snapshot.image(name)?;
    }
    let used = used(&snapshot, &args.images);
    let registries = project.registries();
    let listings = listing::tags(&registries, used.keys().copied()).await;
    let pins = listing::pins(&registries, used.keys().copied()).await;
    let findings: Vec<Finding<'_>> = used
        .into_iter()
        .map(|(reference, (images, places))| Finding {
            verdict: verdict(reference, &listings),
            moved_to: moved_to(reference, &pins),
            reference,
            images,
            places,
        })
        .collect();
    match args.format.format {
        Format::Json => app.ui.json(&view(&findings, snapshot.revision.as_ref())),
        Format::Human => print(app, &findings),
    }
    let exit = report::snapshot(app, &snapshot);
    let is_found = findings.iter().any(Finding::is_news);
    Ok(if args.exit_code && is_found {
        exit.or(Exit::Partial)
    } else {
        exit
    })
}

type Used<'a> = BTreeMap<&'a Reference, (BTreeSet<&'a str>, BTreeSet<Place>)>;

/// The references to what is not of this repository, by the images that have them.
fn used<'a>(snapshot: &'a Snapshot, only: &[String]) -> Used<'a> {
    let mut used = Used::new();
    for (name, _, found) in snapshot.scans.found() {
        let is_meant = only.is_empty() || only.iter().any(|only| only == name);
        let FoundSource::Reference(reference) = &found.source else {
            continue;
        };
        if !is_meant || snapshot.edges.parent(name, found).is_some() {
            continue;
        }
        let Some(image) = snapshot.inventory.image(name) else {
            continue;
        };
        let (images, places) = used.entry(reference).or_default();
        images.insert(name);
        places.extend(place::of_tag(image, found));
    }
    used
}

fn verdict(reference: &Reference, listings: &Listings) -> Verdict {
    let Some(tag) = reference.tag() else {
        return Verdict::Untagged;
    };
    match listings.get(reference.repository()) {
        Some(Ok(tags)) => match newer(tag, tags.iter().map(String::as_str)) {
            Ok(newer) => Verdict::Compared(newer),
            Err(unordered) => Verdict::Unordered(unordered),
        },
        Some(Err(message)) => Verdict::Unlisted(message.clone()),
        // Nobody asked: its tag could not be compared with others anyway.
        None => match newer(tag, []) {
            Err(unordered) => Verdict::Unordered(unordered),
            Ok(newer) => Verdict::Compared(newer),
        },
    }
}

fn moved_to(reference: &Reference, pins: &Pins) -> Option<Digest> {
    let now = pins.get(reference)?;
    (reference.digest() != Some(now)).then(|| now.clone())
}

impl Finding<'_> {
    fn is_news(&self) -> bool {
        let is_newer = matches!(&self.verdict, Verdict::Compared(newer) if !newer.is_none());
        is_newer || self.moved_to.is_some()
    }
}

fn print(app: &App, findings: &[Finding<'_>]) {
    let mut table = Table::with_header(&["REFERENCE", "NEWER", "MAJOR", "WHERE"]);
    for finding in findings.iter().filter(|finding| finding.is_news()) {
        let (within, major) = match &finding.verdict {
            Verdict::Compared(newer) => (
                newer.within.as_ref().map(|(tag, _)| tag.clone()),
                newer.major.clone(),
            ),
            _ => (None, None),
        };
        let mut places: Vec<String> = finding.places.iter().map(ToString::to_string).collect();
        if let Some(now) = &finding.moved_to {
            places.push(format!("(its tag is {} now)", now.short()));
        }
        let or_dash = |tag: Option<String>| tag.unwrap_or_else(|| "-".to_owned());
        let cells = vec![
            ui::reference(finding.reference),
            or_dash(within),
            or_dash(major),
            places.join(" "),
        ];
        table.row(cells, WARNING);
    }
    app.ui.table(&table);
    let n_news = findings.iter().filter(|finding| finding.is_news()).count();
    if findings.is_empty() {
        app.ui
            .note("the images are built on nothing from outside of this repository");
    } else if n_news == 0 {
        app.ui.note(&format!(
            "nothing newer among {}",
            count(findings.len(), "reference")
        ));
    }
    let mut unordered = Table::new();
    for finding in findings {
        let reference = ui::reference(finding.reference);
        match &finding.verdict {
            Verdict::Unordered(why) => {
                unordered.row(vec![reference, why.as_str().to_owned()], DIM);
            }
            Verdict::Untagged => {
                unordered.row(
                    vec![reference, "a digest alone has no order".to_owned()],
                    DIM,
                );
            }
            Verdict::Unlisted(why) => {
                app.ui
                    .warning(&format!("{reference}: its tags could not be listed: {why}"));
            }
            Verdict::Compared(_) => {}
        }
    }
    app.ui.note_table(&unordered);
}

fn view(findings: &[Finding<'_>], revision: Option<&ObjectId>) -> Value {
    let results: Vec<Value> = findings.iter().map(result).collect();
    json!({ "format_version": 1, "revision": revision, "results": results })
}

fn result(finding: &Finding<'_>) -> Value {
    let (state, newer, message) = match &finding.verdict {
        Verdict::Compared(newer) if newer.is_none() => ("current", Some(newer), None),
        Verdict::Compared(newer) => ("newer", Some(newer), None),
        Verdict::Unordered(why) => ("unordered", None, Some(why.as_str().to_owned())),
        Verdict::Untagged => ("untagged", None, None),
        Verdict::Unlisted(why) => ("unlisted", None, Some(why.clone())),
    };
    let within = newer.and_then(|newer| newer.within.as_ref());
    let places = finding
        .places
        .iter()
        .map(|place| json!({ "file": place.file, "line": place.line, "key": place.key }));
    json!({
        "reference": finding.reference,
        "state": state,
        "message": message,
        "newer": within.map(|(tag, leap)| json!({ "tag": tag, "leap": leap.as_str() })),
        "major": newer.and_then(|newer| newer.major.as_ref()),
        "pinned": finding.reference.digest(),
        "moved_to": finding.moved_to,
        "images": finding.images,
        "places": places.collect::<Vec<_>>(),
    })
}
