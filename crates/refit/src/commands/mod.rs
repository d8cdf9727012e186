//! The verbs, one file each.

pub(crate) mod adopt;
pub(crate) mod build;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod demo;
pub(crate) mod deps;
pub(crate) mod doctor;
pub(crate) mod hold;
pub(crate) mod hook;
pub(crate) mod images;
pub(crate) mod init;
pub(crate) mod logs;
pub(crate) mod man;
mod moved;
pub(crate) mod notes;
pub(crate) mod promote;
pub(crate) mod prune;
pub(crate) mod rebase;
mod relay;
pub(crate) mod report;
pub(crate) mod rollback;
pub(crate) mod runs;
pub(crate) mod status;
pub(crate) mod sweep;
pub(crate) mod trust;
pub(crate) mod verify;

use std::path::PathBuf;

use crate::{
    cli::Verb,
    environment::Environment,
    error::{CommandError, Exit},
    project::Project,
    ui::Ui,
};

/// What every verb has at hand.
pub(crate) struct App {
    /// The terminal.
    pub(crate) ui: Ui,
    /// The process's environment.
    pub(crate) environment: Environment,
    /// The folder to work in: `-C`, else the current one.
    pub(crate) dir: PathBuf,
}

impl App {
    /// The repository that holds the folder, with the user's settings.
    pub(crate) fn project(&self) -> Result<Project, CommandError> {
        Project::open(&self.dir, &self.environment)
    }
}

/// Does what the command line says.
pub(crate) async fn run(app: &App, verb: Verb) -> Result<Exit, CommandError> {
    match verb {
        Verb::Status(args) => status::run(app, &args).await,
        Verb::Images(args) => images::run(app, &args),
        Verb::Build(args) => build::run(app, &args).await,
        Verb::Sweep(args) => sweep::run(app, &args).await,
        Verb::Rebase(args) => rebase::run(app, &args).await,
        Verb::Adopt(args) => adopt::run(app, &args).await,
        Verb::Deps(verb) => deps::run(app, verb).await,
        Verb::Init(args) => init::run(app, &args),
        Verb::Hold(args) => hold::run(app, &args),
        Verb::Verify(args) => verify::run(app, &args).await,
        Verb::Promote(args) => promote::run(app, &args).await,
        Verb::Prune(args) => prune::run(app, &args).await,
        Verb::Rollback(args) => rollback::run(app, &args).await,
        Verb::Hook(args) => hook::run(app, &args).await,
        Verb::Runs(args) => runs::run(app, &args),
        Verb::Logs(args) => logs::run(app, &args),
        Verb::Notes(verb) => notes::run(app, verb).await,
        Verb::Context(verb) => context::run(app, verb),
        Verb::Config(verb) => config::run(app, verb).await,
        Verb::Trust(args) => trust::run(app, &args),
        Verb::Doctor(args) => doctor::run(app, &args).await,
        Verb::Demo(args) => demo::run(app, &args),
        Verb::Completions(args) => Ok(completions::run(app, &args)),
        Verb::Man(args) => man::run(app, &args),
        Verb::Relay => relay::run().await,
    }
}
