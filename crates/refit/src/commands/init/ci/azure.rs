//! Azure Pipelines.

use super::{
    Files,
    facts::{Facts, slug},
    text::{fill, quoted},
};
use crate::ui::sentence_list;

const PIPELINE: &str = ".azure/refit.yml";

pub(super) fn files(facts: &Facts) -> Files {
    let mut hints = vec![format!(
        "make a pipeline from `{PIPELINE}`, and let the build service contribute to the repository"
    )];
    let names: Vec<String> = (facts.hosts.iter())
        .flat_map(|host| {
            let slug = slug(host);
            [
                format!("REFIT_USER_{slug}"),
                format!("REFIT_PASSWORD_{slug}"),
            ]
        })
        .chain(facts.secrets.iter().cloned())
        .map(|name| format!("`{name}`"))
        .collect();
    hints.push(format!(
        "give the pipeline the secret variables {}",
        sentence_list(&names)
    ));
    if facts.release.url.is_none() {
        hints.push("set its variable `REFIT_RELEASES` to where refit's releases are, unless its agents have refit".to_owned());
    }
    Files {
        files: vec![(
            PIPELINE,
            fill(include_str!("templates/azure.yml"), &values(facts)),
        )],
        hints,
    }
}

fn values(facts: &Facts) -> Vec<(&'static str, String)> {
    let get = fill(
        include_str!("templates/get.sh"),
        &facts
            .release
            .values("echo \"##vso[task.prependpath]$HOME/.local/bin\""),
    );
    let cron = |cron: &String| {
        format!(
            "  - cron: {}\n    displayName: Sweep\n    branches:\n      include: [{}]\n    always: \"true\"\n",
            quoted(cron),
            quoted(&facts.default_branch)
        )
    };
    vec![
        ("BRANCHES", facts.branch_list()),
        ("CRONS", facts.schedule.iter().map(cron).collect()),
        ("POOL", pool(facts)),
        ("VERSION", env!("CARGO_PKG_VERSION").to_owned()),
        ("RELEASES", facts.release.shell()),
        ("LOGIN", facts.hosts.iter().map(|h| login(h)).collect()),
        ("EMULATION", emulation(facts)),
        ("SECRETS", secrets(facts)),
        ("GET", get),
        ("CHECK", include_str!("templates/check.sh").to_owned()),
    ]
}

/// Microsoft's own images have names that begin with a system; anything else is a pool with demands.
fn pool(facts: &Facts) -> String {
    let Some([first, demands @ ..]) = facts.runner.as_deref() else {
        return "vmImage: ubuntu-24.04".to_owned();
    };
    if demands.is_empty() && first.starts_with("ubuntu-") {
        return format!("vmImage: {}", quoted(first));
    }
    let demands: Vec<String> = demands
        .iter()
        .map(|d| format!("\n  - {}", quoted(d)))
        .collect();
    let demands = match demands.concat() {
        none if none.is_empty() => none,
        some => format!("\ndemands:{some}"),
    };
    format!("name: {}{demands}", quoted(first))
}

fn login(host: &str) -> String {
    let slug = slug(host);
    format!(
        "      - bash: |\n          set -euo pipefail\n          \
         printf '%s' \"$PASSWORD\" | docker login --username \"$NAME\" --password-stdin {host}\n        \
         displayName: Log in to {host}\n        env:\n          NAME: $(REFIT_USER_{slug})\n          \
         PASSWORD: $(REFIT_PASSWORD_{slug})\n"
    )
}

fn emulation(facts: &Facts) -> String {
    if !facts.emulates || facts.runner.is_some() {
        return String::new();
    }
    "      - bash: |\n          set -euo pipefail\n          sudo apt-get update\n          \
     sudo apt-get install --yes --no-install-recommends qemu-user-static binfmt-support\n        \
     displayName: Let other processors' programs run\n"
        .to_owned()
}

fn secrets(facts: &Facts) -> String {
    let mut lines: Vec<String> = (facts.secrets.iter())
        .map(|name| format!("          {name}: $({name})"))
        .collect();
    if facts.has_commands {
        let why = "whoever may change a swept branch may run commands here in any case";
        lines.push(format!("          REFIT_TRUST: \"1\" # {why}"));
    }
    lines.join("\n")
}
