//! Has a recipe built: by the one engine there is, or by one node after the other until one has done it.

use std::{collections::BTreeSet, fs, io::Write, sync::Arc, time::Duration};

use refit_deps::{plan::Step, record::FailureClass};

use super::{Broken, Builder, Failed, Site, build::explain, control, control::Waited, io_failed};
use crate::{
    engine::{Built, Engine, EngineError, Recipe},
    nodes::{Nodes, Place},
};

/// How often a node that builds is asked whether it is there.
const PULSE: Duration = Duration::from_secs(30);

/// Builds; the second is the node that did.
pub(super) async fn build(
    builder: &Builder,
    recipe: &mut Recipe,
    (step, waited): (&Step, &Waited),
    site: &Site<'_>,
    log: &mut (dyn Write + Send),
) -> Result<(Built, Option<String>), Broken> {
    match builder {
        Builder::One(engine) => {
            let built = by(engine.as_ref(), recipe, log).await;
            let built = built.map_err(|error| broken(&error, recipe))?;
            Ok((built, None))
        }
        Builder::Nodes(nodes) => {
            let (built, node) = on_nodes(nodes, recipe, (step, waited), site, log).await?;
            Ok((built, Some(node)))
        }
    }
}

async fn on_nodes(
    nodes: &Arc<Nodes>,
    recipe: &mut Recipe,
    (step, waited): (&Step, &Waited),
    site: &Site<'_>,
    log: &mut (dyn Write + Send),
) -> Result<(Built, String), Broken> {
    let mut refused = BTreeSet::new();
    let mut refusal = None;
    let work_dir = recipe.work_dir.clone();
    let mut attempt = 0_usize;
    // Each turn that is not the last takes a node away from what can be placed on.
    loop {
        let place = waited
            .during(nodes.place(&step.target.platform, &refused))
            .await;
        let place = match (place, &refusal) {
            (Ok(place), _) => place,
            (Err(_), Some(refusal)) => return Err(broken(refusal, recipe)),
            (Err(none), None) => return Err(none_left(&Failed::of(&none))),
        };
        // What an attempt before has left there is not for this one.
        attempt += 1;
        recipe.work_dir = work_dir.join(attempt.to_string());
        fs::create_dir(&recipe.work_dir)
            .map_err(|e| io_failed("make the folder", &recipe.work_dir, &e))?;
        let name = place.name().to_owned();
        site.run.placed(&step.target.to_string(), &name).ok();
        let _ = writeln!(log, "on node {name}");
        let began = std::time::Instant::now();
        let built = tokio::select! {
            built = by(place.engine(), recipe, log) => built.map_err(Some),
            why = place.until_gone(PULSE) => Err(give_up(&place, &why, site)),
        };
        let error = match built {
            Ok(built) => return Ok((built, name)),
            Err(error) => error,
        };
        match error {
            Some(error @ EngineError::Refused(_)) => {
                refused.insert(place.at());
                refusal.get_or_insert(error);
                continue;
            }
            Some(error) => match place.lost(&error).await {
                None => return Err(broken(&error, recipe)),
                Some(why) => {
                    give_up(&place, &why, site);
                }
            },
            None => {}
        }
        let _ = writeln!(log, "node {name} is drained, another one is looked for");
        waited.add(began.elapsed());
    }
}

async fn by(
    engine: &dyn Engine,
    recipe: &Recipe,
    log: &mut (dyn Write + Send),
) -> Result<Built, EngineError> {
    engine.check(recipe)?;
    engine.build(recipe, log).await
}

fn give_up(place: &Place, why: &str, site: &Site<'_>) -> Option<EngineError> {
    if place.drain(why) {
        site.workshop.drained(place.name(), why);
    }
    None
}

fn none_left(failed: &Failed) -> Broken {
    Broken {
        class: FailureClass::Environment,
        failed: Failed {
            hint: Some("`refit doctor` says how each node is".to_owned()),
            ..failed.clone()
        },
    }
}

fn broken(error: &EngineError, recipe: &Recipe) -> Broken {
    Broken {
        class: control::class_of(error),
        failed: explain(error, recipe),
    }
}
