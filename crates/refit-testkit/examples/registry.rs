//! The test registry as a process of its own, for `cargo xtask bench`: prints its host, and serves until its standard
//! input ends.
#![expect(clippy::print_stdout, reason = "the host is the result")]

use std::io;

use refit_testkit::registry::{Options, TestRegistry};

fn main() -> io::Result<()> {
    let registry = TestRegistry::start(Options::default());
    println!("{}", registry.host());
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}
