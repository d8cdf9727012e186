//! `cargo xtask demo`: the main job in one command, `refit demo` from this checkout.

use crate::shell::{Outcome, cargo, run};

/// Builds `refit` and runs its demo; arguments are the demo's own.
pub(crate) fn demo(args: &[&str]) -> Outcome {
    run(cargo(&["run", "--quiet", "--package", "refit", "--", "demo"]).args(args))
}
