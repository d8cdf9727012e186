//! Input that cannot be used: said with its file and line and what helps; the rest goes on; no tag moves.

use serde_json::json;

use crate::{
    bench::{Bench, texts},
    fixtures::{IMAGES, LINEAGE, SINGLE},
};

#[test]
fn a_broken_dockerfile_hides_no_other_image() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    shop.write("//- web/Dockerfile\nFROM HUB/team/base\nCOPPY site /srv/\n");
    shop.commit("Break web");

    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("web/Dockerfile:2:1: unknown instruction")
        .mentions("did you mean `COPY`?");
    // What was released is patched all the same: it was not broken then.
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("web/Dockerfile:2:1:");
    for image in IMAGES {
        assert_eq!(
            bench.file(image, "linux/arm64", "etc/patch").unwrap(),
            "two"
        );
    }
}

#[test]
fn images_on_a_cycle_are_named_and_the_others_built() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(&format!(
        "{LINEAGE}//- left/Dockerfile\nFROM HUB/team/right\n//- right/Dockerfile\nFROM HUB/team/left\n"
    ));
    let said = shop.refit(&["build", "--push"]).exits(1);
    said.mentions("left").mentions("cycle");
    assert_eq!(bench.manifests("shop").len(), 2);
    for image in ["left", "right"] {
        assert_eq!(bench.hub.tag(&format!("team/{image}"), "latest"), None);
    }
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("left/Dockerfile: images depend on each other in a cycle")
        .mentions("nothing to do: 6 targets are");
}

#[test]
fn a_configuration_that_says_two_things_builds_nothing() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    bench.push_base("1", "two", "two");
    for (wrong, said, hint) in [
        (
            "[[image]]\nname = \"other\"\ncontext = \"web\"\nrepository = \"HUB/team/web\"\n",
            "both claim the tag `HUB/team/web:latest`",
            "hint: give one of them another `tags` or `repository`",
        ),
        (
            "platfroms = [\"linux/amd64\"]\n",
            ".config/refit.toml:7:1: unknown key `platfroms`",
            "hint: did you mean `platforms`?",
        ),
        (
            "platforms = [\"linux/amd46/x/y/z\"]\n",
            "linux/amd46/x/y/z",
            "hint: ",
        ),
        ("tags = [\"no tag\"]\n", "no tag", "hint: "),
        ("tags = [\n", ".config/refit.toml:7:9:", "error: "),
    ] {
        shop.write(&format!("//- .config/refit.toml\n{config}{wrong}"));
        shop.commit("Break the configuration");
        bench.hub.forget_requests();
        for command in [&["sweep"][..], &["build", "--push"], &["build"]] {
            shop.refit(command)
                .exits(2)
                .mentions(&bench.hosted(said))
                .mentions(hint);
        }
        assert_eq!(bench.hub.count("*", ""), 0, "{wrong}");
    }
}

#[test]
fn a_repository_without_commits_has_nothing_to_sweep() {
    let bench = Bench::new();
    let shop = bench.repository_named("shop", "");
    shop.refit(&["sweep"])
        .exits(2)
        .mentions("`main` has no commit yet")
        .mentions("hint: ");
    shop.write(SINGLE);
    shop.refit(&["sweep"])
        .exits(2)
        .mentions("`main` has no commit yet");
    shop.refit(&["build", "--push"])
        .exits(2)
        .mentions("there is no commit yet to publish from");
    bench.push_base("1", "one", "one");
    shop.refit(&["build"]).exits(0);
    assert_eq!(bench.writes(), 0);
}

#[test]
fn a_reftable_repository_is_refused_with_the_command_that_helps() {
    let bench = Bench::new();
    let shop = bench.folder_of("shop");
    std::fs::create_dir(shop.dir()).unwrap();
    let made = shop.try_git(&[
        "init",
        "--quiet",
        "--initial-branch=main",
        "--ref-format=reftable",
    ]);
    if made.code != Some(0) {
        return; // a git that can't make one can't have one
    }
    shop.write(SINGLE);
    shop.commit("Add images");
    for command in [&["sweep"][..], &["build", "--push"], &["build"]] {
        shop.refit(command)
            .exits(2)
            .mentions("hint: run `git refs migrate --ref-format=files`");
    }
    assert_eq!(bench.hub.count("*", ""), 0);
}

#[test]
fn an_unknown_image_is_refused_with_the_nearest_ones() {
    let bench = Bench::new();
    let shop = bench.repository(LINEAGE);
    for command in [&["sweep", "wep"][..], &["build", "wep", "--push"]] {
        shop.refit(command)
            .exits(2)
            .mentions("there is no image `wep`")
            .mentions("hint: did you mean `web`?");
    }
    assert_eq!(bench.hub.count("*", ""), 0);
}

#[test]
fn a_base_whose_registry_is_unreachable_stops_only_what_is_built_on_it() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let mut away =
        refit_testkit::registry::TestRegistry::start(refit_testkit::registry::Options::default());
    away.put_index("base/os", "1", &[crate::bench::os("linux/amd64", "away")]);
    let host = away.host();
    let shop = bench.repository(&format!(
        "{}//- api/Dockerfile\nFROM {host}/base/os:1\nCOPY api /\n//- api/api\napi\n",
        LINEAGE.replace("\"linux/amd64\", \"linux/arm64\"", "\"linux/amd64\"")
    ));
    shop.refit(&["build", "--push"]).exits(0);
    let api = bench.published("api");
    away.stop();
    bench.push_base("1", "two", "two");
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(2).json();
    assert_eq!(texts(&swept["states"], "state"), ["unreachable"]);
    assert_eq!(
        swept["states"][0]["reference"],
        json!(format!("{host}/base/os:1"))
    );
    assert_eq!(
        bench.file("shop", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
    assert_eq!(bench.published("api"), api);
}

#[test]
fn a_base_that_does_not_exist_is_named_with_its_image() {
    let bench = Bench::new();
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(1).mentions(&format!(
        "web@linux/amd64: missing-tag: {}/base/os:1 is not there",
        bench.hub.host()
    ));
    assert_eq!(bench.writes(), 0);
}
