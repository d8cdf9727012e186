//! `refit deps scan PATH…`: what single Dockerfiles depend on; no repository is needed.

mod files;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anstyle::Style;
use clap::Args;
use refit_deps::{problem::Problem, scan};
use refit_dockerfile::{Found, FoundSource, NamedContext, Settings};
use refit_oci::{Platform, Reference};
use serde::Serialize;

use self::files::File;
use super::App;
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    ui::{self, Format, Table, sentence_list},
};

/// Show what Dockerfiles depend on, without a repository
///
/// Reads each file as BuildKit does, follows only what the target stage reaches, and expands variables for each
/// platform. A folder stands for the Dockerfiles below it, templates left out.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit deps scan services/\n  \
    refit deps scan --platform linux/amd64,linux/arm64 --build-arg NODE=20 web/Dockerfile\n  \
    refit deps scan --format json .\n  \
    git ls-files '*Dockerfile' | refit deps scan --files-from -")]
pub(crate) struct ScanArgs {
    /// Dockerfiles, and folders to look for them in
    #[arg(value_name = "PATH", required_unless_present = "files_from")]
    paths: Vec<PathBuf>,
    /// Read more paths from a file, one a line or NUL-terminated; `-` is standard input
    #[arg(long, value_name = "FILE")]
    files_from: Option<PathBuf>,
    /// Platforms to resolve for [default: linux/amd64]
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    platforms: Vec<Platform>,
    /// The target stage instead of the last one
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// A value for an ARG
    #[arg(long = "build-arg", value_name = "NAME=VALUE", value_parser = key_value)]
    build_args: Vec<(String, String)>,
    /// What stands for a stage or image of that name: `docker-image://REFERENCE`, `image:NAME`, or files
    #[arg(long = "build-context", value_name = "NAME=VALUE", value_parser = named_context)]
    build_contexts: Vec<(String, NamedContext)>,
    #[command(flatten)]
    format: FormatArgs,
}

/// One file for one platform.
#[derive(Debug, Serialize)]
struct ScanResult {
    file: String,
    platform: Platform,
    target: Option<String>,
    error: Option<String>,
    dependencies: Vec<Dependency>,
    #[serde(skip)]
    problem: Option<Problem>,
}

/// What a file depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Dependency {
    kind: &'static str,
    written: String,
    reference: Option<Reference>,
    /// The image of this repository that a named context stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    platform: Platform,
    line: usize,
}

#[derive(Debug, Serialize)]
struct ScanView<'a> {
    format_version: u32,
    results: &'a [ScanResult],
}

pub(super) fn run(app: &App, args: &ScanArgs) -> Result<Exit, CommandError> {
    let mut given = args.paths.clone();
    if let Some(list) = &args.files_from {
        given.extend(files::read_list(app, list)?);
    }
    let build_args = args.build_args.iter().cloned().collect();
    let contexts = args.build_contexts.iter().cloned().collect();
    let scanner = Scanner {
        app,
        args,
        build_args: &build_args,
        contexts: &contexts,
    };
    let mut results = Vec::new();
    for path in &given {
        let files = files::read(&app.dir, path);
        if files.is_empty() {
            app.ui
                .warning(&format!("no Dockerfile under `{}`", path.display()));
        }
        results.extend(files.iter().flat_map(|file| scanner.scan(file)));
    }
    let mut reported = BTreeSet::new();
    for problem in results.iter().filter_map(|result| result.problem.as_ref()) {
        if reported.insert(problem.to_string()) {
            app.ui.problem(problem);
        }
    }
    match args.format.format {
        Format::Json => app.ui.json(&ScanView {
            format_version: 1,
            results: &results,
        }),
        Format::Human => print_table(app, &results),
    }
    Ok(if reported.is_empty() {
        Exit::Fine
    } else {
        Exit::Partial
    })
}

/// What all files are scanned with.
struct Scanner<'a> {
    app: &'a App,
    args: &'a ScanArgs,
    build_args: &'a BTreeMap<String, String>,
    contexts: &'a BTreeMap<String, NamedContext>,
}

