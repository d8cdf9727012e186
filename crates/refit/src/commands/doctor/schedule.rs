//! Whether CI sweeps when the configuration says.

use std::{collections::BTreeSet, ffi::OsStr, fs, path::Path};

use refit_deps::config::SweepKeys;
use serde_json::Value;

use super::Check;
use crate::{project::Project, ui::sentence_list};

const NAME: &str = "schedule";
/// Where GitHub looks for workflows.
const WORKFLOWS: &str = ".github/workflows";
/// What `refit init --ci` writes for Azure and GitLab.
const AZURE: &str = ".azure/refit.yml";
const GITLAB: &str = ".gitlab/refit.yml";

/// Compares; nothing to say where neither CI nor the configuration speaks of sweeps.
pub(super) fn check(project: &Project, sweep: &SweepKeys) -> Option<Check> {
    let root = project.repo.work_dir()?;
    let wanted: BTreeSet<String> = sweep.schedule.iter().map(|c| words(c.get_ref())).collect();
    let files = files(root);
    if files.is_empty() {
        if root.join(GITLAB).is_file() {
            let detail = format!("{GITLAB}; its schedule is a setting of the project");
            return Some(Check::ok(NAME, detail));
        }
        let said = quoted(&wanted)?;
        let detail = format!("`[sweep] schedule` says {said}, and nothing here sweeps then");
        return Some(Check::missing(NAME, detail, "run `refit init --ci github`"));
    }
    for (path, crons) in &files {
        if wanted.is_empty() || *crons == wanted {
            continue;
        }
        let there = quoted(crons).unwrap_or_else(|| "never".to_owned());
        let said = quoted(&wanted).unwrap_or_default();
        let detail = format!("`{path}` sweeps {there}, and `[sweep] schedule` says {said}");
        let system = if path == AZURE { "azure" } else { "github" };
        let mend = format!("run `refit init --ci {system}`, or change one of them");
        return Some(Check::wrong(NAME, detail, Some(mend)));
    }
    let all: BTreeSet<String> = files.iter().flat_map(|(_, crons)| crons.clone()).collect();
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let there = quoted(&all).unwrap_or_else(|| "by hand only".to_owned());
    Some(Check::ok(
        NAME,
        format!("{}: {there}", sentence_list(&paths)),
    ))
}

/// The files that sweep, with their cron expressions. What is no YAML is not this check's business.
fn files(root: &Path) -> Vec<(String, BTreeSet<String>)> {
    let mut paths: Vec<String> = fs::read_dir(root.join(WORKFLOWS))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let extension = Path::new(name).extension().and_then(OsStr::to_str);
            matches!(extension, Some("yml" | "yaml"))
        })
        .map(|name| format!("{WORKFLOWS}/{name}"))
        .collect();
    paths.sort();
    paths.push(AZURE.to_owned());
    let read = |path: String| {
        let text = fs::read_to_string(root.join(&path)).ok()?;
        let crons = text.contains("refit sweep").then(|| crons(&text))??;
        Some((path, crons))
    };
    paths.into_iter().filter_map(read).collect()
}

/// The cron expressions of a workflow of GitHub's (`on.schedule`) or a pipeline of Azure's (`schedules`).
fn crons(text: &str) -> Option<BTreeSet<String>> {
    let file: Value = serde_saphyr::from_str(text).ok()?;
    let lists = [&file["on"]["schedule"], &file["schedules"]];
    let entries = lists.iter().filter_map(|list| list.as_array()).flatten();
    Some(
        entries
            .filter_map(|entry| entry["cron"].as_str())
            .map(words)
            .collect(),
    )
}

/// A cron expression with single spaces.
fn words(cron: &str) -> String {
    cron.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn quoted(crons: &BTreeSet<String>) -> Option<String> {
    let quoted: Vec<String> = crons.iter().map(|cron| format!("`{cron}`")).collect();
    (!quoted.is_empty()).then(|| sentence_list(&quoted))
}
