//! One plan, built by several machines: what they end in is what one machine would have come to, and a plan that
//! says something else than the repository publishes nothing.

use std::{collections::BTreeMap, fs};

use refit_oci::Digest;
use serde_json::{Value, json};

use crate::{
    bench::{Bench, texts},
    checkout::Checkout,
    fixtures::{IMAGES, LINEAGE},
};

/// The released lineage at a remote, whose base has moved since.
struct Fleet<'b> {
    bench: &'b Bench,
    shop: Checkout<'b>,
    remote: Checkout<'b>,
}

impl<'b> Fleet<'b> {
    fn new(bench: &'b Bench) -> Self {
        bench.push_base("1", "one", "one");
        let shop = bench.repository(LINEAGE);
        let remote = bench.remote(&shop);
        shop.refit(&["build", "--push"]).exits(0);
        shop.refit(&["notes", "push"]).exits(0);
        bench.push_base("1", "two", "two");
        Self {
            bench,
            shop,
            remote,
        }
    }

    /// A machine that nobody used before.
    fn machine(&self, name: &str) -> Checkout<'b> {
        self.bench.clone_of(&self.remote, name, &[])
    }

    /// The plan, as it lies beside the clones.
    fn plan(&self, args: &[&str]) -> Value {
        let machine = self.machine("planner");
        let said = machine.refit(&[&["sweep", "--emit", "json"], args].concat());
        self.write(&said.exits(0).stdout);
        fs::remove_dir_all(machine.dir()).unwrap();
        self.read()
    }

    fn path(&self) -> std::path::PathBuf {
        self.bench.folder().join("plan.json")
    }

    fn read(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path()).unwrap()).unwrap()
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }
}

/// The shards of a plan that have something to do, in the order in which they may run.
fn jobs(plan: &Value) -> Vec<(String, String)> {
    let places = plan["steps"].as_array().unwrap().iter().map(|step| {
        let (wave, shard) = (&step["place"]["wave"], &step["place"]["shard"]);
        (wave.as_u64().unwrap(), shard.as_u64().unwrap())
    });
    let places: std::collections::BTreeSet<_> = places.collect();
    let of = &plan["shards"];
    let job = |(wave, shard): (u64, u64)| (wave.to_string(), format!("{shard}/{of}"));
    places.into_iter().map(job).collect()
}

fn all_manifests(bench: &Bench) -> BTreeMap<String, BTreeMap<String, Digest>> {
    let manifests = IMAGES.map(|image| (image.to_owned(), bench.manifests(image)));
    manifests.into_iter().collect()
}

#[test]
fn shards_on_machines_of_their_own_end_where_one_sweep_ends() {
    for (waves, n_jobs) in [(None, 6), (Some("1"), 2)] {
        let bench = Bench::new();
        let fleet = Fleet::new(&bench);
        let before = bench.all_published(&IMAGES);
        let mut args = vec!["--shards", "2"];
        args.extend(waves.iter().flat_map(|n| ["--waves", n]));
        let plan = fleet.plan(&args);
        let jobs = jobs(&plan);
        assert_eq!(jobs.len(), n_jobs, "{waves:?}");
        for (n, (wave, shard)) in jobs.iter().enumerate() {
            let machine = fleet.machine(&format!("machine{n}"));
            let shard = [
                "sweep",
                "--plan",
                "../plan.json",
                "--shard",
                shard,
                "--wave",
                wave,
            ];
            machine.refit(&shard).exits(0);
        }
        assert_eq!(bench.all_published(&IMAGES), before, "shards move no tag");
        bench.hub.forget_requests();
        let machine = fleet.machine("publisher");
        machine
            .refit(&["sweep", "--plan", "../plan.json", "--publish"])
            .exits(0);
        assert_eq!(bench.uploads(), 0, "nothing is built");
        let sharded = all_manifests(&bench);
        for image in IMAGES {
            assert_eq!(
                bench.file(image, "linux/arm64", "etc/patch").unwrap(),
                "two"
            );
        }
        machine
            .refit(&["sweep"])
            .exits(0)
            .mentions("nothing to do: 6 targets are");

        // The same by one machine that knows nothing of it.
        for (image, digest) in &before {
            bench.retag(image, digest);
            for tag in bench.hub.tags(&format!("team/{image}")) {
                if tag != "latest" {
                    bench.hub.delete_tag(&format!("team/{image}"), &tag);
                }
            }
        }
        fleet.shop.git(&["remote", "remove", "origin"]);
        fleet.shop.refit(&["sweep"]).exits(0);
        assert_eq!(all_manifests(&bench), sharded, "{waves:?}");
    }
}

