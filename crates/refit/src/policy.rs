//! Whether the repository's `[policy]` holds, asking registries no longer than there is time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use refit_deps::{
    image::Image,
    observe::Line,
    policy::{self, Finding},
    record::Records,
};
use refit_dockerfile::Found;
use refit_oci::Reference;
use refit_registry::Patience;

use crate::{
    error::CommandError,
    observe::Observer,
    project::{Project, Snapshot},
    ui::{self, Ui},
};

/// What breaks the policy, and what of it could not be told.
#[derive(Default)]
pub(crate) struct Checked {
    /// Sorted by place.
    pub(crate) findings: Vec<Finding>,
    /// Bases that could not be looked at, and why.
    pub(crate) unknown: BTreeMap<Reference, String>,
    /// There was not enough time to look at all of them.
    pub(crate) cut_short: bool,
}

impl Checked {
    /// Says what could not be looked at.
    pub(crate) fn tell_unknown(&self, ui: &Ui) {
        for (reference, why) in &self.unknown {
            let name = ui::reference(reference);
            ui.warning(&format!("`[policy]` can't be checked for {name}: {why}"));
        }
    }
}

/// Which bases a registry is asked for, and how long there is time for it; none: as long as it takes.
pub(crate) struct Asking<'a> {
    pub(crate) wanted: &'a dyn Fn(&Image, &Found) -> bool,
    pub(crate) budget: Option<Duration>,
}

/// Checks a snapshot.
pub(crate) async fn check(
    project: &Project,
    snapshot: &Arc<Snapshot>,
    asking: Asking<'_>,
) -> Result<Checked, CommandError> {
    let Asking { wanted, budget } = asking;
    let mut checked = Checked {
        findings: policy::written(&snapshot.inventory, &snapshot.scans, &snapshot.edges),
        ..Checked::default()
    };
    let any = |(image, _, found): (&str, _, &Found)| {
        let image = snapshot.inventory.image(image);
        image.is_some_and(|image| wanted(image, found))
    };
    if !snapshot.inventory.policy.asks_registries() || !snapshot.scans.found().any(any) {
        return Ok(checked);
    }
    let line = Line {
        name: project.current_line()?,
        commit: None,
    };
    let patience = budget.map_or_else(Patience::default, Patience::within);
    let parts = (project.registries_with(patience), Records::default());
    let observer = Observer::with_records(project, line, Arc::clone(snapshot), parts);
    let asked = observer.resolve(|ground| policy::of_bases(ground, wanted));
    let told = match budget {
        Some(budget) => {
            let Ok(told) = tokio::time::timeout(budget, asked).await else {
                checked.cut_short = true;
                return Ok(checked);
            };
            told?
        }
        None => asked.await?,
    };
    checked.findings.extend(told.findings);
    checked.findings.sort_by(|a, b| {
        let place = |f: &Finding| (f.problem.file.clone(), f.problem.position);
        place(a).cmp(&place(b))
    });
    checked.unknown = told.unknown;
    Ok(checked)
}
