//! `refit verify`: whether what is published agrees with git, the records and the registry.

mod statements;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anstyle::Style;
use refit_build::sign::PublicKey;
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
/// built on what the records say, and begin with the layers of the base that they are pinned to; and whether the
/// provenance that is attached to it says the same. Nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    refit verify                   every image of every line\n  \
    refit verify web\n  \
    refit verify --key key.pub     signatures, too\n  \
    refit verify --format json")]
pub(crate) struct VerifyArgs {
    /// Only these images
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// A public key (PEM, P-256): the provenance must be signed with its private key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(app: &App, args: &VerifyArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    workshop::notes_remote(&project, false)?;
    let key = args
        .key
        .as_ref()
        .map(|path| public_key(app, path))
        .transpose()?;
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
        let mut found = observer
            .resolve(|ground| plan::verify(ground, &wanted))
            .await?;
        for claim in &found.claims {
            let of_claim = statements::findings(&observer.registries, claim, key.as_ref());
            found.findings.extend(of_claim.await);
        }
        all.push((observer.line.clone(), found));
        before = Some(observer);
    }
    match args.format.format {
        Format::Json => app.ui.json(&view(&all)),
        Format::Human => show(app, &all),
    }
    Ok(exit_of(&all))
}

fn public_key(app: &App, path: &Path) -> Result<PublicKey, CommandError> {
    let path = app.environment.folder(Some(path));
    let wrong = |why: String| {
        let message = format!("the key `{}`: {why}", path.display());
        CommandError::new(message)
            .hint("`openssl pkey -in key.pem -pubout` prints the public half of a key")
    };
    let pem = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    PublicKey::from_pem(&pem).map_err(|error| wrong(error.to_string()))
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
