//! From the first release to the sweep that does nothing.

use std::fmt::Write as _;

use serde_json::json;

use crate::{
    bench::{Bench, texts},
    fixtures::{IMAGES, LINEAGE},
};

#[test]
fn a_base_that_moved_on_one_platform_is_patched_there_and_nowhere_else() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let before = IMAGES.map(|image| bench.manifests(image));
    let indexes = IMAGES.map(|image| bench.published(image));
    assert_eq!(
        bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
        "one"
    );

    bench.push_base("1", "one", "two");
    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(
        texts(&plan["steps"], "target"),
        ["base@linux/arm64", "web@linux/arm64", "shop@linux/arm64"]
    );
    assert_eq!(
        texts(&plan["kept"], ""),
        ["base@linux/amd64", "shop@linux/amd64", "web@linux/amd64"]
    );
    assert_eq!(
        plan["steps"][1]["reasons"],
        json!([{"kind": "parent-rebuilt", "parent": "base@linux/arm64"}])
    );
    assert_eq!(
        indexes,
        IMAGES.map(|image| bench.published(image)),
        "a plan moves nothing"
    );

    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(swept["failed"], json!([]));
    for ((image, before), index) in IMAGES.iter().zip(before).zip(indexes) {
        let now = bench.manifests(image);
        assert_eq!(
            now["linux/amd64"], before["linux/amd64"],
            "{image} keeps its bytes"
        );
        assert_ne!(now["linux/arm64"], before["linux/arm64"], "{image} is new");
        assert_eq!(
            bench.index(image).annotations["dev.refit.replaces"],
            index.to_string()
        );
        assert_eq!(
            bench.file(image, "linux/arm64", "etc/patch").unwrap(),
            "two"
        );
        assert_eq!(
            bench.file(image, "linux/amd64", "etc/patch").unwrap(),
            "one"
        );
    }
    assert_eq!(
        bench.file("shop", "linux/arm64", "srv/prices").unwrap(),
        "apple 1\n"
    );
}

#[test]
fn a_second_sweep_writes_nothing() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    let (published, notes) = (bench.all_published(&IMAGES), shop.notes());
    bench.hub.forget_requests();

    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are built on what the bases are now");
    assert_eq!(
        (bench.writes(), published, notes),
        (0, bench.all_published(&IMAGES), shop.notes())
    );
}

#[test]
fn a_sweep_with_nothing_to_do_asks_once_for_each_base_and_each_image() {
    let bench = Bench::new();
    let mut files = String::from(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\n\
         [[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\n",
    );
    for n in 0..20 {
        write!(
            files,
            "//- app{n}/Dockerfile\nFROM HUB/base/os:{}\nCOPY n /\n//- app{n}/n\n{n}\n",
            n % 3
        )
        .unwrap();
    }
    for tag in ["0", "1", "2"] {
        bench.push_base(tag, tag, tag);
    }
    let apps = bench.repository(&files);
    apps.refit(&["build", "--push"]).exits(0);
    let remote = bench.remote(&apps);
    apps.git(&["push", "--quiet", "origin", "refs/notes/*:refs/notes/*"]);

    // In the clone that released, and in one that knows nothing but the notes.
    for clone in [&apps, &bench.clone_of(&remote, "ci", &["--depth=1"])] {
        bench.hub.forget_requests();
        let swept = clone.refit(&["sweep", "--format", "json"]).exits(0).json();
        assert_eq!(swept["kept"].as_array().unwrap().len(), 20);
        assert_eq!(swept["requests"], json!({"head": 23, "get": 0}));
        for n in 0..20 {
            assert_eq!(
                bench
                    .hub
                    .count("HEAD", &format!("/v2/team/app{n}/manifests/latest")),
                1
            );
        }
        for tag in ["0", "1", "2"] {
            assert_eq!(
                bench
                    .hub
                    .count("HEAD", &format!("/v2/base/os/manifests/{tag}")),
                1
            );
        }
        assert_eq!(bench.hub.count("*", ""), 23);
    }
}
