//! `--emit`: a plan for shards, and the jobs of a CI system that build it.

use std::fmt::Write as _;

use clap::ValueEnum;
use refit_deps::{
    config::CiKeys,
    plan::shard::{self, Job, Options, PlanFile},
};
use refit_oci::Platform;
use serde_json::{Value, json};

use super::SweepArgs;
use crate::{commands::App, error::CommandError, project::Project, ui};

/// How many shards there are unless somebody says.
pub(crate) const SHARDS: usize = 8;
/// The runner of GitHub's own that builds where the configuration names none.
pub(crate) const GITHUB_RUNNER: &str = "ubuntu-24.04";

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum System {
    /// The matrix of a job of GitHub Actions.
    Github,
    /// A child pipeline of GitLab.
    Gitlab,
    /// The matrix of a job of Azure Pipelines.
    Azure,
    /// The plan itself.
    Json,
}

/// Prints a plan that was just made, `document`, or the jobs that build it.
pub(super) fn plan(
    app: &App,
    project: &Project,
    args: &SweepArgs,
    (system, mut document): (System, Value),
) -> Result<(), CommandError> {
    let ci = project.working()?.inventory.ci;
    let steps = document["steps"].as_array().cloned().unwrap_or_default();
    let n_waves = steps.iter().filter_map(|step| step["wave"].as_u64()).max();
    let n_waves = n_waves.and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
    let given = &args.elsewhere;
    document["shards"] = json!(given.shards.unwrap_or(SHARDS));
    document["waves"] = json!(given.waves.unwrap_or(n_waves));
    document["options"] = json!(Options {
        images: args.images.clone(),
        base: args.base.clone(),
        force: args.force,
    });
    if document["steps"].is_null() {
        document["steps"] = json!([]);
    }
    let file: Result<PlanFile, _> = serde_json::from_value(document.clone());
    let mut file =
        file.map_err(|error| CommandError::new(format!("the plan can't be written: {error}")))?;
    let runner = |platform: &Platform| ci.runner_of(platform);
    shard::place(&mut file, runner)
        .map_err(|error| CommandError::because(&error).hint("give `--shards` a larger number"))?;
    if system != System::Json {
        return jobs(app, &ci, args, (system, &file));
    }
    for (step, placed) in document["steps"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .zip(&file.steps)
    {
        step["place"] = json!(placed.place);
    }
    app.ui.json(&document);
    Ok(())
}

/// Prints the jobs of a CI system that build a plan.
pub(super) fn jobs(
    app: &App,
    ci: &CiKeys,
    args: &SweepArgs,
    (system, file): (System, &PlanFile),
) -> Result<(), CommandError> {
    let given = &args.elsewhere;
    let mut jobs = shard::jobs(file, |platform| ci.runner_of(platform));
    if let Some(platform) = &given.platform {
        let runner = ci.runner_of(platform);
        jobs.retain(|job| job.runner == runner);
    }
    if let Some(wave) = given.wave {
        jobs.retain(|job| job.place.wave == wave);
    } else if system != System::Gitlab && system != System::Json && file.waves > 1 {
        return Err(CommandError::new(format!(
            "the plan has {} waves, and a matrix is one of them",
            file.waves
        ))
        .hint("name it with `--wave 1`"));
    }
    match system {
        System::Github => app.ui.data(&github(&jobs, file, ci).to_string()),
        System::Azure => app.ui.data(&azure(&jobs, file).to_string()),
        System::Gitlab => app.ui.data(&gitlab(&jobs, file, ci)),
        System::Json => app.ui.data(&ui::json(&listed(&jobs, file))),
    }
    Ok(())
}

fn shard_of(job: &Job, file: &PlanFile) -> String {
    format!("{}/{}", job.place.shard, file.shards)
}

/// `{"include":[…]}`, as `fromJSON` gives it to `strategy.matrix`.
fn github(jobs: &[Job], file: &PlanFile, ci: &CiKeys) -> Value {
    let jobs = jobs.iter().map(|job| {
        let labels = ci.runners.get(&job.runner);
        let labels = labels.map_or(json!([GITHUB_RUNNER]), |labels| json!(labels));
        json!({ "shard": shard_of(job, file), "targets": job.targets, "runner": labels })
    });
    json!({ "include": jobs.collect::<Vec<_>>() })
}

/// `{"shard_1":{"SHARD":"1/8"},…}`, as `strategy: matrix` takes it.
fn azure(jobs: &[Job], file: &PlanFile) -> Value {
    let jobs = jobs.iter().map(|job| {
        let name = format!("shard_{}", job.place.shard);
        (name, json!({ "SHARD": shard_of(job, file) }))
    });
    Value::Object(jobs.collect())
}

/// A pipeline of the jobs, whose steps are those of `.refit-shard` in the file that `refit init --ci gitlab` writes.
fn gitlab(jobs: &[Job], file: &PlanFile, ci: &CiKeys) -> String {
    let stages: Vec<String> = (1..=file.waves)
        .map(|wave| format!("wave-{wave}"))
        .collect();
    let mut text = format!(
        "include:\n  - local: .gitlab/refit.yml\n\
         # Those of the included file come first: its jobs do not run here.\n\
         stages: [test, deploy, plan, {}]\n\n\
         # The plan comes from the pipeline above, once.\n\
         refit-take-plan:\n  extends: .refit-take-plan\n  stage: plan\n",
        stages.join(", ")
    );
    for of_runner in jobs.chunk_by(|a, b| (a.place.wave, &a.runner) == (b.place.wave, &b.runner)) {
        let [first, ..] = of_runner else { continue };
        let wave = first.place.wave;
        let shards: Vec<String> = of_runner
            .iter()
            .map(|job| format!("'{}'", shard_of(job, file)))
            .collect();
        write!(
            text,
            "\nrefit-wave-{wave} {}:\n  extends: .refit-shard\n  stage: wave-{wave}\n",
            first.runner
        )
        .expect("writing to a string");
        if let Some(labels) = ci.runners.get(&first.runner) {
            let labels: Vec<String> = labels.iter().map(|label| format!("'{label}'")).collect();
            writeln!(text, "  tags: [{}]", labels.join(", ")).expect("writing to a string");
        }
        write!(
            text,
            "  variables:\n    WAVE: '{wave}'\n  parallel:\n    matrix:\n      - SHARD: [{}]\n",
            shards.join(", ")
        )
        .expect("writing to a string");
    }
    text
}

/// The jobs of a plan, for other systems.
fn listed(jobs: &[Job], file: &PlanFile) -> Value {
    let jobs = jobs.iter().map(|job| {
        json!({
            "wave": job.place.wave, "shard": shard_of(job, file), "platform": job.runner,
            "targets": job.targets,
        })
    });
    json!({ "format_version": 1, "jobs": jobs.collect::<Vec<_>>() })
}
