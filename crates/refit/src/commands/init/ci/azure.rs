//! Azure Pipelines.

use std::fmt::Write as _;

use refit_oci::Platform;

use super::{
    Files,
    facts::{Facts, Shards, slug},
    text::{Values, fill, quoted},
};
use crate::ui::sentence_list;

/// How many jobs a sweep may have: a stage of Azure Pipelines has at most 256 in all.
const MOST_JOBS: usize = 250;

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
            fill(
                include_str!("templates/azure.yml"),
                &sweep(facts, values(facts)),
            ),
        )],
        hints,
    }
}

fn secret(name: &str) -> String {
    format!("          {name}: $({name})")
}

/// The jobs of a sweep before the last one, and what that one needs of them.
fn sweep(facts: &Facts, mut values: Values) -> Values {
    let Some(shards) = &facts.shards else {
        values.extend([
            ("SHARDS", String::new()),
            ("NEEDS", String::new()),
            (
                "CONDITION",
                "ne(variables['Build.Reason'], 'PullRequest')".to_owned(),
            ),
            ("TAKE_PLAN", String::new()),
            ("PLANNED_ENV", String::new()),
            (
                "SWEEP",
                "exit=0\nrefit sweep --summary \"$summary\" || exit=$?\n".to_owned(),
            ),
        ]);
        return values;
    };
    let mut emitted = String::new();
    let mut jobs = String::new();
    let mut needs = vec!["plan".to_owned()];
    for wave in 1..=shards.waves {
        let mut of_wave = Vec::new();
        for job in wave_jobs(shards, wave) {
            writeln!(emitted, "jobs {} --wave {wave}{}", job.name, job.only)
                .expect("writing to a string");
            let mut values = values.clone();
            values.retain(|(name, _)| *name != "POOL");
            values.extend([
                ("JOB", job.name.clone()),
                ("TITLE", quoted(&job.title)),
                ("NEEDS", needs.join(", ")),
                ("POOL", job.pool),
                ("WAVE", wave.to_string()),
            ]);
            jobs.push('\n');
            jobs.push_str(&fill(include_str!("templates/azure-wave.yml"), &values));
            of_wave.push(job.name);
        }
        needs.extend(of_wave);
    }
    let mut of_plan = values.clone();
    let trust = match facts.trust().join("\n") {
        none if none.is_empty() => none,
        lines => format!("        env:\n{lines}\n"),
    };
    of_plan.extend([
        ("PLANNED", shards.planned(MOST_JOBS)),
        ("JOBS", emitted),
        ("TRUST", trust),
    ]);
    let plan = fill(include_str!("templates/azure-plan.yml"), &of_plan);
    let publish = include_str!("templates/publish.sh");
    values.extend([
        ("SHARDS", format!("{plan}{jobs}\n")),
        (
            "NEEDS",
            format!(
                "dependsOn: [{}]\nvariables:\n  PLANNED: $[ dependencies.plan.outputs['plan.planned'] ]\n",
                needs.join(", ")
            ),
        ),
        (
            "CONDITION",
            "and(not(canceled()), ne(variables['Build.Reason'], 'PullRequest'), \
             or(in(variables['Build.Reason'], 'IndividualCI', 'BatchedCI'), eq(dependencies.plan.result, 'Succeeded')))"
                .to_owned(),
        ),
        (
            "TAKE_PLAN",
            "      - download: current\n        artifact: refit-plan\n        displayName: Take the plan\n        \
             condition: and(succeeded(), notIn(variables['Build.Reason'], 'IndividualCI', 'BatchedCI'))\n"
                .to_owned(),
        ),
        ("PLANNED_ENV", "PLANNED: $(PLANNED)".to_owned()),
        (
            "SWEEP",
            format!(
                "PLAN=\"$PIPELINE_WORKSPACE/refit-plan/refit-plan.json\" SUMMARY=\"$summary\"\n{publish}"
            ),
        ),
    ]);
    values
}

/// One wave's jobs on one kind of runner.
struct WaveJob {
    name: String,
    title: String,
    /// The options of `--emit` that tell them from others of the wave.
    only: String,
    pool: String,
}

fn wave_jobs(shards: &Shards, wave: usize) -> Vec<WaveJob> {
    let of_runner = |(platform, labels): (&Platform, &Vec<String>)| {
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let slug: String = platform.to_string().chars().map(word).collect();
        let pool: Vec<String> = pool(Some(labels.as_slice()))
            .lines()
            .map(|line| format!("      {line}\n"))
            .collect();
        WaveJob {
            name: format!("wave_{wave}_{slug}"),
            title: format!("Wave {wave}, {platform}"),
            only: format!(" --platform {platform}"),
            pool: format!("    pool:\n{}", pool.concat()),
        }
    };
    if shards.runners.len() > 1 {
        return shards.runners.iter().map(of_runner).collect();
    }
    vec![WaveJob {
        name: format!("wave_{wave}"),
        title: format!("Wave {wave}"),
        only: String::new(),
        pool: String::new(),
    }]
}

fn values(facts: &Facts) -> Values {
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
        ("POOL", pool(facts.runner.as_deref())),
        ("VERSION", env!("CARGO_PKG_VERSION").to_owned()),
        ("RELEASES", facts.release.shell()),
        ("LOGIN", facts.hosts.iter().map(|h| login(h)).collect()),
        ("EMULATION", emulation(facts)),
        ("SECRETS", facts.secrets_and_trust(secret).join("\n")),
        ("GET", get),
        ("CHECK", include_str!("templates/check.sh").to_owned()),
    ]
}

/// Microsoft's own images have names that begin with a system; anything else is a pool with demands.
fn pool(labels: Option<&[String]>) -> String {
    let Some([first, demands @ ..]) = labels else {
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
