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
}

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
        all
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
        match self.system {
            System::Github => {
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
                listed(&file["jobs"]["sweep"]["steps"], "run", &file["env"])
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
                let at = usize::from(event != Event::PullRequest);
                listed(&file["jobs"][at]["steps"], "bash", &file["variables"])
            }
            (System::Gitlab, event) => {
                let file = self.file(".gitlab/refit.yml");
                let job = if event == Event::PullRequest {
                    "refit-check"
                } else {
                    ".refit-publish"
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
