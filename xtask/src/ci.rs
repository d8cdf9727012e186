//! `cargo xtask ci`: everything that a change must pass, on a machine with Rust and apt alone.

use std::{fs, path::PathBuf, process::Command, thread};

use crate::{
    edges,
    shell::{Failure, Outcome, cargo, has_program, io_failure, root, run, target},
    test::with_engines,
};

/// Runs all checks, cheap ones first, and stops at the first that fails.
pub(crate) fn ci() -> Outcome {
    // Fetching mostly waits, while the compiler works.
    let engines = thread::spawn(with_engines);
    step("format", || run(&mut cargo(&["fmt", "--all", "--check"])))?;
    step("lints", || {
        let args = [
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--locked",
        ];
        run(cargo(&args).args(["--", "--deny", "warnings"]))
    })?;
    step("documentation", || {
        let args = ["doc", "--quiet", "--workspace", "--no-deps", "--locked"];
        run(cargo(&args).env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    step("dependency edges", edges::check)?;
    step("unused dependencies", unused_dependencies)?;
    // With these the README's command leaves no test out: it is how CI runs all of them, once.
    step("engines and tools", || {
        let got = engines.join();
        got.unwrap_or_else(|_| Err(Failure("getting them broke off".to_owned())))
    })?;
    step("the README's test command", readme_test_command)
}

fn step(name: &str, check: impl FnOnce() -> Outcome) -> Outcome {
    eprintln!("\n== {name}");
    check().map_err(|failure| Failure(format!("{name}: {failure}")))
}

fn unused_dependencies() -> Outcome {
    let tools = target().join("tools");
    let mut machete = PathBuf::from("cargo-machete");
    if !has_program("cargo-machete") {
        machete = tools.join("bin/cargo-machete");
    }
    if !has_program("cargo-machete") && !machete.is_file() {
        // Without optimisation: it runs for a second, once.
        let args = ["install", "--quiet", "--locked", "--debug", "cargo-machete"];
        run(cargo(&args).arg("--root").arg(&tools))?;
    }
    run(Command::new(machete).arg(".").current_dir(root()))
}

/// What the README tells a reader to run must work as it stands there.
fn readme_test_command() -> Outcome {
    let readme = root().join("README.md");
    let text = fs::read_to_string(&readme).map_err(io_failure(&readme))?;
    let command = test_command(&text);
    let command = command.ok_or_else(|| {
        Failure("README.md shows no line that begins with `cargo xtask test`".to_owned())
    })?;
    run(Command::new("sh")
        .args(["-euc", command])
        .current_dir(root()))
}

/// The first command line that runs the tests, without the comment behind it.
fn test_command(readme: &str) -> Option<&str> {
    let lines = readme
        .lines()
        .map(|line| line.trim_start_matches("$ ").trim());
    let line = { lines }.find(|line| line.starts_with("cargo xtask test"))?;
    line.split(" #").next().map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::test_command;

    #[test]
    fn the_readmes_test_command_is_found() {
        for (readme, expect) in [
            (
                "# refit\n```\n$ cargo xtask demo\n$ cargo xtask test   # all\n```\n",
                Some("cargo xtask test"),
            ),
            (
                "cargo xtask test --engines\n",
                Some("cargo xtask test --engines"),
            ),
            ("Run `cargo test`.\n", None),
        ] {
            assert_eq!(test_command(readme), expect, "{readme}");
        }
    }
}
