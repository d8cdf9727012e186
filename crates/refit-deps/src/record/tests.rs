//! Folding loses nothing: whatever is asked has the same answer before and after, in whatever order replicas meet.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    ops::{Range, RangeInclusive},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use proptest::{collection::vec, prelude::*};
use refit_oci::{Digest, Reference};
use serde_json::json;

use super::{About, Cutoff, Lines, Live, Record, Records, Unread, about, fold};
use crate::lineage::users::{Query, known_digests, uses};

const IMAGES: [&str; 2] = ["base", "web"];
const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

fn digest(n: u8) -> String {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
}

fn time(day: u8) -> String {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    (start + SignedDuration::from_hours(24 * i64::from(day))).to_string()
}

fn lead(image: &str) -> Reference {
    format!("registry.example.com/{image}:latest")
        .parse()
        .unwrap()
}

/// One record out of four numbers. Ids are of one record each, as those that refit makes.
fn line(kind: u8, [a, b, c, day]: [u8; 4]) -> String {
    let [a, b, day] = match kind % 5 {
        2 => [a, c, c],
        4 if b % 3 > 0 => [c, b % 3, c],
        _ => [a, b, day],
    };
    let image = IMAGES[usize::from(a % 2)];
    let platform = PLATFORMS[usize::from(b % 2)];
    let (at, commit) = (time(day), format!("{c:02x}").repeat(20));
    let source = format!("s1:{}", format!("{c:02x}").repeat(32));
    let reference = if image == "base" {
        "docker.io/library/debian:12"
    } else {
        "registry.example.com/base:latest"
    };
    let deps = json!([{"kind":"base","reference":reference,"platform":platform,"manifest":digest(b),"index":digest(b / 2)}]);
    let value = match kind % 5 {
        0 | 1 => {
            json!({"v":1,"type":"build","image":image,"platform":platform,"line":"main","source":source,
            "commit":commit,"deps":deps,"base_diff_ids":[digest(b)],"manifest":digest(c),"how":"rebuild",
            "engine":"native","run":format!("run {c}"),"at":at})
        }
        2 => json!({"v":1,"type":"publish","id":format!("run {c}-{image}"),
            "after":(c > 0).then(|| format!("run {}-{image}", c - 1)),"image":image,"line":"main","commit":commit,
            "index":digest(c / 2),"replaces":(c > 3).then(|| digest(c / 4)),"platforms":{platform:digest(c)},
            "tags":[lead(image)],"run":format!("run {c}"),"at":at}),
        3 => {
            json!({"v":1,"type":"deps","image":image,"platform":platform,"source":source,"commit":commit,"deps":deps,"at":at})
        }
        _ => match b % 4 {
            0 => {
                json!({"v":1,"type":"seen","image":image,"reference":"debian:12","digest":digest(c),"at":at})
            }
            1 => json!({"v":1,"type":"hold","id":format!("hold {c}"),"image":image,"at":at,
                "until":(c % 2 == 0).then(|| time(day.saturating_add(3)))}),
            2 => {
                json!({"v":1,"type":"swept","image":image,"line":format!("line {}", c % 3),"at":at})
            }
            _ => {
                json!({"v":1,"type":"hold","id":format!("end {c}"),"ends":[format!("hold {c}")],"image":image,"at":at})
            }
        },
    };
    let record: Record = serde_json::from_value(value).unwrap();
    record.to_line()
}

fn lines() -> impl Strategy<Value = BTreeSet<String>> {
    vec((any::<u8>(), [0..2_u8, 0..6_u8, 0..12_u8, 0..40_u8]), 0..50).prop_map(|all| {
        all.into_iter()
            .map(|(kind, numbers)| line(kind, numbers))
            .collect()
    })
}

fn read(lines: &BTreeSet<String>) -> Records {
    Records::read(lines.iter().map(String::as_str), true)
}

/// Lines as what is cached of notes has them.
struct Kept {
    lines: Vec<String>,
    order: Vec<(About, usize)>,
}

impl Lines for Kept {
    fn n_lines(&self) -> usize {
        self.lines.len()
    }