#[test]
fn a_shard_whose_parents_are_not_staged_says_so_and_builds_nothing() {
    let bench = Bench::new();
    let fleet = Fleet::new(&bench);
    fleet.plan(&["--shards", "1"]);
    bench.hub.forget_requests();
    let machine = fleet.machine("early");
    let second = [
        "sweep",
        "--plan",
        "../plan.json",
        "--shard",
        "1/1",
        "--wave",
        "2",
    ];
    let said = machine
        .refit(&[&second[..], &["--format", "json"]].concat())
        .exits(1)
        .json();
    assert_eq!(texts(&said["left"], "kind"), ["parent-not-staged"; 2]);
    machine.refit(&second).exits(1).mentions(
        "error: web@linux/amd64: its parent base@linux/amd64 is not staged: its shard has failed, or has not run yet",
    );
    assert_eq!(bench.writes(), 0);
    // Without a wave, all of them in order.
    machine
        .refit(&["sweep", "--plan", "../plan.json", "--shard", "1/1"])
        .exits(0);
    machine.refit(&second).exits(0);
}

#[test]
fn what_a_failed_shard_did_not_build_stays_as_it_was() {
    let bench = Bench::new();
    let fleet = Fleet::new(&bench);
    let before = all_manifests(&bench);
    let plan = fleet.plan(&["--shards", "2", "--waves", "1"]);
    // Each has one platform, all images of it.
    let of_amd64 = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["platform"] == "linux/amd64")
        .unwrap();
    let shard = format!("{}/2", of_amd64["place"]["shard"]);
    let machine = fleet.machine("one");
    machine
        .refit(&["sweep", "--plan", "../plan.json", "--shard", &shard])
        .exits(0);
    let said = machine
        .refit(&["sweep", "--plan", "../plan.json", "--publish"])
        .exits(1);
    said.mentions(
        "error: web@linux/arm64: it is not staged: its shard has failed, or has not run yet",
    );
    for image in IMAGES {
        let now = bench.manifests(image);
        assert_eq!(now["linux/arm64"], before[image]["linux/arm64"]);
        assert_ne!(now["linux/amd64"], before[image]["linux/amd64"]);
    }
    // The next sweep does the rest.
    machine.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
        "two"
    );
}

#[test]
fn nothing_is_published_before_a_canary_that_is_not_built() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\n\
         [[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\n[sweep]\ncanary = [\"small\"]\n\
         //- small/Dockerfile\nFROM HUB/base/os:1\nCMD [\"small\"]\n\
         //- big/Dockerfile\nFROM HUB/base/os:1\nCMD [\"big\"]\n",
    );
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    let plan = shop
        .refit(&["sweep", "--emit", "json", "--shards", "2"])
        .exits(0);
    fs::write(bench.folder().join("plan.json"), &plan.stdout).unwrap();
    let before = bench.all_published(&["small", "big"]);
    let run = |doing: &[&str]| shop.refit(&[&["sweep", "--plan", "../plan.json"], doing].concat());
    let shard_of = |image: &str| {
        let plan = plan.json();
        let mut steps = plan["steps"].as_array().unwrap().iter();
        let step = steps.find(|step| step["image"] == image).unwrap();
        format!("{}/2", step["place"]["shard"])
    };
    run(&["--shard", &shard_of("big")]).exits(0);
    run(&["--publish"])
        .exits(1)
        .mentions("error: small@linux/amd64: it is not staged")
        .mentions("error: big: nothing of it is published: the canary `small` is not published");
    assert_eq!(bench.all_published(&["small", "big"]), before);
    run(&["--shard", &shard_of("small")]).exits(0);
    run(&["--publish"]).exits(0);
    for image in ["small", "big"] {
        assert_eq!(
            bench.file(image, "linux/amd64", "etc/patch").unwrap(),
            "two"
        );
    }
}

#[test]
fn a_base_that_moves_after_the_plan_is_said_and_left_to_the_next_sweep() {
    let bench = Bench::new();
    let fleet = Fleet::new(&bench);
    fleet.plan(&["--shards", "1"]);
    bench.push_base("1", "two", "three");
    bench.hub.forget_requests();
    let machine = fleet.machine("late");
    let run = ["sweep", "--plan", "../plan.json", "--shard", "1/1"];
    let said = machine
        .refit(&[&run[..], &["--format", "json"]].concat())
        .exits(1)
        .json();
    let left: Vec<(String, String)> = texts(&said["left"], "target")
        .into_iter()
        .zip(texts(&said["left"], "kind"))
        .collect();
    assert_eq!(
        left,
        [
            ("base@linux/arm64", "base-moved"),
            ("web@linux/arm64", "parent-not-staged"),
            ("shop@linux/arm64", "parent-not-staged"),
        ]
        .map(|(target, kind)| (target.to_owned(), kind.to_owned()))
    );
    assert_eq!(
        texts(&said["staged"], "target"),
        ["base@linux/amd64", "web@linux/amd64", "shop@linux/amd64"]
    );
    machine
        .refit(&["sweep", "--plan", "../plan.json", "--publish"])
        .exits(1);
    let patches =
        ["linux/amd64", "linux/arm64"].map(|p| bench.file("shop", p, "etc/patch").unwrap());
    assert_eq!(patches, ["two", "one"]);
    machine.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
        "three"
    );
}

