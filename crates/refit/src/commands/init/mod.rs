//! `refit init`: writes the configuration from a scan, sets the refspec for notes, installs hooks. Twice changes nothing.

mod change;
mod diff;
mod draft;
mod groups;
pub(crate) mod hooks;

use std::path::Path;

use clap::Args;
use refit_deps::config::CONFIG_PATH;

use self::change::Change;
use super::{App, report};
use crate::{
    error::{CommandError, Exit},
    project::{Project, Snapshot},
};

/// Write `.config/refit.toml` for the Dockerfiles that are there
///
/// The file lists the images that a scan finds, and says under which names they refer to each other. `git fetch` brings
/// the remote's records along from then on. What is there already stays as it is: a second time changes nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit init --dry-run\n  \
    refit init --hooks                 also record at every commit")]
pub(crate) struct InitArgs {
    /// Also install git hooks; they do nothing where refit is not installed, and keep existing hooks working
    #[arg(long)]
    hooks: bool,
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
    let mut changes = Vec::new();
    let mut remarks = Vec::new();
    config(root, &project, &snapshot, &mut changes, &mut remarks)?;
    changes.extend(refspec(&project));
    if args.hooks {
        hooks::install(&project, &mut changes, &mut remarks)?;
    }
    if args.dry_run {
        app.ui.data(
            &changes
                .iter()
                .map(|change| change.diff(root))
                .collect::<String>(),
        );
    } else {
        for change in &changes {
            change.apply(&project)?;
            app.ui.note(&change.done(root));
        }
    }
    if changes.is_empty() {
        app.ui.note("everything is in place already");
    }
    let exit = report::snapshot(app, &snapshot);
    for remark in remarks {
        app.ui.hint(&remark);
    }
    Ok(exit)
}

/// The configuration, if there is none and something to write.
fn config(
    root: &Path,
    project: &Project,
    snapshot: &Snapshot,
    changes: &mut Vec<Change>,
    remarks: &mut Vec<String>,
) -> Result<(), CommandError> {
    let path = root.join(CONFIG_PATH);
    if path.exists() || snapshot.inventory.configured || snapshot.inventory.images.is_empty() {
        return Ok(());
    }
    let read = |path: &str| std::fs::read(root.join(path)).ok();
    let line = project.current_line()?;
    let draft = draft::write(
        snapshot,
        &read,
        &project.name(),
        &line,
        project.build_platform(),
    );
    changes.push(Change::Write {
        path,
        before: None,
        after: draft.text,
        executable: false,
    });
    remarks.extend(draft.remarks);
    Ok(())
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
