//! The project's chores, one file each: `cargo xtask CHORE`.

#![expect(
    clippy::print_stderr,
    reason = "a chore talks to the person at the terminal"
)]

mod bench;
mod bless;
mod ci;
mod demo;
mod dist;
mod edges;
mod engines;
mod fuzz;
mod scratch;
mod shell;
mod test;

use std::process::ExitCode;

use shell::{Failure, Outcome};
use test::Snapshots;

const USAGE: &str = "usage: cargo xtask CHORE

  demo [ARG…]              the main job in one command, in a temporary repository
  test [--engines] [-- …]  all tests that this machine can run; with --engines all there are
  ci                       everything that a change must pass
  bless [--engines]        rewrite snapshots with what the code prints now
  bench [NAME…]            what a user waits for, on the release build
  fuzz [TARGET] [SECONDS]  feeds what reads bytes from outside (needs `cargo install cargo-fuzz`)
  dist [TARGET…]           static executables, archives and the image of a release, in target/releases
  engines install          put the real engines that tests use into target/engines
  edges                    check which crate uses which";

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
        ["demo", args @ ..] => demo::demo(args),
        ["test", args @ ..] => test::test(args, Snapshots::Compare),
        ["ci"] => ci::ci(),
        ["bless", args @ ..] => bless::bless(args),
        ["bench", names @ ..] => bench::bench(names),
        ["fuzz", args @ ..] => fuzz::fuzz(args),
        ["dist", targets @ ..] => dist::dist(targets),
        ["engines", "install"] => engines::install(),
        ["edges"] => edges::check(),
        [] | ["-h" | "--help" | "help"] => {
            eprintln!("{USAGE}");
            Ok(())
        }
        _ => Err(Failure(format!(
            "no chore `{}`\n\n{USAGE}",
            words.join(" ")
        ))),
    }
}
