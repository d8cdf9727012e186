//! Notes that are damaged, folded, lost: what is asked of them meanwhile, and what is mended.

use std::fs;

use serde_json::{Value, json};

use crate::{
    assert_masked,
    sandbox::Sandbox,
    shop::{release_debian, stale},
};

const RECORDS: &str = "refs/notes/refit-records";

/// A day, as the fixed clock has it: the shop's first commits are of day 0.
fn day(n: u64) -> String {
    (1_795_341_600 + n * 86_400).to_string()
}

fn on_day(sandbox: &Sandbox, n: u64, args: &[&str]) -> crate::sandbox::Ran {
    sandbox.refit_with(args, "", &[("SOURCE_DATE_EPOCH", &day(n))])
}

/// A shop that was swept ten times, each on another base, a day apart.
fn old_shop() -> Sandbox {
    let sandbox = stale();
    for n in 1..=10 {
        on_day(&sandbox, n, &["sweep"]).ok();
        sandbox.write("../debian/arm64/libssl", &format!("{n}\n"));
        release_debian(&sandbox);
    }
    sandbox
}

/// What is asked of records, as JSON; how many requests that took aside.
fn answers(sandbox: &Sandbox) -> Vec<Value> {
    let asked: [&[&str]; 5] = [
        &["status"],
        &["deps", "users", "debian"],
        &["deps", "why", "app"],
        &["sweep", "--dry-run"],
        &["hold"],
    ];
    let answer = |args: &&[&str]| {
        let args = [args, &["--format", "json"][..]].concat();
        let mut value = on_day(sandbox, 200, &args).json();
        value.as_object_mut().unwrap().remove("requests");
        value
    };
    asked.iter().map(answer).collect()
}

fn lines(sandbox: &Sandbox) -> usize {
    let list = sandbox.git(&["notes", "--ref=refit-records", "list"]);
    let notes = list.lines().map(|line| line.split(' ').next().unwrap());
    notes
        .map(|note| sandbox.git(&["cat-file", "blob", note]).lines().count())
        .sum()
}

fn tree(sandbox: &Sandbox, folder: &str) -> String {
    sandbox.git(&["-C", folder, "rev-parse", &format!("{RECORDS}^{{tree}}")])
}

#[test]
fn folded_history_answers_as_before_and_replicas_meet() {
    let sandbox = old_shop();
    // One hold has ended, one still holds.
    on_day(&sandbox, 1, &["hold", "web", "--reason", "audit"]).ok();
    on_day(&sandbox, 2, &["hold", "web", "--release"]).ok();
    on_day(&sandbox, 3, &["hold", "app", "--reason", "freeze"]).ok();
    let before = answers(&sandbox);
    assert_eq!(
        before[1]["uses"].as_array().map_or(0, Vec::len),
        before[1]["uses"].as_array().unwrap().len()
    );
    let replica = sandbox.path("replica");
    let replica = replica.to_str().unwrap();
    sandbox.git(&["clone", "-q", ".", replica]);
    sandbox.git(&["fetch", "-q", ".", "refs/notes/*:refs/copy/*"]);
    sandbox.git(&[
        "-C",
        replica,
        "fetch",
        "-q",
        "origin",
        "refs/notes/*:refs/notes/*",
    ]);

    let (n_lines, untouched) = (lines(&sandbox), tree(&sandbox, "."));
    let planned = on_day(&sandbox, 200, &["notes", "compact", "--dry-run"]);
    assert_masked!("notes-compact-dry-run", planned.all());
    assert_eq!(tree(&sandbox, "."), untouched);
    let folded = on_day(&sandbox, 200, &["notes", "compact", "--format", "json"]).json();
    for note in folded["notes"].as_array().unwrap() {
        assert!(
            note["bytes_after"].as_u64() < note["bytes"].as_u64(),
            "{note}"
        );
    }
    assert!(
        lines(&sandbox) * 3 < n_lines,
        "{} of {n_lines}",
        lines(&sandbox)
    );
    assert_eq!(answers(&sandbox), before);
    let shown = sandbox.git(&[
        "notes",
        "--ref=refit-records",
        "show",
        "HEAD:web/Dockerfile",
    ]);
    assert!(
        !shown.contains("audit") && shown.contains("\"type\":\"had\""),
        "{shown}"
    );
    let again = on_day(&sandbox, 200, &["notes", "compact"]);
    assert_eq!(
        again.stderr,
        "nothing from before 2027-03-12 is to be folded\n"
    );

    // The replica has gone on: what it wrote stays, what was folded does not come back.
    let compacted = tree(&sandbox, ".");
    sandbox.git(&[
        "-C",
        replica,
        "notes",
        "--ref=refit-records",
        "append",
        "-m",
        "{\"v\":9}",
        "HEAD:web/Dockerfile",
    ]);
    sandbox
        .refit(&["-C", replica, "notes", "fetch", "origin"])
        .ok();
    let met = tree(&sandbox, replica);
    assert_ne!(met, compacted);
    sandbox.git(&["remote", "add", "replica", replica]);
    sandbox.refit(&["notes", "fetch", "replica"]).ok();
    assert_eq!(tree(&sandbox, "."), met);
    assert_eq!(answers(&sandbox), before);
    let verified = sandbox.refit(&["notes", "verify"]);
    assert_masked!("notes-verify-unknown", verified.all());
    // Somebody merges by hand with one that was never compacted: the next writer puts it right.
    sandbox.git(&[
        "notes",
        "--ref=refit-records",
        "merge",
        "-q",
        "-s",
        "cat_sort_uniq",
        "refs/copy/refit-records",
    ]);
    assert_eq!(answers(&sandbox), before);
}

