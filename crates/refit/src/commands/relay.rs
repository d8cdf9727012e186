//! `refit relay`: what a container runs beside an engine that does not reach this machine.

use crate::error::{CommandError, Exit};

pub(super) async fn run() -> Result<Exit, CommandError> {
    let wire = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
    let relayed = refit_build::docker::relay(wire).await;
    relayed.map_err(|error| CommandError::because(&error))?;
    // Standard input is read by a thread that can't be told to stop.
    std::process::exit(0)
}
