//! `cargo xtask fuzz [TARGET] [SECONDS]`: what reads bytes from outside, fed with bytes of every kind.

use std::{fs, process::Command};

use crate::shell::{Failure, Outcome, has_program, root, target};

/// The crate of the targets, which is no member of the workspace: it is built with other flags.
const FOLDER: &str = "crates/refit-dockerfile/fuzz";

/// How long a target runs if nobody says.
const SECONDS: u64 = 60;

/// Runs one target, or each for the same time, and reports how often each was executed.
#[expect(clippy::print_stdout, reason = "the counts are the result")]
pub(crate) fn fuzz(args: &[&str]) -> Outcome {
    let all = targets()?;
    let (wanted, seconds) = match args {
        [] => (all, SECONDS),
        [one] if one.parse::<u64>().is_ok() => (all, parsed(one)?),
        [name] => (vec![(*name).to_owned()], SECONDS),
        [name, seconds] => (vec![(*name).to_owned()], parsed(seconds)?),
        _ => {
            return Err(Failure(
                "usage: cargo xtask fuzz [TARGET] [SECONDS]".to_owned(),
            ));
        }
    };
    if !has_program("cargo-fuzz") {
        return Err(Failure(
            "`cargo fuzz` is missing: `cargo install cargo-fuzz`".to_owned(),
        ));
    }
    for name in wanted {
        let executions = run_target(&name, seconds)?;
        println!("{name}: {executions} executions in {seconds} s, no failure");
    }
    Ok(())
}

fn parsed(seconds: &str) -> Outcome<u64> {
    let parsed = seconds.parse();
    parsed.map_err(|_| Failure(format!("`{seconds}` is no number of seconds")))
}

fn targets() -> Outcome<Vec<String>> {
    let folder = root().join(FOLDER).join("fuzz_targets");
    let entries = fs::read_dir(&folder);
    let entries =
        entries.map_err(|e| Failure(format!("cannot read `{}`: {e}", folder.display())))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some(path.file_stem()?.to_string_lossy().into_owned())
        })
        .collect();
    names.sort();
    Ok(names)
}

/// Runs a target until its time is up; a failure leaves its input in the folder's `artifacts`.
fn run_target(name: &str, seconds: u64) -> Outcome<u64> {
    let mut command = Command::new("cargo");
    command
        .args(["fuzz", "run", "--sanitizer=none", name, "--"])
        .arg(format!("-max_total_time={seconds}"))
        .args(["-max_len=4096", "-timeout=10", "-print_final_stats=1"])
        .current_dir(root().join(FOLDER))
        // The sanitizers' flags are behind a gate that the stable compiler opens only so.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target().join("fuzz"));
    eprintln!("+ cargo fuzz run {name} ({seconds} s)");
    let out = command.output();
    let out = out.map_err(|e| Failure(format!("`cargo fuzz` could not be started: {e}")))?;
    let said = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() {
        let end: Vec<&str> = said.lines().rev().take(40).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        return Err(Failure(format!("`{name}` failed:\n{}", end.join("\n"))));
    }
    let count = said.lines().find_map(|line| {
        let count = line.strip_prefix("stat::number_of_executed_units:")?;
        count.trim().parse().ok()
    });
    count.ok_or_else(|| Failure(format!("`{name}` did not say how often it was executed")))
}
