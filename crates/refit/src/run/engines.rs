//! The engines of a run.

use std::{collections::BTreeSet, sync::Arc};

use refit_build::{
    apply::{Engines, Failed},
    docker::{Address, AddressError, DockerEngine},
    engine::Engine,
    native::{LayerTables, NativeEngine},
};
use refit_deps::{
    key::EngineKind,
    plan::{Action, Plan},
};

use crate::{commands::App, error::CommandError};

/// The engines that the plan's rebuilds name, and its rebases where a proof may fail. One that is missing fails what needs
/// it; where nothing else is to be done, that is said before a run begins.
pub(super) async fn engines(
    app: &App,
    plan: &Plan,
    tables: &LayerTables,
) -> Result<Engines, CommandError> {
    let needed: BTreeSet<Option<EngineKind>> = plan
        .steps
        .iter()
        .map(|step| (step.action == Action::Rebuild).then_some(step.engine))
        .collect();
    let may_build = plan.steps.iter().filter(|step| step.action.may_build());
    let kinds: BTreeSet<EngineKind> = may_build.map(|step| step.engine).collect();
    let mut engines = Engines::default();
    for kind in kinds {
        engines = match connect(app, kind, tables).await {
            Ok(engine) => engines.with(kind, engine),
            Err(error) if needed.len() == 1 && needed.contains(&Some(kind)) => return Err(error),
            Err(error) => {
                let hint = error.hints.into_iter().next();
                engines.without(
                    kind,
                    Failed {
                        message: error.message,
                        excerpt: None,
                        hint,
                    },
                )
            }
        };
    }
    Ok(engines)
}

async fn connect(
    app: &App,
    kind: EngineKind,
    tables: &LayerTables,
) -> Result<Arc<dyn Engine>, CommandError> {
    if kind == EngineKind::Native {
        return Ok(Arc::new(NativeEngine::with_tables(tables.clone())));
    }
    let address = app
        .environment
        .docker_host
        .as_deref()
        .unwrap_or_default()
        .parse();
    let address: Address = address.map_err(|error: AddressError| {
        CommandError::because(&error).hint("`refit doctor` says what DOCKER_HOST may be")
    })?;
    let connected = DockerEngine::connect(&address).await.map_err(|error| {
        CommandError::because(&error)
            .hint("`refit doctor` says how to start Docker Engine, DOCKER_HOST where it is; what executes nothing needs none")
    })?;
    Ok(Arc::new(connected))
}
