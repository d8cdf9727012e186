//! What will become of planned rebases, for people and as JSON.

use std::collections::BTreeMap;

use refit_build::{
    apply::{self, Foreseen},
    native::LayerTables,
    rebase::Rebaser,
};
use refit_deps::plan::Plan;
use refit_platform::Target;
use serde_json::{Value, json};

use crate::{
    error::Exit,
    observe::Observer,
    ui::{GOOD, Table, Ui},
    workshop,
};

/// What becomes of each rebase of a plan.
pub(crate) type Foresight = BTreeMap<Target, Foreseen>;

/// Tries the proofs of a plan's rebases; layers of bases may be read, and nothing is written but their tables.
pub(crate) async fn foresee(observer: &Observer<'_>, plan: &Plan) -> Foresight {
    let tables = LayerTables::kept_in(observer.project.own_dir().join("tables"));
    let rebaser = Rebaser::with_tables(tables);
    let describe = |step: &_| workshop::describe(observer, step).map_err(workshop::failed);
    apply::foresee(plan, &observer.registries, &rebaser, &describe).await
}

/// Says it below the plan.
pub(crate) fn show(ui: &Ui, foresight: &Foresight) {
    let mut table = Table::new();
    for (target, foreseen) in foresight {
        let (word, why) = words(foreseen);
        table.row(vec![word.to_owned(), target.to_string(), why], GOOD);
    }
    ui.table(&table);
    for (target, foreseen) in foresight {
        if let Foreseen::Fails(why) | Foreseen::Built(why) = foreseen {
            let message = format!("{target}: {}", why.message);
            match foreseen {
                Foreseen::Fails(_) => ui.error(&message),
                _ => ui.warning(&message),
            }
            ui.excerpt(why.excerpt.as_deref());
            if let Some(hint) = &why.hint {
                ui.hint(hint);
            }
        }
    }
}

/// Adds it to the plan's JSON: `proof` of each step that is a rebase.
pub(crate) fn annotate(document: &mut Value, plan: &Plan, foresight: &Foresight) {
    let Some(steps) = document["steps"].as_array_mut() else {
        return;
    };
    for (value, step) in steps.iter_mut().zip(&plan.steps) {
        if let Some(foreseen) = foresight.get(&step.target) {
            value["proof"] = proof(foreseen);
        }
    }
}

fn proof(foreseen: &Foreseen) -> Value {
    match foreseen {
        Foreseen::Rebased => json!({ "state": "holds" }),
        Foreseen::Merged => json!({ "state": "not-needed" }),
        Foreseen::Built(why) => json!({ "state": "missing", "why": why.message }),
        Foreseen::Fails(why) => json!({ "state": "refused", "why": why.message }),
        Foreseen::After(parent) => json!({
            "state": "later",
            "after": { "image": parent.image, "platform": parent.platform },
        }),
    }
}

fn words(foreseen: &Foreseen) -> (&'static str, String) {
    match foreseen {
        Foreseen::Rebased => ("proven", "it comes to what a rebuild would".to_owned()),
        Foreseen::Merged => (
            "merged",
            "there is no proof, and `rebase = \"always\"` needs none".to_owned(),
        ),
        Foreseen::Built(_) => ("no proof", "it is built instead".to_owned()),
        Foreseen::Fails(_) => ("refused", "it stays as it is".to_owned()),
        Foreseen::After(parent) => ("later", format!("its proof needs {parent}")),
    }
}

/// The exit code: what will fail counts as if it had.
pub(crate) fn exit(foresight: &Foresight) -> Exit {
    let fails = |foreseen: &Foreseen| matches!(foreseen, Foreseen::Fails(_));
    if foresight.values().any(fails) {
        Exit::Partial
    } else {
        Exit::Fine
    }
}
