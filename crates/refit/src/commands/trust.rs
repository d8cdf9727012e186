//! `refit trust`: lets the commands of a repository's configuration run.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use refit_deps::image::Image;

use super::App;
use crate::{
    error::{CommandError, Exit},
    project::Project,
    ui::sentence_list,
};

/// Let the commands of this repository's configuration run
///
/// A repository describes images, and makes nothing run: the commands in its `.config/refit.toml` are left out until
/// you have read and accepted them. What is accepted is this very file in this very repository; once it changes, it is
/// left out again. In CI, set `REFIT_TRUST` to the digest that is said here, or to `1` where whoever may change the
/// file may run commands there anyway.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit trust --dry-run       the commands, and whether they are accepted\n  \
    refit trust\n  \
    refit trust --revoke")]
pub(crate) struct TrustArgs {
    /// Show the commands, and accept nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Accept no file of this repository any longer
    #[arg(long, conflicts_with = "dry_run")]
    revoke: bool,
}

pub(crate) fn run(app: &App, args: &TrustArgs) -> Result<Exit, CommandError> {
    let mut project = app.project()?;
    let snapshot = project.working()?;
    let Some(digest) = snapshot.config else {
        return Err(CommandError::new("there is no `.config/refit.toml` here")
            .hint("run `refit init` to write it"));
    };
    let commands = commands(&project, &snapshot.inventory.images);
    for (command, images) in &commands {
        let images: Vec<&str> = images.iter().copied().collect();
        app.ui
            .data(&format!("{}: {command}\n", sentence_list(&images)));
    }
    if commands.is_empty() {
        app.ui.note("the configuration names no command");
    }
    let folder = project.repo.common_dir().to_owned();
    if args.dry_run {
        if project.trust.accepts(&digest, &folder) {
            app.ui.note(&format!("{digest} is accepted"));
        } else {
            app.ui.note(&format!("{digest} is not accepted"));
            app.ui.hint("run `refit trust`");
        }
        return Ok(Exit::Fine);
    }
    let changed = project.trust.change(&digest, &folder, !args.revoke)?;
    app.ui.note(&match (args.revoke, changed) {
        (false, true) => format!("accepted {digest}"),
        (false, false) => format!("{digest} was accepted before"),
        (true, true) => "nothing of this repository is accepted any longer".to_owned(),
        (true, false) => "nothing of this repository was accepted".to_owned(),
    });
    Ok(Exit::Fine)
}

/// The repository's own commands, with the images that they are for.
fn commands<'i>(project: &Project, images: &'i [Image]) -> BTreeMap<String, BTreeSet<&'i str>> {
    let mut commands: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for image in images {
        for (key, words) in [
            ("stale-when", &image.stale_when),
            ("prepare", &image.prepare),
            ("test", &image.test),
        ] {
            if words.is_empty() || words == project.user.stale_when() {
                continue;
            }
            let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let command = format!("{key} {}", quoted.join(" "));
            commands.entry(command).or_default().insert(&image.name);
        }
    }
    commands
}

/// A word as a shell would have to be given it, so that no two commands look the same.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let escaped: String = word.escape_debug().collect();
    format!("'{}'", escaped.replace("\\'", "'\\''"))
}