    fn line(&self, number: usize) -> Cow<'_, str> {
        Cow::Borrowed(&self.lines[number])
    }

    fn about(&self, range: RangeInclusive<About>) -> Range<usize> {
        let start = self
            .order
            .partition_point(|(about, _)| about < range.start());
        start
            ..self
                .order
                .partition_point(|(about, _)| about <= range.end())
    }

    fn at(&self, place: usize) -> usize {
        self.order[place].1
    }
}

fn read_late(lines: &BTreeSet<String>) -> Records {
    let lines: Vec<String> = lines.iter().cloned().collect();
    let about = |(number, line): (usize, &String)| (about(line), number);
    let mut order: Vec<_> = lines.iter().enumerate().map(about).collect();
    order.sort_unstable();
    Records::over(Arc::new(Kept { lines, order }), true)
}

/// Everything that anything asks, in words.
fn answers(lines: &BTreeSet<String>) -> Vec<String> {
    answers_of(&read(lines))
}

fn answers_of(records: &Records) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |what: String| said.push(what);
    say(format!("{:#?}", uses(records, &Query::default())));
    say(format!("{:?}", known_digests(records)));
    let now: Timestamp = time(60).parse().unwrap();
    say(format!("{:?}", records.holds(now)));
    say(format!("{:?}", records.swept()));
    for image in IMAGES {
        let lead = lead(image);
        say(format!("{:?}", records.heads(image, &lead)));
        say(format!("{:?}", records.last_moved(image, &lead, &lead)));
        let published: BTreeSet<String> = records
            .publishes_of(image, &lead)
            .map(|p| format!("{p:?}"))
            .collect();
        say(format!("{published:?}"));
        for n in 0..12 {
            let digest: Digest = digest(n).parse().unwrap();
            let builds: BTreeSet<String> = records
                .builds_of(image, &digest)
                .map(|b| format!("{b:?}"))
                .collect();
            say(format!("{builds:?}"));
            say(format!(
                "{:?}",
                records.first_seen(&"debian:12".parse().unwrap(), &digest, now)
            ));
            let source = format!("s1:{}", format!("{n:02x}").repeat(32))
                .parse()
                .unwrap();
            say(format!("{}", records.ever_published(image, &lead, &source)));
        }
    }
    let deps: BTreeSet<String> = records.deps().iter().map(|d| format!("{d:?}")).collect();
    say(format!("{deps:?}"));
    said
}

/// A replica compacts: its lines afterwards, and what it took back.
fn compact(lines: &BTreeSet<String>, before: u8) -> (BTreeSet<String>, BTreeSet<String>) {
    let cutoff = Cutoff {
        before: time(before).parse().unwrap(),
    };
    let live = Live::of(&read(lines), cutoff);
    let Some(folded) = fold(lines.iter().map(String::as_str), &live, cutoff) else {
        return (lines.clone(), BTreeSet::new());
    };
    let dropped: BTreeSet<String> = folded.dropped.into_iter().collect();
    let mut after: BTreeSet<String> = lines.difference(&dropped).cloned().collect();
    after.extend(folded.added);
    (after, dropped)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn folding_changes_no_answer(lines in lines(), first in 0..60_u8, second in 0..60_u8) {
        let before = answers(&lines);
        let (once, _) = compact(&lines, first);
        prop_assert_eq!(answers(&once), before.clone());
        let (twice, _) = compact(&once, second);
        prop_assert_eq!(answers(&twice), before);
        let (again, dropped) = compact(&twice, second);
        prop_assert_eq!((again, dropped), (twice, BTreeSet::new()));
    }

    /// Some of them folded, so that what is read at once and what is read late overlap.
    #[test]
    fn records_that_are_read_late_answer_as_if_they_were_read_at_once(
        lines in lines(), before in 0..60_u8,
    ) {
        let (folded, _) = compact(&lines, before);
        let all: BTreeSet<String> = lines.union(&folded).cloned().collect();
        for lines in [&lines, &folded, &all] {
            prop_assert_eq!(answers_of(&read_late(lines)), answers(lines));
        }
    }

    /// Two that do not know all of each other's fold on their own, and meet with a third that folded nothing.
    #[test]
    fn replicas_that_fold_on_their_own_answer_as_if_none_had(
        one in lines(), two in lines(), before in 0..60_u8,
    ) {
        let all: BTreeSet<String> = one.union(&two).cloned().collect();
        let (mut met, mut dropped) = compact(&one, before);
        let (other, too) = compact(&two, before);
        met.extend(other);
        met.extend(all.iter().cloned());
        dropped.extend(too);
        met.retain(|line| !dropped.contains(line));
        // Sightings that one of them dropped for an earlier one are no answer to anything.
        prop_assert_eq!(answers(&met), answers(&all));
    }
}

