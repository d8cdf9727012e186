//! `[policy]`: what bases and build arguments must be like.

use jiff::SignedDuration;
use refit_oci::{Platform, Repository};
use serde::Deserialize;
use toml::{Spanned, de::DeTable, de::DeValue};

use super::parse_duration;
use crate::{
    policy::Rule,
    problem::{Problem, nearest},
};

/// `[policy]`; a rule that is not there holds for nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PolicyKeys {
    /// Registries, or folders of theirs, that images are taken from.
    pub registries: Vec<Spanned<String>>,
    /// The same of images that must be written with a digest.
    pub pinned: Vec<Spanned<String>>,
    /// Globs of tags that no image may be taken by, unless it is written with a digest.
    pub forbidden_tags: Vec<Spanned<String>>,
    /// Platforms that every base must offer.
    pub platforms: Vec<Spanned<String>>,
    /// How old a base may be.
    pub max_age: Option<Spanned<String>>,
    /// No build argument may be named like a secret.
    pub no_secret_build_args: bool,
    /// Rules that only warn.
    pub warn: Vec<Spanned<String>>,
}

/// The keys of `[policy]`.
pub(super) const KEYS: &[&str] = &[
    "registries",
    "pinned",
    "forbidden-tags",
    "platforms",
    "max-age",
    "no-secret-build-args",
    "warn",
];

impl PolicyKeys {
    /// `max-age`.
    pub fn max_age(&self) -> Option<SignedDuration> {
        parse_duration(self.max_age.as_ref()?.get_ref())
    }

    /// `platforms`, those that are some.
    pub fn platforms(&self) -> Vec<Platform> {
        let texts = self.platforms.iter().map(Spanned::get_ref);
        texts.filter_map(|text| text.parse().ok()).collect()
    }
}

/// What is wrong with the values.
pub(super) fn check(policy: &PolicyKeys, file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |value: &Spanned<String>, message: String, hint: &str| {
        problems.push(Problem::at(file, text, value.span(), message).with_hint(hint));
    };
    for place in policy.registries.iter().chain(&policy.pinned) {
        if !is_place(place.get_ref()) {
            let message = format!("`{}` is no registry, nor a folder of one", place.get_ref());
            let hint =
                "give a host or the start of a full name: `docker.io/library`, `ghcr.io/team`";
            wrong(place, message, hint);
        }
    }
    for platform in &policy.platforms {
        if let Err(error) = platform.get_ref().parse::<Platform>() {
            wrong(platform, error.to_string(), "give it as `linux/amd64`");
        }
    }
    if let Some(age) = &policy.max_age
        && parse_duration(age.get_ref()).is_none()
    {
        let message = format!("`max-age = \"{}\"` is no duration", age.get_ref());
        wrong(age, message, "give it as `90d` or `2h`");
    }
    for rule in &policy.warn {
        let names = Rule::ALL.map(Rule::as_str);
        if names.contains(&rule.get_ref().as_str()) {
            continue;
        }
        let message = format!("`warn` names `{}`, which is no rule", rule.get_ref());
        match nearest(rule.get_ref(), names) {
            Some(name) => wrong(rule, message, &format!("did you mean `{name}`?")),
            None => wrong(rule, message, &format!("one of `{}`", names.join("`, `"))),
        }
    }
    problems
}

/// A host, alone or with the start of a path: something that repositories can begin with.
fn is_place(text: &str) -> bool {
    let host = text.split('/').next().unwrap_or_default();
    let is_host = host == "localhost" || host.contains(['.', ':']);
    let repository = match text.strip_suffix('/') {
        Some(_) => return false,
        None if text == host => format!("{text}/x"),
        None => text.to_owned(),
    };
    is_host && repository.parse::<Repository>().is_ok()
}

/// Every `build-args` key of the file, with its place.
pub(super) fn build_args(table: &DeTable<'_>) -> Vec<Spanned<String>> {
    let mut found = Vec::new();
    let mut of_entry = |entry: &DeTable<'_>| {
        let Some(DeValue::Table(args)) = entry.get("build-args").map(Spanned::get_ref) else {
            return;
        };
        found.extend(
            args.keys()
                .map(|k| Spanned::new(k.span(), k.get_ref().to_string())),
        );
    };
    for (key, value) in table {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("defaults", DeValue::Table(entry)) => of_entry(entry),
            ("images" | "image", DeValue::Array(entries)) => {
                for entry in entries {
                    if let DeValue::Table(entry) = entry.get_ref() {
                        of_entry(entry);
                    }
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn places_are_hosts_or_the_start_of_a_name_on_one() {
        for (text, expect) in [
            ("docker.io", true),
            ("docker.io/library", true),
            ("localhost:5000", true),
            ("localhost/a", true),
            ("ghcr.io/team/a", true),
            ("debian", false),
            ("library/debian", false),
            ("ghcr.io/", false),
            ("ghcr.io/Team", false),
            ("ghcr.io/a:1", false),
            ("ghcr.io/*", false),
            ("", false),
        ] {
            assert_eq!(is_place(text), expect, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_an_error_with_its_line() {
        let text = "[policy]\nregistries = [\"debian\"]\nplatforms = [\"linux//x\"]\nmax-age = \"old\"\n\
            warn = [\"max-ages\"]\npined = []\n";
        let (_, problems) = parse("f", text);
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "f:6:1: unknown key `pined`",
                "f:2:15: `debian` is no registry, nor a folder of one",
                "f:3:14: `linux//x` is no platform (want `os/arch[/variant]`, such as `linux/amd64`)",
                "f:4:11: `max-age = \"old\"` is no duration",
                "f:5:9: `warn` names `max-ages`, which is no rule",
            ]
        );
        assert_eq!(problems[4].hint.as_deref(), Some("did you mean `max-age`?"));
    }
}