#[test]
fn what_was_published_since_the_plan_needs_nothing_more() {
    let bench = Bench::new();
    let fleet = Fleet::new(&bench);
    fleet.plan(&["--shards", "1"]);
    let other = fleet.machine("other");
    other.refit(&["sweep", "--take-lease"]).exits(0);
    bench.hub.forget_requests();
    let machine = fleet.machine("late");
    for doing in [&["--shard", "1/1"][..], &["--publish"]] {
        let said = machine.refit(&[&["sweep", "--plan", "../plan.json"], doing].concat());
        said.exits(0)
            .mentions("6 targets of the plan need nothing any more");
    }
    assert_eq!(bench.writes(), 0);
}

#[test]
fn a_forged_plan_pushes_nothing_that_the_repository_does_not_describe() {
    let bench = Bench::new();
    let fleet = Fleet::new(&bench);
    let plan = fleet.plan(&["--shards", "1"]);
    let foreign = bench
        .hub
        .put_image("base/os", "evil", &crate::bench::os("linux/amd64", "evil"));
    let unreleased = {
        fleet.shop.write("//- web/site\nnever released\n");
        let commit = fleet.shop.commit("Change the site");
        fleet.shop.git(&["push", "--quiet", "origin", "main"]);
        commit
    };
    let machine = fleet.machine("victim");
    let forgeries: [(&str, &str, Value); 8] = [
        (
            "/steps/0/pins/0/manifest",
            "base-moved",
            json!(foreign.to_string()),
        ),
        (
            "/steps/0/pins/0/reference",
            "base-moved",
            json!(format!("{}/base/os:evil", bench.hub.host())),
        ),
        ("/steps/0/commit", "commit-moved", json!(unreleased)),
        (
            "/steps/0/source",
            "source-differs",
            json!(format!("s1:{}", "0".repeat(64))),
        ),
        ("/steps/0/engine", "engine-differs", json!("docker")),
        ("/steps/0/expects", "tag-moved", json!(foreign.to_string())),
        (
            "/steps/0/target",
            "not-planned",
            json!("base@linux/riscv64"),
        ),
        ("/steps/0/line", "line-not-swept", json!("somewhere")),
    ];
    for (pointer, kind, value) in forgeries {
        let mut forged = plan.clone();
        // Nothing else, so that nothing else is built.
        forged["steps"] = json!([plan["steps"][0]]);
        *forged.pointer_mut(pointer).unwrap() = value;
        fleet.write(&forged.to_string());
        bench.hub.forget_requests();
        for doing in [&["--shard", "1/1"][..], &["--publish"]] {
            let args = [
                &["sweep", "--plan", "../plan.json", "--format", "json"],
                doing,
            ]
            .concat();
            let said = machine.refit(&args).exits(1).json();
            assert_eq!(texts(&said["left"], "kind")[0], kind, "{pointer} {said}");
            assert_eq!(bench.writes(), 0, "{pointer}");
        }
    }
    // Tags are no input at all.
    let mut forged = plan.clone();
    for step in forged["steps"].as_array_mut().unwrap() {
        step["tags"] = json!([format!("{}/base/os:1", bench.hub.host())]);
    }
    fleet.write(&forged.to_string());
    let base = bench.hub.tag("base/os", "1");
    machine
        .refit(&["sweep", "--plan", "../plan.json", "--shard", "1/1"])
        .exits(0);
    machine
        .refit(&["sweep", "--plan", "../plan.json", "--publish"])
        .exits(0);
    assert_eq!(bench.hub.tag("base/os", "1"), base);
    assert_eq!(
        bench.file("web", "linux/amd64", "srv/site").unwrap(),
        "hello\n"
    );
}