#[test]
fn what_was_lost_is_restored_from_what_is_published() {
    let sandbox = old_shop();
    let before = on_day(&sandbox, 200, &["status", "--format", "json"]).json();
    let asked = ["deps", "users", "debian", "--format", "json"];
    let before_loss = sandbox.refit(&asked).json();
    for reference in [RECORDS, "refs/notes/refit"] {
        sandbox.git(&["update-ref", "-d", reference]);
    }
    let restore = ["notes", "restore", "--from-registry"];
    let planned = sandbox.refit(&[&restore[..], &["--dry-run"]].concat());
    assert!(
        planned.stderr.ends_with("would be recorded\n"),
        "{}",
        planned.stderr
    );
    assert_eq!(
        sandbox
            .try_git(&["rev-parse", "--verify", "-q", RECORDS])
            .code,
        1
    );
    let restored = sandbox.refit(&restore);
    assert_eq!(
        (restored.code, planned.stdout),
        (0, restored.stdout.clone())
    );
    assert_masked!("notes-restore", restored.all());
    let after = on_day(&sandbox, 200, &["status", "--format", "json"]).json();
    assert_eq!(after["targets"], before["targets"]);
    assert_eq!(after["states"], before["states"]);
    // Every digest that an image ever had, and which manifest that was.
    let had = |json: &Value| {
        let listed = json["uses"].as_array().unwrap().iter();
        let mut all: Vec<Value> = listed
            .map(|u| json!([u["target"], u["digest"], u["manifest"], u["commit"]]))
            .collect();
        all.sort_by_key(Value::to_string);
        all.dedup(); // of what was built again as it was, the first build is what is published
        all
    };
    assert!(had(&before_loss).len() > 20);
    assert_eq!(had(&sandbox.refit(&asked).json()), had(&before_loss));
    assert_eq!(sandbox.refit(&["notes", "verify"]).code, 0);
    let again = sandbox.refit(&restore);
    assert_eq!(
        again.all(),
        "-- stderr\nno record is missing that a registry has\n-- exit code 0\n"
    );
    // The chain goes on from there.
    on_day(&sandbox, 201, &["sweep"]).ok();
    let swept = on_day(&sandbox, 202, &["status", "--format", "json"]).json();
    assert_eq!(
        (&swept["stale"], &swept["states"]),
        (&json!(0), &before["states"])
    );
}

