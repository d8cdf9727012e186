//! `refit deps list`: every dependency of every target.

use std::collections::{BTreeSet, HashMap};

use anstyle::Style;
use clap::Args;
use refit_deps::edges::Parent;
use refit_dockerfile::{Found, FoundSource};
use refit_oci::{Platform, Reference};
use refit_platform::Target;
use serde::Serialize;

use super::App;
use crate::{
    cli::FormatArgs,
    commands::report,
    error::{CommandError, Exit},
    project::Snapshot,
    ui::{self, Format, Table, platforms},
};

/// List every dependency of every target
///
/// A target is an image on one platform. The kind says how it depends: `base` is below the stage that is built, `stage`
/// below other stages, `copy` and `mount` are images that files come from, `context` is a named build context,
/// `frontend` is what reads the Dockerfile, and `onbuild` what instructions of a base ask for.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit deps list\n  \
    refit deps list web --format json")]
pub(crate) struct ListArgs {
    /// Only these images
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// The images at this revision instead of the working tree's
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct ListView<'a> {
    format_version: u32,
    revision: Option<&'a refit_oci::ObjectId>,
    targets: Vec<TargetView<'a>>,
}

#[derive(Debug, Serialize)]
struct TargetView<'a> {
    target: String,
    image: &'a str,
    platform: &'a Platform,
    dockerfile: &'a str,
    dependencies: Vec<DependencyView<'a>>,
}

#[derive(Debug, Serialize)]
struct DependencyView<'a> {
    kind: &'static str,
    written: &'a str,
    reference: Option<&'a Reference>,
    /// The image of this repository that it is.
    image: Option<&'a str>,
    inferred: bool,
    platform: &'a Platform,
    line: usize,
}

pub(super) fn run(app: &App, args: &ListArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let snapshot = super::graph::snapshot(&project, args.at.as_deref())?;
    for name in &args.images {
        snapshot.image(name)?;
    }
    let view = view(&snapshot, &args.images);
    match args.format.format {
        Format::Json => app.ui.json(&view),
        Format::Human => {
            app.ui.table(&table(&snapshot, &view));
            let depends = |target: &TargetView<'_>| !target.dependencies.is_empty();
            if !view.targets.is_empty() && !view.targets.iter().any(depends) {
                app.ui.note(
                    "nothing to list: no image here is built from another one (`scratch` is none)",
                );
            }
        }
    }
    Ok(report::snapshot(app, &snapshot))
}

fn view<'a>(snapshot: &'a Snapshot, only: &[String]) -> ListView<'a> {
    let images = snapshot
        .inventory
        .images
        .iter()
        .filter(|i| only.is_empty() || only.contains(&i.name));
    let targets = images.flat_map(|image| {
        let mut platforms: Vec<&Platform> = image.platforms.iter().collect();
        platforms.sort();
        platforms.dedup();
        platforms.into_iter().filter_map(move |platform| {
            let resolved = snapshot.scans.target(&image.name, platform)?;
            let found = resolved.found.iter();
            let mut dependencies: Vec<_> = found
                .map(|f| dependency(snapshot, &image.name, f))
                .collect();
            dependencies.sort_by_key(|d| (d.line, d.kind, d.reference.cloned()));
            let target = Target {
                image: image.name.clone(),
                platform: platform.clone(),
            };
            Some(TargetView {
                target: target.to_string(),
                image: &image.name,
                platform,
                dockerfile: &image.dockerfile,
                dependencies,
            })
        })
    });
    ListView {
        format_version: 1,
        revision: snapshot.revision.as_ref(),
        targets: targets.collect(),
    }
}

fn dependency<'a>(snapshot: &'a Snapshot, image: &str, found: &'a Found) -> DependencyView<'a> {
    let parent: Option<Parent<'a>> = snapshot.edges.parent(image, found);
    let reference = match &found.source {
        FoundSource::Reference(reference) => Some(reference),
        FoundSource::InRepo(_) => None,
    };
    DependencyView {
        kind: found.kind.as_str(),
        written: &found.written,
        reference,
        image: parent.map(|parent| parent.image),
        inferred: parent.is_some_and(|parent| parent.inferred),
        platform: &found.platform,
        line: found.line,
    }
}

fn table(snapshot: &Snapshot, view: &ListView<'_>) -> Table {
    // Image, kind, reference, place and note, with the platforms that have the row.
    let mut rows: Vec<([String; 5], BTreeSet<&Platform>)> = Vec::new();
    let mut known: HashMap<[String; 5], usize> = HashMap::new();
    for target in &view.targets {
        for d in &target.dependencies {
            let name = d.reference.map(ui::reference);
            let name = name.unwrap_or_else(|| format!("image:{}", d.image.unwrap_or_default()));
            let note = match (d.image, d.inferred) {
                (Some(image), true) => format!("{image} of this repository (inferred)"),
                (Some(image), false) => format!("{image} of this repository"),
                (None, _) => String::new(),
            };
            let place = format!("{}:{}", target.dockerfile, d.line);
            let cells = [
                target.image.to_owned(),
                d.kind.to_owned(),
                name,
                place,
                note,
            ];
            let at = *known.entry(cells).or_insert_with_key(|cells| {
                rows.push((cells.clone(), BTreeSet::new()));
                rows.len() - 1
            });
            rows[at].1.insert(target.platform);
        }
    }
    let mut table = Table::with_header(&["IMAGE", "PLATFORM", "KIND", "REFERENCE", "WHERE", ""]);
    for ([image, kind, name, place, note], of) in rows {
        let all = snapshot
            .inventory
            .image(&image)
            .map_or(&[][..], |image| &image.platforms);
        let of = platforms(of, all);
        table.row(vec![image, of, kind, name, place, note], Style::new());
    }
    table
}
