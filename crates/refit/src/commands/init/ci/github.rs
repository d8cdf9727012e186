//! Workflows of GitHub Actions.

use super::{
    Files,
    facts::{Facts, slug},
    text::{fill, quoted, quoted_list},
};
use crate::ui::sentence_list;

/// The only action that is used, by its commit.
const CHECKOUT: &str = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0";
/// GitHub's own registry, which takes the job's token.
const OWN_REGISTRY: &str = "ghcr.io";

pub(super) fn files(facts: &Facts) -> Files {
    let values = values(facts);
    let mut hints = Vec::new();
    let others: Vec<String> = (facts.hosts.iter())
        .filter(|host| *host != OWN_REGISTRY)
        .flat_map(|host| [user(host), password(host)])
        .chain(facts.secrets.iter().cloned())
        .map(|name| format!("`{name}`"))
        .collect();
    if !others.is_empty() {
        hints.push(format!(
            "give the repository on GitHub the secrets {}",
            sentence_list(&others)
        ));
    }
    if facts.release.url.is_none() {
        hints.push(
            "set the variable `REFIT_RELEASES` there to where refit's releases are, unless its runners have refit"
                .to_owned(),
        );
    }
    Files {
        files: vec![
            (
                ".github/workflows/refit.yml",
                fill(include_str!("templates/github.yml"), &values),
            ),
            (
                ".github/workflows/refit-sweep.yml",
                fill(include_str!("templates/github-sweep.yml"), &values),
            ),
        ],
        hints,
    }
}

fn values(facts: &Facts) -> Vec<(&'static str, String)> {
    let get = fill(
        include_str!("templates/get.sh"),
        &facts
            .release
            .values("echo \"$HOME/.local/bin\" >>\"$GITHUB_PATH\""),
    );
    let crons: Vec<String> = (facts.schedule.iter())
        .map(|cron| format!("    - cron: {}", quoted(cron)))
        .collect();
    let secrets = secrets(facts);
    vec![
        ("BRANCHES", facts.branch_list()),
        ("CRONS", crons.join("\n")),
        ("VERSION", env!("CARGO_PKG_VERSION").to_owned()),
        ("RELEASES", releases(facts)),
        ("RUNNER", runner(facts)),
        ("CHECKOUT", CHECKOUT.to_owned()),
        ("PACKAGES", packages(facts)),
        ("LOGIN", login(facts)),
        ("EMULATION", emulation(facts)),
        ("SECRETS", secrets.clone()),
        (
            "SECRETS_ENV",
            if secrets.is_empty() {
                String::new()
            } else {
                format!("        env:\n{secrets}")
            },
        ),
        ("GET", get),
        ("CHECK", include_str!("templates/check.sh").to_owned()),
        ("RELEASE", include_str!("templates/release.sh").to_owned()),
    ]
}

fn releases(facts: &Facts) -> String {
    let url = facts.release.url;
    url.map(|url| format!(" || {}", quoted(url)))
        .unwrap_or_default()
}

fn runner(facts: &Facts) -> String {
    match facts.runner.as_deref() {
        None => "ubuntu-24.04".to_owned(),
        Some([label]) => quoted(label),
        Some(labels) => format!("[{}]", quoted_list(labels)),
    }
}

fn packages(facts: &Facts) -> String {
    if facts.hosts.contains(OWN_REGISTRY) {
        format!("      packages: write # pushes images to {OWN_REGISTRY}")
    } else {
        String::new()
    }
}

fn user(host: &str) -> String {
    format!("REFIT_USER_{}", slug(host))
}

fn password(host: &str) -> String {
    format!("REFIT_PASSWORD_{}", slug(host))
}

fn login(facts: &Facts) -> String {
    let step = |host: &String| {
        let (user, password) = if host == OWN_REGISTRY {
            ("github.actor".to_owned(), "github.token".to_owned())
        } else {
            (
                format!("secrets.{}", user(host)),
                format!("secrets.{}", password(host)),
            )
        };
        format!(
            "      - name: Log in to {host}\n        env:\n          NAME: ${{{{ {user} }}}}\n          \
             PASSWORD: ${{{{ {password} }}}}\n        \
             run: printf '%s' \"$PASSWORD\" | docker login --username \"$NAME\" --password-stdin {host}\n"
        )
    };
    facts.hosts.iter().map(step).collect()
}

/// GitHub's own runners execute nothing but amd64 by themselves; those of others are their owners' affair.
fn emulation(facts: &Facts) -> String {
    if !facts.emulates || facts.runner.is_some() {
        return String::new();
    }
    "      - name: Let other processors' programs run\n        run: |\n          \
     sudo apt-get update\n          \
     sudo apt-get install --yes --no-install-recommends qemu-user-static binfmt-support\n"
        .to_owned()
}

/// What builds may read, and what the configuration's own commands need.
fn secrets(facts: &Facts) -> String {
    let mut lines: Vec<String> = (facts.secrets.iter())
        .map(|name| format!("          {name}: ${{{{ secrets.{name} }}}}"))
        .collect();
    if facts.has_commands {
        let why = "whoever may change a swept branch may run commands here in any case";
        lines.push(format!("          REFIT_TRUST: \"1\" # {why}"));
    }
    lines.join("\n")
}
