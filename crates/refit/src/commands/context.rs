//! `refit context …`: what of ours goes into an image.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anstyle::Style;
use clap::{Args, Subcommand};
use refit_deps::{
    image::Image,
    scan::Triggers,
    source::{Source, SourceId},
};
use refit_oci::{ObjectId, Platform};
use serde::Serialize;

use super::{App, report};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    project::{Project, Snapshot},
    revision,
    sources::{self, Explanation},
    ui::{Format, Table, count},
};

/// Show what of the repository goes into an image
#[derive(Debug, Subcommand)]
pub(crate) enum ContextVerb {
    Id(IdArgs),
}

/// Show source ids: the content identity of everything of ours that goes into a target
///
/// A source id covers the Dockerfile, the settings that change the result, and each file of the context that the
/// ignore file keeps and that a reached COPY, ADD or bind mount can see. It is the same for a clean tree, a shallow
/// clone and a bare repository, and after an amend, a rebase or a squash. What a base has in it is not part of it.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit context id\n  \
    refit context id web --explain       what counts, and why\n  \
    refit context id web --at v1.2")]
pub(crate) struct IdArgs {
    /// The images [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// List what counts, and why
    #[arg(long)]
    explain: bool,
    /// At a revision, instead of the working tree
    #[arg(long, value_name = "REV", conflicts_with = "staged")]
    at: Option<String>,
    /// What the next commit would hold
    #[arg(long)]
    staged: bool,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct IdView<'a> {
    format_version: u32,
    revision: Option<&'a ObjectId>,
    targets: Vec<TargetView<'a>>,
}

#[derive(Debug, Serialize)]
struct TargetView<'a> {
    image: &'a str,
    platform: &'a Platform,
    source: &'a SourceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationView<'a>>,
}

#[derive(Debug, Serialize)]
struct ExplanationView<'a> {
    dockerfile: &'a ObjectId,
    settings: Vec<serde_json::Value>,
    ignore_file: Option<&'a str>,
    ignored: usize,
    unseen: usize,
    files: Vec<FileView<'a>>,
}

#[derive(Debug, Serialize)]
struct FileView<'a> {
    path: &'a str,
    mode: &'static str,
    id: &'a ObjectId,
    line: Option<usize>,
}

/// One image's target, explained.
struct Target<'s> {
    image: &'s Image,
    platform: &'s Platform,
    source: Source,
    /// If it is asked for.
    explanation: Option<Explanation>,
}

pub(crate) fn run(app: &App, verb: ContextVerb) -> Result<Exit, CommandError> {
    let ContextVerb::Id(args) = verb;
    let project = app.project()?;
    let snapshot = match &args.at {
        Some(rev) => project.at(&revision::commit(&project, rev)?)?,
        None if args.staged => project.staged()?,
        None => project.working()?,
    };
    let images: Vec<&Image> = if args.images.is_empty() {
        snapshot.inventory.images.iter().collect()
    } else {
        let named: Result<Vec<_>, _> = args
            .images
            .iter()
            .map(|name| snapshot.image(name))
            .collect();
        named?
    };
    let detail = if args.explain {
        Detail::Explained
    } else {
        Detail::Id
    };
    let (targets, failed) = targets(app, (&project, &snapshot), &images, detail);
    match args.format.format {
        Format::Json => app.ui.json(&view(&snapshot, &targets)),
        Format::Human if args.explain => app.ui.data(&explained(&targets)),
        Format::Human => app.ui.table(&table(&targets)),
    }
    let exit = report::snapshot(app, &snapshot);
    Ok(if failed { Exit::Partial } else { exit })
}

/// How much is told of a source id.
#[derive(Clone, Copy)]
enum Detail {
    Id,
    Explained,
}

