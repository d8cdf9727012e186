//! `refit images`: the inventory, or what of it a commit trigger builds.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;
use clap::Args;
use refit_deps::image::{EngineChoice, Image, Pinned};
use refit_git::Head;
use refit_oci::{Platform, Reference, Repository};
use serde::Serialize;

use super::{App, report};
use crate::{
    changed::{self, Cause},
    cli::FormatArgs,
    error::{CommandError, Exit},
    project::{Project, Snapshot},
    revision,
    ui::{Format, Table, count, sentence_list},
};

/// List the images of this repository
///
/// Without `.config/refit.toml` these are the Dockerfiles that a scan finds; `refit init` writes them down.
///
/// `--changed` and `--staged` list those whose source is another one than before: the Dockerfile, the settings that
/// count, or a file that the build can see. That is what a commit trigger or a pull request's job has to build.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit images --format json\n  \
    refit images --changed origin/main...HEAD\n  \
    refit images --changed HEAD~1..HEAD --name-only | xargs --no-run-if-empty refit build")]
pub(crate) struct ImagesArgs {
    /// Only images whose source differs between two revisions
    ///
    /// `A...B` compares B with the common ancestor, as a pull request does; `A` alone compares with the working tree.
    /// An id of zeros, which services give for the commit before a branch's first one, means before everything.
    #[arg(long, value_name = "A..B", conflicts_with = "staged")]
    changed: Option<String>,
    /// Only images whose source the next commit would change
    #[arg(long)]
    staged: bool,
    /// Also the images that are built on those
    #[arg(long)]
    with_dependents: bool,
    /// Print nothing but names, one a line
    #[arg(long, conflicts_with = "format")]
    name_only: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// What is to be listed.
struct Listing {
    snapshot: Snapshot,
    /// By image, if only those that changed are listed.
    causes: Option<BTreeMap<String, BTreeSet<Cause>>>,
    /// Images that are no more.
    removed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ImagesView<'a> {
    format_version: u32,
    configured: bool,
    images: Vec<ImageView<'a>>,
    unlisted: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<&'a [String]>,
}

#[derive(Debug, Serialize)]
struct ImageView<'a> {
    name: &'a str,
    dockerfile: &'a str,
    context: &'a str,
    target: Option<&'a str>,
    platforms: &'a [Platform],
    reference: Option<Reference>,
    repository: Option<&'a Repository>,
    tags: Vec<Reference>,
    unique_tags: &'a [String],
    build_args: &'a BTreeMap<String, String>,
    engine: &'static str,
    pinned: &'static str,
    hold: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Vec<&'static str>>,
}

pub(crate) fn run(app: &App, args: &ImagesArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let listing = listing(&project, args)?;
    if args.name_only {
        let names: Vec<&str> = listing.images().map(|image| image.name.as_str()).collect();
        app.ui.data(&names.join("\n"));
    } else {
        match args.format.format {
            Format::Json => app.ui.json(&view(&listing)),
            Format::Human => app.ui.table(&table(&listing)),
        }
    }
    if listing.causes.is_some() {
        if listing.images().next().is_none() {
            app.ui.note("no image changed");
        }
        if !listing.removed.is_empty() {
            let n = count(listing.removed.len(), "image");
            let names = sentence_list(&listing.removed);
            app.ui.note(&format!("{n} no longer here: {names}"));
        }
    }
    Ok(report::snapshot(app, &listing.snapshot))
}

