//! Stories of one repository: what records say, what is there, what goes.

use super::*;
use crate::record::{Record, Records};
use jiff::SignedDuration;
use serde_json::json;

const LEAD: &str = "registry.example.com/web:latest";

fn digest(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

fn time(day: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    start + SignedDuration::from_hours(24 * day)
}

/// Day 100, two weeks and one publication.
fn window() -> Window {
    Window {
        now: time(100),
        older_than: SignedDuration::from_hours(24 * 14),
        publications: 1,
    }
}

fn build(manifest: &str, on: &str, day: i64) -> Record {
    let record = json!({
        "type": "build", "image": "web", "platform": "linux/amd64", "line": "main",
        "source": format!("s1:{}", digest("source").hex()), "commit": "11".repeat(20),
        "deps": [{"kind": "base", "reference": "registry.example.com/base:latest", "platform": "linux/amd64",
                  "manifest": digest(on)}],
        "manifest": digest(manifest), "how": "rebuild", "engine": "native", "run": "run", "at": time(day).to_string(),
    });
    serde_json::from_value(record).unwrap()
}

/// `index` of `manifest`, after the publication of the day before.
fn publish(index: &str, manifest: &str, (day, after): (i64, Option<i64>)) -> Record {
    let record = json!({
        "type": "publish", "id": day.to_string(), "after": after.map(|day| day.to_string()), "image": "web",
        "line": "main", "commit": "11".repeat(20), "index": digest(index),
        "platforms": {"linux/amd64": digest(manifest)}, "tags": [LEAD], "run": "run", "at": time(day).to_string(),
    });
    serde_json::from_value(record).unwrap()
}

/// Published on days 10, 20, 30 and 40, each on another base; the last is what the tag holds.
fn four_releases() -> Records {
    let mut lines = Vec::new();
    for n in 1..=4 {
        let (day, before) = (n * 10, (n > 1).then(|| n * 10 - 10));
        lines.push(build(&format!("m{n}"), &format!("base{n}"), day).to_line());
        lines.push(publish(&format!("i{n}"), &format!("m{n}"), (day, before)).to_line());
    }
    Records::read(lines, true)
}

fn with(mut records: Records, more: impl IntoIterator<Item = Record>) -> Records {
    more.into_iter().for_each(|record| records.add(record));
    records
}

fn manifest(image: Option<&str>) -> Content {
    Content::Manifest {
        subject: None,
        image: image.map(str::to_owned),
    }
}

fn index(held: &[&str]) -> Content {
    Content::Index(held.iter().map(|name| (digest(name), None)).collect())
}

/// All that the four releases have left in the registry.
fn shelf() -> Shelf {
    let mut shelf = Shelf::default();
    for n in 1..=4 {
        let (i, m) = (format!("i{n}"), format!("m{n}"));
        shelf.documents.insert(digest(&i), index(&[&m]));
        shelf.documents.insert(digest(&m), manifest(None));
    }
    tag(&mut shelf, "latest", "i4");
    shelf
}

fn tag(shelf: &mut Shelf, tag: &str, name: &str) {
    shelf.tags.insert(tag.to_owned(), digest(name));
}

fn staging(n: char) -> String {
    format!("refit-{}", n.to_string().repeat(64))
}

/// What goes: names of documents, then tags.
fn goes(records: &Records, shelf: &Shelf) -> String {
    let window = window();
    let pruned = decide(&Known::of(records, &window), shelf, &window);
    let names: Vec<String> = ["i", "m", "base", "list", "note", "x"]
        .iter()
        .flat_map(|name| (0..=5).map(move |n| format!("{name}{n}")))
        .collect();
    let name = |wanted: &Digest| {
        let mut names = names.iter();
        names.find(|name| digest(name) == *wanted).unwrap().clone()
    };
    let removals = pruned.removals.iter().map(|removal| name(&removal.digest));
    let untags = pruned.untags.iter();
    let untags = untags.map(|untag| format!("untag {}", name(&untag.digest)));
    let unseen = pruned.unseen.iter();
    let unseen = unseen.map(|(_, digest)| format!("unseen {}", name(digest)));
    removals
        .chain(untags)
        .chain(unseen)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn what_is_published_stays_and_what_a_rollback_goes_to() {
    let names = goes(&four_releases(), &shelf());
    let mut names: Vec<&str> = names.split(' ').collect();
    // An index before what it holds.
    assert!(
        names[..2].iter().all(|name| name.starts_with('i')),
        "{names:?}"
    );
    names.sort_unstable();
    assert_eq!(names, ["i1", "i2", "m1", "m2"]);
}

#[test]
fn a_tag_keeps_all_that_it_leads_to() {
    let mut shelf = shelf();
    tag(&mut shelf, "v1", "i1");
    assert_eq!(goes(&four_releases(), &shelf), "i2 m2");
    // Through an index of another tool, and an index in that, too.
    tag(&mut shelf, "theirs", "x1");
    shelf.documents.insert(digest("x1"), index(&["x2"]));
    shelf.documents.insert(digest("x2"), index(&["m2"]));
    assert_eq!(goes(&four_releases(), &shelf), "i2");
}

#[test]
fn what_a_manifest_that_stays_is_attached_to_stays() {
    let mut shelf = shelf();
    tag(&mut shelf, "sbom-of-one", "x1");
    let subject = Some(digest("i1"));
    shelf.documents.insert(
        digest("x1"),
        Content::Manifest {
            subject,
            image: None,
        },
    );
    assert_eq!(goes(&four_releases(), &shelf), "i2 m2");
}

#[test]
fn what_records_do_not_name_is_somebody_elses() {
    let mut shelf = shelf();
    for name in ["x1", "x2"] {
        shelf.documents.insert(digest(name), manifest(None));
    }
    tag(&mut shelf, &staging('a'), "x1"); // a name like ours
    tag(&mut shelf, &format!("sha256-{}", digest("x3").hex()), "x2");
    assert!(!goes(&four_releases(), &shelf).contains('x'));
}

#[test]
fn what_was_adopted_is_not_ours_whatever_holds_it() {
    let adopted = json!({
        "type": "adopt", "id": "5", "after": null, "image": "web", "line": "main", "commit": "11".repeat(20),
        "index": digest("x1"), "platforms": {"linux/amd64": {"manifest": digest("m1")}}, "tags": [LEAD],
        "run": "run", "at": time(5).to_string(),
    });
    let records = with(four_releases(), [serde_json::from_value(adopted).unwrap()]);
    let mut shelf = shelf();
    shelf.documents.insert(digest("x1"), index(&["m1"]));
    assert_eq!(goes(&records, &shelf), sorted(&["i1", "i2"]) + " m2");
}

/// In the order of their digests, as they are listed.
fn sorted(names: &[&str]) -> String {
    let mut names = names.to_vec();
    names.sort_by_key(|name| digest(name));
    names.join(" ")
}

#[test]
fn nothing_goes_before_its_time() {
    // Published until day 95, whenever it was built.
    let records = with(four_releases(), [publish("i5", "m5", (95, Some(40)))]);
    let mut shelf = shelf();
    tag(&mut shelf, "latest", "i5");
    shelf.documents.insert(digest("i5"), index(&["m5"]));
    let gone = sorted(&["i1", "i2", "i3"]) + " " + &sorted(&["m1", "m2", "m3"]);
    assert_eq!(goes(&records, &shelf), gone);
    // A clock that is ahead, and a time that is none, keep what they are about.
    for at in ["2199-01-01T00:00:00Z", "yesterday"] {
        let Record::Build(mut again) = build("m1", "base1", 10) else {
            unreachable!("it is a build")
        };
        again.at = at.to_owned();
        let records = with(four_releases(), [Record::Build(again)]);
        assert!(!goes(&records, &shelf).contains("m1"), "{at}");
    }
}

#[test]
fn what_was_built_and_never_published_has_its_time_as_well() {
    let mut shelf = shelf();
    for name in ["m0", "m5"] {
        shelf.documents.insert(digest(name), manifest(None));
    }
    let records = with(
        four_releases(),
        [build("m0", "base0", 50), build("m5", "base5", 90)],
    );
    let gone = goes(&records, &shelf);
    assert!(gone.contains("m0") && !gone.contains("m5"), "{gone}");
}

#[test]
fn what_something_is_built_on_stays_with_it() {
    let mut shelf = shelf();
    let mut records = four_releases();
    for n in 1..=4 {
        let base = format!("base{n}");
        shelf.documents.insert(digest(&base), manifest(None));
        records = with(records, [build(&base, "x0", n)]);
    }
    let gone = goes(&records, &shelf);
    assert!(gone.contains("base1") && gone.contains("base2"), "{gone}");
    assert!(!gone.contains("base3") && !gone.contains("base4"), "{gone}");
}

#[test]
fn a_rollback_makes_what_it_goes_to_present_again() {
    let rollback = json!({
        "type": "rollback", "id": "50", "after": "40", "to": "10", "image": "web", "line": "main",
        "commit": "11".repeat(20), "index": digest("i1"), "replaces": digest("i4"),
        "platforms": {"linux/amd64": digest("m1")}, "tags": [LEAD], "run": "run", "at": time(50).to_string(),
    });
    let records = with(four_releases(), [serde_json::from_value(rollback).unwrap()]);
    let mut shelf = shelf();
    tag(&mut shelf, "latest", "i1");
    let gone = goes(&records, &shelf);
    assert!(!gone.contains("i1") && !gone.contains("m1"), "{gone}");
    assert!(gone.contains("i2") && gone.contains("m4"), "{gone}");
}

#[test]
fn a_staging_tag_goes_with_what_it_holds_or_alone() {
    let records = four_releases();
    let known = Known::of(&records, &window());
    let of = |name: &str| known.newest[&digest(name)].1.first().unwrap().clone();
    let mut shelf = shelf();
    tag(&mut shelf, &of("m1"), "m1");
    tag(&mut shelf, &of("m4"), "m4"); // by the newest of its pins: it stays
    assert_eq!(
        goes(&records, &shelf),
        sorted(&["i1", "i2"]) + " " + &sorted(&["m1", "m2"])
    );
    // The same manifest on a newer base: the tag of the older goes, what it holds does not.
    let records = with(records, [build("m4", "base5", 60)]);
    assert!(goes(&records, &shelf).ends_with("untag m4"));
    let records = with(records, [build("m4", "base4", 99)]);
    assert!(
        !goes(&records, &shelf).contains("untag"),
        "it is needed again"
    );
}

#[test]
fn a_staging_tag_that_no_record_names_has_its_time_from_when_it_was_met() {
    let mut shelf = shelf();
    for name in ["x1", "x2"] {
        shelf.documents.insert(digest(name), manifest(Some("web")));
    }
    tag(&mut shelf, &staging('a'), "x1");
    tag(&mut shelf, &staging('b'), "x2");
    shelf.seen.insert(staging('b'), time(10));
    let gone = goes(&four_releases(), &shelf);
    assert!(gone.contains("x2") && gone.ends_with("unseen x1"), "{gone}");
    // A second tag on it that is young keeps it.
    tag(&mut shelf, &staging('c'), "x2");
    shelf.seen.insert(staging('c'), time(99));
    assert!(!goes(&four_releases(), &shelf).contains("x2"));
}

#[test]
fn what_is_attached_goes_first_and_is_found_when_all_else_is_gone() {
    let mut shelf = shelf();
    let list = format!("sha256-{}", digest("i1").hex());
    shelf.documents.insert(digest("list1"), index(&["note1"]));
    tag(&mut shelf, &list, "list1");
    tag(&mut shelf, &format!("{list}.att"), "x1");
    shelf.documents.insert(digest("x1"), manifest(None));
    shelf
        .attached
        .insert(digest("i2"), BTreeSet::from([digest("note2")]));
    shelf
        .attached
        .insert(digest("i4"), BTreeSet::from([digest("note4")]));
    let gone = goes(&four_releases(), &shelf);
    let first: BTreeSet<&str> = gone.split(' ').take(4).collect();
    assert_eq!(
        first,
        BTreeSet::from(["list1", "note1", "note2", "x1"]),
        "{gone}"
    );
    // Of what stays it stays.
    tag(&mut shelf, "v1", "i1");
    let gone = goes(&four_releases(), &shelf);
    assert!(!gone.contains("list") && !gone.contains('x'), "{gone}");
    shelf.tags.remove("v1");
    shelf.documents.remove(&digest("i1"));
    let gone = goes(&four_releases(), &shelf);
    assert!(
        gone.contains("list1") && gone.contains("note1") && !gone.contains("i1"),
        "{gone}"
    );
}

#[test]
fn attestations_go_with_the_manifest_that_they_are_about() {
    let mut shelf = shelf();
    let about = |name: &str| Some(digest(name));
    let held = [
        (digest("m1"), None),
        (digest("note1"), about("m1")),
        (digest("note3"), about("m3")),
    ];
    shelf
        .documents
        .insert(digest("i1"), Content::Index(held.into()));
    let gone = goes(&four_releases(), &shelf);
    assert!(gone.contains("note1") && !gone.contains("note3"), "{gone}");
}

#[test]
fn a_placeholder_is_cleared_away() {
    let mut shelf = shelf();
    tag(&mut shelf, &staging('a'), "x1");
    shelf.documents.insert(digest("x1"), Content::Placeholder);
    assert!(goes(&four_releases(), &shelf).ends_with("untag x1"));
}

#[test]
fn names_of_tags_say_what_they_are() {
    let hex = "0f".repeat(32);
    for (tag, staging, attached) in [
        (format!("refit-{hex}"), true, false),
        (format!("refit-{}", hex.to_uppercase()), false, false),
        (format!("refit-{}", &hex[1..]), false, false),
        (format!("sha256-{hex}"), false, true),
        (format!("sha256-{hex}.att"), false, true),
        (format!("sha256-{hex}.sig"), false, true),
        (format!("sha256-{hex}-old"), false, false),
        ("latest".to_owned(), false, false),
        ("sha256-é".to_owned(), false, false),
    ] {
        assert_eq!(is_staging(&tag), staging, "{tag}");
        assert_eq!(attached_to(&tag).is_some(), attached, "{tag}");
    }
}
