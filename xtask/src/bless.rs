//! `cargo xtask bless`: snapshots are rewritten with what the code prints now; `git diff` reviews them.

use crate::{
    shell::{Outcome, output, root},
    test::{Snapshots, test},
};

/// Runs the tests, accepting every difference; `args` as for `test`.
#[expect(
    clippy::print_stdout,
    reason = "a chore talks to the person at the terminal"
)]
pub(crate) fn bless(args: &[&str]) -> Outcome {
    test(args, Snapshots::Accept)?;
    let mut git = std::process::Command::new("git");
    git.args(["status", "--short", "--", "snapshots"])
        .current_dir(root());
    let changed = output(&mut git)?;
    match changed.trim_end() {
        "" => println!("no snapshot changed"),
        changed => println!("{changed}\nhint: run `git diff -- snapshots` to review them"),
    }
    Ok(())
}
