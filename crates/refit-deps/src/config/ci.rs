//! `[sweep] schedule` and `[ci]`: when sweeps run, and where.

use std::collections::BTreeMap;

use refit_oci::Platform;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::SweepKeys;
use crate::{plan::shard::MOST_SHARDS, problem::Problem};

/// `[ci]`: what `refit init --ci` writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CiKeys {
    /// The labels of the runner for a platform's builds.
    pub runners: BTreeMap<Platform, Vec<String>>,
    /// How many shards a wave of a sweep has at most; none: no more than there are kinds of runners.
    pub shards: Option<usize>,
}

impl CiKeys {
    /// The platform whose runner builds for `platform`: its own, else that for `linux/amd64`, else the first.
    pub fn runner_of(&self, platform: &Platform) -> Platform {
        if self.runners.contains_key(platform) {
            return platform.clone();
        }
        let usual = Platform::linux_amd64();
        match self.runners.first_key_value() {
            Some((first, _)) if !self.runners.contains_key(&usual) => first.clone(),
            _ => usual,
        }
    }
}

/// The keys of `[ci]`.
pub(super) const KEYS: &[&str] = &["runners", "shards"];

/// The fields of a cron expression: name, least and greatest value, and the names that stand for values.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of the month", 1, 31, &[]),
    (
        "month",
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (
        "day of the week",
        0,
        7,
        &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    ),
];

/// Reads `[ci]`, and says what is wrong with it.
pub(super) fn read(table: &DeTable<'_>, file: &str, text: &str) -> (CiKeys, Vec<Problem>) {
    let mut keys = CiKeys::default();
    let mut problems = Vec::new();
    let mut wrong = |span, message: String, hint: &str| {
        problems.push(Problem::at(file, text, span, message).with_hint(hint));
    };
    let Some(ci) = table.get("ci") else {
        return (keys, problems);
    };
    let DeValue::Table(ci) = ci.get_ref() else {
        let hint = "write it as `[ci.runners]`";
        wrong(ci.span(), "`ci` is no table".to_owned(), hint);
        return (keys, problems);
    };
    if let Some(shards) = ci.get("shards") {
        let n = match shards.get_ref() {
            DeValue::Integer(n) => n.as_str().parse().ok(),
            _ => None,
        };
        keys.shards = n.filter(|n| (1..=MOST_SHARDS).contains(n));
        if keys.shards.is_none() {
            let message = format!("`shards` is no number from 1 to {MOST_SHARDS}");
            wrong(shards.span(), message, "give it as `shards = 8`");
        }
    }
    let Some(runners) = ci.get("runners") else {
        return (keys, problems);
    };
    let DeValue::Table(table) = runners.get_ref() else {
        wrong(
            runners.span(),
            "`runners` is no table".to_owned(),
            "give it as `\"linux/arm64\" = \"LABEL\"`",
        );
        return (keys, problems);
    };
    for (key, value) in table {
        let platform = match key.get_ref().parse::<Platform>() {
            Ok(platform) => platform,
            Err(error) => {
                wrong(key.span(), error.to_string(), "give it as `linux/arm64`");
                continue;
            }
        };
        match labels(value) {
            Ok(labels) => {
                keys.runners.insert(platform, labels);
            }
            Err((span, message)) => {
                let hint = "give one label, or a list of labels that a runner has all of";
                wrong(span, message, hint);
            }
        }
    }
    (keys, problems)
}

/// One label, or several.
fn labels(value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, (std::ops::Range<usize>, String)> {
    let one = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(label) if is_label(label) => Ok(label.to_string()),
        DeValue::String(label) => {
            let message = format!("`{}` is no runner's label", label.escape_debug());
            Err((value.span(), message))
        }
        _ => Err((value.span(), "a label is a string".to_owned())),
    };
    match value.get_ref() {
        DeValue::Array(labels) if labels.is_empty() => {
            Err((value.span(), "there is no label".to_owned()))
        }
        DeValue::Array(labels) => labels.iter().map(one).collect(),
        _ => Ok(vec![one(value)?]),
    }
}

/// What all three systems take as a label, and no YAML file takes for anything else.
fn is_label(label: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:/ ".contains(c);
    label.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !label.ends_with([' ', ':'])
        && !label.contains(": ")
        && label.chars().all(fits)
}

/// What is wrong with `[sweep] schedule`.
pub(super) fn check_schedule(sweep: &SweepKeys, file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for cron in &sweep.schedule {
        if let Err(message) = check_cron(cron.get_ref()) {
            let problem = Problem::at(file, text, cron.span(), message);
            problems.push(problem.with_hint("`0 4 * * *` is every day at 04:00 UTC"));
        }
    }
    problems
}