#[test]
fn heads_and_what_still_holds_stay_on_lines_of_their_own() {
    let hold = |id: &str, until: Option<String>| {
        let value = json!({"v":1,"type":"hold","id":id,"image":"web","at":time(1),"until":until});
        serde_json::from_value::<Record>(value).unwrap().to_line()
    };
    let mut lines: BTreeSet<String> = (0..9)
        .flat_map(|n| [line(0, [1, 0, n, n]), line(2, [1, 0, n, n])])
        .collect();
    let (kept, over) = (hold("kept", None), hold("over", Some(time(2))));
    lines.extend([
        kept.clone(),
        over.clone(),
        "{\"v\":2}".to_owned(),
        "by hand".to_owned(),
    ]);
    let (after, dropped) = compact(&lines, 50);
    assert!(dropped.contains(&over));
    for stays in [&line(0, [1, 0, 8, 8]), &line(2, [1, 0, 8, 8]), &kept] {
        assert!(after.contains(stays), "{stays}");
    }
    assert!(after.contains("by hand") && after.contains("{\"v\":2}"));
    assert_eq!(after.len(), 6, "{after:#?}");
}

#[test]
fn a_line_that_is_not_read_is_unknown_or_damaged() {
    let unknown = |version, kind: Option<&str>| Unread::Unknown {
        version,
        kind: kind.map(str::to_owned),
    };
    for (line, want) in [
        (
            r#"{"v":2,"type":"build"}"#,
            Some(unknown(Some(2), Some("build"))),
        ),
        (
            r#"{"v":1,"type":"later","x":[]}"#,
            Some(unknown(Some(1), Some("later"))),
        ),
        (r#"{"some":"thing"}"#, Some(unknown(None, None))),
        (r#"{"v":1,"type":"build","image":"web"}"#, None),
        ("[]", None),
        ("{\"v\":1,", None),
        ("by hand", None),
    ] {
        assert_eq!(Record::parse(line), None);
        match (Unread::of(line), want) {
            (found, Some(want)) => assert_eq!(found, want, "{line}"),
            (Unread::Malformed(why), None) => assert!(!why.is_empty(), "{line}"),
            (found, None) => panic!("{line}: {found:?}"),
        }
    }
}

#[test]
fn only_lines_that_plainly_say_what_they_are_about_are_read_late() {
    let build = line(0, [1, 0, 3, 3]);
    let publish = line(2, [1, 0, 3, 3]);
    let kinds = [&build, &publish].map(|line| about(line).kind);
    assert!(kinds[0] != 0 && kinds[1] != 0 && kinds[0] != kinds[1]);
    for odd in [
        build.replace("\"v\":1", "\"v\":2"),
        build.replace("\"v\":1", "\"v\":1.0"),
        build.replace("\"v\":1", "\"v\":1,\"v\":1"),
        build.replace(
            "\"manifest\":\"sha256:03",
            "\"manifest\":\"sha256:\\u0030\\u0033",
        ),
        publish.replace("\"web\"", "\"w\\u0065b\""),
        publish.replace("\"web\"", "\"web\",\"manifest\":\"x\""),
        build[..build.len() - 1].to_owned(),
        line(4, [1, 0, 3, 3]),
        "by hand".to_owned(),
    ] {
        assert!(odd != build && odd != publish);
        assert_eq!(about(&odd).kind, 0, "{odd}");
        let lines = BTreeSet::from([odd, build.clone(), publish.clone()]);
        assert_eq!(answers_of(&read_late(&lines)), answers(&lines));
        assert_eq!(read_late(&lines).unread(), read(&lines).unread());
    }
}
