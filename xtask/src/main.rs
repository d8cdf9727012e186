//! The project's chores, one file each: `cargo xtask CHORE`.

#![expect(
    clippy::print_stderr,
    reason = "a chore talks to the person at the terminal"
)]

mod engines;
mod shell;

use std::process::ExitCode;

use shell::{Failure, Outcome};

const USAGE: &str = "usage: cargo xtask CHORE

  engines install  put the real engines that tests use into target/engines
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Outcome {
    match words {
        ["engines", "install"] => engines::install(),
        _ => Err(Failure(format!("unknown chore\n\n{USAGE}"))),
    }
}
