//! `refit completions SHELL`: completion scripts.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::App;
use crate::{cli::Cli, error::Exit};

/// Write a completion script for a shell
///
/// It goes to standard output: save it where the shell looks for completions.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  refit completions bash > ~/.local/share/bash-completion/completions/refit"
)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(app: &App, args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "refit", &mut script);
    app.ui.data(&String::from_utf8_lossy(&script));
    Exit::Fine
}
