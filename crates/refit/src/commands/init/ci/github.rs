//! Workflows of GitHub Actions.

use super::{
    Files,
    facts::{Facts, slug},
    text::{Values, fill, quoted, quoted_list},
};
use crate::{commands::sweep::GITHUB_RUNNER, ui::sentence_list};

/// The actions that are used, by their commits.
const CHECKOUT: &str = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0";
/// Those that carry the plan from job to job.
const UPLOAD: &str = "actions/upload-artifact@330a01c490aca151604b8cf639adc76d48f6c5d4 # v5.0.0";
const DOWNLOAD: &str =
    "actions/download-artifact@634f93cb2916e3fdff6788551b99b062d0335ce0 # v5.0.0";
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
                fill(
                    include_str!("templates/github-sweep.yml"),
                    &sweep(facts, values.clone()),
                ),
            ),
        ],
        hints,
    }
}

fn values(facts: &Facts) -> Values {
    let get = fill(
        include_str!("templates/get.sh"),
        &facts
            .release
            .values("echo \"$HOME/.local/bin\" >>\"$GITHUB_PATH\""),
    );
    let crons: Vec<String> = (facts.schedule.iter())
        .map(|cron| format!("    - cron: {}", quoted(cron)))
        .collect();
    let secrets = facts.secrets_and_trust(secret);
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
        ("SECRETS", secrets.join("\n")),
        ("GET", get),
        ("CHECK", include_str!("templates/check.sh").to_owned()),
        ("RELEASE", include_str!("templates/release.sh").to_owned()),
    ]
}

/// What the file of sweeps is filled with beside the others.
fn sweep(facts: &Facts, mut values: Values) -> Values {
    let Some(shards) = &facts.shards else {
        let secrets = env(&facts.secrets_and_trust(secret));
        values.extend([
            ("SHARDS", String::new()),
            ("WHAT", "Patches what is published, on every swept branch.".to_owned()),
            ("NEEDS", String::new()),
            (
                "SWEEP",
                format!(
                    "      - name: Patch what is stale\n{secrets}        run: refit sweep --summary \"$GITHUB_STEP_SUMMARY\"\n"
                ),
            ),
        ]);
        return values;
    };
    let trust = facts.trust();
    let waves: Vec<String> = (1..=shards.waves).map(|wave| wave.to_string()).collect();
    let outputs = waves
        .iter()
        .map(|wave| format!("      wave-{wave}: ${{{{ steps.plan.outputs.wave-{wave} }}}}\n"));
    let mut of_plan = values.clone();
    of_plan.extend([
        ("UPLOAD", UPLOAD.to_owned()),
        ("MAY_READ", may_read(facts)),
        ("OUTPUTS", outputs.collect()),
        ("NUMBERS", waves.join(" ")),
        ("PLANNED", shards.planned(usize::MAX)),
        ("TRUST", env(&trust)),
    ]);
    let mut jobs = fill(include_str!("templates/github-plan.yml"), &of_plan);
    let mut needs = vec!["plan".to_owned()];
    for wave in waves {
        let mut of_wave = values.clone();
        of_wave.extend([
            ("DOWNLOAD", DOWNLOAD.to_owned()),
            ("NEEDS", needs.join(", ")),
            ("WAVE", wave.clone()),
        ]);
        jobs.push('\n');
        jobs.push_str(&fill(include_str!("templates/github-wave.yml"), &of_wave));
        needs.push(format!("wave-{wave}"));
    }
    let of_publishing = [
        ("DOWNLOAD", DOWNLOAD.to_owned()),
        ("TRUST", trust.join("\n")),
        ("PUBLISH", include_str!("templates/publish.sh").to_owned()),
    ];
    // It builds nothing.
    values.retain(|(name, _)| *name != "EMULATION");
    values.extend([
        ("EMULATION", String::new()),
        ("SHARDS", jobs + "\n"),
        (
            "WHAT",
            "Moves the tags of what was built, on every swept branch.".to_owned(),
        ),
        (
            "NEEDS",
            format!(
                "needs: [{}]\nif: ${{{{ !cancelled() && needs.plan.result == 'success' }}}}\n",
                needs.join(", ")
            ),
        ),
        (
            "SWEEP",
            fill(include_str!("templates/github-publish.yml"), &of_publishing),
        ),
    ]);
    values
}

/// The variables of a step; nothing without any.
fn env(lines: &[String]) -> String {
    match lines {
        [] => String::new(),
        lines => format!("        env:\n{}\n", lines.join("\n")),
    }
}

fn secret(name: &str) -> String {
    format!("          {name}: ${{{{ secrets.{name} }}}}")
}

fn releases(facts: &Facts) -> String {
    let url = facts.release.url;
    url.map(|url| format!(" || {}", quoted(url)))
        .unwrap_or_default()
}

fn runner(facts: &Facts) -> String {
    match facts.runner.as_deref() {
        None => GITHUB_RUNNER.to_owned(),
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

/// What a job may that only asks.
fn may_read(facts: &Facts) -> String {
    if facts.hosts.contains(OWN_REGISTRY) {
        format!("      packages: read # asks what {OWN_REGISTRY} holds")
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
