//! The `refit` command: flags, configuration layers, words, colours, JSON, exit codes, hooks.

mod changed;
mod cli;
mod commands;
mod demo;
mod engines;
mod environment;
mod error;
mod gate;
mod generated;
mod lease;
mod lines;
mod nodes;
mod observe;
mod outline;
mod packages;
mod paths;
mod policy;
mod program;
mod project;
mod recorded;
mod revision;
mod run;
mod secrets;
mod sources;
mod summary;
mod trust;
mod ui;
mod user_config;
mod workshop;

use std::{path::Path, process::ExitCode, time::Duration};

use clap::{CommandFactory as _, FromArgMatches as _};
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::Cli,
    commands::App,
    environment::Environment,
    error::{CommandError, Exit},
    ui::Ui,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Usage errors end here, with clap's own words and exit code 2.
    let cli = parse();
    let environment = match Environment::read() {
        Ok(environment) => environment,
        Err(error) => {
            let ui = Ui::new(
                environment::Terminal::default(),
                cli.global.color,
                cli.global.verbosity(),
            );
            ui.error(&format!("the current folder cannot be used: {error}"));
            return ExitCode::from(Exit::CannotDo.code());
        }
    };
    let ui = Ui::new(
        environment.terminal,
        cli.global.color,
        cli.global.verbosity(),
    );
    for problem in &environment.problems {
        ui.warning(problem);
    }
    let dir = environment.folder(cli.global.directory.as_deref());
    let app = App {
        ui,
        environment,
        dir,
    };
    let exit = match execute(&app, cli) {
        Ok(exit) => exit,
        Err(error) => {
            app.ui.command_error(&error);
            error.exit
        }
    };
    if let Some(path) = &app.environment.code_quality {
        app.ui.report(path);
    }
    ExitCode::from(exit.code())
}

/// The command line. Git runs a program `git-refit` of the PATH as `git refit`, and help then says so.
fn parse() -> Cli {
    let program = std::env::args_os().next().unwrap_or_default();
    let is_of_git = Path::new(&program).file_stem() == Some("git-refit".as_ref());
    let command = if is_of_git {
        Cli::command().bin_name("git refit")
    } else {
        Cli::command()
    };
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

fn execute(app: &App, cli: Cli) -> Result<Exit, CommandError> {
    if !app.dir.is_dir() {
        let message = format!("`{}` is no folder", app.dir.display());
        return Err(CommandError::new(message));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| CommandError::new(format!("cannot start: {error}")))?;
    runtime.spawn(end_soon());
    let done = runtime.block_on(async {
        let done = tokio::select! {
            result = commands::run(app, cli.verb) => result,
            // What is staged is found again by the next run; tags that have not moved stay where they are.
            () = interrupted() => Err(CommandError::new("interrupted").exit(Exit::Interrupted)),
        };
        refit_build::docker::clean_up().await;
        done
    });
    // Whatever still computes on another thread is not waited for.
    runtime.shutdown_background();
    done
}

/// Ends the process shortly after an interruption, whatever the main thread is busy with.
async fn end_soon() {
    interrupted().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    std::process::exit(Exit::Interrupted.code().into());
}

/// Comes back when somebody at the keyboard, or a CI system that cancels its job, asks for an end.
async fn interrupted() {
    let term = async {
        #[cfg(unix)]
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            term.recv().await;
            return;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        () = term => {}
    }
}
