//! `refit init`: writes the configuration from a scan, sets the refspec for notes, installs hooks. Twice changes nothing.

mod change;
mod ci;
mod diff;
mod draft;
mod entry;
mod groups;
pub(crate) mod hooks;
mod import;

use clap::Args;
use refit_deps::{
    config::{CONFIG_PATH, check_cron},
    problem::Problem,
};

use self::{
    change::Change,
    ci::System,
    import::{From, Source},
};
use super::{App, report};
use crate::{
    error::{CommandError, Exit},
    project::{Project, Snapshot},
};

/// Write `.config/refit.toml` for the images that are there
///
/// Images come from what other tools are told already: compose and bake files in the root, and GitHub workflows that
/// build and push, with the workflows and actions of this repository that they use. Every other Dockerfile is an image
/// of its own, as a scan finds it. What has no place in the configuration is listed with its file and line.
///
/// `git fetch` brings the remote's records along from then on. What is there already stays as it is: a second time
/// changes nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit init --dry-run\n  \
    refit init --from compose=deploy/compose.yaml\n  \
    refit init --from acr=tasks.json   what `az acr task list -r REGISTRY -o json` printed\n  \
    refit init --no-import             a scan alone\n  \
    refit init --hooks                 also record at every commit\n  \
    refit init --ci github             also write workflows for GitHub Actions")]
pub(crate) struct InitArgs {
    /// Import from this file instead of the usual places: `compose=FILE`, `bake=FILE`, `github=FILE` or a folder of
    /// workflows, `acr=FILE` (`-` is standard input); repeatable
    #[arg(long, value_name = "KIND=PATH", conflicts_with = "no_import")]
    from: Vec<From>,
    /// Import nothing: every Dockerfile is an image of its own
    #[arg(long)]
    no_import: bool,
    /// Also install git hooks; they do nothing where refit is not installed, and keep existing hooks working
    #[arg(long)]
    hooks: bool,
    /// Also write files for CI, which release what is pushed to swept branches, build pull requests, and sweep on a
    /// schedule; repeatable. A file that refit did not write, or that was changed since, stays as it is
    #[arg(
        long,
        value_name = "github|gitlab|azure",
        value_enum,
        hide_possible_values = true
    )]
    ci: Vec<System>,
    /// With `--ci`: when sweeps run, as a cron expression in UTC; repeatable [default: `[sweep] schedule`, else
    /// `0 4 * * *`]
    #[arg(long, value_name = "CRON", requires = "ci", value_parser = cron)]
    schedule: Vec<String>,
    /// Show what would change, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(crate) fn run(app: &App, args: &InitArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let root = project.repo.work_dir().ok_or_else(|| {
        CommandError::new("a bare repository has no folder to write `.config/refit.toml` into")
            .hint("run it in a clone, and push the file")
    })?;
    let snapshot = project.working()?;
    let mut changes: Vec<Change> = Vec::new();
    let mut remarks = Remarks::default();
    config(app, args, (&project, &snapshot), &mut remarks)?
        .into_iter()
        .for_each(|change| changes.push(change));
    changes.extend(refspec(&project));
    if args.hooks {
        hooks::install(&project, &mut changes, &mut remarks.hints)?;
    }
    if !args.dry_run {
        apply(app, &project, &changes)?;
    }
    if !args.ci.is_empty() {
        let planned = if args.dry_run || changes.is_empty() {
            ci::plan(&project, &snapshot, &args.ci, &args.schedule)?
        } else {
            // The files are made from the configuration, which may be new.
            ci::plan(&project, &project.working()?, &args.ci, &args.schedule)?
        };
        if !args.dry_run {
            apply(app, &project, &planned.changes)?;
        }
        changes.extend(planned.changes);
        remarks.warnings.extend(planned.warnings);
        remarks.hints.extend(planned.hints);
    }
    if args.dry_run {
        app.ui.data(
            &changes
                .iter()
                .map(|change| change.diff(root))
                .collect::<String>(),
        );
    }
    if changes.is_empty() {
        app.ui.note("everything is in place already");
    }
    for warning in &remarks.warnings {
        app.ui.warning(warning);
    }
    let exit = match &remarks.problems {
        Some(problems) => {
            for problem in problems {
                app.ui.problem(problem);
            }
            Exit::with(problems)
        }
        None => report::snapshot(app, &snapshot),
    };
    for hint in remarks.hints {
        app.ui.hint(&hint);
    }
    Ok(exit)
}

