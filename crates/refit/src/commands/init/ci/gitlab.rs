//! GitLab CI.

use std::path::Path;

use super::{
    Files,
    facts::{Facts, slug},
    text::{Values, fill, quoted_list},
};
use crate::ui::sentence_list;

/// Our jobs.
const JOBS: &str = ".gitlab/refit.yml";
/// What GitLab reads.
const ENTRY: &str = ".gitlab-ci.yml";

pub(super) fn files(facts: &Facts, root: &Path) -> Files {
    let mut files = vec![(
        JOBS,
        fill(include_str!("templates/gitlab.yml"), &values(facts)),
    )];
    let mut hints = Vec::new();
    match std::fs::read_to_string(root.join(ENTRY)) {
        Ok(text) if text.contains(JOBS) => {}
        Ok(_) => hints.push(format!(
            "include it in `{ENTRY}`: `include: [{{ local: {JOBS} }}]`"
        )),
        Err(_) => files.push((ENTRY, format!("include:\n  - local: {JOBS}\n"))),
    }
    hints.push(format!(
        "make a pipeline schedule of the project (Build, Pipeline schedules) with `{}`, in UTC",
        facts.schedule.join("`, `")
    ));
    hints.push(
        "let jobs push to the repository (Settings, CI/CD, Job token permissions), or set the protected variable \
         `REFIT_PUSH_TOKEN`"
            .to_owned(),
    );
    let others = facts.hosts.iter().filter(|host| !is_own_registry(host));
    let names: Vec<String> = others
        .map(|host| slug(host))
        .flat_map(|slug| {
            [
                format!("REFIT_USER_{slug}"),
                format!("REFIT_PASSWORD_{slug}"),
            ]
        })
        .chain(facts.secrets.iter().cloned())
        .map(|name| format!("`{name}`"))
        .collect();
    if !names.is_empty() {
        hints.push(format!(
            "give the project the protected variables {}",
            sentence_list(&names)
        ));
    }
    if facts.release.url.is_none() {
        hints.push("set its variable `REFIT_RELEASES` to where refit's releases are, unless its runners have refit".to_owned());
    }
    Files { files, hints }
}

/// Whether it is called like a GitLab's own registry, for which a job has a token.
fn is_own_registry(host: &str) -> bool {
    host.starts_with("registry.gitlab.")
}

fn values(facts: &Facts) -> Values {
    let get = fill(include_str!("templates/get.sh"), &facts.release.values(""));
    let crons: Vec<String> = facts
        .schedule
        .iter()
        .map(|cron| format!("# cron: {cron}"))
        .collect();
    let rules: Vec<String> = facts.branches.iter().map(|b| rule(b)).collect();
    let tags = facts
        .runner
        .as_ref()
        .map(|labels| format!("  tags: [{}]", quoted_list(labels)));
    let trust = "  variables:\n    # Whoever may change a swept branch may run commands here in any case.\n    REFIT_TRUST: \"1\"";
    let login: String = facts.hosts.iter().map(|h| login(h)).collect();
    let ready = fill(
        include_str!("templates/gitlab-ready.yml"),
        &[("LOGIN", login)],
    );
    let mut values = vec![
        ("TAGS", tags.unwrap_or_default()),
        ("VERSION", env!("CARGO_PKG_VERSION").to_owned()),
        ("RELEASES", facts.release.shell()),
        ("ENGINE", include_str!("templates/engine.sh").to_owned()),
        (
            "VARIABLES",
            if facts.has_commands { trust } else { "" }.to_owned(),
        ),
        ("READY", ready),
        ("PUSH_RULES", rules.join("\n")),
        ("CRONS", crons.join("\n")),
        ("GET", get),
        ("CHECK", include_str!("templates/check.sh").to_owned()),
        ("RELEASE", include_str!("templates/release.sh").to_owned()),
    ];
    let of_sweep = sweep(facts, &values);
    values.extend(of_sweep);
    values
}

/// The jobs of a sweep before the last one, and what that one needs of them.
fn sweep(facts: &Facts, values: &[(&'static str, String)]) -> Values {
    let Some(shards) = &facts.shards else {
        return vec![
            ("SHARDS", String::new()),
            ("WHAT", "Patches what is published".to_owned()),
            ("NEEDS", String::new()),
            ("WHEN", String::new()),
            ("SWEEP", "refit sweep --summary refit-sweep.md".to_owned()),
        ];
    };
    let mut of_shards = values.to_vec();
    of_shards.push(("PLANNED", shards.planned(usize::MAX)));
    let publish = include_str!("templates/publish.sh");
    vec![
        (
            "SHARDS",
            fill(include_str!("templates/gitlab-shards.yml"), &of_shards),
        ),
        ("WHAT", "Moves the tags of what was built".to_owned()),
        ("NEEDS", "needs: [refit-plan, refit-shards]".to_owned()),
        ("WHEN", "when: always".to_owned()),
        (
            "SWEEP",
            format!(
                "PLAN=refit-plan.json SUMMARY=refit-sweep.md PLANNED=\"${{REFIT_PLANNED:-0}}\"\n{publish}exit \"$exit\"\n"
            ),
        ),
    ]
}

/// The project's own registry takes the job's token; GitLab says at run time which one it is.
fn login(host: &str) -> String {
    let slug = slug(host);
    format!(
        "if [ {host} = \"${{CI_REGISTRY:-}}\" ]; then\n  \
           user=$CI_REGISTRY_USER password=$CI_REGISTRY_PASSWORD\n\
         else\n  \
           user=${{REFIT_USER_{slug}:?set the variable}} password=${{REFIT_PASSWORD_{slug}:?set the variable}}\n\
         fi\n\
         printf '%s' \"$password\" | docker login --username \"$user\" --password-stdin {host}\n"
    )
}

/// The rule for pushes to a branch, or to all that a glob matches.
fn rule(branch: &str) -> String {
    let condition = if branch.contains(['*', '?']) {
        format!("=~ /^{}$/", regex_of(branch))
    } else {
        format!("== \"{branch}\"")
    };
    let text = format!("$CI_PIPELINE_SOURCE == \"push\" && $CI_COMMIT_BRANCH {condition}");
    format!("    - if: {}", super::text::quoted(&text))
}

/// `release/*` as GitLab's regular expressions say it: `*` stops at `/`, `**` does not.
fn regex_of(glob: &str) -> String {
    let mut regex = String::new();
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' if rest.starts_with('*') => {
                rest = &rest[1..];
                regex.push_str(".*");
            }
            '*' => regex.push_str("[^\\/]*"),
            '?' => regex.push_str("[^\\/]"),
            '/' => regex.push_str("\\/"),
            c if c.is_ascii_alphanumeric() || c == '-' || c == '_' => regex.push(c),
            c => regex.extend(['\\', c]),
        }
    }
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_regular_expressions_for_gitlab() {
        assert_eq!(regex_of("release/*"), "release\\/[^\\/]*");
        assert_eq!(regex_of("v1.?-**"), "v1\\.[^\\/]-.*");
    }
}
