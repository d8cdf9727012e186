//! The demo: a script of commands, run for real and shown as one would type them.

mod files;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    environment::Environment,
    error::{CommandError, Exit},
    ui::Ui,
};

/// Plays the whole script in `dir`, which is empty.
pub(crate) fn play(ui: &Ui, environment: &Environment, dir: &Path) -> Result<Exit, CommandError> {
    let stage = Stage::new(ui, dir)?;
    stage.write("", files::SETTINGS)?;
    stage.write("debian", files::DEBIAN)?;
    stage.write("shop", files::SHOP)?;
    stage.say("Debian, played by a folder: its registry is an OCI layout, its images have no RUN.");
    stage.quietly("debian", "git init --quiet --initial-branch=main")?;
    stage.quietly("debian", "git add .")?;
    stage.quietly("debian", "git commit --quiet --message=12-slim")?;
    stage.run("debian", "refit build --push")?;

    stage.say("Your repository: three images, each built on the one before, for two platforms.");
    stage.run("shop", "git init --quiet --initial-branch=main")?;
    stage.run("shop", "cat */Dockerfile .config/refit.toml")?;
    stage.run("shop", "refit init --hooks")?;
    stage.run("shop", "git add .")?;
    stage.run("shop", "git commit --quiet --message=Shop")?;
    stage.say("The hook has recorded what the images are built on:");
    stage.run("shop", "git log --notes=refit")?;
    stage.run("shop", "refit build --push")?;
    stage.run("shop", "refit deps graph")?;

    stage.say("Debian patches openssl, on arm64 only.");
    stage.write("debian", files::PATCH)?;
    stage.run("debian", "git commit --quiet --all --message=openssl")?;
    stage.run("debian", "refit build --push")?;

    stage.say("What is stale, why, and what would be done about it?");
    stage.run("shop", "refit status")?;
    stage.run("shop", "refit sweep --dry-run")?;
    stage.run("shop", "refit sweep")?;
    stage.run("shop", "refit deps graph")?;
    stage.run("shop", "git log --notes=refit")?;
    stage.say("A second sweep has nothing to do:");
    stage.run("shop", "refit sweep")?;
    let path = if environment.has_program("refit") {
        String::new()
    } else {
        format!("\n  export PATH={}:$PATH", stage.own_dir.display())
    };
    stage.say(&format!(
        "The folder is yours to play with:{path}\n  export REFIT_CONFIG={}\n  cd {}\n  refit status",
        stage.settings.display(),
        dir.join("shop").display(),
    ));
    Ok(Exit::Fine)
}

/// Where the script is played.
struct Stage<'a> {
    ui: &'a Ui,
    dir: &'a Path,
    settings: PathBuf,
    /// The folder with this refit.
    own_dir: PathBuf,
    path: std::ffi::OsString,
}

impl<'a> Stage<'a> {
    fn new(ui: &'a Ui, dir: &'a Path) -> Result<Self, CommandError> {
        let own = std::env::current_exe()
            .map_err(|e| CommandError::new(format!("cannot find refit itself: {e}")))?;
        // The hooks and the script find this refit first.
        let own_dir = own.parent().map(Path::to_owned).unwrap_or_default();
        let before = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(own_dir.clone()).chain(std::env::split_paths(&before));
        let path = std::env::join_paths(folders)
            .map_err(|e| CommandError::new(format!("cannot set PATH: {e}")))?;
        Ok(Self {
            ui,
            dir,
            settings: dir.join("config.toml"),
            own_dir,
            path,
        })
    }

    fn say(&self, text: &str) {
        let lines: Vec<String> = text.lines().map(|line| format!("# {line}")).collect();
        self.ui.data(&format!("\n{}", lines.join("\n")));
    }

    fn write(&self, folder: &str, files: &[(&str, &str)]) -> Result<(), CommandError> {
        for (path, text) in files {
            let path = self.dir.join(folder).join(path);
            let parent = path.parent().unwrap_or(self.dir);
            let written =
                std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
            written.map_err(|e| {
                CommandError::new(format!("cannot write `{}`: {e}", path.display()))
            })?;
        }
        Ok(())
    }

    fn run(&self, folder: &str, line: &str) -> Result<(), CommandError> {
        self.ui.data(&format!("\n{folder}$ {line}"));
        self.spawn(folder, line, Stdio::inherit, Stdio::inherit)
    }

    fn quietly(&self, folder: &str, line: &str) -> Result<(), CommandError> {
        self.spawn(folder, line, Stdio::null, Stdio::inherit)
    }

    fn spawn(
        &self,
        folder: &str,
        line: &str,
        stdout: fn() -> Stdio,
        stderr: fn() -> Stdio,
    ) -> Result<(), CommandError> {
        // The lines are constants of this script; the shell is there for its globs.
        let status = Command::new("sh")
            .args(["-c", line])
            .current_dir(self.dir.join(folder))
            .env("PATH", &self.path)
            .env("REFIT_CONFIG", &self.settings)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_PAGER", "cat")
            .envs([
                ("GIT_AUTHOR_NAME", "Demo"),
                ("GIT_AUTHOR_EMAIL", "demo@example.com"),
            ])
            .envs([
                ("GIT_COMMITTER_NAME", "Demo"),
                ("GIT_COMMITTER_EMAIL", "demo@example.com"),
            ])
            .stdin(Stdio::null())
            .stdout(stdout())
            .stderr(stderr())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(CommandError::new(format!("`{line}` ended with {status}"))),
            Err(error) => Err(CommandError::new(format!(
                "`{line}` could not be started: {error}"
            ))),
        }
    }
}
