//! `refit notes …`: records and sentences, to and from a remote, whole and short.

mod compact;
mod restore;
mod verify;

use clap::{Args, Subcommand};

use super::App;
use crate::{
    error::{CommandError, Exit},
    project::Project,
};

/// Exchange records with a remote, and keep them whole
#[derive(Debug, Subcommand)]
pub(crate) enum NotesVerb {
    Fetch(FetchArgs),
    Push(PushArgs),
    Verify(verify::VerifyArgs),
    Compact(compact::CompactArgs),
    Restore(restore::RestoreArgs),
}

/// Fetch a remote's records and unite them with ours
///
/// Records are git notes under refs/notes/refit and refs/notes/refit-records. Uniting keeps what either side has.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  refit notes fetch origin")]
pub(crate) struct FetchArgs {
    /// The remote [default: the one that branches follow]
    remote: Option<String>,
}

/// Push our records, united with what the remote has
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit notes push\n  \
    refit notes push --dry-run         only ask whether the remote would take them")]
pub(crate) struct PushArgs {
    /// The remote [default: the one that branches follow]
    remote: Option<String>,
    /// Ask the remote whether it would take them, and send nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(crate) async fn run(app: &App, verb: NotesVerb) -> Result<Exit, CommandError> {
    match verb {
        NotesVerb::Fetch(args) => fetch(app, args),
        NotesVerb::Push(args) => push(app, args),
        NotesVerb::Verify(args) => verify::run(app, &args),
        NotesVerb::Compact(args) => compact::run(app, &args),
        NotesVerb::Restore(args) => restore::run(app, &args).await,
    }
}

fn fetch(app: &App, args: FetchArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let remote = remote(&project, args.remote)?;
    project.repo.notes_fetch(&remote)?;
    let united = project.repo.notes_unite(&remote)?;
    let changed = said(united.records.is_some(), united.sentences.is_some());
    app.ui.note(&match changed {
        Some(what) => format!("{what} of `{remote}` are united with ours"),
        None => format!("`{remote}` has nothing new"),
    });
    Ok(Exit::Fine)
}

fn push(app: &App, args: PushArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let remote = remote(&project, args.remote)?;
    if args.dry_run {
        project.repo.notes_probe_push(&remote)?;
        app.ui.note(&format!("`{remote}` would take our records"));
        return Ok(Exit::Fine);
    }
    let pushed = project.repo.notes_push(&remote)?;
    let changed = said(pushed.records.is_some(), pushed.sentences.is_some());
    app.ui.note(&match changed {
        Some(what) => format!("{what} are pushed to `{remote}`"),
        None => format!("`{remote}` has everything"),
    });
    Ok(Exit::Fine)
}

fn remote(project: &Project, given: Option<String>) -> Result<String, CommandError> {
    let remote = given.or_else(|| project.repo.default_remote());
    remote.ok_or_else(|| {
        CommandError::new("this repository has no remote").hint("run `git remote add origin URL`")
    })
}

fn said(records: bool, sentences: bool) -> Option<&'static str> {
    match (records, sentences) {
        (true, true) => Some("records and sentences"),
        (true, false) => Some("records"),
        (false, true) => Some("sentences"),
        (false, false) => None,
    }
}
