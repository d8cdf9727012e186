//! `refit config check`: whether the configuration and the Dockerfiles can be used.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{App, report};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    project::Snapshot,
    ui::{Format, count},
};

/// Check the configuration
#[derive(Debug, Subcommand)]
#[command(after_long_help = USER_CONFIGURATION)]
pub(crate) enum ConfigVerb {
    Check(CheckArgs),
}

/// What the user's own file may say; kept with [`UserConfig`](crate::user_config::UserConfig).
const USER_CONFIGURATION: &str = r#"The user's configuration is `refit/config.toml` in the XDG configuration folder,
or what `REFIT_CONFIG` names. Files are relative to it. All of it is optional:

  stale-when = ["COMMAND"]   for images whose repository names none: exit code 1 is
                             stale, 0 is fine

  [registries."HOST"]        a host as references spell it, with a port if need be
  mirrors = ["HOST/PREFIX"]  asked first, in this order, for what a digest names;
                             default: none
  mirror-tags = false        whether they are asked for tags as well
  concurrency = 16           requests at the same time, at least 1
  ca = "FILE"                PEM: authorities, or the registry's own certificate,
                             trusted beside the system's
  insecure = false           take any certificate: whoever is in between reads the
                             password
  plain-http = false         no TLS; default: true for this machine's own addresses
                             without `ca` or `insecure`
  layout = "FOLDER"          an OCI layout that stands for the registry

A request is sent up to 5 times, with pauses of at most 3 minutes in all; a
`Retry-After` of more than a minute is not waited for. Credentials are those of
`docker login` and `podman login`, of their helpers (30 seconds each), or of
`DOCKER_AUTH_CONFIG`. Proxies are those of the usual variables."#;

/// Check `.config/refit.toml`, the user's configuration and every Dockerfile
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit config check\n  \
    refit config check --at main")]
pub(crate) struct CheckArgs {
    /// Check this revision instead of the working tree
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct CheckView<'a> {
    format_version: u32,
    images: usize,
    problems: Vec<ProblemView<'a>>,
    unlisted: &'a [String],
}

#[derive(Debug, Serialize)]
struct ProblemView<'a> {
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    hint: Option<&'a str>,
}

pub(crate) fn run(app: &App, verb: ConfigVerb) -> Result<Exit, CommandError> {
    let ConfigVerb::Check(args) = verb;
    let project = app.project()?;
    let snapshot = super::deps::snapshot(&project, args.at.as_deref())?;
    if args.format.format == Format::Json {
        app.ui.json(&view(&snapshot));
    }
    let exit = report::snapshot(app, &snapshot);
    let images = count(snapshot.inventory.images.len(), "image");
    app.ui.note(&match snapshot.problems.len() {
        0 => format!("{images}, nothing wrong"),
        n => format!("{images}, {}", count(n, "problem")),
    });
    Ok(exit)
}

fn view(snapshot: &Snapshot) -> CheckView<'_> {
    let problems = snapshot.problems.iter().map(|problem| ProblemView {
        file: &problem.file,
        line: problem.position.map(|(line, _)| line),
        column: problem.position.map(|(_, column)| column),
        message: &problem.message,
        hint: problem.hint.as_deref(),
    });
    CheckView {
        format_version: 1,
        images: snapshot.inventory.images.len(),
        problems: problems.collect(),
        unlisted: &snapshot.inventory.unlisted,
    }
}