#[test]
fn a_forced_plan_is_built_and_published_as_one() {
    let bench = Bench::new();
    let fleet = Fleet::new(&bench);
    fleet.shop.refit(&["sweep"]).exits(0);
    let plan = fleet.plan(&["--force", "--shards", "1", "web"]);
    assert_eq!(
        texts(&plan["steps"], "target"),
        ["web@linux/amd64", "web@linux/arm64"]
    );
    let machine = fleet.machine("forced");
    machine
        .refit(&["sweep", "--plan", "../plan.json", "--shard", "1/1"])
        .exits(0);
    // A native build comes to the same, so what is published stays.
    machine
        .refit(&["sweep", "--plan", "../plan.json", "--publish"])
        .exits(0)
        .mentions("web: what is published stays");
}

#[test]
fn a_file_that_is_no_plan_is_refused_with_the_reason() {
    let bench = Bench::new();
    let fleet = Fleet::new(&bench);
    let plan = fleet.plan(&["--shards", "2"]);
    let changed = |pointer: &str, value: Value| {
        let mut plan = plan.clone();
        *plan.pointer_mut(pointer).unwrap() = value;
        plan.to_string()
    };
    let dry_run = fleet
        .shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .stdout;
    let twice = plan["steps"][0].clone();
    let cases: Vec<(String, &str)> = vec![
        (
            "{".to_owned(),
            "EOF while parsing an object at line 1 column 1",
        ),
        ("{}".to_owned(), "it has no `format_version`"),
        (
            changed("/format_version", json!(2)),
            "its format is version 2, and this refit reads version 1",
        ),
        (dry_run, "it has no `shards`"),
        (
            changed("/lease", json!("a\nb")),
            "its `lease` is none of refit's",
        ),
        (
            changed("/shards", json!(0)),
            "its `shards` is 0 (want 1 to 200)",
        ),
        (
            changed("/shards", json!(2_000_000)),
            "its `shards` is 2000000 (want 1 to 200)",
        ),
        (
            changed("/steps/0/target", json!("web")),
            "`web` is no target",
        ),
        (changed("/steps/0/commit", json!("HEAD")), "HEAD"),
        (
            changed("/steps/0/pins/0/manifest", json!("sha256:0")),
            "sha256:0",
        ),
        (
            changed("/steps/0/place/shard", json!(3)),
            "its step `base@linux/amd64` of `main` has no place in a shard",
        ),
        (
            changed("/steps/1", twice),
            "its step `base@linux/amd64` of `main` is there twice",
        ),
        (
            changed("/steps/0/place/wave", json!(3)),
            "its step `web@linux/amd64` of `main` is built on `base@linux/amd64`, which is not built before it",
        ),
        (
            changed("/steps/2/pins/0/step", json!("x@linux/amd64")),
            "is built on `x@linux/amd64`, which is none of its steps",
        ),
    ];
    for (text, why) in cases {
        fleet.write(&text);
        let said = fleet
            .shop
            .refit(&["sweep", "--plan", "../plan.json", "--shard", "1/2"])
            .exits(2);
        said.mentions("`../plan.json` is no plan for shards: ")
            .mentions(why);
    }
    fleet.write(&plan.to_string());
    let shard = |args: &[&str]| {
        fleet
            .shop
            .refit(&[&["sweep", "--plan", "../plan.json"], args].concat())
    };
    shard(&["--shard", "1/3"])
        .exits(2)
        .mentions("the plan has 2 shards, and `--shard 1/3` counts 3");
    shard(&["--shard", "3/2"])
        .exits(2)
        .mentions("`3/2` is no shard (want `I/N`");
    shard(&["--shard", "1/2", "--wave", "4"])
        .exits(2)
        .mentions("the plan has 3 waves, and no wave 4");
    shard(&[])
        .exits(2)
        .mentions("what is to be done of the plan is missing");
    shard(&["web", "--publish"])
        .exits(2)
        .mentions("cannot be used with");
    shard(&["--emit", "github"])
        .exits(2)
        .mentions("the plan has 3 waves, and a matrix is one of them");
}
