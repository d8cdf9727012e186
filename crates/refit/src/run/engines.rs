//! The engines of a run.

use std::{collections::BTreeSet, sync::Arc};

use refit_build::{
    apply::{Engines, Failed},
    buildkit::BuildKitEngine,
    docker::{Address, AddressError, DockerEngine},
    engine::{Engine, EngineError},
    native::{LayerTables, NativeEngine},
};
use refit_deps::{
    key::EngineKind,
    plan::{Action, Plan},
};
use refit_registry::{Downloads, Patience};

use crate::{commands::App, engines, error::CommandError, nodes, project::Project};

/// The engines that the plan's rebuilds name, and its rebases where a proof may fail. One that is missing fails what needs
/// it; where nothing else is to be done, that is said before a run begins.
pub(super) async fn engines(
    (app, project): (&App, &Project),
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
    let mut connected = Engines::default();
    for kind in kinds {
        let settings = &project.user.engines;
        let nodes = nodes::of_kind(kind, &app.environment, settings);
        if !nodes.is_empty() {
            let steps = plan.steps.iter().filter(|step| step.engine == kind);
            let platforms = steps.map(|step| step.target.platform.clone()).collect();
            let tell = |name: &str, why: &str| app.ui.warning(&drained(name, why));
            let nodes = nodes::connect(&nodes, &platforms, &app.environment, &tell).await;
            connected = match nodes.all_drained() {
                None => connected.with_nodes(kind, nodes),
                Some(why) => {
                    let message = format!("no node can be used: {why}");
                    let hint = "`refit doctor` says how each node is".to_owned();
                    if needed.len() == 1 && needed.contains(&Some(kind)) {
                        return Err(CommandError::new(message).hint(hint));
                    }
                    connected.without(
                        kind,
                        Failed {
                            message,
                            excerpt: None,
                            hint: Some(hint),
                        },
                    )
                }
            };
            continue;
        }
        connected = match connect((app, project), kind, tables).await {
            Ok(engine) => connected.with(kind, engine),
            Err(error) if needed.len() == 1 && needed.contains(&Some(kind)) => return Err(error),
            Err(error) => {
                let hint = error.hints.into_iter().next();
                connected.without(
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
    Ok(connected)
}

/// What is said of a node that gets nothing more.
pub(super) fn drained(name: &str, why: &str) -> String {
    format!("node `{name}` is drained: {why}")
}

async fn connect(
    (app, project): (&App, &Project),
    kind: EngineKind,
    tables: &LayerTables,
) -> Result<Arc<dyn Engine>, CommandError> {
    if kind == EngineKind::Native {
        return Ok(Arc::new(NativeEngine::with(
            tables.clone(),
            Downloads::new(project.registry_settings(Patience::default())),
        )));
    }
    let unusable = |error: AddressError| {
        CommandError::because(&error).hint("`refit doctor` says what engines' addresses may be")
    };
    let settings = &project.user.engines;
    if kind == EngineKind::BuildKit {
        let endpoint = engines::buildkit(&app.environment, settings).map_err(unusable)?;
        let connected = async {
            let engine = BuildKitEngine::connect(&endpoint).await?;
            // One that can't have the bases is refused before anything begins.
            engine.exchange().await?;
            Ok(engine)
        };
        let connected = connected.await.map_err(|error: EngineError| {
            let hint = error.hint();
            let failed = CommandError::because(&error);
            match hint {
                Some(hint) => failed.hint(hint),
                None => failed,
            }
        })?;
        return Ok(Arc::new(connected));
    }
    let address = engines::docker(&app.environment, settings).map_err(unusable)?;
    let buildkit = app.environment.docker_buildkit;
    let connected = async {
        let engine = DockerEngine::connect_for(&address.value, buildkit).await?;
        let engine = engine.with_relay();
        engine.way().await?;
        Ok(engine)
    };
    let connected = connected.await;
    let connected = connected.map_err(|error: EngineError| {
        let is_local = !matches!(address.value, Address::Ssh(_));
        let is_away = is_local && matches!(error, EngineError::Unreachable { .. });
        let own = error.hint().filter(|_| !is_away);
        CommandError::because(&error).hint(own.unwrap_or_else(|| {
            "`refit doctor` says how to start Docker Engine, DOCKER_HOST where it is; what executes nothing needs none".to_owned()
        }))
    })?;
    Ok(Arc::new(connected))
}