fn listing(project: &Project, args: &ImagesArgs) -> Result<Listing, CommandError> {
    let (before, after) = match &args.changed {
        Some(range) => revision::range(project, range)?,
        None if args.staged => {
            let before = match project.repo.head()? {
                Head::Commit { id, .. } => project.at(&id)?,
                Head::Unborn { .. } => project.before_all()?,
            };
            (before, project.staged()?)
        }
        None => {
            return Ok(Listing {
                snapshot: project.working()?,
                causes: None,
                removed: Vec::new(),
            });
        }
    };
    let paths = changed::differing(project, &before, &after)?;
    let changes = changed::changes(project, &before, &after, &paths);
    let mut causes: BTreeMap<String, BTreeSet<Cause>> = BTreeMap::new();
    for change in changes {
        if args.with_dependents {
            for child in after.graph.descendants(&change.image.name) {
                causes
                    .entry(child.to_owned())
                    .or_default()
                    .insert(Cause::Parent);
            }
        }
        causes
            .entry(change.image.name.clone())
            .or_default()
            .extend(change.causes);
    }
    let gone = before.inventory.images.iter();
    let removed = gone
        .filter(|image| after.inventory.image(&image.name).is_none())
        .map(|image| image.name.clone())
        .collect();
    Ok(Listing {
        snapshot: after,
        causes: Some(causes),
        removed,
    })
}

impl Listing {
    fn images(&self) -> impl Iterator<Item = &Image> {
        let images = self.snapshot.inventory.images.iter();
        images.filter(|image| match &self.causes {
            Some(causes) => causes.contains_key(&image.name),
            None => true,
        })
    }

    fn causes(&self, image: &Image) -> Option<Vec<Cause>> {
        let causes = self.causes.as_ref()?.get(&image.name)?;
        Some(causes.iter().copied().collect())
    }
}

fn view(listing: &Listing) -> ImagesView<'_> {
    let inventory = &listing.snapshot.inventory;
    ImagesView {
        format_version: 1,
        configured: inventory.configured,
        images: listing
            .images()
            .map(|image| {
                let causes = listing.causes(image);
                let changed = causes.map(|causes| causes.into_iter().map(Cause::as_str).collect());
                ImageView {
                    changed,
                    ..image_view(image)
                }
            })
            .collect(),
        unlisted: &inventory.unlisted,
        removed: listing
            .causes
            .is_some()
            .then_some(listing.removed.as_slice()),
    }
}

fn image_view(image: &Image) -> ImageView<'_> {
    ImageView {
        name: &image.name,
        dockerfile: &image.dockerfile,
        context: &image.context,
        target: image.target.as_deref(),
        platforms: &image.platforms,
        reference: image.lead_tag(),
        repository: image.repository.as_ref(),
        tags: image.moving_tags(),
        unique_tags: &image.unique_tags,
        build_args: &image.build_args,
        engine: match image.engine {
            EngineChoice::Auto(_) => "auto",
            EngineChoice::Docker => "docker",
            EngineChoice::BuildKit => "buildkit",
            EngineChoice::Native => "native",
        },
        pinned: match image.pinned {
            Pinned::Report => "report",
            Pinned::Follow => "follow",
        },
        hold: image.hold.as_deref(),
        changed: None,
    }
}

fn table(listing: &Listing) -> Table {
    if listing.causes.is_some() {
        let mut table = Table::with_header(&["IMAGE", "CHANGED"]);
        for image in listing.images() {
            let causes = listing.causes(image).unwrap_or_default();
            let causes: Vec<&str> = causes.into_iter().map(Cause::words).collect();
            table.row(
                vec![image.name.clone(), sentence_list(&causes)],
                Style::new(),
            );
        }
        return table;
    }
    let mut table = Table::with_header(&["IMAGE", "DOCKERFILE", "PLATFORMS", "PUBLISHED AS"]);
    for image in listing.images() {
        let platforms = image
            .platforms
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",");
        let dockerfile = match &image.target {
            Some(target) => format!("{} ({target})", image.dockerfile),
            None => image.dockerfile.clone(),
        };
        let lead = image
            .lead_tag()
            .map_or_else(|| "no moving tag".to_owned(), |tag| tag.familiar());
        let more = match image.moving_tags().len() {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        table.row(
            vec![
                image.name.clone(),
                dockerfile,
                platforms,
                format!("{lead}{more}"),
            ],
            Style::new(),
        );
    }
    table
}
