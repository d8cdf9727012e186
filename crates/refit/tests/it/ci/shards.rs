//! Sweeps that are spread over jobs: the files, and what their shell steps come to.

use super::{ALL, Event, Part, SETTINGS, SYSTEMS, System, Team, base};
use crate::sandbox::Sandbox;

/// A chain of two images, two runners, eight shards.
pub(super) const SHARDED: &str = "\
//- app/Dockerfile
FROM ghcr.io/team/web
RUN make app
";

/// A repository whose sweeps are spread over jobs.
pub(super) fn repository() -> Sandbox {
    let sandbox = Sandbox::with(SETTINGS);
    sandbox.write_all(SHARDED);
    let more = "[[image]]\nname = \"app\"\ncontext = \"app\"\n\
        [ci]\nshards = 8\n[ci.runners]\n\"linux/arm64\" = \"ubuntu-24.04-arm\"\n\
        \"linux/amd64\" = [\"self-hosted\", \"big\"]\n";
    let settings = sandbox
        .read(".config/refit.toml")
        .replace("[sweep]", &format!("{more}[sweep]"));
    sandbox.write(".config/refit.toml", &settings);
    sandbox.commit("Build in shards");
    sandbox
}

/// A file without how refit is got and who logs in, which is in every job and in the other snapshots.
pub(super) fn in_short(text: &str) -> String {
    let mut shown = String::new();
    let mut is_getting = false;
    for line in text.lines() {
        is_getting |= line.contains("if ! command -v refit");
        if !is_getting && !line.contains("docker login") {
            shown.extend([line, "\n"]);
        }
        is_getting &= !line.contains("refit --version");
    }
    shown
}

#[test]
fn fewer_shards_than_runners_are_refused() {
    let sandbox = repository();
    let settings = sandbox
        .read(".config/refit.toml")
        .replace("shards = 8", "shards = 1");
    sandbox.write(".config/refit.toml", &settings);
    let ran = sandbox.refit(&["init", "--ci", "github"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr
            .contains("`[ci] shards` is 1, and `[ci.runners]` names 2 runners"),
        "{}",
        ran.stderr
    );
}

/// Runs the jobs of a sweep as the system does; how many shards had something to do.
fn sweep(team: &Team, (system, name): (System, &str)) -> usize {
    let first = team.part(system, Event::Schedule, Part::Plan);
    let planned = first.run();
    assert_eq!(
        planned.code, 0,
        "{name}: {}{}",
        planned.stdout, planned.stderr
    );
    let before = (team.tag("web"), team.tag("shop"));
    let mut n_shards = 0;
    for wave in 1..=2 {
        for shard in first.shards_of(wave, &planned) {
            let part = Part::Shard { wave, shard };
            let ran = team.part(system, Event::Schedule, part).run();
            assert_eq!(ran.code, 0, "{name}: {}{}", ran.stdout, ran.stderr);
            n_shards += 1;
        }
    }
    assert_eq!(
        before,
        (team.tag("web"), team.tag("shop")),
        "{name}: shards move no tag"
    );
    let ran = team.part(system, Event::Schedule, Part::Last).run();
    assert_eq!(ran.code, 0, "{name}: {}{}", ran.stdout, ran.stderr);
    n_shards
}

#[test]
fn a_sweep_in_shards_ends_where_one_job_does() {
    for (system, name) in SYSTEMS {
        let team = Team::with("//- shop/Dockerfile\nFROM HOST/team/web\nCMD [\"shop\"]\n");
        let settings = team.sandbox.read(".config/refit.toml") + "[ci]\nshards = 2\n";
        team.sandbox.write(".config/refit.toml", &settings);
        team.sandbox.refit(&ALL).ok();
        team.sandbox.commit("Build in shards");
        team.sandbox.git(&["push", "-q"]);
        let zeros = "0".repeat(40);
        let released = team.job(system, Event::Push, &zeros);
        assert_eq!(
            released.code, 0,
            "{name}: {}{}",
            released.stdout, released.stderr
        );
        let before = ["web", "api", "shop"].map(|image| team.tag(image));

        team.registry.put_image("base/debian", "12", &base("two"));
        // Two in the first wave, one in the second.
        assert_eq!(sweep(&team, (system, name)), 3, "{name}");
        let after = ["web", "api", "shop"].map(|image| team.tag(image));
        for (before, after) in before.iter().zip(&after) {
            assert!(before != after, "{name}");
        }
        if system == System::Github {
            let (refs, n_writes) = (team.refs(), team.n_writes());
            assert_eq!(sweep(&team, (system, name)), 0, "nothing is left");
            assert_eq!((team.refs(), team.n_writes()), (refs, n_writes));
        }
        let clone = team.sandbox.path("another");
        team.sandbox
            .git(&["clone", "-q", "../origin.git", clone.to_str().unwrap()]);
        let plain = team
            .sandbox
            .refit(&["-C", clone.to_str().unwrap(), "sweep"]);
        assert!(
            plain.stderr.contains("nothing to do: 3 targets are built"),
            "{name}: {}",
            plain.stderr
        );
    }
}
