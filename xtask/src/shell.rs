//! Running other programs: argv echoed, failures named.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

/// Why a chore stopped. The text is for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// What a chore gives.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    // As cargo says now, not as it was when this was compiled: checkouts may share a target folder.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR");
    let xtask = xtask.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask
        .parent()
        .expect("xtask is a folder of the workspace")
        .to_owned()
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A command of the same cargo that runs this program, in the workspace.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Runs with this terminal, echoing argv; a status other than 0 is a failure.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let shown = shown(command);
    eprintln!("+ {shown}");
    expect_success(&shown, command.status())
}

/// Runs without the terminal and gives stdout.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let shown = shown(command);
    let output = command
        .output()
        .map_err(|error| not_started(&shown, &error))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(Failure(format!(
            "`{shown}` failed ({}): {}",
            output.status,
            stderr.trim()
        )));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure(format!("`{shown}` printed no UTF-8")))
}

/// Whether a program of this name is on the PATH.
pub(crate) fn has_program(name: &str) -> bool {
    find_program(name).is_some()
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Daemons live in the system folders, which a plain user's PATH leaves out.
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(system);
    folders.find_map(|folder| Some(folder.join(name)).filter(|program| program.is_file()))
}

/// A failure that names the file.
pub(crate) fn io_failure(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure(format!("cannot use `{}`: {error}", path.display()))
}

fn expect_success(shown: &str, status: io::Result<ExitStatus>) -> Outcome {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure(format!("`{shown}` failed ({status})"))),
        Err(error) => Err(not_started(shown, &error)),
    }
}

fn not_started(shown: &str, error: &io::Error) -> Failure {
    Failure(format!("cannot run `{shown}`: {error}"))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