/// Every target that has a source id, and whether some have none.
fn targets<'s>(
    app: &App,
    (project, snapshot): (&Project, &'s Snapshot),
    images: &[&'s Image],
    detail: Detail,
) -> (Vec<Target<'s>>, bool) {
    let (mut targets, mut failed) = (Vec::new(), false);
    let all = match detail {
        Detail::Explained => vec![BTreeMap::new(); images.len()],
        Detail::Id => sources::of_all(project, snapshot, images),
    };
    for (image, mut sources) in images.iter().zip(all) {
        let mut said = BTreeSet::new();
        for platform in &image.platforms {
            let target = match (sources.remove(platform), detail) {
                (Some(source), _) => Ok((Arc::unwrap_or_clone(source), None)),
                // Once more, for the reason.
                (None, Detail::Id) => {
                    let none = Triggers::new();
                    let target = (*image, platform);
                    sources::source_with(project, snapshot, target, &none).map(|s| (s, None))
                }
                (None, Detail::Explained) => sources::explain(project, snapshot, image, platform)
                    .map(|explanation| (explanation.source.clone(), Some(explanation))),
            };
            match target {
                Ok((source, explanation)) => targets.push(Target {
                    image,
                    platform,
                    source,
                    explanation,
                }),
                Err(error) => {
                    failed = true;
                    let message = format!("{} has no source id: {error}", image.name);
                    if said.insert(message.clone()) {
                        app.ui.error(&message);
                    }
                }
            }
        }
    }
    (targets, failed)
}

fn table(targets: &[Target<'_>]) -> Table {
    let mut table = Table::with_header(&["IMAGE", "PLATFORM", "SOURCE ID"]);
    for target in targets {
        table.row(
            vec![
                target.image.name.clone(),
                target.platform.to_string(),
                target.source.id.to_string(),
            ],
            Style::new(),
        );
    }
    table
}

/// Platforms whose sources are the same are told together.
fn explained(targets: &[Target<'_>]) -> String {
    let mut blocks: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(target) = targets.get(at) {
        let alike = targets[at..].iter().take_while(|other| {
            other.image.name == target.image.name && other.source.id == target.source.id
        });
        let platforms: Vec<String> = alike.map(|other| other.platform.to_string()).collect();
        at += platforms.len();
        if let Some(explanation) = &target.explanation {
            blocks.push(block(target.image, explanation, &platforms.join(", ")));
        }
    }
    blocks.join("\n\n")
}

fn block(image: &Image, explanation: &Explanation, platforms: &str) -> String {
    let mut table = Table::new();
    let mut row = |what: &str, value: String, which: String, why: String| {
        table.row(vec![format!("  {what}"), value, which, why], Style::new());
    };
    let dockerfile = explanation.source.dockerfile.short().to_owned();
    row(
        "dockerfile",
        dockerfile,
        image.dockerfile.clone(),
        String::new(),
    );
    for setting in &explanation.settings {
        if let Some((name, value)) = setting_words(setting) {
            row("setting", name, value, String::new());
        }
    }
    for (file, reader) in &explanation.files {
        let reader = reader.and_then(|at| explanation.instructions.get(at));
        let why = reader.map(|(line, text)| format!("line {line}: {text}"));
        row(
            "file",
            format!("{} {}", file.id.short(), file.mode.as_str()),
            file.path.clone(),
            why.unwrap_or_default(),
        );
    }
    let mut text = format!(
        "{} ({platforms}): {}\n{}",
        image.name,
        explanation.source.id,
        table.render(None).trim_end()
    );
    let mut left_out = Vec::new();
    if let (1.., Some(by)) = (explanation.n_ignored, &explanation.ignore_file) {
        let n = count(explanation.n_ignored, "file");
        left_out.push(format!("{n} left out by {by}"));
    }
    if explanation.n_unseen > 0 {
        let n = count(explanation.n_unseen, "file");
        left_out.push(format!("{n} that no instruction reads"));
    }
    if !left_out.is_empty() {
        text.push_str("\n  not counted: ");
        text.push_str(&left_out.join(", "));
    }
    text
}

/// A setting of the canonical list for people; none for one that is not set.
fn setting_words(line: &str) -> Option<(String, String)> {
    let parts: Vec<Option<String>> = serde_json::from_str(line).ok()?;
    let mut parts = parts.into_iter();
    let kind = parts.next()??;
    match (parts.next()?, parts.next()) {
        (name, None) => Some((kind, name?)),
        (name, Some(value)) => Some((kind, format!("{}={}", name?, value.unwrap_or_default()))),
    }
}

fn view<'a>(snapshot: &'a Snapshot, targets: &'a [Target<'_>]) -> IdView<'a> {
    let targets = targets.iter().map(|target| TargetView {
        image: &target.image.name,
        platform: target.platform,
        source: &target.source.id,
        explanation: target.explanation.as_ref().map(explanation_view),
    });
    IdView {
        format_version: 1,
        revision: snapshot.revision.as_ref(),
        targets: targets.collect(),
    }
}

fn explanation_view(explanation: &Explanation) -> ExplanationView<'_> {
    let files = explanation.files.iter().map(|(file, reader)| FileView {
        path: &file.path,
        mode: file.mode.as_str(),
        id: &file.id,
        line: reader.and_then(|at| Some(explanation.instructions.get(at)?.0)),
    });
    ExplanationView {
        dockerfile: &explanation.source.dockerfile,
        settings: explanation
            .settings
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
        ignore_file: explanation.ignore_file.as_deref(),
        ignored: explanation.n_ignored,
        unseen: explanation.n_unseen,
        files: files.collect(),
    }
}
