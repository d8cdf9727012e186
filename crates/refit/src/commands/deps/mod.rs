//! `refit deps …`: what images are built on.

mod data;
mod graph;
mod list;
mod output;
mod picture;
pub(crate) mod record;
mod scan;
mod stale;
mod tree;

use clap::Subcommand;

pub(crate) use graph::snapshot;

use super::App;
use crate::error::{CommandError, Exit};

/// Show and record what images are built on
#[derive(Debug, Subcommand)]
pub(crate) enum DepsVerb {
    Graph(graph::GraphArgs),
    List(list::ListArgs),
    Scan(scan::ScanArgs),
    Record(record::RecordArgs),
}

pub(crate) async fn run(app: &App, verb: DepsVerb) -> Result<Exit, CommandError> {
    match verb {
        DepsVerb::Graph(args) => graph::run(app, &args).await,
        DepsVerb::List(args) => list::run(app, &args),
        DepsVerb::Scan(args) => scan::run(app, &args),
        DepsVerb::Record(args) => record::run(app, &args).await,
    }
}
