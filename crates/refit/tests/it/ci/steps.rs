//! The shell steps of CI files, as their systems run them.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

use crate::sandbox::{Ran, Sandbox};

/// A system and what its files are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    Github,
    Gitlab,
    Azure,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Push,
    PullRequest,
    Schedule,
}

/// Which job of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The only one, or the last.
    Last,
    /// The one that plans.
    Plan,
    /// One that builds.
    Shard { wave: usize, shard: String },
}

/// One step.
#[derive(Debug)]
struct Step {
    script: String,
    env: Vec<(String, String)>,
    /// Whether it runs after a step that failed, too.
    always: bool,
}

/// A job in a clone of its own, as a machine of the system has it.
pub(super) struct Job<'s> {
    pub(super) system: System,
    pub(super) event: Event,
    pub(super) sandbox: &'s Sandbox,
    /// The registry's host.
    pub(super) host: String,
    /// What was on the branch before.
    pub(super) before: String,
    pub(super) part: Part,
}

/// What jobs leave for each other.
const ARTIFACTS: [&str; 2] = ["refit-plan.json", "refit-shards.yml"];

impl Job<'_> {
    /// Runs the steps; the exit code is that of the first that failed, the output that of all.
    pub(super) fn run(&self) -> Ran {
        let work = tempfile::Builder::new()
            .prefix("runner-")
            .tempdir_in(self.sandbox.path("."))
            .unwrap();
        let folder = work.path().to_str().unwrap().to_owned();
        let origin = self.sandbox.path("origin.git");
        let branch = match self.event {
            Event::PullRequest => "change",
            _ => "main",
        };
        self.sandbox.git(&[
            "clone",
            "-q",
            "--branch",
            branch,
            origin.to_str().unwrap(),
            &folder,
        ]);
        if self.system != System::Github {
            self.sandbox
                .git(&["-C", &folder, "checkout", "-q", "--detach"]);
        }
        self.take_artifacts(&folder);
        let values = self.values(&folder);
        let mut all = Ran {
            code: 0,
            stdout: String::new(),
            stderr: String::new(),
        };
        for step in self.steps() {
            if all.code != 0 && !step.always {
                continue;
            }
            let mut command = Command::new("bash");
            // A machine of CI has nobody's name.
            let script = format!(
                "unset ${{!GIT_AUTHOR_*}} ${{!GIT_COMMITTER_*}}; cd '{folder}'\n{}",
                step.script
            );
            command.args(["--noprofile", "--norc"]);
            if self.system != System::Azure {
                command.args(["-eo", "pipefail"]);
            }
            command.args(["-c", &script]);
            let path = std::env::var("PATH").unwrap();
            let bin = std::path::Path::new(env!("CARGO_BIN_EXE_refit")).parent();
            let tools = self.sandbox.path("tools");
            command.env(
                "PATH",
                format!("{}:{}:{path}", tools.display(), bin.unwrap().display()),
            );
            for (name, value) in values.iter().filter(|(name, _)| !name.contains(['.', '('])) {
                command.env(name, value);
            }
            for (name, value) in &step.env {
                command.env(name, self.expanded(value, &values));
            }
            let ran = self.sandbox.run(command, "");
            all.stdout.push_str(&ran.stdout);
            all.stderr.push_str(&ran.stderr);
            if all.code == 0 {
                all.code = ran.code;
            }
        }
        self.keep_artifacts(&folder);
        all
    }

    /// What the job before left for this one.
    fn take_artifacts(&self, folder: &str) {
        let downloads = self.sandbox.path("workspace/refit-plan");
        std::fs::create_dir_all(&downloads).unwrap();
        for name in ARTIFACTS {
            let kept = self.sandbox.path("artifacts").join(name);
            if kept.is_file() && self.part != Part::Plan {
                std::fs::copy(&kept, format!("{folder}/{name}")).unwrap();
                std::fs::copy(&kept, downloads.join(name)).unwrap();
            }
        }
    }

    fn keep_artifacts(&self, folder: &str) {
        if self.part != Part::Plan {
            return;
        }
        let artifacts = self.sandbox.path("artifacts");
        std::fs::create_dir_all(&artifacts).unwrap();
        for name in ARTIFACTS {
            let made = [
                std::path::Path::new(folder).join(name),
                self.sandbox.path("tools").join(name),
            ];
            if let Some(made) = made.iter().find(|path| path.is_file()) {
                std::fs::copy(made, artifacts.join(name)).unwrap();
            }
        }
    }

    /// The shards that the planning job has found for a wave, as the system reads them.
    pub(super) fn shards_of(&self, wave: usize, planned: &Ran) -> Vec<String> {
        let texts = |list: Vec<&Value>| -> Vec<String> {
            list.iter()
                .map(|v| v.as_str().unwrap().to_owned())
                .collect()
        };
        let after = |text: &str, begins: &str| -> Value {
            let mut lines = text.lines().rev();
            let matrix = lines.find_map(|line| line.strip_prefix(begins)).unwrap();
            serde_json::from_str(matrix).unwrap()
        };
        match self.system {
            System::Github => {
                let output = self.sandbox.read("../github-output");
                let matrix = after(&output, &format!("wave-{wave}="));
                let jobs = matrix["include"].as_array().unwrap();
                texts(jobs.iter().map(|job| &job["shard"]).collect())
            }
            System::Azure => {
                let begins = format!("##vso[task.setvariable variable=wave_{wave};isOutput=true]");
                let matrix = after(&planned.stdout, &begins);
                let jobs = matrix.as_object().unwrap();
                texts(jobs.values().map(|job| &job["SHARD"]).collect())
            }
            System::Gitlab => {
                let jobs = self.file("../artifacts/refit-shards.yml");
                let name = format!("refit-wave-{wave} ");
                let mut of_wave = Vec::new();
                for (_, job) in jobs
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter(|(n, _)| n.starts_with(&name))
                {
                    assert_eq!(job["variables"]["WAVE"], wave.to_string());
                    of_wave.extend(job["parallel"]["matrix"][0]["SHARD"].as_array().unwrap());
                }
                texts(of_wave)
            }
        }
    }

    /// What the system knows: variables of the environment, and names that only its files use.
    fn values(&self, folder: &str) -> BTreeMap<String, String> {
        let rev = |name: &str| {
            self.sandbox
                .git(&["-C", folder, "rev-parse", name])
                .trim()
                .to_owned()
        };
        let (head, base) = (rev("HEAD"), rev("origin/main"));
        let slug = self.host.replace(['.', ':'], "_");
        let path = |name: &str| self.sandbox.path(name).display().to_string();
        let user = format!("REFIT_USER_{slug}");
        let password = format!("REFIT_PASSWORD_{slug}");
        let mut values: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: &str| values.push((name.to_owned(), value.to_owned()));
        let (wave, shard) = match &self.part {
            Part::Shard { wave, shard } => (wave.to_string(), shard.as_str()),
            Part::Plan | Part::Last => (String::new(), ""),
        };
        match self.system {
            System::Github => {
                set("matrix.shard", shard);
                set("needs.plan.outputs.planned", "0");
                set("GITHUB_ACTIONS", "true");
                set("GITHUB_PATH", &path("github-path"));
                set("GITHUB_STEP_SUMMARY", &path("summary.md"));
                set("RUNNER_TEMP", folder);
                set("GITHUB_OUTPUT", &path("github-output"));
                set("vars.REFIT_RELEASES", "");
                set("github.event.before", &self.before);
                set("github.sha", &head);
                set("github.ref_name", "main");
                set("github.event.pull_request.base.sha", &base);
                set(&format!("secrets.{user}"), "robot");
                set(&format!("secrets.{password}"), "hunter2");
            }
            System::Gitlab => {
                let source = match self.event {
                    Event::Push => "push",
                    Event::PullRequest => "merge_request_event",
                    Event::Schedule => "schedule",
                };
                set("WAVE", &wave);
                set("SHARD", shard);
                set("CI_PIPELINE_SOURCE", source);
                set("CI_COMMIT_BEFORE_SHA", &self.before);
                set("CI_COMMIT_SHA", &head);
                set("CI_COMMIT_BRANCH", "main");
                set("CI_MERGE_REQUEST_DIFF_BASE_SHA", &base);
                set("CI_PROJECT_URL", &path("origin"));
                set("CI_JOB_TOKEN", "token");
                set(&user, "robot");
                set(&password, "hunter2");
            }
            System::Azure => {
                let reason = match self.event {
                    Event::Push => "IndividualCI",
                    Event::PullRequest => "PullRequest",
                    Event::Schedule => "Schedule",
                };
                set("$(SHARD)", shard);
                set("$(PLANNED)", "0");
                set("PIPELINE_WORKSPACE", &path("workspace"));
                set("TF_BUILD", "True");
                set("AGENT_TEMPDIRECTORY", &path("tools"));
                set("$(Build.Reason)", reason);
                set("$(Build.SourceBranch)", "refs/heads/main");
                set("$(System.PullRequest.TargetBranch)", "refs/heads/main");
                set(&format!("$({user})"), "robot");
                set(&format!("$({password})"), "hunter2");
            }
        }
        values.into_iter().collect()
    }

    fn expanded(&self, text: &str, values: &BTreeMap<String, String>) -> String {
        let inner = text
            .strip_prefix("${{ ")
            .and_then(|t| t.strip_suffix(" }}"));
        if text.starts_with("$(") || (self.system == System::Github && inner.is_some()) {
            let name = inner.unwrap_or(text);
            let value = values.get(name);
            return value
                .unwrap_or_else(|| panic!("{:?} knows no `{text}`", self.system))
                .clone();
        }
        text.to_owned()
    }

    fn file(&self, path: &str) -> Value {
        serde_saphyr::from_str(&self.sandbox.read(path)).unwrap()
    }

    fn steps(&self) -> Vec<Step> {
        match (self.system, self.event) {
            (System::Github, Event::Schedule) => {
                let file = self.file(".github/workflows/refit-sweep.yml");
                let job = match &self.part {
                    Part::Last => "sweep".to_owned(),
                    Part::Plan => "plan".to_owned(),
                    Part::Shard { wave, .. } => format!("wave-{wave}"),
                };
                listed(&file["jobs"][job]["steps"], "run", &file["env"])
            }
            (System::Github, event) => {
                let file = self.file(".github/workflows/refit.yml");
                let job = if event == Event::Push {
                    "release"
                } else {
                    "check"
                };
                listed(&file["jobs"][job]["steps"], "run", &file["env"])
            }
            (System::Azure, event) => {
                let file = self.file(".azure/refit.yml");
                let name = match &self.part {
                    Part::Last if event == Event::PullRequest => "check".to_owned(),
                    Part::Last => "publish".to_owned(),
                    Part::Plan => "plan".to_owned(),
                    Part::Shard { wave, .. } => format!("wave_{wave}"),
                };
                let mut jobs = file["jobs"].as_array().unwrap().iter();
                let job = jobs.find(|job| job["job"] == name.as_str()).unwrap();
                listed(&job["steps"], "bash", &file["variables"])
            }
            (System::Gitlab, event) => {
                let file = self.file(".gitlab/refit.yml");
                let job = match self.part {
                    Part::Last if event == Event::PullRequest => "refit-check",
                    Part::Last => ".refit-publish",
                    Part::Plan => "refit-plan",
                    Part::Shard { .. } => ".refit-shard",
                };
                let env = variables(&file[".refit"]["variables"]);
                let scripts = [&file[".refit"]["before_script"], &file[job]["script"]];
                let lines = scripts.iter().flat_map(|script| script.as_array().unwrap());
                let lines: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
                let mut steps = vec![Step {
                    script: lines.join("\n"),
                    env: env.clone(),
                    always: false,
                }];
                for line in file[job]["after_script"].as_array().into_iter().flatten() {
                    steps.push(Step {
                        script: line.as_str().unwrap().to_owned(),
                        env: env.clone(),
                        always: true,
                    });
                }
                steps
            }
        }
    }
}

fn variables(object: &Value) -> Vec<(String, String)> {
    let pairs = object.as_object().into_iter().flatten();
    pairs
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}

/// The steps of a list that run something.
fn listed(steps: &Value, key: &str, of_file: &Value) -> Vec<Step> {
    let steps = steps.as_array().unwrap().iter();
    let steps = steps.filter_map(|step| {
        let script = step[key].as_str()?.to_owned();
        let mut env = variables(of_file);
        env.extend(variables(&step["env"]));
        let always = [&step["if"], &step["condition"]];
        let always = always
            .iter()
            .any(|condition| condition.as_str().is_some_and(|c| c.contains("always()")));
        Some(Step {
            script,
            env,
            always,
        })
    });
    steps.collect()
}
