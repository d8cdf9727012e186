//! A plan that is shown, and not carried out.

use std::collections::BTreeMap;

use refit_deps::{config::RebuildFrom, plan::Plan};
use refit_registry::Requests;
use serde_json::Value;

use super::{SweepArgs, nothing};
use crate::{
    commands::App,
    observe::Observer,
    packages::{self, Insides},
    run,
    ui::Format,
};

/// Shows a plan to people, or gives it as JSON: not both, as a plan of thousands of steps is large.
pub(super) async fn show(
    observer: &Observer<'_>,
    plan: &Plan,
    args: &SweepArgs,
    (app, asked_before): (&App, Requests),
) -> Option<Value> {
    let insides = if args.packages {
        let moves = packages::moves(plan);
        packages::compare(observer.project, &observer.registries, moves).await
    } else {
        Insides::new()
    };
    let foresight = if args.explain {
        run::foreseen::foresee(observer, plan).await
    } else {
        BTreeMap::new()
    };
    let requests = observer.registries.requests().since(asked_before);
    let is_emitted = args.elsewhere.emit.is_some();
    if args.format.format != Format::Json && !is_emitted {
        run::show_plan(&app.ui, plan);
        if args.explain {
            app.ui.data(&run::explained(plan, (app, observer.project)));
            run::foreseen::show(&app.ui, &foresight);
        }
        packages::show(&app.ui, &insides);
        nothing::say(&app.ui, plan, &observer.line, requests);
        return None;
    }
    let mut document = if args.dry_run || is_emitted {
        run::plan_json(plan, rebuild_from(observer), requests)
    } else {
        run::nothing_json(plan, requests)
    };
    packages::annotate(&mut document, &insides);
    if args.explain {
        run::explain(&mut document, plan, (app, observer.project));
        run::foreseen::annotate(&mut document, plan, &foresight);
    }
    Some(document)
}

/// Whether a line's tip is built, or what was released from it.
fn rebuild_from(observer: &Observer<'_>) -> &'static str {
    match observer.tip.inventory.sweep.rebuild_from() {
        RebuildFrom::Tip => "tip",
        RebuildFrom::Release => "release",
    }
}