impl Scanner<'_> {
    /// One file, for each platform.
    fn scan(&self, file: &File) -> Vec<ScanResult> {
        let default = [Platform::linux_amd64()];
        let platforms = if self.args.platforms.is_empty() {
            &default[..]
        } else {
            &self.args.platforms
        };
        let result = |platform: &Platform| {
            let (dependencies, problem) = match self.resolve(file, platform) {
                Ok(dependencies) => (dependencies, None),
                Err(problem) => (Vec::new(), Some(problem)),
            };
            ScanResult {
                file: file.name.clone(),
                platform: platform.clone(),
                target: self.args.target.clone(),
                error: problem.as_ref().map(|problem| match problem.position {
                    Some((line, column)) => format!("line {line}:{column}: {}", problem.message),
                    None => problem.message.clone(),
                }),
                dependencies,
                problem,
            }
        };
        platforms.iter().map(result).collect()
    }

    fn resolve(&self, file: &File, platform: &Platform) -> Result<Vec<Dependency>, Problem> {
        let Some(parsed) = &file.parsed else {
            let problem = Problem::of_file(&file.name, "this is a template, not a Dockerfile");
            return Err(problem.with_hint("render it, and scan the result"));
        };
        let dockerfile = parsed.as_ref().map_err(Problem::clone)?;
        let settings = Settings {
            target: self.args.target.as_deref(),
            platform,
            build_platform: &self.app.environment.build_platform,
            build_args: self.build_args,
            contexts: self.contexts,
        };
        let resolved = refit_dockerfile::resolve(dockerfile, &settings);
        let resolved = resolved.map_err(|error| {
            let problem = scan::problem(&file.name, &dockerfile.text, &error);
            match &error.build_arg {
                Some(name) => problem.with_hint(format!("give it: `--build-arg {name}=…`")),
                None => problem,
            }
        })?;
        let mut dependencies: Vec<Dependency> = resolved.found.iter().map(dependency).collect();
        let key = |d: &Dependency| {
            (
                d.line,
                d.kind,
                d.reference.clone(),
                d.image.clone(),
                d.platform.clone(),
            )
        };
        dependencies.sort_by_cached_key(key);
        dependencies.dedup();
        Ok(dependencies)
    }
}

fn dependency(found: &Found) -> Dependency {
    let (reference, image) = match &found.source {
        FoundSource::Reference(reference) => (Some(reference.clone()), None),
        FoundSource::InRepo(name) => (None, Some(name.clone())),
    };
    Dependency {
        kind: found.kind.as_str(),
        written: found.written.clone(),
        reference,
        image,
        platform: found.platform.clone(),
        line: found.line,
    }
}

fn print_table(app: &App, results: &[ScanResult]) {
    let mut table = Table::with_header(&["FILE", "KIND", "REFERENCE", "PLATFORM"]);
    // By what a row says, the place of the row and its platforms.
    let mut rows: BTreeMap<(String, &'static str, String), (usize, BTreeSet<String>)> =
        BTreeMap::new();
    for result in results {
        for d in &result.dependencies {
            let place = format!("{}:{}", result.file, d.line);
            let name = match (&d.reference, &d.image) {
                (Some(reference), _) => ui::reference(reference),
                (None, image) => format!("image:{}", image.as_deref().unwrap_or_default()),
            };
            let next = rows.len();
            let row = rows.entry((place, d.kind, name));
            let (_, platforms) = row.or_insert_with(|| (next, BTreeSet::new()));
            platforms.insert(d.platform.to_string());
        }
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, (number, _))| *number);
    for ((place, kind, name), (_, platforms)) in rows {
        let platforms = platforms.into_iter().collect::<Vec<_>>().join(",");
        table.row(vec![place, kind.to_owned(), name, platforms], Style::new());
    }
    app.ui.table(&table);
    let free = results
        .iter()
        .filter(|r| r.error.is_none() && r.dependencies.is_empty());
    let free: BTreeSet<String> = free.map(|r| format!("`{}`", r.file)).collect();
    if !free.is_empty() {
        let verb = if free.len() == 1 { "depends" } else { "depend" };
        let free: Vec<String> = free.into_iter().collect();
        app.ui
            .note(&format!("{} {verb} on nothing", sentence_list(&free)));
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("want `NAME=VALUE`".to_owned()),
    }
}

fn named_context(text: &str) -> Result<(String, NamedContext), String> {
    let (name, value) = key_value(text)?;
    let context = if let Some(image) = value.strip_prefix("image:") {
        NamedContext::InRepo(image.to_owned())
    } else if let Some(reference) = value.strip_prefix("docker-image://") {
        NamedContext::Image(
            reference
                .parse()
                .map_err(|error: refit_oci::ReferenceError| error.to_string())?,
        )
    } else {
        NamedContext::Files
    };
    Ok((name, context))
}
