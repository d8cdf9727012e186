//! `refit deps why`: the ways from an image to what changed below it; of a fresh one what it is built on, and since when.

mod built;
mod view;

use std::collections::BTreeSet;

use anstyle::Style;
use clap::Args;
use refit_deps::{
    lineage::causes::{Cause, causes},
    plan::{StatusRow, Word},
    reason::{Reason, StateKind},
};
use refit_dockerfile::{Found, FoundSource, Kind};
use refit_oci::{Platform, Reference};
use refit_platform::Target;

use super::{App, outline::Outline};
use crate::{
    cli::{FormatArgs, TrustArgs},
    error::{CommandError, Exit},
    observe::{self, Standing},
    packages::{self, Insides},
    project::{Project, Snapshot},
    ui::{self, ERROR, Format, GOOD, WARNING, sentence_list},
};
use built::Built;

/// Say why an image is stale, or what it is built on
///
/// Shows every way from the image to a base that moved or a source that changed, with the line of each Dockerfile that
/// leads there. Of an image that is fresh it says what it is built on and since when, by the records; of any other
/// state what is the matter and what helps.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit deps why web\n  \
    refit deps why web@linux/arm64\n  \
    refit deps why web --packages      also what changed inside of the bases that moved\n  \
    refit deps why web --format json")]
pub(crate) struct WhyArgs {
    /// The image, on all its platforms or on one
    #[arg(value_name = "IMAGE[@PLATFORM]")]
    target: String,
    /// Also show the packages that changed inside of the bases; reads their layers
    #[arg(long)]
    packages: bool,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// What is known of one target.
struct Explained<'a> {
    row: &'a StatusRow,
    causes: Vec<Cause>,
    built: Option<Built>,
}

pub(super) async fn run(app: &App, args: &WhyArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let standing = observe::status(&project, args.trust.own_tags()).await?;
    let rows = rows(&standing, &args.target)?;
    let records = project.records()?;
    let explained: Vec<Explained<'_>> = rows
        .into_iter()
        .map(|row| Explained {
            row,
            causes: causes(&standing.status.plan, &row.target),
            built: built::built(&records, &standing.tip, &row.target),
        })
        .collect();
    let insides = if args.packages {
        inside(&project, &standing, &explained).await
    } else {
        Insides::new()
    };
    match args.format.format {
        Format::Json => app
            .ui
            .json(&view::view(&standing.tip, &explained, &insides)),
        Format::Human => {
            print(app, &project, &standing.tip, &explained, &insides);
            hints(app, &explained);
        }
    }
    Ok(Exit::Fine)
}

/// The rows that `IMAGE[@PLATFORM]` means; never none.
fn rows<'a>(standing: &'a Standing, text: &str) -> Result<Vec<&'a StatusRow>, CommandError> {
    let (name, platform) = match text.split_once('@') {
        Some((name, platform)) => (name, Some(platform)),
        None => (text, None),
    };
    let image = standing.tip.image(name)?;
    let platform: Option<Platform> = match platform {
        Some(text) => Some(
            text.parse()
                .map_err(|error| CommandError::because(&error))?,
        ),
        None => None,
    };
    let rows = standing.status.rows.iter().filter(|row| {
        row.target.image == name && platform.as_ref().is_none_or(|p| *p == row.target.platform)
    });
    let rows: Vec<&StatusRow> = rows.collect();
    if let (true, Some(platform)) = (rows.is_empty(), platform) {
        let known: Vec<String> = image.platforms.iter().map(|p| format!("`{p}`")).collect();
        return Err(
            CommandError::new(format!("`{name}` is not built for `{platform}`"))
                .hint(format!("it is built for {}", sentence_list(&known))),
        );
    }
    Ok(rows)
}

