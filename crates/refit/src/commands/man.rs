//! `refit man FOLDER`: the manual pages, for whoever packs refit.

use std::{fs, io, path::PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::App;
use crate::{
    cli::Cli,
    error::{CommandError, Exit},
};

/// Write the manual pages into a folder
///
/// One for refit, and one for each verb. They say what `--help` says.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  refit man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder; made if it is missing
    #[arg(value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

pub(crate) fn run(app: &App, args: &ManArgs) -> Result<Exit, CommandError> {
    let folder = app.dir.join(&args.folder);
    let failed = |path: &PathBuf, error: io::Error| {
        CommandError::new(format!("cannot write `{}`: {error}", path.display()))
    };
    fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
    let date = app.environment.now().strftime("%Y-%m-%d").to_string();
    for (name, page) in pages(Cli::command(), &date) {
        let path = folder.join(name);
        fs::write(&path, page).map_err(|error| failed(&path, error))?;
    }
    Ok(Exit::Fine)
}

/// Every page by its file name. Git shows `git-refit(1)` for `git refit --help`.
fn pages(mut command: Command, date: &str) -> Vec<(String, String)> {
    command.build();
    let mut all = Vec::new();
    collect(&command, date, &mut all);
    let (_, main) = &all[0];
    all.push(("git-refit.1".to_owned(), main.clone()));
    all
}

fn collect(command: &Command, date: &str, all: &mut Vec<(String, String)>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .date(date)
        .source(concat!("refit ", env!("CARGO_PKG_VERSION")))
        .manual("refit manual");
    all.push((man.get_filename(), page(&man, command)));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        collect(verb, date, all);
    }
}

fn page(man: &Man, command: &Command) -> String {
    let mut page = Vec::new();
    let mut render = || -> io::Result<()> {
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        if command.get_subcommands().any(|verb| !verb.is_hide_set()) {
            man.render_subcommands_section(&mut page)?;
        }
        footer(command).to_writer(&mut page)
    };
    render().expect("writing to memory");
    // Before a list of values are two line breaks around an empty line, which is a paragraph.
    String::from_utf8_lossy(&page).replace("\n.br\n\n.br\n", "\n.sp\n")
}

/// What stands below a help text, as sections of their own; the lines under a heading stay as they are.
fn footer(command: &Command) -> Roff {
    let mut roff = Roff::default();
    let help = command.get_after_long_help().or(command.get_after_help());
    let text = help.map(ToString::to_string).unwrap_or_default();
    let mut is_open = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(heading) = line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            if is_open {
                roff.control("fi", []);
            }
            roff.control("SH", [heading.to_uppercase().as_str()]);
            roff.control("nf", []);
            is_open = true;
        } else {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
    }
    if is_open {
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_and_every_line_below_a_help_is_in_it() {
        let all = pages(Cli::command(), "2026-06-01");
        let page = |name: &str| {
            let found = all.iter().find(|(file, _)| file == name);
            &found.unwrap_or_else(|| panic!("no {name}")).1
        };
        for name in ["refit.1", "refit-sweep.1", "refit-deps-graph.1"] {
            for section in [
                ".SH NAME",
                ".SH SYNOPSIS",
                ".SH DESCRIPTION",
                ".SH EXAMPLES",
            ] {
                assert!(page(name).contains(section), "{name} has no {section}");
            }
        }
        let main = page("refit.1");
        let source = concat!("\"refit ", env!("CARGO_PKG_VERSION"), "\"");
        assert!(
            main.contains(&format!(
                ".TH REFIT 1 2026-06-01 {source} \"refit manual\"\n"
            )),
            "{main}"
        );
        assert!(
            main.contains("\n.SH \"EXIT CODES\"\n.nf\n0    fine\n"),
            "{main}"
        );
        assert!(main.contains("DOCKER_HOST"), "{main}");
        assert_eq!(page("git-refit.1"), main);
        assert!(all.iter().all(|(name, _)| name != "refit-man.1"));
    }
}
