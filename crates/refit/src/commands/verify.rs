//! `refit verify`: whether what is published agrees with git, the records and the registry.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;
use refit_deps::{
    observe::Line,
    plan::{self, Finding, Verification},
    publication::claims::Claims,
    reason::StateKind,
};
use serde_json::{Value, json};

use super::{App, sweep::tips};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    lines,
    observe::Observer,
    ui::{Format, Table, count, state_words},
    workshop,
};

/// Check that what is published agrees with git and the registry
///
/// Of each image: whether its tag holds what was published last; whether its index says what the records say; whether
/// its commit is on its line, and has the source that its manifests name; whether those are there, for their platforms,
/// built on what the records say, and begin with the layers of the base that they are pinned to. Nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    refit verify                   every image of every line\n  \
    refit verify web\n  \
    refit verify --format json")]
pub(crate) struct VerifyArgs {
    /// Only these images
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(app: &App, args: &VerifyArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    workshop::notes_remote(&project, false)?;
    let mut claims = Claims::default();
    let mut before: Option<Observer<'_>> = None;
    let mut all: Vec<(Line, Verification)> = Vec::new();
    for (line, mut tip) in tips(&project, &args.images)? {
        let claimed = lines::claim(&mut claims, &line.name, &mut tip);
        let images = tip.inventory.images.iter().map(|image| &image.name);
        let wanted = images.filter(|name| {
            let is_named = args.images.is_empty() || args.images.contains(name);
            is_named && !claimed.images.contains(*name)
        });
        let wanted: BTreeSet<String> = wanted.cloned().collect();
        let observer = match before.take() {
            Some(before) => before.next(line, tip, &BTreeSet::new())?,
            None => Observer::new(&project, line, tip, project.registries())?,
        };
        let found = observer
            .resolve(|ground| plan::verify(ground, &wanted))
            .await?;
        all.push((observer.line.clone(), found));
        before = Some(observer);
    }
    match args.format.format {
        Format::Json => app.ui.json(&view(&all)),
        Format::Human => show(app, &all),
    }
    Ok(exit_of(&all))
}

fn exit_of(all: &[(Line, Verification)]) -> Exit {
    let of = |(_, found): &(Line, Verification)| {
        let unknown = found.states.iter().any(|state| state.kind.is_unknown());
        match (unknown, found.findings.is_empty()) {
            (true, _) => Exit::CannotDo,
            (false, false) => Exit::Partial,
            (false, true) => Exit::Fine,
        }
    };
    all.iter().map(of).fold(Exit::Fine, Exit::or)
}

fn target(finding: &Finding) -> String {
    match &finding.platform {
        Some(platform) => format!("{}@{platform}", finding.image),
        None => finding.image.clone(),
    }
}

fn show(app: &App, all: &[(Line, Verification)]) {
    let mut table = Table::new();
    let mut n_images = 0;
    for (line, found) in all {
        n_images += found.looked_at.len();
        for finding in &found.findings {
            let mut cells = vec![
                target(finding),
                finding.name.to_owned(),
                finding.message.clone(),
            ];
            if all.len() > 1 {
                cells.insert(0, line.name.clone());
            }
            table.row(cells, Style::new());
        }
        for state in &found.states {
            if !matches!(state.kind, StateKind::Unpublished | StateKind::NoMovingTag) {
                let words = state_words(&state.kind);
                app.ui
                    .warning(&format!("{}: {}: {words}", state.image, state.kind.word()));
            }
        }
    }
    app.ui.table(&table);
    let n_findings: usize = all.iter().map(|(_, found)| found.findings.len()).sum();
    let said = match n_findings {
        0 => "what is published agrees with git and the registry".to_owned(),
        n => format!("{} in what is published", count(n, "finding")),
    };
    app.ui
        .note(&format!("{} looked at: {said}", count(n_images, "image")));
}

fn view(all: &[(Line, Verification)]) -> Value {
    let mut images = Vec::new();
    let mut findings = Vec::new();
    let mut states = Vec::new();
    for (line, found) in all {
        let looked_at: BTreeMap<_, _> = found.looked_at.iter().cloned().collect();
        for (image, index) in looked_at {
            images.push(json!({ "image": image, "line": line.name, "index": index }));
        }
        for finding in &found.findings {
            findings.push(json!({
                "image": finding.image, "line": line.name, "platform": finding.platform,
                "finding": finding.name, "message": finding.message,
            }));
        }
        states.extend(found.states.iter().map(plan::state_json));
    }
    json!({ "format_version": 1, "images": images, "findings": findings, "states": states })
}