/// Makes the changes, and says so.
fn apply(app: &App, project: &Project, changes: &[Change]) -> Result<(), CommandError> {
    let root = project.repo.work_dir().unwrap_or(&app.dir);
    for change in changes {
        change.apply(project)?;
        app.ui.note(&change.done(root));
    }
    Ok(())
}

fn cron(text: &str) -> Result<String, String> {
    check_cron(text).map(|()| text.to_owned())
}

/// What is said beside the changes.
#[derive(Default)]
struct Remarks {
    /// What could not be imported.
    warnings: Vec<String>,
    hints: Vec<String>,
    /// What is wrong with the images of the new file, if there is one.
    problems: Option<Vec<Problem>>,
}

/// The configuration, if there is none and something to write.
fn config(
    app: &App,
    args: &InitArgs,
    (project, snapshot): (&Project, &Snapshot),
    remarks: &mut Remarks,
) -> Result<Option<Change>, CommandError> {
    let Some(root) = project.repo.work_dir() else {
        return Ok(None);
    };
    let path = root.join(CONFIG_PATH);
    if path.exists() || snapshot.inventory.configured {
        if !args.from.is_empty() {
            let warning = format!("`{CONFIG_PATH}` is there already: nothing is imported into it");
            remarks.warnings.push(warning);
        }
        return Ok(None);
    }
    let paths = project.working_paths()?;
    let read = |path: &str| std::fs::read(root.join(path)).ok();
    let source = Source {
        paths: &paths,
        read: &read,
        github: github(project),
        branch: match project.repo.default_branch()? {
            Some(branch) => branch,
            None => project.current_line()?,
        },
    };
    let found = if args.no_import {
        Vec::new()
    } else if args.from.is_empty() {
        import::usual(&source)
    } else {
        let folders = import::Folders {
            root,
            current: &app.dir,
        };
        import::named(&source, &args.from, &folders)?
    };
    let merged = import::merge(found);
    remarks
        .warnings
        .extend(merged.left_out.iter().map(ToString::to_string));
    if merged.entries.is_empty() && snapshot.inventory.images.is_empty() {
        return Ok(None);
    }
    let line = project.current_line()?;
    let place = draft::Place {
        snapshot,
        paths: &paths,
        read: &read,
        name: &project.name(),
        line: &line,
        build_platform: project.build_platform(),
    };
    let draft = draft::write(&place, merged);
    remarks.hints.extend(draft.remarks);
    remarks.problems = Some(draft.problems);
    Ok(Some(Change::Write {
        path,
        before: None,
        after: draft.text,
        executable: false,
    }))
}

/// `owner/name` on GitHub: what workflows call their repository.
fn github(project: &Project) -> Option<String> {
    let remote = project.repo.default_remote()?;
    let url = project
        .repo
        .config_string(&format!("remote.{remote}.url"))?;
    let (_, path) = url.split_once("github.com")?;
    let path = path.trim_start_matches([':', '/']).trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let n = path.split('/').filter(|part| !part.is_empty()).count();
    (n == 2).then(|| path.to_owned())
}

/// The refspec by which a fetch brings the remote's notes along, to where they are united from.
fn refspec(project: &Project) -> Option<Change> {
    let remote = project.repo.default_remote()?;
    let key = format!("remote.{remote}.fetch");
    let value = tracking_refspec(&remote);
    let there = project.repo.config_strings(&key).contains(&value);
    (!there).then_some(Change::Config { key, value })
}

/// `+refs/notes/refit*:refs/refit/remote/<remote>/refit*`.
pub(super) fn tracking_refspec(remote: &str) -> String {
    format!(
        "+refs/notes/refit*:{}",
        refit_git::notes::tracking_ref(remote, "refit*")
    )
}
