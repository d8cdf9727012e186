//! `refit demo`: the main job on a temporary repository, without Docker, a registry or a network.

use std::path::PathBuf;

use crate::{
    commands::App,
    demo,
    error::{CommandError, Exit},
};

/// Show the main job on a temporary repository, offline
///
/// Makes a repository with images in three levels for two platforms, records and publishes them, lets their base move
/// on one platform, and sweeps. Each command is shown as one would type it; the folder is left for playing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    refit demo\n  \
    refit demo --dir /tmp/refit-demo")]
pub(crate) struct DemoArgs {
    /// Where to make the demo, an empty or new folder; a temporary one otherwise
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn run(app: &App, args: &DemoArgs) -> Result<Exit, CommandError> {
    let cannot = |error: std::io::Error| {
        CommandError::new(format!("cannot make the demo's folder: {error}"))
    };
    let dir = match &args.dir {
        Some(dir) => {
            let dir = app.environment.current_dir.join(dir);
            std::fs::create_dir_all(&dir).map_err(cannot)?;
            if std::fs::read_dir(&dir).map_err(cannot)?.next().is_some() {
                return Err(
                    CommandError::new(format!("`{}` is not empty", dir.display()))
                        .hint("give a new folder with `--dir`"),
                );
            }
            dir
        }
        None => tempfile::Builder::new()
            .prefix("refit-demo-")
            .tempdir()
            .map_err(cannot)?
            .keep(),
    };
    demo::play(&app.ui, &app.environment, &dir)
}
