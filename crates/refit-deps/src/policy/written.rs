//! The rules that the files alone can break.

use refit_dockerfile::{Args, Keyword};
use refit_oci::Reference;
use toml::Spanned;

use super::{Findings, Rule, Taken, at, taken};
use crate::{
    edges::Edges, glob_matches, image::Image, inventory::Inventory, problem::Problem, scan::Scans,
};

pub(super) fn find(
    inventory: &Inventory,
    scans: &Scans,
    edges: &Edges,
    findings: &mut Findings<'_>,
) {
    for (taken, _) in taken(inventory, scans, edges) {
        registries(&taken, findings);
        pinned(&taken, findings);
        forbidden_tags(&taken, findings);
    }
    if inventory.policy.keys.no_secret_build_args {
        for problem in &inventory.policy.secret_build_args {
            findings.add(Rule::NoSecretBuildArgs, problem.clone());
        }
        for image in &inventory.images {
            secret_build_args(image, findings);
        }
    }
}

fn registries(taken: &Taken<'_>, findings: &mut Findings<'_>) {
    let allowed = &findings.policy.keys.registries;
    if allowed.is_empty() || holder(allowed, taken.reference).is_some() {
        return;
    }
    let name = taken.name();
    let repository = taken.reference.repository();
    let problem = taken.problem(format!(
        "`{name}` is taken from `{repository}`, which `[policy] registries` does not allow"
    ));
    let allowed: Vec<&str> = allowed.iter().map(|a| a.get_ref().as_str()).collect();
    let hint = format!("it allows `{}`", allowed.join("`, `"));
    findings.add(Rule::Registries, problem.with_hint(hint));
}

fn pinned(taken: &Taken<'_>, findings: &mut Findings<'_>) {
    let Some(place) = holder(&findings.policy.keys.pinned, taken.reference) else {
        return;
    };
    if taken.reference.digest().is_some() {
        return;
    }
    let name = taken.name();
    let problem = taken.problem(format!(
        "`{name}` has no digest, which `[policy] pinned` asks for below `{place}`"
    ));
    let hint = format!("write `{name}@sha256:…`; `refit status` tells when its tag moves on");
    findings.add(Rule::Pinned, problem.with_hint(hint));
}

fn forbidden_tags(taken: &Taken<'_>, findings: &mut Findings<'_>) {
    let (Some(tag), None) = (taken.reference.tag(), taken.reference.digest()) else {
        return;
    };
    let mut forbidden = findings.policy.keys.forbidden_tags.iter();
    let Some(glob) = forbidden.find(|glob| glob_matches(glob.get_ref(), tag)) else {
        return;
    };
    let name = taken.name();
    let glob = glob.get_ref();
    let problem = taken.problem(format!(
        "`{name}` is taken by the tag `{tag}`, which `[policy] forbidden-tags` does not allow (`{glob}`)"
    ));
    let hint = "name a release, or add its digest";
    findings.add(Rule::ForbiddenTags, problem.with_hint(hint));
}

/// The first of the places that a reference lies in.
fn holder<'p>(places: &'p [Spanned<String>], reference: &Reference) -> Option<&'p str> {
    let repository = reference.repository().to_string();
    let holds = |place: &&str| {
        let rest = repository.strip_prefix(*place);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    places
        .iter()
        .map(|place| place.get_ref().as_str())
        .find(holds)
}

fn secret_build_args(image: &Image, findings: &mut Findings<'_>) {
    let Some(file) = &image.file else { return };
    let global = file
        .global_args
        .iter()
        .map(|arg| (arg.name.as_str(), &arg.span));
    let instructions = file.stages.iter().flat_map(|stage| &stage.instructions);
    let args = instructions.filter(|i| i.keyword == Keyword::Arg);
    let pairs = args.flat_map(|instruction| match &instruction.args {
        Args::Pairs(pairs) => pairs.as_slice(),
        _ => &[],
    });
    let of_stages = pairs.map(|pair| (pair.name.as_str(), &pair.span));
    for (name, span) in global.chain(of_stages).filter(|(name, _)| is_secret(name)) {
        let problem = at(&image.dockerfile, &file.text, span, message(name));
        findings.add(Rule::NoSecretBuildArgs, hinted(problem, name));
    }
}

/// A build argument of the configuration that is named like a secret.
pub(super) fn of_config(file: &str, text: &str, name: &Spanned<String>) -> Option<Problem> {
    let problem = || Problem::at(file, text, name.span(), message(name.get_ref()));
    is_secret(name.get_ref()).then(|| hinted(problem(), name.get_ref()))
}

fn message(name: &str) -> String {
    format!(
        "the build argument `{name}` is named like a secret: its value stays in the image's history"
    )
}

fn hinted(problem: Problem, name: &str) -> Problem {
    let id = name.to_ascii_lowercase();
    problem.with_hint(format!(
        "give it as a build secret: `secrets = {{ {id} = \"env:{name}\" }}`, and `RUN --mount=type=secret,id={id}`"
    ))
}

/// Whether one of the name's parts is a word for a secret, and none says that it is public: BuildKit's check
/// `SecretsUsedInArgOrEnv`.
fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 10] = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    let name = name.to_ascii_lowercase();
    let mut parts = name.split('_');
    parts.clone().any(|part| SECRET.contains(&part)) && !parts.any(|part| part == "public")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_the_parts_of_their_names() {
        for (name, expect) in [
            ("NPM_TOKEN", true),
            ("token", true),
            ("GITHUB_AUTH", true),
            ("AWS_SECRET_ACCESS_KEY", true),
            ("DB_PASSWORD_FILE", true),
            ("PUBLIC_KEY", false),
            ("TOKENS", false),
            ("KEYBOARD", false),
            ("MONKEY", false),
            ("VERSION", false),
            ("", false),
        ] {
            assert_eq!(is_secret(name), expect, "{name}");
        }
    }
}