/// What changed inside of the bases that these targets are stale because of.
async fn inside(project: &Project, standing: &Standing, explained: &[Explained<'_>]) -> Insides {
    let mut wanted = BTreeSet::new();
    let mut open: Vec<&Cause> = explained.iter().flat_map(|of| &of.causes).collect();
    while let Some(cause) = open.pop() {
        wanted.extend(packages::of_reason(&cause.reason));
        open.extend(&cause.causes);
    }
    let mut moves = packages::moves(&standing.status.plan);
    moves.retain(|moved, _| wanted.contains(moved));
    packages::compare(project, &project.registries(), moves).await
}

/// One outline for the targets of which the same is to be said.
fn print(
    app: &App,
    project: &Project,
    tip: &Snapshot,
    explained: &[Explained<'_>],
    insides: &Insides,
) {
    let now = project.environment.now();
    let mut groups: Vec<(Vec<String>, &Explained<'_>, String)> = Vec::new();
    for of in explained {
        let platform = &of.row.target.platform;
        let mut below: Vec<Outline> = of
            .causes
            .iter()
            .map(|cause| cause_outline(tip, cause, platform, insides))
            .collect();
        if of.row.word != Word::Stale {
            below.extend(
                of.row
                    .states
                    .iter()
                    .filter(|s| is_news(s))
                    .map(|state| Outline::new(ui::state_words(state), Style::new())),
            );
            below.extend(of.built.iter().flat_map(|built| built.outlines(now)));
        }
        let outline = Outline::new("", Style::new()).over(below);
        let text = outline.render(app.ui.width());
        let alike = groups
            .iter_mut()
            .find(|(_, other, body)| *body == text && other.row.word == of.row.word);
        match alike {
            Some((platforms, ..)) => platforms.push(platform.to_string()),
            None => groups.push((vec![platform.to_string()], of, text)),
        }
    }
    for (platforms, of, body) in groups {
        let style = match of.row.word {
            Word::Stale => WARNING,
            Word::Fresh => GOOD,
            Word::Reported("unpublished" | "unreleased" | "pinned") => Style::new().bold(),
            Word::Reported(_) => ERROR,
        };
        let image = &of.row.target.image;
        let name = match platforms.as_slice() {
            [one] => format!("{image}@{one}"),
            many => format!("{image} on {}", sentence_list(many)),
        };
        let word = of.row.word.as_str();
        // The first line of the body is the outline's own, and empty.
        let body = body.split_once('\n').map_or("", |(_, body)| body);
        app.ui
            .data(&format!("{style}{name}{style:#} is {word}\n{body}"));
    }
}

/// What needs no words beside the row's own.
fn is_news(state: &StateKind) -> bool {
    !matches!(state, StateKind::Unpublished)
}

fn cause_outline(tip: &Snapshot, cause: &Cause, of: &Platform, insides: &Insides) -> Outline {
    let at = |found: &Found| edge_words(tip, &cause.target, found);
    let places = edges(tip, &cause.target, &cause.reason);
    let places: BTreeSet<String> = places.into_iter().map(at).collect();
    match &cause.reason {
        Reason::ParentRebuilt { parent } => {
            let name = if parent.platform == *of {
                parent.image.clone()
            } else {
                parent.to_string()
            };
            let below = cause.causes.iter();
            Outline::new(name, Style::new().bold())
                .with(["is rebuilt".to_owned()])
                .with(places)
                .over(below.map(|cause| cause_outline(tip, cause, of, insides)))
        }
        Reason::BaseChanged {
            reference,
            from,
            to,
            level,
            ..
        } => {
            let moved = match from {
                Some(from) => format!("{} → {}", from.short(), to.short()),
                None => format!("{} is new to it", to.short()),
            };
            let inside = packages::of_reason(&cause.reason).and_then(|moved| insides.get(&moved));
            Outline::new(reference.familiar(), WARNING)
                .with([moved, format!("by {}", level.as_str())])
                .with(places)
                .over(inside.into_iter().flat_map(package_outlines))
        }
        other => Outline::new(ui::reason(other), WARNING).with(places),
    }
}

fn package_outlines(inside: &packages::Inside) -> Vec<Outline> {
    match inside {
        packages::Inside::Changes(changes) if !changes.is_empty() => changes
            .iter()
            .map(|change| Outline::new(packages::change_words(change), Style::new()))
            .collect(),
        other => vec![Outline::new(packages::in_short(other), Style::new())],
    }
}

/// The places of a Dockerfile at the tip that a reason is about: none where only what was released refers to it.
fn edges<'a>(tip: &'a Snapshot, target: &Target, reason: &Reason) -> Vec<&'a Found> {
    let resolved = tip.scans.target(&target.image, &target.platform);
    let found = resolved.into_iter().flat_map(|resolved| &resolved.found);
    let is_meant = |found: &&Found| match reason {
        Reason::ParentRebuilt { parent } => tip
            .edges
            .parent(&target.image, found)
            .is_some_and(|p| p.image == parent.image && found.platform == parent.platform),
        Reason::BaseChanged { reference, .. } => is_reference(found, reference),
        _ => false,
    };
    found.filter(is_meant).collect()
}

fn is_reference(found: &Found, reference: &Reference) -> bool {
    matches!(&found.source, FoundSource::Reference(of) if of == reference)
}

/// `COPY --from at web/Dockerfile:3`.
fn edge_words(tip: &Snapshot, target: &Target, found: &Found) -> String {
    let file = tip
        .inventory
        .image(&target.image)
        .map_or("", |image| image.dockerfile.as_str());
    format!("{} at {file}:{}", instruction(found.kind), found.line)
}

/// What a person looks for in the line.
pub(super) fn instruction(kind: Kind) -> &'static str {
    match kind {
        Kind::Base | Kind::Stage => "FROM",
        Kind::Copy => "COPY --from",
        Kind::Mount => "RUN --mount",
        Kind::Frontend => "# syntax",
        Kind::Onbuild => "ONBUILD of FROM",
        Kind::Context => "build context",
    }
}

fn hints(app: &App, explained: &[Explained<'_>]) {
    if explained.iter().any(|of| of.row.word == Word::Stale) {
        app.ui.hint("run `refit sweep --dry-run` to see the plan");
    }
    let states = explained.iter().flat_map(|of| &of.row.states);
    let hints: BTreeSet<String> = states.filter_map(ui::hint).collect();
    for hint in hints {
        let images = explained.iter().map(|of| of.row.target.image.as_str());
        app.ui.hint(&ui::for_images(&hint, &images.collect()));
    }
}
