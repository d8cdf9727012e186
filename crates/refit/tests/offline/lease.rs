//! Two sweeps at once on two machines: one of them sweeps, and the other is told who does.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Child};

use refit_testkit::registry::{Fault, Gate};

use crate::{
    bench::Bench,
    checkout::Checkout,
    fixtures::{IMAGES, LINEAGE},
};

/// A released lineage whose base has moved, two machines, and a sweep of the first that stands before its first tag.
struct Race<'b> {
    remote: Checkout<'b>,
    machines: [Checkout<'b>; 2],
    sweep: Child,
    gate: Gate,
}

fn race(bench: &Bench) -> Race<'_> {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let remote = bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    shop.refit(&["notes", "push"]).exits(0);
    bench.push_base("1", "two", "two");
    let machines = ["a", "b"].map(|name| bench.clone_of(&remote, name, &[]));
    let gate = Gate::default();
    let path = "/v2/team/base/manifests/latest";
    bench.hub.fail("PUT", path, 1, Fault::Held(gate.clone()));
    let sweep = machines[0].start(&["sweep"]);
    assert!(gate.wait());
    Race {
        remote,
        machines,
        sweep,
        gate,
    }
}

impl Race<'_> {
    fn lease(&self) -> String {
        self.remote
            .git(&["for-each-ref", "--format=%(contents:subject)", "refs/refit"])
    }
}

fn is_patched(bench: &Bench, remote: &Checkout<'_>, machines: &[Checkout<'_>]) {
    for image in IMAGES {
        let patch = bench.file(image, "linux/arm64", "etc/patch");
        assert_eq!(patch.unwrap(), "two");
    }
    for machine in machines {
        machine
            .refit(&["sweep"])
            .exits(0)
            .mentions("nothing to do: 6 targets are");
    }
    remote.git(&["fsck", "--strict"]);
    assert_eq!(
        remote.git(&["for-each-ref", "refs/refit"]),
        "",
        "it is given up"
    );
}

#[test]
fn a_second_machine_is_told_who_sweeps_and_may_wait_for_it() {
    let bench = Bench::new();
    let race = race(&bench);
    assert!(race.lease().starts_with("refit: "), "{}", race.lease());
    let other = &race.machines[1];
    let before = bench.writes();
    other
        .refit(&["sweep"])
        .exits(2)
        .mentions("error: another sweep is under way: ")
        .mentions(" sweeps since ")
        .mentions("`--take-lease` takes it");
    // Who looks only holds nothing, and is held up by nothing.
    other.refit(&["sweep", "--dry-run"]).exits(0);
    assert_eq!(bench.writes(), before);
    let waiting = other.start(&["sweep", "--wait", "2m"]);
    race.gate.open();
    let ended = race.sweep.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let ended = waiting.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(said.contains("nothing to do: 6 targets are"), "{said}");
    is_patched(&bench, &race.remote, &race.machines);
}

#[test]
fn a_lease_that_is_taken_away_ends_in_one_state() {
    let bench = Bench::new();
    let mut race = race(&bench);
    race.machines[1].refit(&["sweep", "--take-lease"]).exits(0);
    race.gate.open();
    let code = race.sweep.wait().unwrap().code();
    assert_eq!(code, Some(0), "its tags are what it wanted them to be");
    is_patched(&bench, &race.remote, &race.machines);
}

#[test]
fn a_lease_of_a_sweep_that_was_killed_holds_up_its_own_clone_not_at_all_and_others_for_minutes() {
    let bench = Bench::new();
    let mut race = race(&bench);
    race.sweep.kill().unwrap();
    race.sweep.wait().unwrap();
    race.machines[1]
        .refit(&["sweep"])
        .exits(2)
        .mentions("another sweep is under way");
    let now = jiff::Timestamp::now().as_second();
    let later = |minutes: i64| (now + 60 * minutes).to_string();
    let at = |minutes: i64, args: &[&str]| {
        race.machines[1].refit_with(&[("SOURCE_DATE_EPOCH", &later(minutes))], args)
    };
    at(5, &["sweep"]).exits(2);
    at(11, &["sweep"]).exits(0);
    is_patched(&bench, &race.remote, &race.machines);
}

#[test]
fn the_clone_of_a_killed_sweep_goes_on_at_once() {
    let bench = Bench::new();
    let mut race = race(&bench);
    race.sweep.kill().unwrap();
    race.sweep.wait().unwrap();
    race.machines[0].refit(&["sweep"]).exits(0);
    is_patched(&bench, &race.remote, &race.machines);
}

#[test]
fn where_the_remote_takes_no_such_ref_tags_alone_decide() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let remote = bench.remote(&shop);
    let hook = remote.dir().join("hooks/update");
    fs::write(
        &hook,
        "#!/bin/sh\ncase $1 in refs/refit/*) exit 1 ;; esac\n",
    )
    .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    shop.refit(&["-v", "sweep"])
        .exits(0)
        .mentions("no lease is held at `origin`: ");
    assert_eq!(
        bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
        "two"
    );
}

#[test]
fn where_no_ref_may_be_deleted_the_lease_expires_with_the_sweep() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let remote = bench.remote(&shop);
    for setting in ["receive.denyDeletes", "receive.denyNonFastForwards"] {
        remote.git(&["config", setting, "true"]);
    }
    shop.refit(&["build", "--push"]).exits(0);
    for patch in ["two", "three"] {
        bench.push_base("1", patch, patch);
        let machine = bench.clone_of(&remote, patch, &[]);
        machine.refit(&["sweep"]).exits(0);
        assert_eq!(
            bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
            patch
        );
    }
}

#[test]
fn shards_share_the_lease_of_their_plan() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let remote = bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    shop.refit(&["notes", "push"]).exits(0);
    bench.push_base("1", "two", "two");
    let machines = ["a", "b", "c"].map(|name| bench.clone_of(&remote, name, &[]));
    let plan = machines[0].refit(&["sweep", "--emit", "json", "--shards", "2", "--waves", "1"]);
    fs::write(bench.folder().join("plan.json"), plan.exits(0).stdout).unwrap();
    let shards = [(0, "1/2"), (1, "2/2")].map(|(machine, shard)| {
        machines[machine].start(&["sweep", "--plan", "../plan.json", "--shard", shard])
    });
    for shard in shards {
        let ended = shard.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{said}");
    }
    machines[2]
        .refit(&["sweep"])
        .exits(2)
        .mentions("another sweep is under way");
    machines[1]
        .refit(&["sweep", "--plan", "../plan.json", "--publish"])
        .exits(0);
    assert_eq!(remote.git(&["for-each-ref", "refs/refit"]), "");
    machines[2]
        .refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
    // Nothing to do is nobody's turn.
    let plan = machines[2]
        .refit(&["sweep", "--emit", "json"])
        .exits(0)
        .json();
    assert_eq!(plan["lease"], serde_json::Value::Null);
    assert_eq!(remote.git(&["for-each-ref", "refs/refit"]), "");
}
