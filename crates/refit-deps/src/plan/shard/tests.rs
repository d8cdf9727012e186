use std::collections::{BTreeMap, BTreeSet};

use refit_oci::Platform;

use super::*;

/// A plan in one line: `web@linux/amd64<base@linux/amd64` is built on that step, and so in a later wave.
fn file(steps: &str, shards: usize, waves: usize) -> PlanFile {
    let mut of_target: BTreeMap<String, usize> = BTreeMap::new();
    let steps: Vec<serde_json::Value> = steps
        .split_ascii_whitespace()
        .map(|step| {
            let (target, parents) = step.split_once('<').unwrap_or((step, ""));
            let parents = parents.split(',').filter(|parent| !parent.is_empty());
            let wave = parents.clone().map(|parent| of_target[parent] + 1).max();
            of_target.insert(target.to_owned(), wave.unwrap_or(1));
            let pins = parents.map(|parent| {
                serde_json::json!({
                    "kind": "base", "reference": "r.example.com/x:1", "platform": "linux/amd64", "step": parent,
                })
            });
            serde_json::json!({
                "target": target, "line": "main", "wave": wave.unwrap_or(1), "commit": null,
                "source": format!("s1:{}", "0".repeat(64)), "engine": "native", "expects": null,
                "pins": pins.collect::<Vec<_>>(),
            })
        })
        .collect();
    let file = serde_json::json!({ "shards": shards, "waves": waves, "steps": steps });
    serde_json::from_value(file).unwrap()
}

/// One kind of runner, or two.
fn alike(_: &Platform) -> Platform {
    Platform::linux_amd64()
}

fn own(platform: &Platform) -> Platform {
    platform.clone()
}

fn placed(
    steps: &str,
    (shards, waves): (usize, usize),
    runner: fn(&Platform) -> Platform,
) -> String {
    let mut file = file(steps, shards, waves);
    if let Err(error) = place(&mut file, runner) {
        return error.to_string();
    }
    let steps = file.steps.iter().map(|step| {
        let Place { wave, shard } = step.place;
        format!("{} {wave}:{shard}", step.target)
    });
    steps.collect::<Vec<_>>().join(", ")
}

#[test]
fn waves_are_spread_and_what_is_too_deep_stays_together() {
    let chain = "a@linux/amd64 b@linux/amd64<a@linux/amd64 c@linux/amd64<a@linux/amd64 d@linux/amd64<c@linux/amd64";
    for (size, expect) in [
        (
            (2, 3),
            "a@linux/amd64 1:1, b@linux/amd64 2:1, c@linux/amd64 2:2, d@linux/amd64 3:1",
        ),
        // `d` goes with its parent; the larger of the two is placed first.
        (
            (2, 2),
            "a@linux/amd64 1:1, b@linux/amd64 2:2, c@linux/amd64 2:1, d@linux/amd64 2:1",
        ),
        (
            (2, 1),
            "a@linux/amd64 1:1, b@linux/amd64 1:1, c@linux/amd64 1:1, d@linux/amd64 1:1",
        ),
    ] {
        assert_eq!(placed(chain, size, alike), expect, "{size:?}");
    }
}

#[test]
fn runners_get_shards_by_what_they_build() {
    let four = "a@linux/amd64 b@linux/amd64 c@linux/amd64 a@linux/arm64";
    assert_eq!(
        placed(four, (3, 1), own),
        "a@linux/amd64 1:1, b@linux/amd64 1:2, c@linux/amd64 1:1, a@linux/arm64 1:3"
    );
    assert_eq!(
        placed(four, (1, 1), own),
        "the targets need 2 kinds of runners, and there are to be 1 shards"
    );
}

#[test]
fn two_thousand_targets_are_as_many_jobs_as_there_are_shards() {
    let steps: Vec<String> = (0..1000)
        .flat_map(|n| ["amd64", "arm64"].map(|arch| format!("image{n}@linux/{arch}")))
        .collect();
    let mut file = file(&steps.join(" "), 200, 1);
    place(&mut file, own).unwrap();
    let jobs = jobs(&file, own);
    assert_eq!(jobs.len(), 200);
    let sizes: BTreeSet<usize> = jobs.iter().map(|job| job.targets).collect();
    assert_eq!(sizes, BTreeSet::from([10]));
}

#[test]
fn shards_are_numbers_within_bounds() {
    for (text, is_shard) in [
        ("1/1", true),
        ("200/200", true),
        ("0/2", false),
        ("3/2", false),
        ("1/201", false),
        ("+1/2", false),
        ("1", false),
        ("1/2/3", false),
        ("99999999999999999999/99999999999999999999", false),
    ] {
        assert_eq!(text.parse::<Shard>().is_ok(), is_shard, "{text}");
    }
}

#[test]
fn the_images_of_a_shard_come_with_what_they_are_built_on() {
    let mut file = file(
        "a@linux/amd64 b@linux/amd64<a@linux/amd64 c@linux/amd64",
        2,
        2,
    );
    place(&mut file, alike).unwrap();
    let images =
        file.images_with_parents(file.steps.iter().filter(|step| step.target.image == "b"));
    assert_eq!(images, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

#[test]
fn bytes_that_are_no_plan_are_an_error_and_no_panic() {
    for bytes in [
        &b""[..],
        b"null",
        b"[]",
        b"\xff",
        br#"{"format_version":1,"shards":1,"waves":1,"steps":{}}"#,
        br#"{"format_version":1,"shards":-1,"waves":1,"steps":[]}"#,
        br#"{"format_version":18446744073709551616,"shards":1,"waves":1,"steps":[]}"#,
    ] {
        assert!(
            PlanFile::parse(bytes).is_err(),
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
    let empty = br#"{"format_version":1,"shards":1,"waves":1,"steps":[]}"#;
    assert_eq!(PlanFile::parse(empty).unwrap().steps, []);
}