#[test]
fn a_damaged_note_is_named_and_everything_else_goes_on() {
    let sandbox = stale();
    let verify = ["notes", "verify"];
    assert_masked!("notes-verify", sandbox.refit(&verify).all());
    let blob = sandbox.git(&["rev-parse", "HEAD:web/Dockerfile"]);
    let note = sandbox.git(&["notes", "--ref=refit-records", "list", blob.trim()]);
    let (folder, name) = note.trim().split_at(2);
    let file = sandbox.root().join(".git/objects").join(folder).join(name);
    let whole = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let found = sandbox.refit(&verify);
    assert_eq!(found.code, 1);
    for named in [blob.trim(), note.trim(), "lost", "cannot be read"] {
        assert!(found.stdout.contains(named), "{named}: {}", found.stdout);
    }
    let found = sandbox.refit(&["notes", "verify", "--format", "json"]);
    assert_eq!(found.code, 1);
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    let damaged = &found["refs"][0]["damaged"];
    assert_eq!(damaged.as_array().unwrap().len(), 1);
    assert_eq!(
        (&damaged[0]["kind"], &damaged[0]["object"]),
        (&json!("unreadable"), &json!(note.trim()))
    );
    // It is said, and images are patched all the same: the annotations are there.
    let warned = "warning: 1 note can't be read";
    assert!(sandbox.refit(&["status"]).stderr.contains(warned));
    let swept = sandbox.refit(&["sweep"]);
    assert!(swept.stderr.contains(warned), "{}", swept.stderr);
    assert_eq!(swept.code, 0, "{}", swept.stderr);
    let stale =
        |sandbox: &Sandbox| sandbox.refit(&["status", "--format", "json"]).json()["stale"].clone();
    assert_eq!(stale(&sandbox), 0);
    sandbox.refit(&["hold", "web", "--reason", "audit"]).ok();
    assert!(sandbox.refit(&["hold"]).ok().contains("audit"));
    let doctor = sandbox.refit(&["doctor"]);
    assert!(
        doctor.stdout.contains("1 note can't be read"),
        "{}",
        doctor.stdout
    );
    // Nothing was written over: once the object is whole again, all of it is there.
    fs::write(&file, &whole).unwrap();
    assert_eq!(sandbox.refit(&verify).code, 0);
    assert_eq!(stale(&sandbox), 0);
}

#[test]
fn a_run_says_what_a_killed_one_left_out() {
    let sandbox = stale();
    let said = |sandbox: &Sandbox| sandbox.git(&["notes", "--ref=refit", "show", "HEAD"]);
    let first = said(&sandbox);
    // As if it had been killed between the two refs.
    sandbox.git(&["update-ref", "-d", "refs/notes/refit"]);
    on_day(&sandbox, 1, &["sweep"]).ok();
    let both = said(&sandbox);
    let lines: Vec<&str> = both.lines().collect();
    let id = first.split(' ').nth(2).unwrap();
    let (day, words) = ("2026-11-22", "app, base, web built");
    assert_eq!(lines[0], format!("{day} run {id} {words}"));
    assert!(lines[1].starts_with("2026-11-23 sweep "), "{both}");
    assert_eq!(lines.len(), 2, "{both}");
    sandbox.write("../debian/arm64/libssl", "three\n");
    release_debian(&sandbox);
    on_day(&sandbox, 2, &["sweep"]).ok();
    assert_eq!(said(&sandbox).lines().count(), 3, "each once");
}

#[test]
fn notes_are_signed_and_a_commit_that_nobody_signed_is_named() {
    let sandbox = stale();
    let key = sandbox.path("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&key)
        .status()
        .expect("`ssh-keygen`, of OpenSSH's client, is there");
    assert!(made.success());
    let vouched = sandbox.path("allowed");
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    fs::write(&vouched, format!("* {public}")).unwrap();
    for (name, value) in [
        ("user.signingKey", &key),
        ("gpg.ssh.allowedSignersFile", &vouched),
    ] {
        sandbox.git(&["config", name, value.to_str().unwrap()]);
    }
    sandbox.git(&["config", "gpg.format", "ssh"]);
    let config = sandbox.root().join(".config/refit.toml");
    let text = fs::read_to_string(&config).unwrap() + "\n[notes]\nsign = true\n";
    fs::write(&config, text).unwrap();
    sandbox.refit(&["hold", "web", "--reason", "audit"]).ok();
    sandbox.git(&["verify-commit", RECORDS]);
    sandbox.refit(&["notes", "compact"]).ok();
    let verified = sandbox.refit(&["notes", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.all());
    let said = "refs/notes/refit-records: 1 commit with a good signature, ";
    assert!(verified.stderr.contains(said), "{}", verified.stderr);

    let forge = [
        "notes",
        "--ref=refit-records",
        "append",
        "-m",
        "{\"v\":9}",
        "HEAD:web/Dockerfile",
    ];
    sandbox.git(&forge);
    let forged = sandbox.git(&["rev-parse", RECORDS]);
    let found = sandbox.refit(&["notes", "verify"]);
    assert_eq!(found.code, 1);
    let said = format!("unsigned  commit `{}` by", forged.trim());
    assert!(found.stdout.contains(&said), "{}", found.stdout);
    let found = sandbox
        .refit(&["notes", "verify", "--format", "json"])
        .stdout;
    let found: Value = serde_json::from_str(&found).unwrap();
    let named = &found["refs"][0]["signatures"]["not_good"][0];
    assert_eq!(
        (&named["commit"], &named["signed"]),
        (&json!(forged.trim()), &json!(false))
    );
}
