//! The command line: global flags and the verbs. Each verb's own flags are in its file under `commands`.

use std::{fmt::Write as _, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{
    commands::{
        adopt, build, completions, config, context, demo, deps, doctor, hold, hook, images, init,
        logs, man, notes, promote, prune, rebase, rollback, runs, status, sweep, trust, verify,
    },
    environment,
    observe::OwnTags,
    ui::{Color, Format, Verbosity},
};

/// Keeps container images patched, from git
///
/// refit knows from git what every image of a repository is built on, tells which images are stale once a base image
/// has moved, and rebuilds and pushes exactly those, on every platform.
#[derive(Debug, Parser)]
#[command(name = "refit", version, after_help = exit_codes(), after_long_help = long_footer())]
#[command(
    propagate_version = false,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags that every verb takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Work in this folder instead of the current one
    #[arg(short = 'C', value_name = "DIR", global = true, value_hint = clap::ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: what is fine, too
    #[arg(short, long, global = true)]
    verbose: bool,
    /// When to use colours: `auto` is on terminals, unless `NO_COLOR` is set
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "auto|always|never",
        global = true
    )]
    pub(crate) color: Color,
}

impl Global {
    /// How much is said.
    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}

/// The flag of every verb that has results for programs.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FormatArgs {
    /// How to write the results: for people, or as JSON with a format version
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "human|json"
    )]
    pub(crate) format: Format,
}

/// The flag of every verb that asks what is published.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TrustArgs {
    /// Take from the records what the tags of published images hold, and ask for the bases only
    ///
    /// One request for each base instead of one for each image as well: for a quick look. Goes unseen: that somebody
    /// else moved or deleted a tag, or that records of another clone were not fetched. What no record names is asked
    /// for all the same, and tags are read again before any is moved.
    #[arg(long)]
    trust_records: bool,
}

impl TrustArgs {
    /// Who is asked what the tags of published images hold.
    pub(crate) fn own_tags(self) -> OwnTags {
        if self.trust_records {
            OwnTags::Recorded
        } else {
            OwnTags::Asked
        }
    }
}

/// What refit can be told to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Status(status::StatusArgs),
    Images(images::ImagesArgs),
    Build(build::BuildArgs),
    Sweep(sweep::SweepArgs),
    Rebase(rebase::RebaseArgs),
    Adopt(adopt::AdoptArgs),
    #[command(subcommand)]
    Deps(deps::DepsVerb),
    Init(init::InitArgs),
    Hold(hold::HoldArgs),
    Promote(promote::PromoteArgs),
    Rollback(rollback::RollbackArgs),
    Prune(prune::PruneArgs),
    Verify(verify::VerifyArgs),
    Hook(hook::HookArgs),
    Runs(runs::RunsArgs),
    Logs(logs::LogsArgs),
    #[command(subcommand)]
    Notes(notes::NotesVerb),
    #[command(subcommand)]
    Context(context::ContextVerb),
    #[command(subcommand)]
    Config(config::ConfigVerb),
    Trust(trust::TrustArgs),
    Doctor(doctor::DoctorArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
    /// Bring connections from an engine's machine; refit itself starts it there
    #[command(hide = true, after_long_help = "Example:\n  refit relay")]
    Relay,
}

fn exit_codes() -> &'static str {
    "Exit codes:\n  \
     0    fine\n  \
     1    some targets or files failed, or something is stale and `--exit-code` was given\n  \
     2    the job could not be done: usage, configuration, git, registry\n  \
     130  interrupted"
}

fn long_footer() -> String {
    let mut footer = String::from(
        "Examples:\n  \
         refit status                 how every image stands\n  \
         refit deps graph             what is built on what\n  \
         refit init --hooks           write .config/refit.toml, record at every commit\n  \
         refit sweep --dry-run        what would be rebuilt, and why\n  \
         refit demo                   all of it, offline, on a repository of its own\n\n\
         Environment:\n",
    );
    let width = environment::VARIABLES
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0);
    for (name, what) in environment::VARIABLES {
        writeln!(footer, "  {name:width$}  {what}").expect("writing to a string");
    }
    footer.push('\n');
    footer.push_str(exit_codes());
    footer
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The long help of every verb, by what one types for it.
    fn helps(command: &mut clap::Command, before: &str) -> Vec<(String, String)> {
        let path = format!("{before}{}", command.get_name());
        let mut all = vec![(path.clone(), command.render_long_help().to_string())];
        for verb in command.get_subcommands_mut() {
            all.extend(helps(verb, &format!("{path} ")));
        }
        all
    }

    /// The commands of a help's examples that are refit's, without what is said of them.
    fn examples(help: &str) -> Vec<&str> {
        let lines = help.lines().skip_while(|line| !line.starts_with("Example"));
        let lines = lines.skip(1).map_while(|line| line.strip_prefix("  "));
        let commands = lines.map(|line| line.split("  ").next().unwrap_or(line));
        let commands = commands.flat_map(|line| line.split(['|', '>']));
        let commands = commands.map(str::trim);
        commands.filter(|c| c.starts_with("refit ")).collect()
    }

    #[test]
    fn every_verb_has_examples_that_are_understood() {
        for (path, help) in helps(&mut Cli::command(), "") {
            let has_verbs = help.contains("\nCommands:");
            let examples = examples(&help);
            assert!(has_verbs || !examples.is_empty(), "`{path}` has no example");
            for example in examples {
                let parsed = Cli::try_parse_from(example.split(' '));
                assert!(parsed.is_ok(), "`{example}`: {}", parsed.unwrap_err());
            }
        }
    }
}