/// Whether it is a cron expression of five fields, as POSIX and all three systems have them.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_cron(text: &str) -> Result<(), String> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!(
            "`{}` is no schedule: it has {} of the five fields minute, hour, day, month and weekday",
            text.escape_debug(),
            fields.len()
        ));
    }
    for (field, (name, least, greatest, names)) in fields.iter().zip(FIELDS) {
        if !field
            .split(',')
            .all(|item| is_item(item, (least, greatest), names))
        {
            return Err(format!(
                "`{}` is no {name} of a schedule (want {least} to {greatest}, `*`, `*/N`, `A-B` or a list of those)",
                field.escape_debug()
            ));
        }
    }
    Ok(())
}

fn is_item(item: &str, (least, greatest): (u32, u32), names: &[&str]) -> bool {
    let value = |text: &str| -> Option<u32> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = names.iter().position(|name| **name == lower) {
            return u32::try_from(at).ok().map(|at| at + least);
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number: u32 = digits.then(|| text.parse().ok())??;
        (least..=greatest).contains(&number).then_some(number)
    };
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let step_is_fine = step.is_none_or(|step| {
        step.bytes().all(|b| b.is_ascii_digit()) && step.parse().is_ok_and(|n: u32| n > 0)
    });
    let range_is_fine = match range.split_once('-') {
        _ if range == "*" => true,
        Some((from, to)) => {
            matches!((value(from), value(to)), (Some(from), Some(to)) if from <= to)
        }
        None => value(range).is_some(),
    };
    step_is_fine && range_is_fine
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn problems(text: &str) -> Vec<String> {
        let (_, problems) = parse("f", text);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn schedules_have_five_fields_with_values_that_exist() {
        for fine in [
            "0 4 * * *",
            "*/15 0-6,22 1,15 jan-mar MON",
            "59 23 31 12 7",
            "0 0/6 * * sun",
        ] {
            assert_eq!(check_cron(fine), Ok(()), "{fine}");
        }
        for wrong in [
            "",
            "0 4 * *",
            "0 4 * * * *",
            "60 4 * * *",
            "0 24 * * *",
            "0 4 0 * *",
            "0 4 * 13 *",
            "0 4 * * 8",
            "*/0 4 * * *",
            "5-1 4 * * *",
            "0, 4 * * *",
            "+1 4 * * *",
            "@daily",
            "0 4 * * *\u{e9}",
        ] {
            assert!(check_cron(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_an_error_with_its_line() {
        assert_eq!(
            problems("[sweep]\nschedule = [\"0 4 * * *\", \"hourly\"]\n"),
            [
                "f:2:26: `hourly` is no schedule: it has 1 of the five fields minute, hour, day, month and weekday"
            ]
        );
        assert_eq!(
            problems(
                "[ci]\nrunner = 1\n[ci.runners]\n\"linux//x\" = \"a\"\n\"linux/arm64\" = [\"ok\", \"a\\nb\"]\n\
                 \"linux/amd64\" = []\n\"linux/s390x\" = 4\n"
            ),
            [
                "f:2:1: unknown key `runner`",
                "f:4:1: `linux//x` is no platform (want `os/arch[/variant]`, such as `linux/amd64`)",
                "f:6:17: there is no label",
                "f:5:24: `a\\nb` is no runner's label",
                "f:7:17: a label is a string",
            ]
        );
        assert_eq!(problems("ci = 1\n"), ["f:1:6: `ci` is no table"]);
        for wrong in ["0", "201", "-1", "\"8\"", "99999999999999999999"] {
            assert_eq!(
                problems(&format!("[ci]\nshards = {wrong}\n")),
                ["f:2:10: `shards` is no number from 1 to 200"]
            );
        }
    }

    #[test]
    fn runners_have_one_label_or_several() {
        let text = "[ci.runners]\n\"linux/amd64\" = \"ubuntu-24.04\"\n\"linux/arm64\" = [\"self-hosted\", \"arm64\"]\n";
        let (config, problems) = parse("f", text);
        assert_eq!(problems, []);
        let runner = |platform: &str| config.ci.runner_of(&platform.parse().unwrap()).to_string();
        assert_eq!(
            ["linux/arm64", "linux/s390x"].map(runner),
            ["linux/arm64", "linux/amd64"]
        );
        let (only_arm, _) = parse(
            "f",
            "[ci]\nshards = 8\n[ci.runners]\n\"linux/arm64\" = \"x\"\n",
        );
        assert_eq!(only_arm.ci.shards, Some(8));
        let runner = only_arm.ci.runner_of(&Platform::linux_amd64());
        assert_eq!(runner, Platform::linux_arm64());
        assert_eq!(
            CiKeys::default().runner_of(&runner),
            Platform::linux_amd64()
        );
        let labels: Vec<_> = config.ci.runners.values().cloned().collect();
        assert_eq!(labels, [vec!["ubuntu-24.04"], vec!["self-hosted", "arm64"]]);
    }
}
