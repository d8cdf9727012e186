//! `refit config check`: whether the configuration and the Dockerfiles can be used.

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{App, report};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    policy::{self, Asking, Checked},
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

  [engines]                  where engines are; the environment's word counts more
  auto = "docker"            what `engine = "auto"` takes for what executes: `docker`,
                             `buildkit`; REFIT_ENGINE says it, too
  docker = "ADDRESS"         as DOCKER_HOST has it; Podman's socket is one, too
  buildkit = "ADDRESS"       as BUILDKIT_HOST has it; default: that inside Docker Engine
  buildkit-certificates = "FOLDER"
                             TLS to that: `ca.pem`, and where it asks for a certificate
                             `cert.pem` and `key.pem`; default: none

  [[node]]                   an endpoint that shares what an engine executes; many, in
                             place of `[engines] docker` or `buildkit`; one of DOCKER_HOST
                             or BUILDKIT_HOST counts more than all nodes of that engine
  name = "NAME"              what it is called in messages
  endpoint = "ADDRESS"       `unix:///PATH`, `tcp://HOST:PORT`, `ssh://[USER@]HOST[:PORT]`
  engine = "docker"          Podman among them; or `buildkit`: a buildkitd, or that inside
                             a Docker Engine
  platforms = ["OS/ARCH"]    the only ones that it is given; default: all it executes
  slots = 2                  targets that it builds at the same time
  certificates = "FOLDER"    for TLS at `tcp://`: ca.pem, cert.pem and key.pem

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
///
/// Where the file has a `[policy]`, what breaks it is told, with its place. Rules that `warn` names only warn.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit config check\n  \
    refit config check --at main")]
pub(crate) struct CheckArgs {
    /// Check this revision instead of the working tree
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Ask no registry: rules of `[policy]` on what bases offer and on their age are left out
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct CheckView<'a> {
    format_version: u32,
    images: usize,
    problems: Vec<ProblemView<'a>>,
    unlisted: &'a [String],
    /// Bases that `[policy]` could not be checked for.
    unknown: Vec<String>,
}

/// How much a problem weighs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Error,
    Warning,
}

#[derive(Debug, Serialize)]
struct ProblemView<'a> {
    level: Level,
    /// The rule of `[policy]` that is broken.
    rule: Option<&'static str>,
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    hint: Option<&'a str>,
}

pub(crate) async fn run(app: &App, verb: ConfigVerb) -> Result<Exit, CommandError> {
    let ConfigVerb::Check(args) = verb;
    let project = app.project()?;
    let snapshot = Arc::new(super::deps::snapshot(&project, args.at.as_deref())?);
    let asking = Asking {
        wanted: &|_, _| !args.offline,
        budget: None,
    };
    let checked = policy::check(&project, &snapshot, asking).await?;
    if args.format.format == Format::Json {
        app.ui.json(&view(&snapshot, &checked));
    }
    let exit = report::snapshot(app, &snapshot);
    for finding in &checked.findings {
        if finding.warns {
            app.ui.problem_as_warning(&finding.problem);
        } else {
            app.ui.problem(&finding.problem);
        }
    }
    checked.tell_unknown(&app.ui);
    let n_warnings = checked.findings.iter().filter(|f| f.warns).count();
    let n_problems = snapshot.problems.len() + checked.findings.len() - n_warnings;
    let images = count(snapshot.inventory.images.len(), "image");
    let said = match (n_problems, n_warnings) {
        (0, 0) => "nothing wrong".to_owned(),
        (n, 0) => count(n, "problem"),
        (0, n) => count(n, "warning"),
        (n, m) => format!("{}, {}", count(n, "problem"), count(m, "warning")),
    };
    app.ui.note(&format!("{images}, {said}"));
    // What could not be told may be broken.
    let all_told = checked.unknown.is_empty() && checked.findings.iter().all(|f| f.warns);
    Ok(if all_told {
        exit
    } else {
        exit.or(Exit::Partial)
    })
}

fn view<'a>(snapshot: &'a Snapshot, checked: &'a Checked) -> CheckView<'a> {
    let problems = snapshot
        .problems
        .iter()
        .map(|problem| (problem, None, false));
    let findings = checked.findings.iter();
    let findings = findings.map(|f| (&f.problem, Some(f.rule.as_str()), f.warns));
    let problems = problems
        .chain(findings)
        .map(|(problem, rule, warns)| ProblemView {
            level: if warns { Level::Warning } else { Level::Error },
            rule,
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
        unknown: checked.unknown.keys().map(ToString::to_string).collect(),
    }
}
