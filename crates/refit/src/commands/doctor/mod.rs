//! `refit doctor`: what is there, what is missing, and the command that mends it.

mod credentials;
mod engine;
mod nodes;
mod registries;
mod repository;
mod schedule;

use std::collections::BTreeSet;

use anstyle::Style;
use clap::Args;
use refit_deps::{
    image::{EngineChoice, Executor},
    key::EngineKind,
};
use refit_oci::Platform;
use serde::Serialize;

use super::App;
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    ui::{DIM, ERROR, Format, GOOD, Table, WARNING},
    user_config::EngineSettings,
};

/// Show what is there, what is missing, and the command that mends it
///
/// Looks at git, the repository, its configuration, records and hooks, the engine and the credentials. What is missing
/// is not needed by everybody, and is fine; something that is there and cannot be used is wrong, and ends with exit
/// code 1.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit doctor\n  \
    refit doctor --format json")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    format: FormatArgs,
}

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It is there and can be used.
    Ok,
    /// It is not there; not everybody needs it.
    Missing,
    /// It is there and cannot be used.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Check {
    #[serde(rename = "check")]
    name: &'static str,
    state: State,
    detail: String,
    /// A command that helps.
    mend: Option<String>,
}

#[derive(Debug, Serialize)]
struct DoctorView<'a> {
    format_version: u32,
    checks: &'a [Check],
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Ok,
            detail: detail.into(),
            mend: None,
        }
    }

    fn missing(name: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Missing,
            detail: detail.into(),
            mend: Some(mend.into()),
        }
    }

    fn wrong(name: &'static str, detail: impl Into<String>, mend: Option<String>) -> Self {
        Self {
            name,
            state: State::Wrong,
            detail: detail.into(),
            mend,
        }
    }
}

pub(crate) async fn run(app: &App, args: &DoctorArgs) -> Result<Exit, CommandError> {
    let mut checks = vec![repository::git()];
    let mut platforms = vec![Platform::linux_amd64()];
    let mut pushed_to = BTreeSet::new();
    let mut registries = None;
    let mut settings = EngineSettings::default();
    let mut asks_for_buildkit = false;
    match app.project() {
        Err(error) => checks.push(Check::wrong(
            "repository",
            error.message.clone(),
            first(&error),
        )),
        Ok(project) => {
            checks.push(repository::repository(&project));
            let snapshot = project.working();
            checks.push(repository::configuration(&project, snapshot.as_ref()));
            if let Ok(snapshot) = &snapshot {
                let images = &snapshot.inventory.images;
                let choices = [
                    EngineChoice::BuildKit,
                    EngineChoice::Auto(Executor::BuildKit),
                ];
                asks_for_buildkit = images.iter().any(|i| choices.contains(&i.engine));
                platforms = images.iter().flat_map(|i| i.platforms.clone()).collect();
                pushed_to = credentials::pushed_to(&project, &snapshot.inventory);
                checks.extend(schedule::check(&project, &snapshot.inventory.sweep));
            }
            checks.push(repository::records(&project));
            checks.extend(repository::remote(&project));
            checks.extend(repository::hooks(&project));
            checks.push(repository::store(&project));
            registries = registries::check(&project.user.hosts());
            settings = project.user.engines.clone();
        }
    }
    let nodes = nodes::checks(&app.environment, &settings, &platforms).await;
    if !nodes.stand_for(EngineKind::Docker) {
        checks.extend(engine::checks(&app.environment, &settings, &platforms).await);
    }
    if !nodes.stand_for(EngineKind::BuildKit) {
        checks.extend(engine::buildkit(&app.environment, &settings, asks_for_buildkit).await);
    }
    checks.extend(nodes.checks);
    checks.push(credentials::check(&app.environment, &pushed_to).await);
    checks.extend(registries);
    match args.format.format {
        Format::Json => app.ui.json(&DoctorView {
            format_version: 1,
            checks: &checks,
        }),
        Format::Human => app.ui.table(&table(&checks)),
    }
    let is_wrong = checks.iter().any(|check| check.state == State::Wrong);
    Ok(if is_wrong { Exit::Partial } else { Exit::Fine })
}

fn table(checks: &[Check]) -> Table {
    let mut table = Table::new();
    for check in checks {
        let (word, style): (&str, Style) = match check.state {
            State::Ok => ("ok", GOOD),
            State::Missing => ("missing", WARNING),
            State::Wrong => ("wrong", ERROR),
        };
        table.row(
            vec![word.to_owned(), check.name.to_owned(), check.detail.clone()],
            style,
        );
        if let Some(mend) = &check.mend {
            table.row(vec![String::new(), String::new(), format!("→ {mend}")], DIM);
        }
    }
    table
}

fn first(error: &CommandError) -> Option<String> {
    error.hints.first().cloned()
}
