//! `sweep --emit`: a plan for shards, and the jobs that build it.

use crate::{assert_masked, assert_snapshot};

#[test]
fn a_plan_becomes_the_jobs_of_every_system() {
    let sandbox = crate::shop::stale();
    let runners = "[ci.runners]\n\"linux/amd64\" = [\"self-hosted\", \"big\"]\n\"linux/arm64\" = \"ubuntu-24.04-arm\"\n";
    let settings = sandbox.read(".config/refit.toml") + runners;
    sandbox.write(".config/refit.toml", &settings);
    let plan = sandbox
        .refit(&["sweep", "--emit", "json", "--shards", "2"])
        .ok();
    sandbox.write("plan.json", &plan);
    assert_masked!("sweep-emit-json", plan);
    let of_plan = ["sweep", "--plan", "plan.json", "--emit"];
    for (system, more) in [
        ("github", &["--wave", "1"][..]),
        ("gitlab", &[]),
        ("azure", &["--wave", "2", "--platform", "linux/arm64"]),
        ("json", &[]),
    ] {
        let jobs = sandbox
            .refit(&[&of_plan[..], &[system], more].concat())
            .ok();
        assert_snapshot!(format!("sweep-jobs-{system}"), jobs);
    }
    // Those of no step are no jobs.
    let none = sandbox.refit(
        &[
            &of_plan[..],
            &["github", "--wave", "1", "--platform", "linux/amd64"],
        ]
        .concat(),
    );
    assert_eq!(none.ok(), "{\"include\":[]}\n");
    // Made at once, for a look.
    let wave = ["--waves", "1", "--shards", "2"];
    let at_once = sandbox.refit(&[&["sweep", "--dry-run", "--emit", "github"], &wave[..]].concat());
    assert_eq!(
        at_once.ok(),
        "{\"include\":[{\"runner\":[\"ubuntu-24.04-arm\"],\"shard\":\"1/2\",\"targets\":3}]}\n"
    );
}
