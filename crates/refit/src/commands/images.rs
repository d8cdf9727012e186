//! `refit images`: the inventory.

use std::collections::BTreeMap;

use anstyle::Style;
use clap::Args;
use refit_deps::image::{EngineChoice, Image, Pinned};
use refit_oci::{Platform, Reference, Repository};
use serde::Serialize;

use super::{App, report};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    project::Snapshot,
    ui::{Format, Table},
};

/// List the images of this repository
///
/// Without `.config/refit.toml` these are the Dockerfiles that a scan finds; `refit init` writes them down.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  refit images --format json")]
pub(crate) struct ImagesArgs {
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct ImagesView<'a> {
    format_version: u32,
    configured: bool,
    images: Vec<ImageView<'a>>,
    unlisted: &'a [String],
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
}

pub(crate) fn run(app: &App, args: &ImagesArgs) -> Result<Exit, CommandError> {
    let snapshot = app.project()?.working()?;
    match args.format.format {
        Format::Json => app.ui.json(&view(&snapshot)),
        Format::Human => app.ui.table(&table(&snapshot)),
    }
    Ok(report::snapshot(app, &snapshot))
}

fn view(snapshot: &Snapshot) -> ImagesView<'_> {
    ImagesView {
        format_version: 1,
        configured: snapshot.inventory.configured,
        images: snapshot.inventory.images.iter().map(image_view).collect(),
        unlisted: &snapshot.inventory.unlisted,
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
            EngineChoice::Auto => "auto",
            EngineChoice::Docker => "docker",
            EngineChoice::Native => "native",
        },
        pinned: match image.pinned {
            Pinned::Report => "report",
            Pinned::Follow => "follow",
        },
        hold: image.hold.as_deref(),
    }
}

fn table(snapshot: &Snapshot) -> Table {
    let mut table = Table::with_header(&["IMAGE", "DOCKERFILE", "PLATFORMS", "PUBLISHED AS"]);
    for image in &snapshot.inventory.images {
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
